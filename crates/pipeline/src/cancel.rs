//! Ending early: Ctrl-C in two steps, and work that gives up because other work has failed.
//!
//! The first Ctrl-C (or SIGTERM, SIGHUP) asks every running group to end, the second kills them and ends this program.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process_group};

/// Exit status after Ctrl-C, as shells have it.
pub const EXIT_STATUS: u8 = 130;

/// Whether to end early, passed on to all that waits or starts something. Clones are the same value.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// It is time to end, for whatever reason.
    requested: AtomicBool,
    /// How often the user has asked for it.
    interrupts: AtomicUsize,
    /// Groups that run.
    groups: Mutex<BTreeSet<i32>>,
}

/// A piece of work that was ended from outside, not by a fault of its own.
#[derive(Debug)]
pub struct Ended(String);

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "interrupted: {}", self.0)
    }
}

impl std::error::Error for Ended {}

impl Ended {
    /// Whether an error says that work was ended from outside.
    pub fn is(error: &anyhow::Error) -> bool {
        error.is::<Self>()
    }
}

impl Cancel {
    /// Has Ctrl-C, SIGTERM and SIGHUP ask; called once at start.
    ///
    /// # Errors
    /// Something else has taken these signals over.
    pub fn take_signals(&self) -> Result<()> {
        let asked = self.clone();
        ctrlc::set_handler(move || {
            if asked.0.interrupts.fetch_add(1, Ordering::SeqCst) > 0 {
                asked.signal(Signal::KILL);
                std::process::exit(EXIT_STATUS.into());
            }
            eprintln!("\ninterrupted: ending what runs (again: kill it)");
            asked.request();
        })
        .context("taking over Ctrl-C")
    }

    /// Asks every running group to end, and all work.
    pub fn request(&self) {
        self.0.requested.store(true, Ordering::SeqCst);
        self.signal(Signal::TERM);
    }

    /// Whether to end.
    pub fn is_requested(&self) -> bool {
        self.0.requested.load(Ordering::SeqCst)
    }

    /// Whether it was the user who asked.
    pub fn is_interrupted(&self) -> bool {
        self.0.interrupts.load(Ordering::SeqCst) > 0
    }

    /// An error once it is time to end; `what` would be next, or was going on.
    ///
    /// # Errors
    /// [`Ended`].
    pub fn check(&self, what: &str) -> Result<()> {
        match self.is_requested() {
            true => Err(Ended(what.to_owned()).into()),
            false => Ok(()),
        }
    }

    fn groups(&self) -> MutexGuard<'_, BTreeSet<i32>> {
        self.0.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self, signal: Signal) {
        for group in self.groups().iter() {
            signal_group(*group, signal);
        }
    }

    /// Has a group ended with the others.
    pub(crate) fn watch(&self, group: i32) {
        self.groups().insert(group);
        if self.is_requested() {
            // It was asked for while the group was started.
            signal_group(group, Signal::TERM);
        }
    }

    pub(crate) fn forget(&self, group: i32) {
        self.groups().remove(&group);
    }
}

pub(crate) fn signal_group(group: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(group) {
        // The group may have ended by itself in the meantime.
        let _ = kill_process_group(pid, signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_clones_are_asked_at_once() {
        let cancel = Cancel::default();
        let clone = cancel.clone();
        assert!(clone.check("waiting").is_ok());
        cancel.request();
        // Work that gives up is no interruption: the command has failed.
        assert!(!clone.is_interrupted());
        let error = clone.check("waiting for a lock").unwrap_err();
        assert!(Ended::is(&error));
        assert_eq!(error.to_string(), "interrupted: waiting for a lock");
    }
}
