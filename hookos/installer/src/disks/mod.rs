//! The disks of the machine: what they are, what is on them, which of them the system is written to.
//!
//! [`list`] reads sysfs alone, so that it can be repeated while disks come and go; [`content`] reads a disk. [`rank`]
//! says of each disk whether it can be taken, [`selector`] whether it is one that `installDisk` means. [`steps`] are the
//! commands that `install-os.sh` calls.

mod bus;
pub mod content;
pub mod disk;
mod identity;
pub mod installed;
pub mod list;
pub mod mark;
mod place;
pub mod rank;
pub mod selector;
pub mod settle;
pub mod signature;
pub mod steps;
pub mod stick;
mod sysfs;
pub mod usage;

#[cfg(test)]
mod fake;
