//! What HookOS is made of.

use std::path::PathBuf;

/// What HookOS is made of where it is not what the checkout has.
#[derive(Debug, Clone, Default)]
pub struct Hookos {
    /// A LinuxKit file in place of `hookos/hook-os.yaml`.
    pub definition: Option<PathBuf>,
    /// Images in place of its `init` list.
    pub init: Option<Vec<String>>,
    /// Layouts and archives that are searched before the images of stages.
    pub images: Vec<PathBuf>,
    /// The layout of images from registries, searched after all others.
    pub pulled: Option<PathBuf>,
    /// The real linuxkit, to put it together instead of the crate `hookos`.
    pub linuxkit: Option<PathBuf>,
}
