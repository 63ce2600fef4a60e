//! What `install-os.sh` decides and does by more than a shell.
//!
//! - [`program`] calls the programs of others, [`state`] is what one command hands to the next, [`error`] says who can
//!   do something about a failure.
//! - [`disks`] finds the medium and chooses the disk.
//! - [`steps`] is the table of the steps, [`screen`] what a person sees of them.
//! - [`image`] is what the manifest says of the OS image, [`check`] whether it fits the machine; [`mod@write`] writes it and
//!   makes a disk of its own of it; [`layout`] says which partition is which.
//! - [`clock`] sets a clock that cannot be right.
//! - [`firmware`] is the boot entry of the installed system, and what Secure Boot will say of it.

pub mod check;
pub mod clock;
pub mod disks;
pub mod error;
pub mod firmware;
pub mod image;
pub mod layout;
pub mod program;
pub mod screen;
pub mod state;
pub mod steps;
pub mod write;
