//! The parts of the config-file that all distributions share, as types: with the templates the single source of the JSON
//! Schema, the documentation, the checks and the conversion.

mod attributes;
mod files;
mod install_disk;
mod operating_system;
mod registries;
mod system;

pub(crate) use attributes::{reference, refused};
pub use files::{ContentError, Encoding, File, MAX_UNPACKED, OneOrMany};
pub use install_disk::{InstallDisk, Transport};
pub use operating_system::{OperatingSystem, Proxy, SshKeySource, User};
pub use registries::{Mirror, Registries, RegistryAuth, RegistryConfig, RegistryTls};
pub use system::{NetworkInterface, Services};
