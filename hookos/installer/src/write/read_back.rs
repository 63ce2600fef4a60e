//! What the disk itself has, compared with what was to be written.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use rustix::fs::OFlags;
use xxhash_rust::xxh3::Xxh3;

use super::disk::Buffer;
use super::{ALIGNMENT, PART};
use crate::error::{Error, Kind, Result};

/// Parts that are read ahead of the one that is hashed.
const AHEAD: usize = 2;

/// Whether the first `size` bytes of the disk have this XXH128, read past the page cache. It finds what a disk, a cable or a
/// memory did to the bytes as surely as SHA-256, in a fraction of the time; who has made them, verify-image has checked.
///
/// # Errors
/// They have another one, or the disk cannot be read.
pub fn verify(disk: &Path, size: u64, xxh128: &str) -> Result<()> {
    verify_with(disk, size, xxh128, OFlags::DIRECT)
}

fn verify_with(disk: &Path, size: u64, xxh128: &str, flags: OFlags) -> Result<()> {
    let sum = hash(disk, size, flags).map_err(|error| {
        let reason = format!("{} cannot be read back: {error}", disk.display());
        Error::new(Kind::Environment, reason)
    })?;
    if sum == xxh128 {
        return Ok(());
    }
    let reason = format!(
        "XXH128 of {}, read back, is {sum}, the manifest says {xxh128}",
        disk.display()
    );
    Err(Error::new(Kind::Environment, reason)
        .advice("The disk does not keep what is written to it: replace the disk or its cable."))
}

fn hash(disk: &Path, size: u64, flags: OFlags) -> std::io::Result<String> {
    let open = |flags: OFlags| {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(flags.bits().cast_signed());
        options.open(disk)
    };
    let (direct, buffered) = (open(flags)?, open(OFlags::empty())?);
    // What direct I/O does not read, at the end of an image, comes from the disk as well.
    rustix::fs::fadvise(&buffered, 0, None, rustix::fs::Advice::DontNeed)?;
    let mut hasher = Xxh3::new();
    thread::scope(|scope| {
        let (empty, to_fill) = mpsc::sync_channel(AHEAD);
        let (full, to_hash) = mpsc::sync_channel(AHEAD);
        for _ in 0..AHEAD {
            let _ = empty.send(Buffer::new());
        }
        let reader = scope.spawn(move || -> std::io::Result<()> {
            let mut offset = 0;
            while offset < size {
                let Ok(mut buffer) = to_fill.recv() else {
                    break;
                };
                let part = (size - offset).min(PART as u64) as usize;
                read(&direct, &buffered, &mut buffer.bytes()[..part], offset)?;
                offset += part as u64;
                let _ = full.send((buffer, part));
            }
            Ok(())
        });
        for (mut buffer, part) in to_hash {
            hasher.update(&buffer.bytes()[..part]);
            let _ = empty.send(buffer);
        }
        reader.join().expect("the reader does not panic")
    })?;
    Ok(format!("{:032x}", hasher.digest128()))
}

fn read(direct: &File, buffered: &File, bytes: &mut [u8], offset: u64) -> std::io::Result<()> {
    let whole = bytes.len() - bytes.len() % ALIGNMENT;
    let (aligned, rest) = bytes.split_at_mut(whole);
    direct.read_exact_at(aligned, offset)?;
    buffered.read_exact_at(rest, offset + whole as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `xxhsum -H2` of 17 MiB and 512 bytes of the byte 5.
    const SUM: &str = "a3cc437c941e17a43dddc20b44f1516a";

    fn check(size: u64, change: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let path = directory.path().join("disk");
        let mut bytes = vec![5; (17 << 20) + 512];
        change(&mut bytes);
        std::fs::write(&path, bytes).expect("file");
        verify_with(&path, size, SUM, OFlags::empty())
    }

    #[test]
    fn what_the_disk_has_is_what_was_written() {
        let size = (17 << 20) + 512;
        assert_eq!(check(size, |_| ()), Ok(()));
        // More of the disk does not count.
        assert_eq!(check(size, |bytes| bytes.push(1)), Ok(()));
    }

    #[test]
    fn one_byte_that_differs_is_noticed_wherever_it_is() {
        let size = (17 << 20) + 512u64;
        for at in [0, PART, 16 << 20, size as usize - 1] {
            let error = check(size, |bytes| bytes[at] ^= 1).expect_err("it differs");
            assert_eq!(error.kind, Kind::Environment);
            assert!(
                error.reason.contains(&format!("the manifest says {SUM}")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_disk_that_ends_early_cannot_be_read_back() {
        let error = check((17 << 20) + 513, |_| ()).expect_err("it ends before");
        assert!(error.reason.contains("cannot be read back"), "{error}");
    }
}
