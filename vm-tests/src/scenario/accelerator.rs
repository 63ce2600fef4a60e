//! How guest code will be executed: by wish, by memory, or by a guest that is started from the scenario's stick.

use std::path::Path;

use anyhow::{Context as _, Result};
use tokio::sync::watch;

use super::failure::{Failure, Seen};
use super::machine::{Hardware, Processors, Reached};
use super::one_machine::Scenario;
use crate::output::Output;
use vm::accel::{self, Accelerator, Probed};

/// What an accelerator is tried with, and where the answer is remembered.
#[derive(Debug, Clone, Copy)]
pub struct Host<'a> {
    /// The scenario whose machine is started.
    pub scenario: &'a Scenario,
    /// The stick that it is started from.
    pub usb: &'a Path,
    /// The folder with the answer of this boot of the host.
    pub cache: &'a Path,
}

/// The accelerator by wish, by memory, or by a probe, whose files go to `folder` and are removed.
///
/// # Errors
/// The machine cannot be built, the run is interrupted.
pub async fn choose_accelerator(
    host: &Host<'_>,
    wanted: Option<Accelerator>,
    folder: &Path,
    output: &Output,
    mut interrupted: watch::Receiver<bool>,
) -> Result<Probed> {
    if let Some(chosen) = accel::choose_without_probe(wanted, host.cache, &accel::kvm_device()) {
        return Ok(Probed {
            chosen,
            certain: true,
        });
    }
    let doing = "probing KVM with a guest";
    output.doing(doing);
    let scenario = host.scenario;
    let hardware = Hardware::build(&scenario.machine, host.usb, folder, &scenario.folder)?;
    let sockets = tempfile::tempdir().context("cannot make a folder for sockets")?;
    let processors = Processors {
        accelerator: Accelerator::Kvm,
        count: scenario.machine.cpus,
    };
    let plan = hardware.plan(
        scenario,
        processors,
        Reached::default(),
        folder,
        sockets.path(),
    )?;
    let log = folder.join("qmp.jsonl");
    let probed = tokio::select! {
        probed = accel::probe(plan, &log) => probed?,
        _ = interrupted.wait_for(|interrupted| *interrupted) => {
            return Err(Failure { doing: doing.to_owned(), cause: "interrupted".to_owned(), seen: Seen::default() }.into());
        }
    };
    fs_err::remove_dir_all(folder)?;
    if probed.certain {
        remember(host.cache, &probed)?;
    }
    Ok(probed)
}

/// Keeps an answer for this boot of the host.
///
/// # Errors
/// The folder cannot be written.
pub(super) fn remember(cache: &Path, probed: &Probed) -> Result<()> {
    accel::remember(cache, &accel::host_boot_id()?, &probed.chosen)
        .context("cannot remember the accelerator")
}
