//! What is checked of every scenario when its machine is off: the boot variables, the disks that nobody may
//! have touched, what the installer left on the stick.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::collect;
use super::definition::{Refusal, Scenario, Step};
use super::immutable;
use super::installed;
use super::machine::{FIRST_FOREIGN, Hardware};
use super::secure_boot;
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
    let kept = if scenario.machine.stick.starts_first {
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
        collect::firmware(evidence, kept, installed, checks);
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
    }
    if immutable::applies(scenario) {
        checks.push(immutable::unwritten(scenario, hardware, evidence)?);
    }
    if let Some(Step::Refuse(refusal)) = last
        && leaves_summary(scenario, refusal)
    {
        checks.push(summary(evidence, refusal));
    }
    Ok(())
}

/// What the consoles have to show, in the first run of the machine.
fn shown(scenario: &Scenario, evidence: &Evidence) -> Result<Vec<Check>> {
    if scenario.console_shows.is_empty() {
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
    Ok(scenario.console_shows.iter().map(check).collect())
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

/// A stick that cannot be written, or was not found, has no summary.
fn leaves_summary(scenario: &Scenario, refusal: &Refusal) -> bool {
    let stick = &scenario.machine.stick;
    let full = |damage: &Damage| *damage == Damage::Fill(CONFIG_PARTITION.to_owned());
    let pulled = |step: &Step| *step == Step::UnplugStick;
    refusal.step != "find-media"
        && !stick.read_only
        && !stick.damage.iter().any(full)
        && !scenario.steps.iter().any(pulled)
}

/// The summary that the installer saved on the stick tells its failure.
fn summary(evidence: &Evidence, refusal: &Refusal) -> Check {
    let expected = format!("failed in {}", refusal.step);
    let actual = match read_summary(&evidence.path("stick/logs")) {
        None => "no logs/<time>/summary.json on the stick".to_owned(),
        Some(summary) => format!(
            "{} in {}",
            summary["result"].as_str().unwrap_or("?"),
            summary["step"].as_str().unwrap_or("?")
        ),
    };
    Check {
        key: "machine/summary".into(),
        check: "the installer's summary is on the stick".into(),
        passed: actual == expected,
        expected,
        actual,
    }
}

/// The newest summary in the folder of logs.
fn read_summary(logs: &Path) -> Option<Value> {
    let mut runs: Vec<_> = fs_err::read_dir(logs)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    runs.sort();
    serde_json::from_slice(&fs_err::read(runs.pop()?.join("summary.json")).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_target_may_change() {
        assert!(untouched(&["target"], Some("target")).passed);
        assert!(!untouched(&["target", "data"], Some("target")).passed);
        assert!(!untouched(&["target"], None).passed);
        assert!(untouched(&[], None).passed);
    }

    #[test]
    fn the_newest_summary_counts() {
        let folder = tempfile::tempdir().unwrap();
        for (time, step) in [
            ("20260101T000000Z", "old"),
            ("20260102T000000Z", "verify-image"),
        ] {
            let run = folder.path().join("stick/logs").join(time);
            fs_err::create_dir_all(&run).unwrap();
            let text = format!("{{\"result\":\"failed\",\"step\":\"{step}\"}}");
            fs_err::write(run.join("summary.json"), text).unwrap();
        }
        let evidence = Evidence::create(folder.path(), crate::ssh::Secrets::default()).unwrap();
        let refusal = |step: &str| Refusal {
            step: step.into(),
            reason: String::new(),
        };
        assert!(summary(&evidence, &refusal("verify-image")).passed);
        assert!(!summary(&evidence, &refusal("old")).passed);
    }
}
