//! A virtual machine: described (`VmConfig`), resolved to QEMU's command line
//! (`VmPlan`), running (`RunningVm`). What the guest does is not its business.

mod block_node;
mod code_cache;
mod config;
mod device;
mod disk;
mod group;
mod hub;
mod network;
mod plan;
mod running;
mod state;
mod tpm;
mod write_log;

pub use config::{
    Accelerator, AtReset, Bus, ClockTime, Disk, DiskFault, DiskFormat, Mebibytes, VmConfig,
};
pub use disk::{DiskError, create_empty_disk, create_overlay, extract_range, fingerprint};
pub use group::ProcessGroup;
pub use hub::Hub;
pub use network::{LanPort, Network};
pub use plan::{PlanError, SerialLog, VmPlan};
pub use running::{Death, MachineError, RunningVm};
pub use state::StateError;
pub use tpm::Tpm;
pub use write_log::{Replayed, WriteLogError, replay};
