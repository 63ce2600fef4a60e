//! Every wait of a scenario races what it waits for against the machine's end,
//! trouble on a console, the installer's failure, an interruption, the deadline.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::failure::{Failure, Seen};
use crate::console::{Console, ConsoleState, NOTHING_TO_START};
use crate::machine::RunningVm;

/// The watch over a running machine.
#[derive(Debug)]
pub struct Guard<'a> {
    vm: &'a RunningVm,
    console: &'a Console,
    interrupted: watch::Receiver<bool>,
    note: Mutex<Option<String>>,
}

impl<'a> Guard<'a> {
    /// A watch over `vm` and its consoles, ended by `interrupted`.
    #[must_use]
    pub fn new(
        vm: &'a RunningVm,
        console: &'a Console,
        interrupted: watch::Receiver<bool>,
    ) -> Self {
        Self {
            vm,
            console,
            interrupted,
            note: Mutex::new(None),
        }
    }

    /// The machine.
    #[must_use]
    pub fn vm(&self) -> &RunningVm {
        self.vm
    }

    /// Its consoles.
    #[must_use]
    pub fn console(&self) -> &Console {
        self.console
    }

    /// True when the run was interrupted.
    #[must_use]
    pub fn interrupted(&self) -> bool {
        *self.interrupted.borrow()
    }

    /// Tells what a wait saw last, for the message when its deadline comes.
    pub fn note(&self, seen: impl Into<String>) {
        *self.note.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen.into());
    }

    /// A failure with all that was seen.
    #[must_use]
    pub fn failure(&self, doing: &str, cause: impl Into<String>) -> Failure {
        let note = self
            .note
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
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
        self.race_with(doing, budget, wanted, |state| {
            installer_failed(state).or_else(|| fatal(state, None))
        })
        .await
    }

    /// As [`Guard::race`], where the installer may fail.
    ///
    /// # Errors
    /// As there, but for the installer's failure.
    pub async fn race_the_machine<T, E: std::fmt::Display>(
        &self,
        doing: &str,
        budget: Duration,
        wanted: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure> {
        self.race_with(doing, budget, wanted, |state| fatal(state, None))
            .await
    }

    /// As [`Guard::race_the_machine`], where the firmware may find nothing to start.
    ///
    /// # Errors
    /// As there, but for the firmware's giving up.
    pub async fn race_the_firmware<T, E: std::fmt::Display>(
        &self,
        doing: &str,
        budget: Duration,
        wanted: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure> {
        self.race_with(doing, budget, wanted, |state| {
            fatal(state, Some(NOTHING_TO_START))
        })
        .await
    }

    async fn race_with<T, E: std::fmt::Display>(
        &self,
        doing: &str,
        budget: Duration,
        wanted: impl Future<Output = Result<T, E>>,
        trouble: impl Fn(&ConsoleState) -> Option<String>,
    ) -> Result<T, Failure> {
        *self.note.lock().unwrap_or_else(PoisonError::into_inner) = None;
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
                Ok(value) => return Ok(value),
                Err(error) => error.to_string(),
            },
            death = self.vm.died() => {
                self.console.caught_up().await;
                death.to_string()
            }
            () = tokio::time::sleep(budget) => format!("not done within {}", humantime::format_duration(budget)),
        };
        Err(self.failure(doing, cause))
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
