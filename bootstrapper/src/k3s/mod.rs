//! Conversion of the K3s configuration: to K3s' own settings, and to the cloud-init configuration of the first boot.

pub(crate) mod emit;
mod first_boot;
mod settings;

pub use first_boot::{BootFile, FirstBoot, first_boot};
pub use settings::{Setting, settings};
