//! Conversion of the K3s configuration: to K3s' own settings, and to the cloud-init configuration of the first boot.

pub(crate) mod emit;
mod settings;

pub use settings::{Setting, settings};
