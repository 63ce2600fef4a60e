//! What a run was asked for, and what all its parts share.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, bail};
use cluster_bootstrapper::Parsed;
use run_request::RunRequest;
use tokio::sync::watch;
use vm::accel::Accelerator;

use super::machine::Processors;
use super::one_machine::Scenario;
use super::step::Step;
use super::turns::OwnTurns;
use crate::access::Access;
use crate::evidence::Evidence;
use crate::expectation;
use crate::leases::Leases;
use crate::output::Output;
use crate::ssh::Secrets;

/// The folder of the machine's disks in the evidence.
pub(super) const MACHINE: &str = "machine";

/// What a machine's part of a run needs.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// The scenario, as the machine goes through it.
    pub scenario: Scenario,
    /// The config-file that the stick was made with; a registry has none.
    pub config_file: Option<PathBuf>,
    /// The stick's image, or a registry's disk. It is not written to.
    pub usb: PathBuf,
    /// The folder for the evidence.
    pub evidence: PathBuf,
    /// What the whole run was asked for.
    pub request: Arc<RunRequest>,
}

impl RunOptions {
    /// The processors that the machine gets.
    pub(super) fn processors(&self, accelerator: Accelerator) -> Processors {
        let wanted = self.scenario.machine.cpus;
        let count = match accelerator {
            Accelerator::Kvm => wanted,
            Accelerator::Tcg => wanted.min(self.request.emulated_cpus.get()),
        };
        Processors { accelerator, count }
    }
}

/// What all parts of a run share.
pub(super) struct Context<'a> {
    pub options: &'a RunOptions,
    pub parsed: &'a Parsed,
    pub accelerator: Accelerator,
    pub leases: &'a Leases,
    pub access: Access,
    pub evidence: &'a Evidence,
    pub output: &'a Output,
    pub interrupted: watch::Receiver<bool>,
    /// When the run began.
    pub begun: Instant,
    /// The socket of the network that the scenario's machines share.
    pub hub: &'a Path,
}

impl Context<'_> {
    /// True when the run was interrupted.
    pub fn interrupted(&self) -> bool {
        *self.interrupted.borrow()
    }

    /// The machine's name; empty where there is only one.
    pub fn name(&self) -> &str {
        self.options.scenario.on.as_deref().unwrap_or_default()
    }

    /// What its steps' names and its notes begin with.
    pub fn label(&self) -> String {
        match &self.options.scenario.on {
            Some(name) => format!("{name}: "),
            None => String::new(),
        }
    }

    /// Waits for something before the machine runs.
    ///
    /// # Errors
    /// The run was interrupted.
    pub async fn uninterrupted<T>(&self, wanted: impl Future<Output = T>) -> Result<T> {
        let mut interrupted = self.interrupted.clone();
        tokio::select! {
            biased;
            _ = interrupted.wait_for(|interrupted| *interrupted) => bail!("interrupted"),
            result = wanted => Ok(result),
        }
    }
}

/// One run of the machine.
pub(super) struct Cycle<'a> {
    /// What is done while it runs.
    pub steps: &'a [Step],
    /// Where its logs go.
    pub folder: PathBuf,
    /// What its steps' names begin with in the report.
    pub label: String,
    /// It ends with a power cut.
    pub power_cut: bool,
    /// When its steps are to be done, where the scenario has several machines.
    pub turns: Option<OwnTurns<'a>>,
}

/// What no log may show.
pub(super) fn secrets<'a>(configs: impl IntoIterator<Item = &'a Parsed>) -> Secrets {
    let mut secrets = Secrets::default();
    for plain in configs.into_iter().flat_map(expectation::secrets) {
        secrets.add(&plain);
    }
    secrets
}
