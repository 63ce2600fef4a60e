//! Moves `/` off the kernel's first root file system.
//!
//! runc changes root by pivot_root(2), which the kernel refuses while `/` is
//! the very mount that it unpacked the initrd into. LinuxKit's init copies the
//! tree into a new tmpfs. A bind mount of the same file system moved over `/`
//! satisfies pivot_root(2) as well, and needs neither memory nor time.

use std::io;

use anyhow::Context as _;
use rustix::fs::StatFs;
use rustix::mount::{mount_bind, mount_move};

/// `RAMFS_MAGIC` of linux/magic.h.
const RAMFS_MAGIC: i64 = 0x8584_58f6;
/// `TMPFS_MAGIC` of linux/magic.h.
const TMPFS_MAGIC: i64 = 0x0102_1994;

/// Makes `/` a mount that has a parent. Does nothing when `/` is a disk.
pub fn leave_first_root() -> anyhow::Result<()> {
    let status = rustix::fs::statfs("/").context("asking for the file system of /")?;
    if !lives_in_memory(&status) {
        return Ok(());
    }
    match std::fs::create_dir("/mnt") {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(error).context("making /mnt");
        }
        _ => {}
    }
    mount_bind("/", "/mnt").context("binding / to /mnt")?;
    std::env::set_current_dir("/mnt").context("entering /mnt")?;
    mount_move(".", "/").context("moving /mnt over /")?;
    rustix::process::chroot(".").context("changing root to the moved mount")?;
    std::env::set_current_dir("/").context("entering the new /")
}

fn lives_in_memory(status: &StatFs) -> bool {
    // The kernel's field is wider than the magic numbers, which fit 32 bits.
    let magic = status.f_type & 0xffff_ffff;
    magic == RAMFS_MAGIC || magic == TMPFS_MAGIC
}
