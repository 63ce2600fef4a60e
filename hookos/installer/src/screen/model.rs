//! What is known of the installation: all that a screen is drawn from.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use super::event::{Event, Progress};
use super::facts::Facts;
use crate::error::Error;
use crate::state::{State, Stick};
use crate::steps::{self, STEPS};

/// How many lines that are neither marker nor warning are kept.
const KEPT: usize = 40;
/// How far something has to be before its end can be told.
const TELLS: u8 = 3;

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mark {
    /// It has not begun.
    Waiting,
    /// It began at this time, in seconds.
    Running(f64),
    /// It took so many seconds.
    Done(f64),
    /// It failed.
    Failed,
}

/// A bar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bar {
    /// What is done, how far it is, how fast.
    pub progress: Progress,
    /// How long it will take still, once that can be told.
    pub left: Option<Duration>,
}

/// How the installation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The system is on the disk.
    Complete,
    /// A step failed.
    Failed(Failure),
}

/// What a person has to know of a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The step's name.
    pub step: String,
    /// Why it failed.
    pub reason: String,
    /// What the disk is like.
    pub leaves: String,
    /// What can be done.
    pub advice: String,
    /// The medium that the machine waits for to be pulled; then it restarts.
    pub until_without: Option<PathBuf>,
}

/// What is known of the installation.
#[derive(Debug)]
pub struct Model {
    /// How far each step of [`STEPS`] is.
    pub marks: [Mark; STEPS.len()],
    /// What is under way, and can be measured.
    pub bar: Option<Bar>,
    /// When the bar began, and how far it was then.
    bar_began: (Duration, u8),
    /// All warnings.
    pub warnings: Vec<String>,
    /// The last lines of the log.
    pub lines: VecDeque<String>,
    /// What is installed where.
    pub facts: Facts,
    failed: Option<(String, String)>,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            marks: [Mark::Waiting; STEPS.len()],
            bar: None,
            bar_began: (Duration::ZERO, 0),
            warnings: Vec::new(),
            lines: VecDeque::new(),
            facts: Facts::default(),
            failed: None,
        }
    }
}

impl Model {
    /// Takes in what a line says, which came at this time.
    pub fn take(&mut self, event: &Event, now: Duration) {
        match event {
            Event::Begin(step, time) => self.mark(step, |_| Mark::Running(*time)),
            Event::Done(step, time) => self.mark(step, |mark| match mark {
                Mark::Running(began) => Mark::Done(time - began),
                _ => Mark::Done(0.0),
            }),
            Event::Failed(step, reason) => {
                self.mark(step, |_| Mark::Failed);
                self.failed = Some((step.clone(), reason.clone()));
            }
            Event::Warning(text) => self.warnings.push(text.clone()),
            Event::Progress(progress) => self.progress(progress, now),
            Event::End => {}
            Event::Text(text) => {
                self.lines.push_back(text.clone());
                if self.lines.len() > KEPT {
                    self.lines.pop_front();
                }
            }
        }
    }

    fn mark(&mut self, step: &str, to: impl FnOnce(Mark) -> Mark) {
        self.bar = None;
        if let Some(at) = STEPS.iter().position(|known| known.name == step) {
            self.marks[at] = to(self.marks[at]);
        }
    }

    fn progress(&mut self, progress: &Progress, now: Duration) {
        let same = |bar: &Bar| bar.progress.what == progress.what;
        if !self.bar.as_ref().is_some_and(same) {
            self.bar_began = (now, progress.percent);
        }
        let (began, from) = self.bar_began;
        let done = progress.percent.saturating_sub(from);
        let left = u32::from(100 - progress.percent) * now.saturating_sub(began);
        self.bar = Some(Bar {
            progress: progress.clone(),
            left: (done >= TELLS).then(|| left / u32::from(done)),
        });
    }

    /// How it ended, once no more lines come; `None` where it had not begun.
    #[must_use]
    pub fn end(&self, state: &State) -> Option<End> {
        if let Some((step, reason)) = &self.failed {
            return Some(End::Failed(self.failure(step, reason, state)));
        }
        if matches!(self.marks.last(), Some(Mark::Done(_))) {
            return Some(End::Complete);
        }
        let running = |mark: &Mark| matches!(mark, Mark::Running(_));
        let step = STEPS[self.marks.iter().position(running)?].name;
        Some(End::Failed(self.failure(
            step,
            "the installer ended without a word",
            state,
        )))
    }

