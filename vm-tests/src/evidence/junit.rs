//! The report as JUnit XML, one test case a step and a check.

use std::time::Duration;

use quick_junit::{
    NonSuccessKind, Report as JUnit, SerializeError, TestCase, TestCaseStatus, TestSuite,
};

use super::check::Check;
use super::report::{Outcome, Report, StepRecord};

/// The report as JUnit XML.
///
/// # Errors
/// It cannot be written as XML.
pub fn to_junit(report: &Report) -> Result<String, SerializeError> {
    let name = format!(
        "e2e.{}.{}.{}",
        report.scenario, report.profile, report.accelerator
    );
    let mut suite = TestSuite::new(name.as_str());
    suite.set_time(seconds(report.seconds));
    suite
        .extra
        .insert("timestamp".into(), report.started.as_str().into());
    let judged = !report.is_of_failing();
    let steps = report.steps.iter().filter(|_| judged);
    suite.add_test_cases(steps.map(|step| of_step(&name, step, report)));
    suite.add_test_cases(report.checks.iter().map(|check| of_check(&name, check)));
    // What ended the run in a step is told there.
    let has_failed_step = report
        .steps
        .iter()
        .any(|step| step.outcome == Outcome::Failed);
    if let Some(failure) = report.failure.as_ref().filter(|_| !has_failed_step) {
        suite.add_test_case(case(&name, "run", ended(NonSuccessKind::Error, failure)));
    }
    let mut junit = JUnit::new(name.as_str());
    junit.set_time(seconds(report.seconds));
    junit.add_test_suite(suite);
    junit.to_string()
}

fn case(class: &str, name: &str, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(name, status);
    case.set_classname(class);
    case
}

fn ended(kind: NonSuccessKind, why: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    let first = why.lines().next().unwrap_or_default();
    status.set_message(first);
    if first != why {
        status.set_description(why);
    }
    status
}

fn of_step(class: &str, step: &StepRecord, report: &Report) -> TestCase {
    let status = match step.outcome {
        Outcome::Passed => TestCaseStatus::success(),
        Outcome::Failed => ended(
            NonSuccessKind::Failure,
            report.failure.as_deref().unwrap_or("the run ended in it"),
        ),
        Outcome::NotRun => {
            let mut status = TestCaseStatus::skipped();
            status.set_message("not run: the run ended before it");
            status
        }
    };
    let mut case = case(&format!("{class}.step"), &step.name, status);
    case.set_time(seconds(step.seconds));
    case
}

fn of_check(class: &str, check: &Check) -> TestCase {
    let status = if check.passed {
        TestCaseStatus::success()
    } else {
        let why = format!("expected {}, got {}", check.expected, check.actual);
        ended(NonSuccessKind::Failure, &why)
    };
    let name = format!("{}: {}", check.key, check.check);
    case(&format!("{class}.check"), &name, status)
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::sample;
    use super::*;

    #[test]
    fn a_check_that_does_not_hold_is_a_failure_and_text_is_escaped() {
        let xml = to_junit(&sample()).unwrap();
        assert!(
            xml.contains("tests=\"3\" skipped=\"0\" errors=\"0\" failures=\"1\""),
            "{xml}"
        );
        assert!(xml.contains("value &lt;is&gt; as written"), "{xml}");
        assert!(xml.contains("timestamp=\"2026-01-01T00:00:00Z\""), "{xml}");
        // What XML 1.0 cannot hold is left out.
        assert!(xml.contains("expected a &amp; b, got a\""), "{xml}");
    }

    #[test]
    fn a_step_that_failed_is_a_failure_with_its_reason_and_the_next_are_skipped() {
        let mut report = sample();
        report.failure = Some("QEMU ended <early>".into());
        report.steps[0].outcome = Outcome::Failed;
        report.steps.push(StepRecord::not_run("ready".into()));
        let xml = to_junit(&report).unwrap();
        assert!(
            xml.contains("tests=\"4\" skipped=\"1\" errors=\"0\" failures=\"2\""),
            "{xml}"
        );
        assert!(
            xml.contains("QEMU ended &lt;early") && xml.contains("<skipped"),
            "{xml}"
        );
    }

    #[test]
    fn the_steps_of_a_run_that_had_to_fail_are_no_test_cases() {
        let mut report = sample();
        report.failure = Some("QEMU ended".into());
        report.steps[0].outcome = Outcome::Failed;
        report.had_to_fail("QEMU ended");
        let xml = to_junit(&report).unwrap();
        assert!(
            xml.contains("tests=\"1\" skipped=\"0\" errors=\"0\" failures=\"0\""),
            "{xml}"
        );
    }

    #[test]
    fn what_ends_a_run_before_its_steps_is_an_error() {
        let mut report = sample();
        report.steps.clear();
        report.failure = Some("no room".into());
        let xml = to_junit(&report).unwrap();
        assert!(
            xml.contains("errors=\"1\"") && xml.contains("no room"),
            "{xml}"
        );
    }
}
