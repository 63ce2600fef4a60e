//! The partition table of the written image becomes that of the disk: its end, its last partition, its GUIDs.
//!
//! It is written by the crate's parts and not by its `GptDisk::write`, which numbers partitions anew where numbers are
//! missing between them.

use std::io::{self, SeekFrom};

use gpt::header::Header;
use gpt::mbr::{PartRecord, ProtectiveMBR};
use gpt::partition::Partition;
use gpt::{DiskDevice, GptConfig, disk::LogicalBlockSize};
use uuid::Uuid;

use crate::error::{Error, Kind, Result};

/// The end of a partition that grows is a multiple of this, in bytes from the begin of the disk.
pub const ALIGNMENT: u64 = 1 << 20;
/// Type of the partition that a protective MBR has (UEFI specification, 5.2.3).
const PROTECTIVE: u8 = 0xee;

/// A partition of the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub number: u32,
    /// GPT name.
    pub name: String,
    /// GUID of its type.
    pub kind: String,
    /// Its GUID.
    pub guid: String,
    /// Bytes from the begin of the disk.
    pub start: u64,
    /// Bytes.
    pub size: u64,
}

/// Bytes from the begin of a disk that partitions can have, beside a table with the usual 128 entries of 128 bytes.
pub fn usable_end(disk: u64, sector: u64) -> u64 {
    disk.saturating_sub((128 * 128u64).next_multiple_of(sector) + sector)
}

/// Where the last partition ends when it has grown, for partitions that may reach to this byte.
pub fn grown_end(usable_end: u64) -> u64 {
    usable_end - usable_end % ALIGNMENT
}

/// Adapts the table on the device to the device's size: the second table is at its end, the last partition grows.
/// `renew` says what each GUID becomes. The partitions as they are then, in the order of their numbers.
///
/// # Errors
/// There is no table of the image, or the device cannot be written.
pub fn adapt<D: DiskDevice>(
    mut device: D,
    sector: u32,
    renew: impl FnMut(&Uuid) -> Uuid,
) -> Result<Vec<Entry>> {
    let sector = u64::from(sector);
    let block = LogicalBlockSize::try_from(sector).map_err(failed)?;
    let sectors = device.seek(SeekFrom::End(0)).map_err(failed)? / sector;
    let config = GptConfig::new().logical_block_size(block);
    let table = config.open_from_device(device).map_err(failed)?;
    let header = table.primary_header().map_err(failed)?.clone();
    let partitions = table.partitions().clone().into_iter();
    let mut plan = Plan {
        primary: header,
        partitions: partitions.filter(|(_, one)| one.is_used()).collect(),
        sectors,
        block,
    };
    plan.grow();
    plan.renew(renew);
    plan.write(&mut table.take_device()).map_err(failed)?;
    let entries = plan.partitions.iter().map(|(number, partition)| Entry {
        number: *number,
        name: partition.name.clone(),
        kind: partition.part_type_guid.guid.to_string(),
        guid: partition.part_guid.to_string(),
        start: partition.first_lba * sector,
        size: (partition.last_lba + 1 - partition.first_lba) * sector,
    });
    Ok(entries.collect())
}

fn failed(error: impl std::fmt::Display) -> Error {
    let reason =
        format!("the partition table of the OS image cannot be adapted to the disk: {error}");
    Error::new(Kind::Environment, reason)
}

/// What will be written.
struct Plan {
    primary: Header,
    partitions: Vec<(u32, Partition)>,
    /// Sectors of the disk.
    sectors: u64,
    block: LogicalBlockSize,
}

impl Plan {
    /// Sectors that the entries of the partitions take.
    fn entries(&self) -> u64 {
        let bytes = u64::from(self.primary.num_parts) * u64::from(self.primary.part_size);
        bytes.div_ceil(self.block.as_u64())
    }

    fn grow(&mut self) {
        self.primary.backup_lba = self.sectors - 1;
        // Inclusive: behind it are the second table's entries and its header.
        self.primary.last_usable = self.sectors - self.entries() - 2;
        let block = self.block.as_u64();
        let end = grown_end((self.primary.last_usable + 1) * block) / block;
        let partitions = self.partitions.iter_mut();
        let last = partitions.reduce(|one, other| match one.1.first_lba < other.1.first_lba {
            true => other,
            false => one,
        });
        if let Some((_, last)) = last {
            last.last_lba = last.last_lba.max(end - 1);
        }
    }

    fn renew(&mut self, mut renew: impl FnMut(&Uuid) -> Uuid) {
        self.primary.disk_guid = renew(&self.primary.disk_guid);
        for (_, partition) in &mut self.partitions {
            partition.part_guid = renew(&partition.part_guid);
        }
    }

    /// The second table first: until the first one is written, the disk is the image's.
    fn write(&self, device: &mut impl DiskDevice) -> Result<(), Box<dyn std::error::Error>> {
        let mut backup = Header {
            current_lba: self.primary.backup_lba,
            backup_lba: self.primary.current_lba,
            part_start: self.primary.last_usable + 1,
            ..self.primary.clone()
        };
        self.write_entries(device, &backup)?;
        backup.write_backup(device, self.block)?;
        self.write_entries(device, &self.primary)?;
        self.primary.clone().write_primary(device, self.block)?;
        self.write_mbr(device)?;
        Ok(device.flush()?)
    }

    fn write_entries(&self, device: &mut impl DiskDevice, header: &Header) -> io::Result<()> {
        let (start, size) = (header.part_start, header.part_size);
        let count = header.num_parts.into();
        Partition::write_zero_entries_to_device(device, 0, count, start, self.block, size)?;
        for (number, partition) in &self.partitions {
            let index = u64::from(*number - 1);
            partition.write_to_device(device, index, start, self.block, size)?;
        }
        Ok(())
    }

