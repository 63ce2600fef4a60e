//! The scenarios of `configs/scenarios/`: found by name, pattern or set.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use diagnostics::decode::merge;
use diagnostics::text::closest;
use run_request::{Need, OsImage, Role};
use serde::Deserialize;
use serde_json::Value;

/// What the builder has to know of a scenario; the harness reads all of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// The file.
    #[serde(skip)]
    pub path: PathBuf,
    /// The sets that it belongs to, such as `quick`.
    #[serde(default)]
    sets: Vec<String>,
    /// What it needs that not every stick has.
    #[serde(default)]
    needs: Vec<Need>,
    /// There is one where the scenario makes its stick by itself.
    #[serde(default)]
    pub workstation: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    machine: Option<Machine>,
    /// Several machines in place of one, by name.
    #[serde(default)]
    machines: BTreeMap<String, Machine>,
    /// Alterations with which it has to fail.
    #[serde(default)]
    must_fail: Vec<Alteration>,
    /// The number of the alteration that this one has.
    #[serde(skip)]
    pub altered: Option<usize>,
}

/// What of a scenario is altered.
#[derive(Debug, Clone, Deserialize)]
struct Alteration {
    with: Value,
}

/// What QEMU needs beside a machine's memory, MiB.
const OVERHEAD: u64 = 512;

/// Where the evidence of runs is, below the checkout.
pub const EVIDENCE: &str = "target/e2e";

/// What a run's report says of its time.
#[derive(Deserialize)]
struct Run {
    scenario: String,
    passed: bool,
    seconds: f64,
}

/// What the builder has to know of a scenario's machine.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Machine {
    /// What it is there for.
    #[serde(default)]
    pub role: Role,
    /// The config-file, relative to the scenario file.
    #[serde(default)]
    config_file: Option<PathBuf>,
    /// What is installed.
    #[serde(default)]
    pub os_image: OsImage,
    /// Boot files are signed with the test key.
    #[serde(default)]
    pub signed: bool,
    #[serde(default = "four_gibibytes", rename = "memoryMiB")]
    memory: u64,
}

fn four_gibibytes() -> u64 {
    4096
}

impl Scenario {
    /// Its variants that have to fail.
    ///
    /// # Errors
    /// Its file, altered, is no scenario.
    pub fn alterations(&self) -> Result<Vec<Self>> {
        let text = fs_err::read_to_string(&self.path)?;
        let all = self.must_fail.iter().enumerate();
        all.map(|(number, alteration)| {
            let mut value: Value = serde_saphyr::from_str(&text)?;
            merge(&mut value, &alteration.with);
            let altered: Self = serde_json::from_value(value).with_context(|| {
                let path = self.path.display();
                format!("{path}, altered by `mustFail` number {number}, is no scenario")
            })?;
            Ok(Self {
                name: format!("{} (must fail, {})", altered.name, number + 1),
                path: self.path.clone(),
                altered: Some(number),
                ..altered
            })
        })
        .collect()
    }

    /// Its machines that are installed, with their names where there are several.
    pub fn nodes(&self) -> impl Iterator<Item = (Option<&str>, &Machine)> {
        let several = self.machines.iter();
        let several = several.map(|(name, machine)| (Some(name.as_str()), machine));
        let all = self.machine.iter().map(|machine| (None, machine));
        all.chain(several)
            .filter(|(_, machine)| machine.role == Role::Node)
    }

    /// True when one of its machines is a registry.
    pub fn has_registry(&self) -> bool {
        let mut machines = self.machines.values();
        machines.any(|machine| machine.role == Role::Registry)
    }

    /// True when a machine is installed with more than the small image, and so may run pods.
    pub fn runs_pods(&self) -> bool {
        self.nodes()
            .any(|(_, machine)| !machine.os_image.is_small())
    }

    /// A machine's config-file; the sample when it names none.
    pub fn config_file(&self, root: &Path, machine: &Machine) -> PathBuf {
        match (&machine.config_file, self.path.parent()) {
            (Some(file), Some(directory)) => directory.join(file),
            _ => root.join("configs/config-file.yaml"),
        }
    }

    /// Why it cannot be run on sticks that have K3s' test double, if so; none if it can.
    pub fn not_run(&self, double: bool) -> Option<&'static str> {
        let why = "it needs K3s itself, and this stick has refk3s, its test double";
        (double && self.needs.contains(&Need::K3s)).then_some(why)
    }

    /// About how many seconds it takes once all is built: as the last time on this machine that it passed, else as
    /// emulated machines on two processors do.
    pub fn usual_seconds(&self, root: &Path) -> f64 {
        let machine = |(_, machine): (_, &Machine)| match machine.os_image {
            OsImage::Small | OsImage::SmallUnsigned => 90.0,
            OsImage::Reference | OsImage::Immutable => 300.0,
        };
        self.last_run(&root.join(EVIDENCE))
            .unwrap_or_else(|| self.nodes().map(machine).sum())
    }

    /// How long the last run took that passed.
    fn last_run(&self, evidence: &Path) -> Option<f64> {
        let suffix = format!("-{}", self.name);
        let runs = fs_err::read_dir(evidence).ok()?.flatten();
        let runs = runs.map(|run| run.file_name().to_string_lossy().into_owned());
        let mut runs: Vec<String> = runs.filter(|run| run.ends_with(&suffix)).collect();
        // A name begins with the time.
        runs.sort_unstable();
        runs.iter().rev().find_map(|run| {
            let text = fs_err::read(evidence.join(run).join("report.json")).ok()?;
            let report: Run = serde_json::from_slice(&text).ok()?;
            (report.passed && report.scenario == self.name).then_some(report.seconds)
        })
    }

    /// The memory of all its machines in MiB, with what QEMU needs beside each.
    pub fn memory(&self) -> u64 {
        let machines = self.machine.iter().chain(self.machines.values());
        machines.map(|machine| machine.memory + OVERHEAD).sum()
    }

    fn matches(&self, wanted: &str) -> bool {
        wanted == "all" || self.sets.iter().any(|set| set == wanted) || glob(wanted, &self.name)
    }
}

