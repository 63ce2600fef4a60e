//! What a user chooses for a build instead of the profile's own.

mod hookos;
mod k3s;
mod signing;

use std::path::PathBuf;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

pub use hookos::Hookos;
pub use k3s::{K3s, Release};
pub use signing::Signing;

/// The parts that a user may choose instead of the profile's own.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Name of the profile that the parts come from.
    pub profile: String,
    /// The node's Kubernetes.
    pub k3s: K3s,
    /// Version of the K3s in `os_image`, when it is known.
    pub k3s_version: Option<String>,
    /// OS image (raw, or raw compressed by zstd, gzip or xz) instead of the reference one.
    pub os_image: Option<PathBuf>,
    /// Which of the two reference OS images, where `os_image` names none.
    pub layout: Layout,
    /// The config-file that the USB stick carries.
    pub config_file: Option<PathBuf>,
    /// The reference images take the packages that the archive has at this moment, not the locked ones.
    pub newest_packages: Option<String>,
    /// The key that boot files are signed with; without it they are not signed.
    pub signing: Option<Signing>,
    /// What HookOS is made of.
    pub hookos: Hookos,
    /// A LinuxKit file that is merged before `hook-os.yaml`, for measurements; its `source:` files are relative to
    /// `hookos/`.
    pub before_hookos: Option<PathBuf>,
}

/// What of the node outlives a reboot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// One root file system that everything is written to
    #[default]
    Plain,
    /// A root file system that is never written to, /etc and /var in memory, a partition for what has to last
    Immutable,
}
