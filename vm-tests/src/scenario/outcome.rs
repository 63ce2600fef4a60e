//! What is checked of every scenario when its machine is off: the boot variables, the disks that nobody may
//! have touched, what the installer left on the stick.

use std::path::{Path, PathBuf};

use anyhow::Result;
use cluster_bootstrapper::{ParseOptions, parse};
use serde_json::Value;

use super::collect;
use super::immutable;
use super::installed;
use super::machine::{FIRST_FOREIGN, Hardware};
use super::one_machine::Scenario;
use super::secure_boot;
use super::step::Step;
use super::stick::{CONFIG_PARTITION, Damage};
use crate::evidence::{Check, Evidence};

/// All checks on the machine that is off. A run that ended early has its failure: then only what must hold at
/// any time is checked.
///
/// # Errors
/// A disk cannot be read.
pub(super) fn checks(
    scenario: &Scenario,
    hardware: &Hardware,
    evidence: &Evidence,
    finished: bool,
    checks: &mut Vec<Check>,
) -> Result<()> {
    let target = scenario.target();
    // A firmware that starts the stick first has changed the order since the installer left it.
    let kept = if scenario.machine.stick.starts_first || scenario.machine.full_variables {
        collect::INSTALLED_VARS
    } else {
        collect::save_vars(hardware, evidence, collect::LAST_VARS);
        collect::LAST_VARS
    };
    checks.push(untouched(&hardware.changed()?, target));
    let installed = evidence.path(collect::INSTALLED_VARS).exists();
    if scenario.machine.secure_boot {
        checks.extend(secure_boot::enrolled(&hardware.firmware.vars)?);
    }
    // Where HookOS did not run, nobody could have changed an entry.
    let ran = !scenario.steps.contains(&Step::FirmwareRefuses);
    if ran && (finished || installed) {
        // A firmware that has no room for the entry must be left as it is.
        let entry = installed && !scenario.machine.full_variables;
        collect::firmware(evidence, kept, entry, checks);
    }
    if !finished {
        return Ok(());
    }
    checks.extend(shown(scenario, evidence)?);
    checks.extend(foreign_entries(scenario, evidence));
    let last = scenario.steps.last();
    let whole = match last {
        Some(Step::StartDisk | Step::Recover) => true,
        Some(Step::Refuse(refusal)) => refusal.step == "find-media",
        _ => false,
    };
    if let Some(disk) = target
        .and_then(|name| hardware.disk(name))
        .filter(|_| whole)
    {
        checks.push(installed::file_system_check("", &disk.file)?);
        checks.push(installed::signatures_check(&disk.file)?);
        let text = collect::config_file(&hardware.stick)?;
        if let Some(config) = parse(&text, &ParseOptions::default()).config {
            checks.extend(installed::written_files(&disk.file, &config)?);
        }
    }
    if immutable::applies(scenario) {
        checks.push(immutable::unwritten(scenario, hardware, evidence)?);
    }
    if let Some(result) = scenario_leaves(scenario) {
        checks.extend(logs(evidence, &result));
    }
    Ok(())
}

/// What the consoles have to show, in the first run of the machine.
fn shown(scenario: &Scenario, evidence: &Evidence) -> Result<Vec<Check>> {
    if scenario.machine.console_shows.is_empty() {
        return Ok(Vec::new());
    }
    let consoles = fs_err::read_to_string(evidence.path("consoles.log"))?;
    let check = |text: &String| {
        let seen = consoles.lines().any(|line| line.contains(text));
        Check {
            key: "machine/consoles".into(),
            check: "a console shows".into(),
            expected: text.clone(),
            actual: if seen { text } else { "not shown" }.to_owned(),
            passed: seen,
        }
    };
    Ok(scenario.machine.console_shows.iter().map(check).collect())
}

/// The firmware had the foreign entries when the installer began: else it means nothing that they were kept.
fn foreign_entries(scenario: &Scenario, evidence: &Evidence) -> Vec<Check> {
    let before = collect::read_vars(&evidence.path(collect::FIRST_VARS));
    let has = |number| {
        before
            .as_ref()
            .is_ok_and(|boot| boot.entry(number).is_some())
    };
    scenario
        .machine
        .boot_entries
        .iter()
        .zip(FIRST_FOREIGN..)
        .map(|(entry, number)| Check {
            key: "machine/foreignEntries".into(),
            check: format!("the firmware has the entry Boot{number:04X} before the installation"),
            expected: format!("{entry:?}"),
            actual: if has(number) {
                format!("{entry:?}")
            } else {
                "none".to_owned()
            },
            passed: has(number),
        })
        .collect()
}

fn untouched(changed: &[&str], target: Option<&str>) -> Check {
    let wrong: Vec<&str> = changed
        .iter()
        .copied()
        .filter(|name| Some(*name) != target)
        .collect();
    Check {
        key: "machine/disks".into(),
        check: match target {
            Some(name) => format!("no byte of a disk but `{name}` was changed"),
            None => "no byte of any disk was changed".to_owned(),
        },
        expected: "none changed".into(),
        passed: wrong.is_empty(),
        actual: if wrong.is_empty() {
            "none changed".to_owned()
        } else {
            format!("changed: {}", wrong.join(", "))
        },
    }
}