/// `*` stands for any text.
fn glob(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, rest)) => name.strip_prefix(head).is_some_and(|tail| {
            (0..=tail.len()).any(|at| tail.is_char_boundary(at) && glob(rest, &tail[at..]))
        }),
    }
}

/// The scenarios that `wanted` names: names, patterns with `*`, sets or `all`, with commas between them.
/// In the order of their names.
///
/// # Errors
/// One of the words names none.
pub fn select(root: &Path, wanted: &str) -> Result<Vec<Scenario>> {
    let all = read_all(&root.join("configs/scenarios"))?;
    let words: Vec<&str> = wanted.split(',').map(str::trim).collect();
    for word in &words {
        if !all.iter().any(|scenario| scenario.matches(word)) {
            bail!("{}", unknown(word, &all));
        }
    }
    Ok(all
        .into_iter()
        .filter(|scenario| words.iter().any(|word| scenario.matches(word)))
        .collect())
}

/// What to say of a word that names no scenario.
fn unknown(word: &str, all: &[Scenario]) -> String {
    let names = || all.iter().map(|scenario| scenario.name.as_str());
    let sets = all.iter().flat_map(|scenario| &scenario.sets);
    let advice = match closest(word, names().chain(sets.map(String::as_str))) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("there are {}", names().collect::<Vec<_>>().join(", ")),
    };
    format!("--scenario {word}: no scenario or set of them has this name; {advice}")
}

fn read_all(directory: &Path) -> Result<Vec<Scenario>> {
    let mut all = Vec::new();
    for entry in fs_err::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_none_or(|end| end != "yaml") {
            continue;
        }
        let text = fs_err::read_to_string(&path)?;
        let mut scenario: Scenario = serde_saphyr::from_str(&text)
            .with_context(|| format!("{} is no scenario", path.display()))?;
        if path
            .file_stem()
            .is_none_or(|stem| stem != scenario.name.as_str())
        {
            bail!("{} names its scenario `{}`", path.display(), scenario.name);
        }
        scenario.path = path;
        all.push(scenario);
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkout() -> PathBuf {
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
    }

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name, matches) in [
            ("media-*", "media-byte", true),
            ("media-*", "disk-none", false),
            ("*-byte", "media-byte", true),
            ("*", "x", true),
            ("m*a*e", "media-byte", true),
            ("media", "media-byte", false),
        ] {
            assert_eq!(glob(pattern, name), matches, "{pattern} {name}");
        }
    }

    #[test]
    fn a_workstation_is_seen_where_there_is_one() -> Result<()> {
        let has = |name: &str| -> Result<bool> {
            Ok(select(&checkout(), name)?[0].workstation.is_some())
        };
        assert_eq!((has("usb-prepare-devices")?, has("sample")?), (true, false));
        Ok(())
    }

    #[test]
    fn the_last_run_that_passed_says_how_long_the_next_takes() -> Result<()> {
        let sample = select(&checkout(), "sample")?.remove(0);
        let root = tempfile::tempdir()?;
        assert!((sample.usual_seconds(root.path()) - 300.0).abs() < 0.1);
        let runs = [
            ("20260101T000000Z-sample", "sample", true, 100.0),
            ("20260102T000000Z-sample", "sample", true, 200.0),
            ("20260103T000000Z-sample", "sample", false, 9.0),
            ("20260104T000000Z-other-sample", "other-sample", true, 7.0),
        ];
        for (name, scenario, passed, seconds) in runs {
            let directory = root.path().join(EVIDENCE).join(name);
            fs_err::create_dir_all(&directory)?;
            let report =
                serde_json::json!({"scenario": scenario, "passed": passed, "seconds": seconds});
            fs_err::write(directory.join("report.json"), report.to_string())?;
        }
        assert!((sample.usual_seconds(root.path()) - 200.0).abs() < 0.1);
        Ok(())
    }

    #[test]
    fn the_sample_is_found_and_a_mistyped_name_gets_a_suggestion() -> Result<()> {
        let found = select(&checkout(), "sample")?;
        assert!(found[0].runs_pods());
        for (word, advice) in [
            ("smaple", "did you mean `sample`?"),
            ("quik", "did you mean `quick`?"),
            ("x", "there are agent-joins, "),
        ] {
            let error =
                select(&checkout(), &format!("sample,{word}")).expect_err("no such scenario");
            let message = error.to_string();
            assert!(
                message.contains(&format!("--scenario {word}: ")),
                "{message}"
            );
            assert!(message.contains(advice), "{message}");
        }
        Ok(())
    }
}