    /// A protective MBR covers the disk. One with partitions of its own (for firmware of another age) stays.
    fn write_mbr(&self, device: &mut impl DiskDevice) -> Result<(), Box<dyn std::error::Error>> {
        let mut mbr = ProtectiveMBR::from_disk(device, self.block)?;
        let records: Vec<PartRecord> = (0..4).filter_map(|at| mbr.partition(at)).collect();
        let [first, others @ ..] = records.as_slice() else {
            return Ok(());
        };
        if first.os_type == PROTECTIVE && others.iter().all(|one| one.os_type == 0) {
            let record = PartRecord {
                lb_size: u32::try_from(self.sectors - 1).unwrap_or(u32::MAX),
                ..*first
            };
            mbr.set_partition(0, record);
            mbr.update_conservative(device)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs::{File, OpenOptions};
    use std::path::Path;
    use std::process::Command;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn sgdisk(arguments: &[&str], disk: &Path) -> String {
        let output = Command::new("sgdisk")
            .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
            .args(arguments)
            .arg(disk)
            .output()
            .expect("sgdisk starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}");
        text
    }

    /// An image of 8 MiB with the partitions 1 and 15, of which 15 comes first, on a disk of this size.
    fn written(size: u64) -> (tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let disk = directory.path().join("disk");
        File::create(&disk)
            .and_then(|file| file.set_len(8 * MIB))
            .expect("file");
        let layout = [
            "--set-alignment=1",
            "-n15:1M:+1M",
            "-t15:ef00",
            "-c15:esp",
            "-n1:2M:+4M",
            "-t1:8304",
            "-c1:rootfs",
            "-A1:set:60",
        ];
        sgdisk(&layout, &disk);
        let file = OpenOptions::new().write(true).open(&disk).expect("file");
        file.set_len(size).expect("it grows");
        (directory, disk)
    }

    fn adapt_file(disk: &Path, renew: impl Fn(&Uuid) -> Uuid) -> Vec<Entry> {
        let file = OpenOptions::new().read(true).write(true).open(disk);
        adapt(file.expect("it opens"), 512, renew).expect("it has a table")
    }

    #[test]
    fn the_last_partition_grows_and_numbers_stay() {
        let (_directory, disk) = written(32 * MIB + 512);
        let entries = adapt_file(&disk, |guid| *guid);
        let places: Vec<_> = entries
            .iter()
            .map(|one| (one.number, &*one.name, one.start, one.size))
            .collect();
        assert_eq!(
            places,
            [(1, "rootfs", 2 * MIB, 29 * MIB), (15, "esp", MIB, MIB)]
        );
        assert!(sgdisk(&["--verify"], &disk).contains("No problems found"));
        let root = sgdisk(&["-i1"], &disk);
        assert!(root.contains("Last sector: 63487 "), "{root}");
        assert!(root.contains("Attribute flags: 1000000000000000"), "{root}");
        assert!(root.contains("Partition name: 'rootfs'"), "{root}");
    }

    #[test]
    fn the_protective_mbr_covers_the_disk() {
        let (_directory, disk) = written(32 * MIB);
        adapt_file(&disk, |guid| *guid);
        let bytes = std::fs::read(&disk).expect("file");
        let field = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four"));
        assert_eq!((bytes[0x1c2], field(0x1c6), field(0x1ca)), (0xee, 1, 65535));
    }

    #[test]
    fn an_mbr_with_partitions_of_its_own_stays() {
        let (_directory, disk) = written(32 * MIB);
        let mut bytes = std::fs::read(&disk).expect("file");
        bytes[0x1d2] = 0x0c;
        std::fs::write(&disk, &bytes).expect("file");
        adapt_file(&disk, |guid| *guid);
        assert!(std::fs::read(&disk).expect("file")[..512] == bytes[..512]);
    }

    #[test]
    fn a_disk_of_the_image_s_size_keeps_its_layout() {
        let (_directory, disk) = written(8 * MIB);
        let entries = adapt_file(&disk, |guid| *guid);
        assert_eq!((entries[0].start, entries[0].size), (2 * MIB, 5 * MIB));
        assert!(sgdisk(&["--verify"], &disk).contains("No problems found"));
    }

    #[test]
    fn guids_become_what_renew_says() {
        let (_directory, disk) = written(32 * MIB);
        let guids = |entries: &[Entry]| -> BTreeSet<String> {
            entries.iter().map(|one| one.guid.clone()).collect()
        };
        let before = guids(&adapt_file(&disk, |guid| *guid));
        let after = guids(&adapt_file(&disk, |guid| {
            let mut bytes = *guid.as_bytes();
            bytes[15] ^= 1;
            Uuid::from_bytes(bytes)
        }));
        assert_eq!((before.len(), after.len()), (2, 2));
        assert!(before.is_disjoint(&after));
        for one in &after {
            assert!(sgdisk(&["-i1", "-i15"], &disk).to_lowercase().contains(one));
        }
        assert!(sgdisk(&["--verify"], &disk).contains("No problems found"));
    }

    #[test]
    fn what_has_no_table_is_an_error() {
        let empty = io::Cursor::new(vec![0; 1 << 20]);
        let error = adapt(empty, 512, |guid| *guid).expect_err("there is no table");
        assert_eq!(error.kind, Kind::Environment);
        let error = adapt(io::Cursor::new(vec![0; 1 << 20]), 520, |guid| *guid);
        assert!(error.is_err(), "no disk has such sectors");
    }
}
