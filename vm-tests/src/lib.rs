//! Installs a node in a virtual machine from the very USB image that a machine
//! would get, and verifies that every key of its config-file took effect.

pub mod access;
pub mod boot;
pub mod cli;
pub mod config_file;
pub mod drop_ins;
pub mod evidence;
pub mod expectation;
pub mod kube;
pub mod leases;
pub mod node;
pub mod output;
pub mod scenario;
pub mod ssh;
mod tool;
