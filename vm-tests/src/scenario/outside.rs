//! What is done to a running machine from outside, at once: its cables, its disks.

use anyhow::{Result, bail};
use vm::machine::RunningVm;

use super::step::Step;

/// Pulls cables, plugs them in, makes the network slow, attaches a disk.
///
/// # Errors
/// QEMU refuses, or the step is another one.
pub(super) async fn act(vm: &RunningVm, action: &Step) -> Result<()> {
    match action {
        Step::UnplugNetwork => vm.link(false).await?,
        Step::PlugNetwork => vm.link(true).await?,
        Step::SlowNetwork(delay) => {
            vm.delay(Some(delay.0).filter(|time| !time.is_zero()))
                .await?
        }
        Step::AttachDisk(disk) => vm.attach(disk).await?,
        other => bail!("`{other}` is nothing that is done to a machine from outside"),
    }
    Ok(())
}
