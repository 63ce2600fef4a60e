//! The one restart by `BootNext` of a machine whose firmware starts the installation medium before the installed disk.
//!
//! Firmware that does not honour `BootNext` either would restart for ever. So the medium remembers the begin of each of
//! the disk's partitions: a system that has started in between has mounted one, which its superblock tells.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::esp;
use crate::error::{Error, Kind, Result};

/// Bytes at the begin of a partition: the superblocks of ext4 (1 KiB in) and btrfs (64 KiB in) are among them.
const BEGIN: u64 = 128 << 10;

/// What is at the begin of each partition, in hexadecimal.
///
/// # Errors
/// The disk cannot be read.
pub fn fingerprint(disk: &Path) -> Result<String> {
    let failed = |error: std::io::Error| {
        let reason = format!("{} cannot be read: {error}", disk.display());
        Error::new(Kind::Environment, reason)
    };
    let table = esp::table(disk)?;
    let sector = *table.logical_block_size();
    let file = File::open(disk).map_err(failed)?;
    let mut digest = Sha256::new();
    for partition in table.partitions().values() {
        let place = partition
            .bytes_start(sector)
            .and_then(|start| Ok((start, partition.bytes_len(sector)?)));
        let (start, length) = place.map_err(|error| failed(std::io::Error::other(error)))?;
        let length = usize::try_from(length.min(BEGIN)).expect("it is no more than BEGIN");
        let mut begin = vec![0; length];
        file.read_exact_at(&mut begin, start).map_err(failed)?;
        digest.update(begin);
    }
    let digest = digest.finalize();
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// That the machine was not restarted already with the disk as it is.
///
/// # Errors
/// It was, or the mark cannot be read.
pub fn allowed(mark: &Path, fingerprint: &str) -> Result<()> {
    match fs::read_to_string(mark) {
        Ok(text) if text.lines().any(|line| line == fingerprint) => Err(Error::new(
            Kind::Environment,
            "the firmware was told to start the disk and started the installation medium again",
        )
        .advice("remove the installation medium and restart")),
        Err(error) if error.kind() != ErrorKind::NotFound => Err(mark_error(mark, "read", &error)),
        _ => Ok(()),
    }
}

/// Notes on the medium that the machine is restarted with the disk as it is, in place of what it noted before.
///
/// # Errors
/// The mark cannot be written.
pub fn remember(mark: &Path, fingerprint: &str) -> Result<()> {
    let written = File::create(mark).and_then(|mut file| {
        writeln!(file, "{fingerprint}")?;
        file.sync_all()
    });
    written.map_err(|error| mark_error(mark, "written", &error))
}

fn mark_error(mark: &Path, what: &str, error: &std::io::Error) -> Error {
    let reason = format!(
        "{} on the installation medium cannot be {what}: {error}",
        mark.display()
    );
    Error::new(Kind::Medium, reason)
}

#[cfg(test)]
mod tests {
    use gpt::partition_types::{EFI, LINUX_FS};

    use super::*;

    #[test]
    fn a_disk_is_another_when_the_begin_of_any_partition_is() -> Result<()> {
        let disk = esp::tests::disk(&[EFI, LINUX_FS]);
        let before = fingerprint(disk.path())?;
        assert_eq!(
            (before.len(), fingerprint(disk.path())?),
            (64, before.clone())
        );
        let table = esp::table(disk.path())?;
        let start = |number: u32| table.partitions()[&number].first_lba * 512;
        let change = |at: u64| {
            let byte = disk.as_file().write_all_at(&[1], at);
            byte.expect("the disk can be written");
        };
        let mut seen = vec![before];
        for at in [start(1), start(1) + BEGIN - 1, start(2) + 1024 + 48] {
            change(at);
            let now = fingerprint(disk.path())?;
            assert!(!seen.contains(&now), "byte {at}");
            seen.push(now);
        }
        change(start(2) + BEGIN);
        assert_eq!(
            seen.last(),
            Some(&fingerprint(disk.path())?),
            "files come and go"
        );
        Ok(())
    }

    #[test]
    fn a_disk_as_it_was_is_restarted_once() -> Result<()> {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let mark = directory.path().join("restarted.txt");
        allowed(&mark, "a1")?;
        remember(&mark, "a1")?;
        let error = allowed(&mark, "a1").expect_err("it was restarted");
        assert_eq!(
            error.advice.as_deref(),
            Some("remove the installation medium and restart")
        );
        allowed(&mark, "a")?;
        remember(&mark, "b2")?;
        allowed(&mark, "a1")?;
        allowed(&mark, "b2").expect_err("it was restarted");
        Ok(())
    }

    #[test]
    fn a_mark_that_cannot_be_kept_allows_no_restart() {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let error = allowed(directory.path(), "a1").expect_err("it is a directory");
        assert!(
            error
                .reason
                .contains("on the installation medium cannot be read: Is a directory"),
            "{error}"
        );
        let error = remember(&directory.path().join("a/b"), "a1").expect_err("it has no directory");
        assert!(
            error.reason.contains("cannot be written: No such file"),
            "{error}"
        );
    }
}
