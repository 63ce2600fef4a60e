//! What the page of a run shows, computed from its report.

use serde::Serialize;
use similar::{ChangeTag, TextDiff};

use super::ConsoleLine;
use crate::evidence::check::Check;
use crate::evidence::report::{Outcome, Report, StepRecord};

/// How many of the consoles' last lines are shown where no step is chosen.
const TAIL: usize = 60;

#[derive(Debug, Serialize)]
pub(super) struct View<'a> {
    state: &'static str,
    failed: Vec<Difference<'a>>,
    /// Those that failed first.
    checks: Vec<&'a Check>,
    steps: Vec<Bar<'a>>,
    /// All lines, as JSON that ends no script.
    lines: String,
    tail: String,
}

/// A check that does not hold.
#[derive(Debug, Serialize)]
struct Difference<'a> {
    key: &'a str,
    check: &'a str,
    expected: Vec<Part>,
    actual: Vec<Part>,
}

/// A piece of text, and whether the other one lacks it.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Part {
    text: String,
    changed: bool,
}

/// A step on the time line.
#[derive(Debug, Serialize)]
struct Bar<'a> {
    name: &'a str,
    outcome: Outcome,
    started: f64,
    ended: f64,
    seconds: f64,
    /// Where its bar begins and how long it is, in hundredths of the whole.
    left: f64,
    width: f64,
    /// It is a part of the step that comes after it.
    part: bool,
    screenshots: Vec<&'a str>,
}

impl<'a> View<'a> {
    pub fn of(report: &'a Report, lines: &[ConsoleLine]) -> Self {
        let mut checks: Vec<&Check> = report.checks.iter().collect();
        checks.sort_by_key(|check| check.passed);
        let last = &lines[lines.len().saturating_sub(TAIL)..];
        let last: Vec<&str> = last
            .iter()
            .map(|ConsoleLine(_, text)| text.as_str())
            .collect();
        Self {
            state: if report.passed { "passed" } else { "failed" },
            failed: report.failed_checks().map(Difference::of).collect(),
            checks,
            steps: bars(report),
            lines: serde_json::to_string(lines)
                .unwrap_or_default()
                .replace('<', "\\u003c"),
            tail: last.join("\n"),
        }
    }
}

impl<'a> Difference<'a> {
    fn of(check: &'a Check) -> Self {
        let diff = TextDiff::from_chars(&check.expected, &check.actual);
        let side = |other: ChangeTag| {
            let mut parts: Vec<Part> = Vec::new();
            for change in diff.iter_all_changes().filter(|one| one.tag() != other) {
                let changed = change.tag() != ChangeTag::Equal;
                match parts.last_mut().filter(|part| part.changed == changed) {
                    Some(part) => part.text.push_str(change.value()),
                    None => parts.push(Part {
                        text: change.value().to_owned(),
                        changed,
                    }),
                }
            }
            parts
        };
        Self {
            key: &check.key,
            check: &check.check,
            expected: side(ChangeTag::Insert),
            actual: side(ChangeTag::Delete),
        }
    }
}

fn bars(report: &Report) -> Vec<Bar<'_>> {
    let end = |step: &StepRecord| step.started + step.seconds;
    let whole = report.steps.iter().map(end).fold(f64::EPSILON, f64::max);
    let steps = report.steps.iter();
    let mut bars: Vec<Bar<'_>> = steps
        .map(|step| Bar {
            name: &step.name,
            outcome: step.outcome,
            started: step.started,
            ended: end(step),
            seconds: step.seconds,
            left: step.started / whole * 100.0,
            width: step.seconds / whole * 100.0,
            part: step.name.contains('/'),
            screenshots: Vec::new(),
        })
        .collect();
    // By its begin; the parts of a step come after it.
    bars.sort_by(|a, b| {
        let run = |bar: &Bar<'_>| bar.outcome == Outcome::NotRun;
        run(a)
            .cmp(&run(b))
            .then(a.started.total_cmp(&b.started))
            .then(a.part.cmp(&b.part))
    });
    for shot in &report.screenshots {
        let shown = bars
            .iter_mut()
            .rfind(|bar| !bar.part && bar.outcome != Outcome::NotRun && bar.started <= shot.at);
        if let Some(bar) = shown {
            bar.screenshots.push(&shot.file);
        }
    }
    bars
}

#[cfg(test)]
mod tests {
    use super::super::super::report::Screenshot;
    use super::super::super::report::tests::sample;
    use super::*;

    fn step(name: &str, started: f64, seconds: f64, outcome: Outcome) -> StepRecord {
        StepRecord {
            name: name.into(),
            started,
            seconds,
            outcome,
        }
    }

    #[test]
    fn steps_are_in_the_order_of_their_begin_with_their_parts_behind_them() {
        let mut report = sample();
        report.steps = vec![
            step("install/find-media", 2.0, 1.0, Outcome::Passed),
            step("install", 0.0, 10.0, Outcome::Passed),
            step("verify", 0.0, 0.0, Outcome::NotRun),
            step("first-boot", 10.0, 10.0, Outcome::Failed),
        ];
        report.screenshots = vec![Screenshot {
            file: "screen.png".into(),
            at: 9.0,
        }];
        let bars = bars(&report);
        let names: Vec<&str> = bars.iter().map(|bar| bar.name).collect();
        assert_eq!(
            names,
            ["install", "install/find-media", "first-boot", "verify"]
        );
        assert_eq!((bars[2].left, bars[2].width), (50.0, 50.0));
        assert_eq!(bars[0].screenshots, ["screen.png"]);
        assert!(bars[1].part && bars[1].screenshots.is_empty());
    }
}
