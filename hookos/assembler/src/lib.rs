//! The HookOS assembler: OCI images in, boot files out.
//!
//! * [`oci`] reads and writes OCI image layouts.
//! * [`uki`] makes one UEFI executable of stub, kernel, initrd and command line.
//!
//! Nothing here needs a container engine, Go or a network.

mod compress;
mod files;
pub mod oci;
mod tree;
pub mod uki;
