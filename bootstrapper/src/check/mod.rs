//! Checks of a config-file: its shape against the schema, then its meaning.

mod accounts;
mod commands;
mod containerd;
mod files;
mod go_template;
mod k3s_files;
mod k3s_settings;
mod meaning;
mod networks;
mod registries;
mod rke2;
mod server;
mod shape;
mod system;
mod tls;

pub(crate) use meaning::{Meaning, spec_pointer};
pub(crate) use shape::Shape;
