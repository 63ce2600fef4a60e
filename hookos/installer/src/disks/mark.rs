//! The mark of a finished node: a block between the partition table and the first partition.
//!
//! It is written when the installation is complete, so that a disk whose installation was interrupted has none and is
//! installed again. It names the GUID of the disk's table: a system that is put over the node has another one, and what
//! was copied to another disk is told by it as well.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Cursor, Read as _, Seek as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use gpt::GptConfig;
use gpt::disk::LogicalBlockSize;

use crate::error::{Error, Kind, Result};

/// Bytes from the begin of the disk: behind a table of 128 entries in sectors of 4096 bytes, and before the first MiB,
/// where partitions begin.
const PLACE: u64 = 32 << 10;
/// Bytes: a sector of any disk.
const SIZE: usize = 4096;
/// Its first line.
const MAGIC: &str = "emts node 1";
/// A table lies within it.
const TABLE: u64 = 64 << 10;
/// At most as many entries has a table that is read; what systems make has 128.
const ENTRIES: u32 = 256;
/// Bytes of a header (UEFI specification, 5.3.2).
const HEADER: usize = 92;
/// Bytes of an entry.
const ENTRY: u32 = 128;

/// What the mark says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// GUID of the disk's table.
    pub disk: String,
    /// Id of the bundle that was installed.
    pub bundle: String,
}

/// The partition table of a disk, as far as it is asked for.
struct Table {
    guid: String,
    /// First byte of the first partition; none without partitions.
    first: Option<u64>,
}

/// The valid mark of a disk.
pub fn read(node: &Path, sector: u32) -> Option<Mark> {
    let disk = File::open(node).ok()?;
    let mut block = vec![0; SIZE];
    disk.read_exact_at(&mut block, PLACE).ok()?;
    let mark = parse(&block)?;
    let table = table(&disk, sector)?;
    (mark.disk == table.guid).then_some(mark)
}

/// Marks a disk as a finished node.
///
/// # Errors
/// The disk has no partition table, no room for the mark, or cannot be written.
pub fn write(node: &Path, sector: u32, bundle: &str) -> Result<Mark> {
    let failed = |reason: String| {
        let reason = format!("{} cannot be marked as installed: {reason}", node.display());
        Error::new(Kind::Environment, reason)
    };
    let device = OpenOptions::new().read(true).write(true).open(node);
    let device = device.map_err(|error| failed(error.to_string()))?;
    let table = table(&device, sector).ok_or_else(|| failed("it has no partition table".into()))?;
    let mut block = vec![0; SIZE];
    let io = |error: std::io::Error| failed(error.to_string());
    device.read_exact_at(&mut block, PLACE).map_err(io)?;
    let taken = parse(&block).is_none() && block.iter().any(|byte| *byte != 0);
    if taken || table.first.is_some_and(|first| first < PLACE + SIZE as u64) {
        return Err(failed(format!("byte {PLACE} is not free")));
    }
    let mark = Mark {
        disk: table.guid,
        bundle: bundle.to_owned(),
    };
    let text = format!("{MAGIC}\ndisk={}\nbundle={}\n", mark.disk, mark.bundle);
    let mut block = text.into_bytes();
    block.resize(SIZE, 0);
    device.write_all_at(&block, PLACE).map_err(io)?;
    device.sync_all().map_err(io)?;
    Ok(mark)
}

fn parse(block: &[u8]) -> Option<Mark> {
    let end = block.iter().position(|byte| *byte == 0)?;
    let text = str::from_utf8(&block[..end]).ok()?;
    let values: BTreeMap<_, _> = text
        .strip_prefix(MAGIC)?
        .lines()
        .filter_map(|line| line.split_once('='))
        .collect();
    Some(Mark {
        disk: (*values.get("disk")?).to_owned(),
        bundle: (*values.get("bundle")?).to_owned(),
    })
}