    fn failure(&self, step: &str, reason: &str, state: &State) -> Failure {
        // What an earlier command left, whose failure was none of the installation, is not the reason.
        let problem = state.read::<Error>().ok();
        let problem = problem.filter(|problem| reason.contains(&problem.reason));
        let known = steps::named(step);
        let own = known.map_or("Start again from the stick.", |step| step.advice);
        let disk = self.facts.disk_path().unwrap_or("The disk");
        let leaves = known.map_or(String::new(), |step| step.leaves.replace("DISK", disk));
        let restarts = problem.as_ref().is_some_and(|problem| problem.restarts);
        Failure {
            step: step.into(),
            reason: reason.into(),
            leaves,
            advice: problem
                .and_then(|problem| problem.advice)
                .unwrap_or_else(|| own.into()),
            until_without: state
                .read::<Stick>()
                .ok()
                .filter(|_| restarts)
                .map(|stick| stick.path),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::error::Kind;

    fn model(lines: &[&str]) -> Model {
        let mut model = Model::default();
        for (seconds, line) in (0..).zip(lines) {
            model.take(&Event::of(line), Duration::from_secs(seconds));
        }
        model
    }

    fn directory() -> (tempfile::TempDir, State) {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let state = State::at(directory.path());
        (directory, state)
    }

    #[test]
    fn a_step_is_waited_for_runs_and_is_done_in_its_time() {
        let model = model(&[
            "EMTS step=find-media state=begin t=1.5",
            "EMTS step=find-media state=done t=4",
            "EMTS step=validate-config state=begin t=4",
            "EMTS step=another state=begin t=5",
        ]);
        let marks = [Mark::Done(2.5), Mark::Running(4.0), Mark::Waiting];
        assert_eq!(model.marks[..3], marks);
    }

    #[test]
    fn the_time_left_is_told_by_the_time_since_the_bar_began() {
        let line = |percent| format!("EMTS progress: writing {percent} % (10 MB/s)");
        let (first, second, third) = (line(10), line(12), line(30));
        let early = model(&[&first, &second]);
        assert_eq!(early.bar.expect("there is one").left, None);
        let bar = model(&["", &first, &second, &third])
            .bar
            .expect("there is one");
        // 20 % in 2 s, 70 % are left.
        assert_eq!(bar.left, Some(Duration::from_secs(7)));
        assert_eq!(bar.progress.percent, 30);
    }

    #[test]
    fn a_bar_ends_with_its_step_and_another_begins_anew() {
        let writing = "EMTS progress: writing 50 % (10 MB/s)";
        let reading = "EMTS progress: reading back 60 % (10 MB/s)";
        assert_eq!(
            model(&[writing, reading]).bar.expect("there is one").left,
            None
        );
        assert_eq!(
            model(&[writing, "EMTS step=write-image state=done t=1"]).bar,
            None
        );
    }

    #[test]
    fn the_last_lines_are_kept() {
        let lines: Vec<_> = (0..=KEPT).map(|number| number.to_string()).collect();
        let model = model(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!((model.lines.len(), model.lines[0].as_str()), (KEPT, "1"));
    }

    #[test]
    fn it_is_complete_when_the_last_step_is_done() {
        let (_directory, state) = directory();
        assert_eq!(model(&["EMTS warning: x"]).end(&state), None);
        let end = model(&["EMTS step=reboot state=done t=9"]).end(&state);
        assert_eq!(end, Some(End::Complete));
    }

    #[test]
    fn an_end_in_the_middle_of_a_step_is_its_failure() {
        let (_directory, state) = directory();
        let Some(End::Failed(failure)) =
            model(&["EMTS step=grow-root state=begin t=9"]).end(&state)
        else {
            panic!("it is a failure");
        };
        assert_eq!(failure.step, "grow-root");
        assert_eq!(failure.reason, "the installer ended without a word");
        assert!(
            failure.leaves.starts_with("The disk is incomplete. "),
            "{}",
            failure.leaves
        );
        assert_eq!(
            failure.advice,
            steps::named("grow-root").expect("it is one").advice
        );
        assert_eq!(failure.until_without, None);
    }

    #[test]
    fn the_advice_of_the_command_that_failed_comes_before_the_steps_own() {
        let (_directory, state) = directory();
        let stick = Stick {
            path: "/dev/sdz".into(),
            partitions: BTreeMap::new(),
        };
        state.write(&stick).expect("it can be written");
        let problem = Error::new(Kind::User, "already there")
            .advice("Pull it.")
            .restarting();
        state.write(&problem).expect("it can be written");
        let end = |reason: &str| {
            let line = format!("EMTS step=find-media state=failed t=1 reason={reason}");
            match model(&[&line]).end(&state) {
                Some(End::Failed(failure)) => (failure.advice, failure.until_without),
                _ => panic!("it is a failure"),
            }
        };
        assert_eq!(
            end("already there"),
            ("Pull it.".into(), Some("/dev/sdz".into()))
        );
        let own = steps::named("find-media").expect("it is one").advice;
        assert_eq!(end("another"), (own.into(), None));
    }
}
