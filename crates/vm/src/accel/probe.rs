//! Does a guest make progress under KVM? A device that opens proves nothing: on
//! some nested hosts a CPU runs the firmware and hangs in the kernel.

use std::path::Path;
use std::time::Duration;

use super::{Accelerator, Chosen};
use crate::console::Console;
use crate::machine::{MachineError, RunningVm, VmPlan};

/// How long a guest may take to its first marker; a healthy one needs 10 s.
const PROGRESS: Duration = Duration::from_secs(45);

/// What the probe found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// The accelerator.
    pub chosen: Chosen,
    /// False when the stick may be to blame as well: no marker came in time.
    /// The answer is worth remembering only after a marker came under TCG.
    pub certain: bool,
}

/// Starts the machine of `plan`, which must use KVM, and waits for the first
/// marker of the installer on the stick: then firmware, kernel and user space
/// have run.
///
/// # Errors
/// Processes of the machine survive.
pub async fn probe(plan: VmPlan, qmp_log: &Path) -> Result<Probed, MachineError> {
    let console = Console::follow(&plan.serial_logs);
    let vm = match RunningVm::start(plan, qmp_log).await {
        Ok(vm) => vm,
        Err(error) => {
            return Ok(tcg(
                format!("a guest does not start under KVM: {error}"),
                true,
            ));
        }
    };
    let probed = tokio::select! {
        _ = console.wait_for(|state| state.markers.first().cloned()) => Probed {
            chosen: Chosen { accelerator: Accelerator::Kvm, reason: "a guest came up to its user space under KVM".to_owned() },
            certain: true,
        },
        death = vm.died() => tcg(format!("a guest under KVM ended: {death}"), true),
        () = tokio::time::sleep(PROGRESS) => {
            let last = console.look(|state| state.tail(1).join(""));
            tcg(format!("a guest under KVM showed no marker within {} s; its last line: {last}", PROGRESS.as_secs()), false)
        }
    };
    vm.kill().await?;
    Ok(probed)
}

fn tcg(reason: String, certain: bool) -> Probed {
    let chosen = Chosen {
        accelerator: Accelerator::Tcg,
        reason,
    };
    Probed { chosen, certain }
}
