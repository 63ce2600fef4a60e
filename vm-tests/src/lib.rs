//! Installs a node in a virtual machine from the very USB image that a machine
//! would get, and verifies that every key of its config-file took effect.

pub mod accel;
pub mod access;
pub mod cli;
pub mod config_file;
pub mod console;
pub mod drop_ins;
pub mod evidence;
pub mod expectation;
pub mod firmware;
pub mod kube;
pub mod leases;
pub mod machine;
pub mod node;
pub mod nvram;
pub mod output;
pub mod qmp;
pub mod scenario;
pub mod shell;
pub mod ssh;
