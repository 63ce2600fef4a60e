//! The report of one run, as it is written to `report.json`.

use run_request::StageRecord;
use serde::{Deserialize, Serialize};

use super::check::Check;

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It came to its end.
    Passed,
    /// The run ended in it.
    Failed,
    /// The run ended before it.
    NotRun,
}

impl Outcome {
    /// The word for it in reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::NotRun => "not run",
        }
    }
}

/// A step of the scenario or of the installer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Its name.
    pub name: String,
    /// When it began, in seconds from the run's begin.
    #[serde(default)]
    pub started: f64,
    /// How long it took.
    pub seconds: f64,
    /// How it ended.
    pub outcome: Outcome,
}

impl StepRecord {
    /// A step that the run did not get to.
    #[must_use]
    pub fn not_run(name: String) -> Self {
        Self {
            name,
            started: 0.0,
            seconds: 0.0,
            outcome: Outcome::NotRun,
        }
    }
}

/// A picture of a machine's screen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Screenshot {
    /// The file, relative to the run's directory.
    pub file: String,
    /// When it was taken, in seconds from the run's begin.
    pub at: f64,
}

/// The consoles of one run of a machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConsoleLog {
    /// The file with their lines behind seconds, relative to the run's directory.
    pub file: String,
    /// The machine's name, where there are several, with `: `.
    pub label: String,
    /// When its seconds begin, in seconds from the run's begin.
    pub started: f64,
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
    /// Pictures of the machines' screens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub screenshots: Vec<Screenshot>,
    /// The consoles of the machines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consoles: Vec<ConsoleLog>,
    /// What the last installation cost, when one was complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installation: Option<Installation>,
    /// The step in which the run ended early, if it did in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_step: Option<String>,
    /// Why the run ended early, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Settings of the harness that the node would not have by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What was seen that needs no failure but a look: on the consoles, in the journal, of time that was needed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// The key of the only check of a run that had to fail.
const MUST_FAIL: &str = "harness/mustFail";

impl Report {
    /// True for a run that was judged by [`Report::had_to_fail`]: how its steps ended is no verdict.
    #[must_use]
    pub fn is_of_failing(&self) -> bool {
        self.checks.iter().any(|check| check.key == MUST_FAIL)
    }

    /// Judges a run that had to fail and say `says`: all that it found becomes one check, whether it did.
    pub fn had_to_fail(&mut self, says: &str) {
        let mut found: Vec<String> = self
            .failed_checks()
            .map(|check| format!("{}: {}: {}", check.key, check.check, check.actual))
            .collect();
        found.extend(self.failure.take());
        self.scenario += " (must fail)";
        self.checks = vec![Check {
            key: MUST_FAIL.into(),
            check: "altered by `mustFail` of its file, the scenario fails".into(),
            expected: says.to_owned(),
            passed: found.iter().any(|found| found.contains(says)),
            actual: match found.is_empty() {
                true => "it passed".to_owned(),
                false => found.join(" | "),
            },
        }];
        self.conclude();
    }

    /// Takes over what the part of one machine of several has found.
    pub fn absorb(&mut self, machine: &str, part: Self) {
        let named = |text: String| format!("{machine}: {text}");
        self.steps.extend(part.steps);
        self.checks
            .extend(part.checks.into_iter().map(|check| Check {
                key: format!("{machine}:{}", check.key),
                ..check
            }));
        self.screenshots.extend(part.screenshots);
        self.consoles.extend(part.consoles);
        self.warnings.extend(part.warnings.into_iter().map(named));
        self.notes.extend(part.notes.into_iter().map(named));
        self.failed_step = self.failed_step.take().or(part.failed_step);
        self.installation = self.installation.or(part.installation);
        if self.k3s.is_empty() {
            self.k3s = part.k3s;
        }
    }

