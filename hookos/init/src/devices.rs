//! Device nodes, links and directories of /dev, and the directories of /var.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use crate::console::say;

/// Directories of /var with their modes, as LinuxKit's init makes them.
const VAR: &[(&str, u32)] = &[
    ("/var/cache", 0o755),
    ("/var/empty", 0o555),
    ("/var/lib", 0o755),
    ("/var/local", 0o755),
    ("/var/lock", 0o755),
    ("/var/log", 0o755),
    ("/var/opt", 0o755),
    ("/var/spool", 0o755),
    ("/var/tmp", 0o1777),
];

const DEV: &[(&str, u32)] = &[
    ("/dev/mqueue", 0o1777),
    ("/dev/shm", 0o1777),
    ("/dev/pts", 0o755),
];

const LINKS: &[(&str, &str)] = &[
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
    ("/proc/kcore", "/dev/kcore"),
];

/// Character devices: path, major, minor, mode. devtmpfs has made most of them.
const NODES: &[(&str, u32, u32, u32)] = &[
    ("/dev/console", 5, 1, 0o600),
    ("/dev/tty1", 4, 1, 0o620),
    ("/dev/tty", 5, 0, 0o666),
    ("/dev/null", 1, 3, 0o666),
    ("/dev/kmsg", 1, 11, 0o660),
];

/// Makes the standard directories of /var and the link /var/run.
pub fn fill_var() {
    directories(VAR);
    link("/run", "/var/run");
}

/// Makes what /dev needs beyond the kernel's own nodes.
pub fn fill_dev() {
    for &(path, major, minor, mode) in NODES {
        if !Path::new(path).exists() {
            let device = makedev(major, minor);
            if let Err(error) = mknodat(
                CWD,
                path,
                FileType::CharacterDevice,
                Mode::from_raw_mode(mode),
                device,
            ) {
                say!("cannot make the device node {path}: {error}");
            }
        }
    }
    for &(target, path) in LINKS {
        link(target, path);
    }
    directories(DEV);
}

fn directories(wanted: &[(&str, u32)]) {
    for &(path, mode) in wanted {
        let made = fs::create_dir_all(path)
            .and_then(|()| fs::set_permissions(path, Permissions::from_mode(mode)));
        if let Err(error) = made {
            say!("cannot make the directory {path}: {error}");
        }
    }
}

fn link(target: &str, path: &str) {
    match symlink(target, path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            say!("cannot make the link {path} to {target}: {error}");
        }
        _ => {}
    }
}
