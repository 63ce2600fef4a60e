//! LinuxKit definitions: the YAML file, its checks, and the plan of the tree it describes.
//!
//! The rules are LinuxKit v1.8's (schema, label merge, config.json and runtime.json, tree).

mod capabilities;
mod container;
mod decode;
mod definition;
mod diagnostic;
mod fields;
mod files;
mod merge;
mod metadata;
mod mounts;
mod node;
mod oci_volume;
mod plan;
mod resources;
mod runtime;
mod spec;
mod substitute;

pub use definition::Definition;
pub use diagnostic::{Diagnostic, Position};
pub(crate) use files::locate;
pub(crate) use plan::{Kernel, Piece, Plan, Role, plan};
pub use substitute::with_init;
