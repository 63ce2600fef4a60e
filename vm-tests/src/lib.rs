//! Installs a node in a virtual machine from the very USB image that a machine
//! would get, and verifies that every key of its config-file took effect.

pub mod accel;
pub mod console;
pub mod firmware;
pub mod machine;
pub mod nvram;
pub mod qmp;
