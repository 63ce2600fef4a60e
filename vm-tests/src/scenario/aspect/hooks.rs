//! What an aspect of a machine is asked at the moments of a run.

use std::path::Path;

use anyhow::Result;
use vm::console::Console;

use crate::evidence::{Check, Evidence};
use crate::node::{Facts, Probe};
use crate::scenario::machine::Hardware;
use crate::scenario::one_machine::Scenario;

/// The machine that is looked at, and where what was seen of it is kept.
#[derive(Clone, Copy)]
pub(in crate::scenario) struct Subject<'a> {
    pub scenario: &'a Scenario,
    pub hardware: &'a Hardware,
    pub evidence: &'a Evidence,
    /// What the texts of its checks begin with, where they can be of several machines.
    pub label: &'a str,
}

/// When the running node is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::scenario) enum When {
    /// A boot of the node has its first login.
    LoggedIn,
    /// The step `verify`.
    Verify,
    /// The node is about to be rebooted.
    BeforeReboot,
    /// The node was rebooted and is ready again.
    AfterReboot,
}

impl When {
    /// What the texts of checks end with.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::AfterReboot => " after the reboot",
            _ => "",
        }
    }
}

/// One aspect of a machine: what is kept and checked of it at the moments of a run. An aspect sees the machine and changes
/// nothing of it, but for files on the node that a later moment looks for.
pub(in crate::scenario) trait Aspect: Sync {
    /// Whether the scenario's machine has this aspect.
    fn concerns(&self, _scenario: &Scenario) -> bool {
        true
    }

    /// The machine is made and was not switched on yet. `usb` is the stick as it was built.
    ///
    /// # Errors
    /// What has to be looked at cannot be read.
    fn prepared(&self, _subject: &Subject<'_>, _usb: &Path) -> Result<Vec<Check>> {
        Ok(Vec::new())
    }

    /// The installer has said its first word.
    fn installer_begins(&self, _subject: &Subject<'_>) {}

    /// The installer has said its last word and has reset the machine, which is held still meanwhile.
    ///
    /// # Errors
    /// What has to be kept cannot be.
    fn installed(&self, _subject: &Subject<'_>, _console: &Console) -> Result<Vec<Check>> {
        Ok(Vec::new())
    }

    /// What the running node is asked.
    fn questions(&self, _when: When) -> Vec<Probe> {
        Vec::new()
    }

    /// What its answers show.
    ///
    /// # Errors
    /// What they are compared with cannot be read.
    fn answered(&self, _subject: &Subject<'_>, _when: When, _facts: &Facts) -> Result<Vec<Check>> {
        Ok(Vec::new())
    }

    /// The machine is off for good. A run that has not `finished` has its failure: then only what must hold at any time is
    /// checked.
    ///
    /// # Errors
    /// A disk or a file of the evidence cannot be read.
    fn powered_off(&self, _subject: &Subject<'_>, _finished: bool) -> Result<Vec<Check>> {
        Ok(Vec::new())
    }
}
