//! Virtual machines under QEMU: described, started, driven over QMP, watched on their consoles; and their firmware's
//! variables. What is installed in them is not its business.

pub mod accel;
pub mod console;
pub mod firmware;
pub mod hex;
pub mod machine;
pub mod nvram;
pub mod qmp;
pub mod shell;
