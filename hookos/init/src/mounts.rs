//! The file systems that PID 1 mounts, as a table and its execution.
//!
//! Order, options and sizes are those of LinuxKit's rc.init (v1.8.2), so that
//! a tree finds the same machine under either init.

use std::ffi::CString;

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change, mount_remount};

use crate::console::say;

/// One mount(2) call.
#[derive(Debug, Clone, Copy)]
pub struct Mount {
    /// First field of /proc/mounts.
    pub source: &'static str,
    /// Directory, made when it is absent and its parent is writable.
    pub target: &'static str,
    /// File system type.
    pub kind: &'static str,
    /// Flags of mount(2).
    pub flags: MountFlags,
    /// Options of the file system.
    pub data: &'static str,
    /// A kernel may lack it: a failure is not worth a line.
    pub optional: bool,
}

const STRICT: MountFlags = MountFlags::NODEV
    .union(MountFlags::NOSUID)
    .union(MountFlags::NOEXEC);
const QUIET: MountFlags = STRICT.union(MountFlags::RELATIME);
const DEV: MountFlags = MountFlags::NOSUID
    .union(MountFlags::NOEXEC)
    .union(MountFlags::RELATIME);
const PTS: MountFlags = MountFlags::NOEXEC.union(MountFlags::NOSUID);

const fn needed(
    source: &'static str,
    target: &'static str,
    kind: &'static str,
    flags: MountFlags,
    data: &'static str,
) -> Mount {
    Mount {
        source,
        target,
        kind,
        flags,
        data,
        optional: false,
    }
}

const fn optional(kind: &'static str, target: &'static str) -> Mount {
    Mount {
        source: kind,
        target,
        kind,
        flags: STRICT,
        data: "",
        optional: true,
    }
}

/// Before the standard directories of /var are made.
pub const FIRST: &[Mount] = &[
    needed("tmpfs", "/run", "tmpfs", QUIET, "size=10%,mode=755"),
    needed("tmpfs", "/tmp", "tmpfs", QUIET, "size=10%,mode=1777"),
    needed("tmpfs", "/var", "tmpfs", QUIET, "size=50%,mode=755"),
    needed(
        "dev",
        "/dev",
        "devtmpfs",
        DEV,
        "size=10m,nr_inodes=248418,mode=755",
    ),
];

/// After the directories of /dev are made.
pub const SECOND: &[Mount] = &[
    needed("mqueue", "/dev/mqueue", "mqueue", STRICT, ""),
    needed("shm", "/dev/shm", "tmpfs", STRICT, "mode=1777"),
    needed("devpts", "/dev/pts", "devpts", PTS, "gid=5,mode=0620"),
    needed("sysfs", "/sys", "sysfs", STRICT, ""),
    optional("securityfs", "/sys/kernel/security"),
    optional("debugfs", "/sys/kernel/debug"),
    optional("configfs", "/sys/kernel/config"),
    optional("fusectl", "/sys/fs/fuse/connections"),
    optional("selinuxfs", "/sys/fs/selinux"),
    optional("pstore", "/sys/fs/pstore"),
    optional("bpf", "/sys/fs/bpf"),
    optional("efivarfs", "/sys/firmware/efi/efivars"),
    optional("binfmt_misc", "/proc/sys/fs/binfmt_misc"),
    needed("cgroup2", "/sys/fs/cgroup", "cgroup2", STRICT, ""),
];

/// `proc` comes before all else, by itself: it tells what has been done already.
pub const PROC: Mount = needed("proc", "/proc", "proc", QUIET, "");

/// Carries out one line of the table. A failure is told and the boot goes on,
/// as LinuxKit's does: a machine that comes up halfway can be looked at.
pub fn apply(entry: &Mount) {
    if entry.optional && !std::path::Path::new(entry.target).is_dir() {
        return;
    }
    if let Err(error) = try_apply(entry)
        && !entry.optional
    {
        say!("cannot mount {} on {}: {error}", entry.kind, entry.target);
    }
}

fn try_apply(entry: &Mount) -> std::io::Result<()> {
    // The parent may be read-only; mount(2) then says what is wrong.
    let _ = std::fs::create_dir_all(entry.target);
    let data = CString::new(entry.data)?;
    mount(
        entry.source,
        entry.target,
        entry.kind,
        entry.flags,
        data.as_c_str(),
    )?;
    Ok(())
}

/// Makes `/` read-only. Only this mount: what lies under it stays as it is.
pub fn root_read_only() {
    if let Err(error) = mount_remount("/", MountFlags::BIND | MountFlags::RDONLY, c"") {
        say!("cannot make / read-only: {error}; going on with a writable /");
    }
}

/// Makes every mount shared, so that containers with `rshared` binds see later ones.
pub fn share_all() {
    let flags = MountPropagationFlags::SHARED | MountPropagationFlags::REC;
    if let Err(error) = mount_change("/", flags) {
        say!("cannot make the mounts below / shared: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_are_mounted_before_what_lies_below_them() {
        let order: Vec<&str> = [PROC]
            .iter()
            .chain(FIRST)
            .chain(SECOND)
            .map(|m| m.target)
            .collect();
        for (at, target) in order.iter().enumerate() {
            for later in &order[at + 1..] {
                assert!(
                    !target.starts_with(&format!("{later}/")),
                    "{target} is hidden by {later}"
                );
            }
        }
    }

    #[test]
    fn efivarfs_is_there_for_efibootmgr() {
        assert!(
            SECOND
                .iter()
                .any(|m| m.target == "/sys/firmware/efi/efivars")
        );
    }
}
