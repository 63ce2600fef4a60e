//! The firmware's variables as they are in the machine's variable store file.
//!
//! The crates that exist read a running system's variables (efivar) or rewrite
//! whole firmware images; this reads one file, and adds a variable to it, in the layout of the UEFI PI
//! specification and EDK II's `VariableFormat.h`, and nothing more.

mod boot;
mod quirk;
mod store;

pub use boot::{BootEntry, BootVariables, load_option};
pub use efi::{DevicePathNode, Uuid};
pub use quirk::Quirk;
pub use store::{NvramError, Variable, add_variable, read_store};
