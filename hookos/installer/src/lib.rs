//! What `install-os.sh` decides and does by more than a shell.
//!
//! - [`program`] calls the programs of others, [`state`] is what one command hands to the next, [`error`] says who can
//!   do something about a failure.
//! - [`disks`] finds the medium and chooses the disk.
//! - [`steps`] is the table of the steps, [`screen`] what a person sees of them.
//! - [`mod@write`] writes the OS image to the disk.

pub mod disks;
pub mod error;
pub mod program;
pub mod screen;
pub mod state;
pub mod steps;
pub mod write;
