//! A virtual machine: described (`VmConfig`), resolved to QEMU's command line
//! (`VmPlan`), running (`RunningVm`). What the guest does is not its business.

mod config;
mod disk;
mod group;
mod plan;
mod running;

pub use config::{Bus, Disk, DiskFormat, Mebibytes, Network, VmConfig};
pub use disk::{DiskError, create_empty_disk, create_overlay, extract_range};
pub use group::ProcessGroup;
pub use plan::{PlanError, SerialLog, VmPlan};
pub use running::{Death, MachineError, RunningVm};