    /// The checks that do not hold.
    pub fn failed_checks(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| !check.passed)
    }

    /// Why it did not pass, in a line; none when it did.
    #[must_use]
    pub fn why(&self) -> Option<String> {
        let of_run = self.failure.as_ref().map(|failure| {
            let first = failure.lines().next().unwrap_or_default();
            match &self.failed_step {
                Some(step) => format!("{step}: {first}"),
                None => first.to_owned(),
            }
        });
        let failed: Vec<&str> = self
            .failed_checks()
            .map(|check| check.key.as_str())
            .collect();
        of_run.or_else(|| (!failed.is_empty()).then(|| format!("failed: {}", failed.join(", "))))
    }

    /// How many steps the run did not get to.
    #[must_use]
    pub fn steps_not_run(&self) -> usize {
        let not_run = |step: &&StepRecord| step.outcome == Outcome::NotRun;
        self.steps.iter().filter(not_run).count()
    }

    /// What a person reads at the end of a run: how it went, what K3s it was, what failed and why.
    #[must_use]
    pub fn summary(&self) -> String {
        let failed: Vec<_> = self.failed_checks().collect();
        let step = self.failed_step.as_deref();
        let mut ended = match (&self.failure, step) {
            (None, _) => String::new(),
            (Some(_), None) => "failed before its steps; ".to_owned(),
            (Some(_), Some(step)) => format!("failed in {step}; "),
        };
        match self.steps_not_run() {
            0 => {}
            1 => ended += "1 step not run; ",
            count => ended += &format!("{count} steps not run; "),
        }
        let k3s = match self.k3s.as_str() {
            "" => String::new(),
            k3s => format!("; {k3s}"),
        };
        let mut text = format!(
            "{}: {ended}{} checks, {} failed, {:.0} s{k3s}\n",
            self.scenario,
            self.checks.len(),
            failed.len(),
            self.seconds,
        );
        for note in self.notes.iter().chain(&self.warnings) {
            text += &format!("  note: {note}\n");
        }
        for check in failed {
            text += &format!(
                "  {}: {}\n    expected: {}\n    actual:   {}\n",
                check.key, check.check, check.expected, check.actual
            );
        }
        if let Some(failure) = &self.failure {
            text += &format!("error: {failure}\n");
        }
        text
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
                started: 0.0,
                seconds: 10.0,
                outcome: Outcome::Passed,
            }],
            checks: vec![check("/kubernetes", true), check("/operatingSystem", false)],
            screenshots: Vec::new(),
            consoles: Vec::new(),
            installation: None,
            failed_step: None,
            failure: None,
            notes: Vec::new(),
            warnings: Vec::new(),
        }
    }

    #[test]
    fn a_run_that_had_to_fail_passes_when_it_says_what_it_had_to() {
        let judged = |change: fn(&mut Report), says: &str| {
            let mut report = sample();
            change(&mut report);
            report.had_to_fail(says);
            assert!(report.is_of_failing());
            report.passed
        };
        let failed_check = |_: &mut Report| {};
        assert!(judged(failed_check, "/operatingSystem: value"));
        assert!(!judged(failed_check, "/kubernetes"));
        let failure = |report: &mut Report| report.failure = Some("while waiting: boom".into());
        assert!(judged(failure, "boom"));
        let passes = |report: &mut Report| report.checks.truncate(1);
        assert!(!judged(passes, "/operatingSystem"));
    }

    #[test]
    fn is_read_back_as_it_was_written() {
        let report = sample();
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
    }

    #[test]
    fn the_summary_names_the_step_that_ended_the_run_and_why() {
        let mut report = sample();
        report.checks.pop();
        report.k3s.clear();
        report.failed_step = Some("ready".into());
        report.steps.push(StepRecord::not_run("verify".into()));
        report.failure = Some("while waiting for a ready node: K3s ended".into());
        assert_eq!(
            report.summary(),
            "sample: failed in ready; 1 step not run; 1 checks, 0 failed, 12 s\nerror: while waiting for a ready node: K3s ended\n"
        );
    }

    #[test]
    fn the_summary_has_the_harness_settings_and_what_needs_a_look() {
        let mut report = sample();
        report.notes = vec!["leases of 60 s".into()];
        report.warnings = vec!["boot 1: K3s ended".into()];
        let text = report.summary();
        assert!(
            text.starts_with("sample: 2 checks, 1 failed, 12 s; k3s version v1\n"),
            "{text}"
        );
        assert!(
            text.contains("note: leases of 60 s\n  note: boot 1: K3s ended\n"),
            "{text}"
        );
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
