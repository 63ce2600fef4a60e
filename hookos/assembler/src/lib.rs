//! The HookOS assembler: OCI images in, boot files out.
//!
//! * [`oci`] reads and writes OCI image layouts.
//!
//! Nothing here needs a container engine, Go or a network.

mod compress;
pub mod oci;
