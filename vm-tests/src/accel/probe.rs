//! Does a guest make progress under KVM? A device that opens proves nothing: on
//! some nested hosts a CPU runs the firmware and hangs in the kernel.

use std::path::Path;
use std::time::Duration;

use super::{Accelerator, Chosen};
use crate::console::Console;
use crate::machine::{MachineError, RunningVm, VmPlan};

/// How long a guest may take to its first marker; a healthy one needs 10 s.
const PROGRESS: Duration = Duration::from_secs(45);

/// Starts the machine of `plan`, which must use KVM, and waits for the first
/// marker of the installer on the stick: then firmware, kernel and user space
/// have run.
///
/// # Errors
/// Processes of the machine survive.
pub async fn probe(plan: VmPlan, qmp_log: &Path) -> Result<Chosen, MachineError> {
    let console = Console::follow(&plan.serial_logs);
    let vm = match RunningVm::start(plan, qmp_log).await {
        Ok(vm) => vm,
        Err(error) => return Ok(tcg(format!("a guest does not start under KVM: {error}"))),
    };
    let chosen = tokio::select! {
        _ = console.wait_for(|state| state.markers.first().cloned()) => Chosen { accelerator: Accelerator::Kvm, reason: "a guest came up to its user space under KVM".to_owned() },
        death = vm.died() => tcg(format!("a guest under KVM ended: {death}")),
        () = tokio::time::sleep(PROGRESS) => {
            let last = console.look(|state| state.tail(1).join(""));
            tcg(format!("a guest under KVM showed no marker within {} s; its last line: {last}", PROGRESS.as_secs()))
        }
    };
    vm.kill().await?;
    Ok(chosen)
}

fn tcg(reason: String) -> Chosen {
    Chosen {
        accelerator: Accelerator::Tcg,
        reason,
    }
}
