//! What the installer left on the stick: its logs, without secrets.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::Value;

use super::hooks::{Aspect, Subject};
use crate::evidence::{Check, Evidence};
use crate::scenario::one_machine::Scenario;
use crate::scenario::step::Step;
use crate::scenario::stick::{CONFIG_PARTITION, Damage, copy_out};

/// The directory of the evidence with what was on the stick.
const STICK: &str = "stick";

/// The installer's logs on the stick.
pub(super) struct LogsOnStick;

impl Aspect for LogsOnStick {
    /// The logs are kept whatever happened. A stick without them, or without the tools to read them, is only less
    /// evidence.
    fn powered_off(&self, subject: &Subject<'_>, finished: bool) -> Result<Vec<Check>> {
        let kept = subject.evidence.path(STICK);
        if fs_err::create_dir_all(&kept).is_ok() {
            let _ = copy_out(&subject.hardware.stick, "logs", &kept);
        }
        let expected = leaves(subject.scenario).filter(|_| finished);
        Ok(expected
            .map(|expected| logs(subject.evidence, &expected))
            .unwrap_or_default())
    }
}

/// What the newest logs on the stick have to tell. A stick that cannot be written, was not found or was pulled has
/// none.
fn leaves(scenario: &Scenario) -> Option<LogsLeft> {
    let stick = &scenario.machine.stick;
    let full = |damage: &Damage| *damage == Damage::Fill(CONFIG_PARTITION.to_owned());
    if stick.read_only || stick.damage.iter().any(full) {
        return None;
    }
    let installer = |step: &&Step| matches!(step, Step::Install | Step::Refuse(_));
    match scenario.steps.iter().rfind(installer)? {
        Step::Refuse(refusal) => {
            let found = refusal.step != "find-media";
            let pulled = scenario.steps.contains(&Step::UnplugStick);
            (found && !pulled).then(|| LogsLeft {
                summary: format!("failed in {}", refusal.step),
                configuration: refusal.step != "validate-config",
            })
        }
        _ => Some(LogsLeft {
            summary: "installed in save-logs".to_owned(),
            configuration: true,
        }),
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
    let newest = newest(&evidence.path(STICK).join("logs"));
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
    let saved = if expected.configuration {
        "without secrets"
    } else {
        "absent"
    };
    vec![
        Check::same(
            "machine/logs",
            "the installer's summary is on the stick",
            &expected.summary,
            summary,
        ),
        Check::same(
            "machine/logs",
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
    use super::super::made::{Made, results};
    use super::*;
    use crate::scenario::step::Refusal;
    use crate::ssh::Secrets;

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

    /// What the logs of a scenario have to tell: of the summary, whether the configuration is there.
    fn left(alter: impl FnOnce(&mut Scenario)) -> Option<(String, bool)> {
        let made = Made::new(alter);
        leaves(&made.scenario).map(|left| (left.summary, left.configuration))
    }

    fn refuse(step: &str) -> Step {
        Step::Refuse(Refusal {
            step: step.to_owned(),
            reason: String::new(),
        })
    }

    #[test]
    fn what_is_left_depends_on_how_the_installer_ended() {
        let after = |steps: Vec<Step>| left(|scenario| scenario.steps = steps);
        let told = |summary: &str, configuration| Some((summary.to_owned(), configuration));
        assert_eq!(left(|_| {}), told("installed in save-logs", true));
        assert_eq!(
            after(vec![refuse("verify-image")]),
            told("failed in verify-image", true)
        );
        assert_eq!(
            after(vec![refuse("validate-config")]),
            told("failed in validate-config", false)
        );
        assert_eq!(after(vec![refuse("find-media")]), None);
        let pulled = [Step::InstallUntil("write-image".into()), Step::UnplugStick];
        assert_eq!(
            after([&pulled[..], &[refuse("write-image")]].concat()),
            None
        );
        assert_eq!(after(vec![Step::FirmwareRefuses]), None);
    }

    #[test]
    fn a_stick_that_takes_nothing_has_no_logs() {
        let damaged =
            |damage: Damage| left(|scenario| scenario.machine.stick.damage = vec![damage]);
        assert_eq!(
            left(|scenario| scenario.machine.stick.read_only = true),
            None
        );
        assert_eq!(damaged(Damage::Fill(CONFIG_PARTITION.to_owned())), None);
        assert!(damaged(Damage::Fill("EMTS-OS".to_owned())).is_some());
    }

    #[test]
    fn logs_are_read_from_the_stick_whatever_happened_and_checked_at_the_end() {
        let made = Made::new(|_| {});
        assert_eq!(
            results(&made.off(&LogsOnStick, true)),
            [("machine/logs", false); 2]
        );
        let logs = made.path("logs");
        let run_of = logs.join("20260101T000000Z");
        fs_err::create_dir_all(&run_of).unwrap();
        let summary = "{\"result\":\"installed\",\"step\":\"save-logs\"}";
        fs_err::write(run_of.join("summary.json"), summary).unwrap();
        fs_err::write(run_of.join("config-file.json"), "{}").unwrap();
        made.stick_with(&logs);
        assert!(made.off(&LogsOnStick, false).is_empty());
        assert!(made.evidence.path(STICK).join("logs").is_dir());
        assert_eq!(
            results(&made.off(&LogsOnStick, true)),
            [("machine/logs", true); 2]
        );
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
