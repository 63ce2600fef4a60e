//! The HookOS assembler: a LinuxKit definition and OCI images in, boot files out.
//!
//! * [`assemble`] makes kernel, initrd and command line.
//! * [`compare`] finds what differs between LinuxKit's boot files and these.
//! * [`oci`] reads and writes OCI image layouts.
//! * [`linuxkit`] reads LinuxKit definitions and plans the tree they describe.
//! * [`uki`] makes one UEFI executable of stub, kernel, initrd and command line.
//!
//! Nothing here needs a container engine, Go or a network.

mod assemble;
mod boot;
mod checksum;
pub mod compare;
mod compress;
mod error;
mod files;
pub mod linuxkit;
pub mod lock;
pub mod oci;
mod parts;
mod prune;
#[cfg(feature = "registry")]
pub mod registry;
mod tree;
pub mod uki;
mod unpack;

pub use assemble::{
    DEFAULT_LEVEL, Report, Request, assemble, check, derive, opaque_folders, references, sources,
};
pub use error::{Error, Result};
pub use parts::Part;
pub use prune::{Old, old_parts};
