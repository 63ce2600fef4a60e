//! Extended attributes of a file that is replaced: ACLs, labels, capabilities and the image's own stay with its path.

use super::access::Owners;
use rustix::fs::{Mode, OFlags, XattrFlags, fgetxattr, flistxattr, fsetxattr, openat};
use rustix::io::Errno;
use std::fs::File;
use std::io::Error;
use std::os::fd::{AsFd as _, BorrowedFd};

/// Largest list of names, and largest value (Linux, limits.h).
const MAX_BYTES: usize = 64 << 10;
/// Signatures of the old content. Over another one they would keep the file from being read.
const OF_THE_CONTENT: &[&str] = &["security.evm", "security.ima"];

/// Gives the new file what the file `name` in the directory has; a link or nothing there has nothing to give.
pub(super) fn keep(
    directory: BorrowedFd<'_>,
    name: &str,
    new: &File,
    owners: Owners,
) -> std::io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let old = match openat(directory, name, flags, Mode::empty()) {
        Ok(old) => old,
        Err(Errno::NOENT | Errno::LOOP) => return Ok(()),
        Err(Errno::ACCESS) if owners == Owners::Keep => return Ok(()),
        Err(errno) => return Err(errno.into()),
    };
    for attribute in names(old.as_fd())? {
        if OF_THE_CONTENT.contains(&attribute.as_str()) {
            continue;
        }
        let mut value = vec![0; MAX_BYTES];
        let set = fgetxattr(&old, attribute.as_str(), &mut value[..])
            .and_then(|len| fsetxattr(new, attribute.as_str(), &value[..len], XattrFlags::empty()));
        match set {
            // Without privileges most of them cannot be set, as owners cannot.
            Err(Errno::PERM) if owners == Owners::Keep => {}
            other => other.map_err(|errno| named(&attribute, errno))?,
        }
    }
    Ok(())
}

fn names(file: BorrowedFd<'_>) -> std::io::Result<Vec<String>> {
    let mut list = vec![0; MAX_BYTES];
    let len = match flistxattr(file, &mut list[..]) {
        Ok(len) => len,
        Err(Errno::NOTSUP) => 0,
        Err(errno) => return Err(errno.into()),
    };
    let names = list[..len].split(|byte| *byte == 0);
    let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    Ok(names.filter(|name| !name.is_empty()).map(text).collect())
}

fn named(attribute: &str, errno: Errno) -> Error {
    let error = Error::from(errno);
    Error::new(
        error.kind(),
        format!("its attribute {attribute} cannot be kept: {error}"),
    )
}
