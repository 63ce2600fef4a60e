//! Where a disk's EFI system partition is: what a boot entry names it by.

use std::fs::File;
use std::path::Path;

use efi::HardDrive;
use gpt::disk::LogicalBlockSize;
use gpt::partition_types::EFI;
use gpt::{GptConfig, GptDisk};
use rustix::fs::ioctl_blksszget;

use crate::error::{Error, Kind, Result};

/// The first EFI system partition in the partition table of this disk.
///
/// # Errors
/// The disk cannot be read, or has no such partition.
pub fn of(disk: &Path) -> Result<HardDrive> {
    let table = table(disk)?;
    let mut partitions = table.partitions().iter();
    let esp = partitions.find(|(_, partition)| partition.part_type_guid == EFI);
    let (number, partition) = esp.ok_or_else(|| {
        let reason = format!("{} has no EFI system partition", disk.display());
        Error::new(Kind::Medium, reason)
    })?;
    Ok(HardDrive {
        number: *number,
        start: partition.first_lba,
        size: partition.last_lba - partition.first_lba + 1,
        guid: partition.part_guid,
    })
}

/// The partition table of a disk, in sectors of its size; of an image file, in those of 512 bytes.
///
/// # Errors
/// The disk cannot be read, or has no partition table.
pub fn table(disk: &Path) -> Result<GptDisk<File>> {
    let failed = |reason: String| {
        let reason = format!(
            "the partition table of {} cannot be read: {reason}",
            disk.display()
        );
        Error::new(Kind::Environment, reason)
    };
    let file = File::open(disk).map_err(|error| failed(error.to_string()))?;
    let sector = sector(ioctl_blksszget(&file).unwrap_or(512)).map_err(failed)?;
    let config = GptConfig::new().writable(false).logical_block_size(sector);
    config
        .open_from_device(file)
        .map_err(|error| failed(error.to_string()))
}

fn sector(size: u32) -> Result<LogicalBlockSize, String> {
    match size {
        512 => Ok(LogicalBlockSize::Lb512),
        4096 => Ok(LogicalBlockSize::Lb4096),
        other => Err(format!("it has sectors of {other} bytes")),
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A disk image of 16 MiB with partitions of these types, each of 1 MiB.
    pub fn disk(kinds: &[gpt::partition_types::Type]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a file can be made");
        file.as_file()
            .set_len(16 << 20)
            .expect("it can be 16 MiB long");
        let config = GptConfig::new().writable(true);
        let mut table = config.create(file.path()).expect("a table can be made");
        for kind in kinds {
            let added = table.add_partition("name", 1 << 20, kind.clone(), 0, None);
            added.expect("there is room");
        }
        table.write().expect("the table can be written");
        file
    }

    #[test]
    fn the_first_esp_is_found_by_its_type() -> Result<()> {
        let file = disk(&[gpt::partition_types::LINUX_FS, EFI, EFI]);
        let table = table(file.path())?;
        let second = &table.partitions()[&2];
        let expected = HardDrive {
            number: 2,
            start: second.first_lba,
            size: 2048,
            guid: second.part_guid,
        };
        assert_eq!(of(file.path())?, expected);
        Ok(())
    }

    #[test]
    fn a_disk_without_one_or_without_a_table_is_an_error() {
        let reason = |path: &Path| of(path).expect_err("there is none").reason;
        let none = disk(&[gpt::partition_types::LINUX_FS]);
        assert!(reason(none.path()).ends_with("has no EFI system partition"));
        let empty = tempfile::NamedTempFile::new().expect("a file can be made");
        assert!(reason(empty.path()).contains("cannot be read: "));
        assert!(
            reason(Path::new("/nowhere/disk")).ends_with("No such file or directory (os error 2)")
        );
    }

    #[test]
    fn sectors_have_512_or_4096_bytes() {
        assert_eq!(sector(512), Ok(LogicalBlockSize::Lb512));
        assert_eq!(sector(4096), Ok(LogicalBlockSize::Lb4096));
        assert_eq!(sector(520), Err("it has sectors of 520 bytes".to_owned()));
    }
}
