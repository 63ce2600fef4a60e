//! Every wait of a scenario races what it waits for against the machine's end,
//! trouble on a console, the installer's failure, an interruption, the deadline.

use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::deadline::{Deadline, Next};
use super::failure::{Failure, Seen};
use vm::accel::Accelerator;
use vm::console::{Console, ConsoleState, NOTHING_TO_START};
use vm::machine::RunningVm;

/// The watch over a running machine.
#[derive(Debug)]
pub struct Guard<'a> {
    vm: &'a RunningVm,
    console: &'a Console,
    interrupted: watch::Receiver<bool>,
    accelerator: Accelerator,
    note: Mutex<Note>,
    overruns: Mutex<Vec<String>>,
}

/// What a wait saw last.
#[derive(Debug)]
struct Note {
    text: Option<String>,
    /// When something new was seen.
    since: Instant,
}

/// What may fail while something is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum May {
    /// Nothing.
    Nothing,
    /// The installer.
    Installer,
    /// The firmware: it may find nothing to start. The installer may as well.
    Firmware,
}

impl<'a> Guard<'a> {
    /// A watch over `vm` and its consoles, ended by `interrupted`.
    #[must_use]
    pub fn new(
        vm: &'a RunningVm,
        console: &'a Console,
        interrupted: watch::Receiver<bool>,
        accelerator: Accelerator,
    ) -> Self {
        Self {
            vm,
            console,
            interrupted,
            accelerator,
            note: Mutex::new(Note {
                text: None,
                since: Instant::now(),
            }),
            overruns: Mutex::default(),
        }
    }

    /// The machine.
    #[must_use]
    pub fn vm(&self) -> &'a RunningVm {
        self.vm
    }

    /// Its consoles.
    #[must_use]
    pub fn console(&self) -> &'a Console {
        self.console
    }

    /// True when the run was interrupted.
    #[must_use]
    pub fn interrupted(&self) -> bool {
        *self.interrupted.borrow()
    }

    /// Tells what a wait saw last, for the message when its deadline comes.
    pub fn note(&self, seen: impl Into<String>) {
        let seen = Some(seen.into());
        let mut note = lock(&self.note);
        if note.text != seen {
            *note = Note {
                text: seen,
                since: Instant::now(),
            };
        }
    }

    /// The waits that took longer than their limit.
    #[must_use]
    pub fn overruns(&self) -> Vec<String> {
        lock(&self.overruns).clone()
    }

    /// A failure with all that was seen.
    #[must_use]
    pub fn failure(&self, doing: &str, cause: impl Into<String>) -> Failure {
        let note = lock(&self.note).text.clone();
        let seen = self.console.look(|state| Seen::of(state, note));
        Failure {
            doing: doing.to_owned(),
            cause: cause.into(),
            seen,
        }
    }

    /// Waits for `wanted`, and for nothing else longer than `budget`.
    ///
    /// # Errors
    /// What is waited for fails, or any of the others comes first.
    pub async fn race<T, E: std::fmt::Display>(
        &self,
        doing: &str,
        budget: Duration,
        wanted: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure> {
        self.race_but(May::Nothing, doing, budget, wanted).await
    }

    /// As [`Guard::race`], where something may fail that ends other waits.
    ///
    /// # Errors
    /// As there, but for what may fail.
    pub async fn race_but<T, E: std::fmt::Display>(
        &self,
        may_fail: May,
        doing: &str,
        budget: Duration,
        wanted: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure> {
        let trouble = |state: &ConsoleState| match may_fail {
            May::Nothing => installer_failed(state).or_else(|| fatal(state, None)),
            May::Installer => fatal(state, None),
            May::Firmware => fatal(state, Some(NOTHING_TO_START)),
        };
        let begun = Instant::now();
        *lock(&self.note) = Note {
            text: None,
            since: begun,
        };
        let deadline = Deadline::new(budget, self.accelerator);
        let mut interrupted = self.interrupted.clone();
        let trouble = self.console.wait_for(trouble);
        let cause = tokio::select! {
            biased;
            _ = interrupted.wait_for(|interrupted| *interrupted) => "interrupted".to_owned(),
            trouble = trouble => {
                // The lines after a panic or a failed step tell more.
                self.console.caught_up().await;
                trouble
            }
            result = wanted => match result {
                Ok(value) => {
                    lock(&self.overruns).extend(deadline.overrun(doing, begun.elapsed()));
                    return Ok(value);
                }
                Err(error) => error.to_string(),
            },
            death = self.vm.died() => {
                self.console.caught_up().await;
                death.to_string()
            }
            over = self.over(deadline, begun) => over,
        };
        Err(self.failure(doing, cause))
    }

    /// Waits for the end of the time that a wait has; why it is over.
    async fn over(&self, deadline: Deadline, begun: Instant) -> String {
        loop {
            let shown = self.console.look(|state| state.last_line);
            let seen = lock(&self.note).since.max(shown.unwrap_or(begun));
            match deadline.next(begun.elapsed(), seen.elapsed()) {
                Next::Wait(time) => tokio::time::sleep(time).await,
                Next::Over(reason) => return reason,
            }
        }
    }
}

/// The installer's failure, with its reason.
fn installer_failed(state: &ConsoleState) -> Option<String> {
    let marker = state.failure()?;
    Some(match &marker.reason {
        Some(reason) => format!("the installer failed in step {}: {reason}", marker.step),
        None => format!(
            "the installer failed in step {} and gave no reason",
            marker.step
        ),
    })
}

/// The first sign after which nothing good can follow, but for one that is expected.
fn fatal(state: &ConsoleState, expected: Option<&str>) -> Option<String> {
    let badness = state.fatal_but(expected)?;
    Some(format!(
        "{} on {}: {}",
        badness.name, badness.port, badness.line
    ))
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
