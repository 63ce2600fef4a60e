//! The report of one run, as it is written to `report.json`.

use serde::{Deserialize, Serialize};

/// A stage of the build, as the builder told it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageRecord {
    /// Its name.
    pub name: String,
    /// How long it took.
    pub seconds: f64,
    /// True when its output was in the store already.
    pub cached: bool,
    /// What the builder says of its output, such as packages that are not the pinned ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A step of the scenario or of the installer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Its name.
    pub name: String,
    /// How long it took.
    pub seconds: f64,
}

/// One check: what was expected and what was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// JSON pointer of the config-file's key, or the machine's part.
    pub key: String,
    /// What is checked.
    pub check: String,
    /// What must be.
    pub expected: String,
    /// What is.
    pub actual: String,
    /// Whether they agree.
    pub passed: bool,
}

/// What an installation cost.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Installation {
    /// Seconds from the installer's first marker to its last, by its own clock.
    pub seconds: f64,
    /// Bytes written to the target disk, as QEMU counts them: without discards and requests for zeros.
    pub written_bytes: u64,
}

/// The report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The scenario's name.
    pub scenario: String,
    /// The profile that the parts came from.
    pub profile: String,
    /// What was not as the profile has it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaced: Vec<String>,
    /// `kvm` or `tcg`.
    pub accelerator: String,
    /// Why that accelerator.
    #[serde(default)]
    pub accelerator_reason: String,
    /// What the node runs as K3s, in its own words.
    #[serde(default)]
    pub k3s: String,
    /// True when all went well and every check holds.
    pub passed: bool,
    /// Duration of the whole run.
    pub seconds: f64,
    /// When it began, RFC 3339.
    #[serde(default)]
    pub started: String,
    /// The stages of the build.
    pub stages: Vec<StageRecord>,
    /// The steps of the scenario.
    pub steps: Vec<StepRecord>,
    /// The checks.
    pub checks: Vec<Check>,
    /// What the last installation cost, when one was complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installation: Option<Installation>,
    /// Why the run ended early, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// What was seen on the consoles that needs no failure but a look.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Report {
    /// The checks that do not hold.
    pub fn failed_checks(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| !check.passed)
    }

    /// Sets `passed` from what was found. A run without a single check proves
    /// nothing and does not pass.
    pub fn conclude(&mut self) {
        self.passed = self.failure.is_none()
            && !self.checks.is_empty()
            && self.failed_checks().next().is_none();
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn sample() -> Report {
        let check = |key: &str, passed| Check {
            key: key.into(),
            check: "value <is> as written".into(),
            expected: "a & b".into(),
            actual: "a\u{1}".into(),
            passed,
        };
        Report {
            scenario: "sample".into(),
            profile: "reference".into(),
            replaced: Vec::new(),
            accelerator: "tcg".into(),
            accelerator_reason: "asked for".into(),
            k3s: "k3s version v1".into(),
            passed: false,
            seconds: 12.5,
            started: "2026-01-01T00:00:00Z".into(),
            stages: vec![StageRecord {
                name: "usb".into(),
                seconds: 1.0,
                cached: true,
                notes: Vec::new(),
            }],
            steps: vec![StepRecord {
                name: "install".into(),
                seconds: 10.0,
            }],
            checks: vec![check("/kubernetes", true), check("/operatingSystem", false)],
            installation: None,
            failure: None,
            warnings: Vec::new(),
        }
    }

    #[test]
    fn is_read_back_as_it_was_written() {
        let report = sample();
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
    }

    #[test]
    fn one_failed_check_fails_the_run() {
        let mut report = sample();
        report.conclude();
        assert!(!report.passed);
        report.checks.pop();
        report.conclude();
        assert!(report.passed);
    }

    #[test]
    fn a_run_without_checks_does_not_pass() {
        let mut report = sample();
        report.checks.clear();
        report.conclude();
        assert!(!report.passed);
    }
}