/// The table at the begin of a disk. What is there may be made by anybody: it is measured before it is read.
fn table(mut disk: &File, sector: u32) -> Option<Table> {
    let mut begin = Vec::new();
    disk.rewind().ok()?;
    disk.take(TABLE).read_to_end(&mut begin).ok()?;
    let header = begin.get(sector as usize..)?.get(..HEADER)?;
    let number = |at: usize| header[at..at + 4].try_into().map(u32::from_le_bytes).ok();
    if number(80)? > ENTRIES || number(84)? != ENTRY {
        return None;
    }
    // Nothing of the disk is where a second header would be.
    begin.resize(begin.len() + 2 * SIZE, 0);
    let block = LogicalBlockSize::try_from(u64::from(sector)).ok()?;
    let config = GptConfig::new().writable(false).logical_block_size(block);
    let table = config.open_from_device(Cursor::new(begin)).ok()?;
    let used = table.partitions().values().filter(|one| one.is_used());
    let first = used
        .map(|one| one.first_lba.saturating_mul(u64::from(sector)))
        .min();
    Some(Table {
        guid: table.guid().to_string(),
        first,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::PathBuf;

    use super::*;

    /// An empty disk of 4 MiB with a table, and a partition from this MiB on, if any.
    pub(crate) fn disk(directory: &Path, partition: Option<u64>) -> PathBuf {
        let path = directory.join("disk");
        let file = File::create_new(&path).expect("it is new");
        file.set_len(4 << 20).expect("a file can be long");
        let mut table = GptConfig::new()
            .writable(true)
            .create(&path)
            .expect("is a disk");
        table
            .update_partitions(Default::default())
            .expect("there are none");
        if let Some(start) = partition {
            let kind = gpt::partition_types::LINUX_FS;
            let added = table.add_partition_at("rootfs", 1, start / 512, 2048, kind, 0);
            added.expect("there is room");
        }
        table.write().expect("it takes it");
        path
    }

    fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
        let file = OpenOptions::new().write(true).open(path).expect("is there");
        file.write_all_at(bytes, at).expect("it takes it");
    }

    #[test]
    fn a_mark_is_read_as_it_was_written_also_over_an_older_one() -> Result<()> {
        let directory = tempfile::tempdir().expect("can be made");
        let disk = disk(directory.path(), Some(1 << 20));
        assert_eq!(read(&disk, 512), None);
        write(&disk, 512, "first")?;
        let mark = write(&disk, 512, "second")?;
        assert_eq!((mark.bundle.as_str(), mark.disk.len()), ("second", 36));
        assert_eq!(read(&disk, 512), Some(mark));
        assert_eq!(
            read(&disk, 4096),
            None,
            "the table is not where such a disk has it"
        );
        Ok(())
    }

    #[test]
    fn the_mark_of_another_table_counts_for_nothing() -> Result<()> {
        let directory = tempfile::tempdir().expect("can be made");
        let path = disk(directory.path(), None);
        write(&path, 512, "bundle")?;
        let block = std::fs::read(&path).expect("is there")[PLACE as usize..][..SIZE].to_vec();
        std::fs::remove_file(&path).expect("is there");
        let other = disk(directory.path(), None);
        overwrite(&other, PLACE, &block);
        assert_eq!(read(&other, 512), None);
        Ok(())
    }

    #[test]
    fn a_disk_without_room_is_not_marked() {
        let directory = tempfile::tempdir().expect("can be made");
        let early = disk(directory.path(), Some(PLACE));
        let error = write(&early, 512, "bundle").expect_err("a partition is there");
        assert!(error.reason.ends_with("byte 32768 is not free"), "{error}");
        assert_eq!(std::fs::read(&early).expect("is there")[PLACE as usize], 0);

        let directory = tempfile::tempdir().expect("can be made");
        let late = disk(directory.path(), Some(PLACE + SIZE as u64));
        write(&late, 512, "bundle").expect("it is behind");
        overwrite(&late, PLACE, b"something else");
        write(&late, 512, "bundle").expect_err("it is not ours");
    }

    #[test]
    fn a_disk_without_a_table_is_not_marked() {
        let directory = tempfile::tempdir().expect("can be made");
        let path = directory.path().join("disk");
        std::fs::write(&path, vec![0; 1 << 20]).expect("can be written");
        let error = write(&path, 512, "bundle").expect_err("it has no table");
        assert!(
            error.reason.ends_with("it has no partition table"),
            "{error}"
        );
        std::fs::write(&path, [0; 600]).expect("can be written");
        assert_eq!(read(&path, 512), None);
    }

    #[test]
    fn a_table_that_somebody_made_up_is_none() {
        // Entries of another size, more of them than there can be, a header whose checksum is wrong.
        for (at, bytes) in [(84, [0, 1, 0, 0]), (80, [0, 0, 0, 1]), (56, [1, 2, 3, 4])] {
            let directory = tempfile::tempdir().expect("can be made");
            let path = disk(directory.path(), None);
            write(&path, 512, "bundle").expect("it is free");
            overwrite(&path, 512 + at, &bytes);
            assert_eq!(read(&path, 512), None, "{at}");
        }
    }
}