/// What the newest logs on the stick have to tell. A stick that cannot be written, was not found or was pulled has
/// none.
fn scenario_leaves(scenario: &Scenario) -> Option<LogsLeft> {
    let stick = &scenario.machine.stick;
    let full = |damage: &Damage| *damage == Damage::Fill(CONFIG_PARTITION.to_owned());
    if stick.read_only || stick.damage.iter().any(full) {
        return None;
    }
    match scenario.steps.last()? {
        Step::Refuse(refusal) => {
            let found = refusal.step != "find-media";
            let pulled = scenario.steps.contains(&Step::UnplugStick);
            (found && !pulled).then(|| LogsLeft {
                summary: format!("failed in {}", refusal.step),
                configuration: refusal.step != "validate-config",
            })
        }
        _ if scenario.steps.contains(&Step::Install) => Some(LogsLeft {
            summary: "installed in save-logs".to_owned(),
            configuration: true,
        }),
        _ => None,
    }
}

/// What the newest logs on the stick have to tell.
struct LogsLeft {
    /// Result and step of the summary.
    summary: String,
    /// The configuration is there, as it was validated.
    configuration: bool,
}

/// The installer has left its summary on the stick and, once it knew what in it is secret, the configuration.
fn logs(evidence: &Evidence, expected: &LogsLeft) -> Vec<Check> {
    let newest = newest(&evidence.path("stick/logs"));
    let read = |name: &str| fs_err::read_to_string(newest.as_ref()?.join(name)).ok();
    let summary = match read("summary.json").and_then(|text| serde_json::from_str(&text).ok()) {
        None => "no logs/<time>/summary.json on the stick".to_owned(),
        Some::<Value>(summary) => format!(
            "{} in {}",
            summary["result"].as_str().unwrap_or("?"),
            summary["step"].as_str().unwrap_or("?")
        ),
    };
    let configuration = match read("config-file.json") {
        None => "absent",
        Some(text) if evidence.mask(&text) != text => "with a secret",
        Some(text) if serde_json::from_str::<Value>(&text).is_ok() => "without secrets",
        Some(_) => "no JSON",
    };
    let check = |check: &str, expected: &str, actual: &str| {
        collect::check(
            "machine/logs",
            check,
            expected.to_owned(),
            actual.to_owned(),
            actual == expected,
        )
    };
    let saved = if expected.configuration {
        "without secrets"
    } else {
        "absent"
    };
    vec![
        check(
            "the installer's summary is on the stick",
            &expected.summary,
            &summary,
        ),
        check(
            "the configuration among the logs on the stick",
            saved,
            configuration,
        ),
    ]
}

/// The newest run in the folder of logs.
fn newest(logs: &Path) -> Option<PathBuf> {
    let runs = fs_err::read_dir(logs).ok()?;
    runs.filter_map(|entry| Some(entry.ok()?.path())).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ssh::Secrets;

    #[test]
    fn only_the_target_may_change() {
        assert!(untouched(&["target"], Some("target")).passed);
        assert!(!untouched(&["target", "data"], Some("target")).passed);
        assert!(!untouched(&["target"], None).passed);
        assert!(untouched(&[], None).passed);
    }

    /// Which of the checks of the logs pass: of the summary, of the configuration.
    fn passed(summary: &str, configuration: Option<&str>, expected: bool) -> Vec<bool> {
        let folder = tempfile::tempdir().unwrap();
        for (time, step) in [("20260101T000000Z", "old"), ("20260102T000000Z", summary)] {
            let run = folder.path().join("stick/logs").join(time);
            fs_err::create_dir_all(&run).unwrap();
            let text = format!("{{\"result\":\"failed\",\"step\":\"{step}\"}}");
            fs_err::write(run.join("summary.json"), text).unwrap();
            if let Some(text) = configuration {
                fs_err::write(run.join("config-file.json"), text).unwrap();
            }
        }
        let mut secrets = Secrets::default();
        secrets.add("hunter42");
        let evidence = Evidence::create(folder.path(), secrets).unwrap();
        let expected = LogsLeft {
            summary: "failed in verify-image".into(),
            configuration: expected,
        };
        let checks = logs(&evidence, &expected);
        checks.iter().map(|check| check.passed).collect()
    }

    #[test]
    fn the_newest_summary_counts() {
        assert_eq!(passed("verify-image", None, false), [true, true]);
        assert_eq!(passed("choose-disk", None, false), [false, true]);
    }

    #[test]
    fn the_configuration_has_no_secret_and_is_there_once_it_is_validated() {
        let step = "verify-image";
        assert_eq!(passed(step, Some("{\"a\": 1}"), true), [true, true]);
        assert_eq!(passed(step, Some("{\"a\": 1}"), false), [true, false]);
        assert_eq!(passed(step, None, true), [true, false]);
        assert_eq!(passed(step, Some("{"), true), [true, false]);
        let secret = "{\"password\": \"hunter42\"}";
        assert_eq!(passed(step, Some(secret), true), [true, false]);
    }
}
