//! The file systems of the written image: checked, grown, given a UUID of their own, and alone on their partition.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::error::{Error, Kind, Result};
use crate::program::{Call, Program};

/// How long a file system may be checked or grown: e2fsck reads all its tables, on a disk of any size.
const DEADLINE: Duration = Duration::from_secs(3600);
/// e2fsck's exit status when all that it found is repaired.
const REPAIRED: i32 = 1;

/// What is on a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// ext2 to ext4.
    Ext,
    /// FAT.
    Fat,
    /// Another file system.
    Other(String),
    /// Nothing that is known.
    Nothing,
}

/// A file system as libblkid sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What it is.
    pub content: Content,
    /// Its UUID, as it is written by those who name it.
    pub uuid: Option<String>,
}

/// What is on a partition. All signatures of it have to be of one kind: with two, none is mounted.
///
/// # Errors
/// There are several, or the partition cannot be read.
pub fn find(node: &Path) -> Result<Found> {
    let call = Call::new(Program::Wipefs).args(["--no-act", "--json", "--"]);
    let text = call.args([node]).run()?.text();
    found(&text).map_err(|reason| {
        let reason = format!("{} {reason}", node.display());
        Error::new(Kind::Environment, reason)
    })
}

fn found(wipefs: &str) -> Result<Found, String> {
    let read: Value = match wipefs.trim() {
        "" => Value::Null,
        text => serde_json::from_str(text)
            .map_err(|error| format!("is not understood from wipefs: {error}"))?,
    };
    let signatures = read["signatures"].as_array();
    let signatures = signatures.map_or(&[][..], Vec::as_slice);
    let kinds: BTreeSet<_> = signatures
        .iter()
        .filter_map(|one| one["type"].as_str())
        .collect();
    if kinds.len() > 1 {
        let kinds = kinds.into_iter().collect::<Vec<_>>().join(", ");
        return Err(format!(
            "has several signatures after it was written: {kinds}"
        ));
    }
    let uuid = signatures.iter().find_map(|one| one["uuid"].as_str());
    Ok(Found {
        content: match kinds.first().copied() {
            None => Content::Nothing,
            Some("ext2" | "ext3" | "ext4") => Content::Ext,
            Some("vfat") => Content::Fat,
            Some(other) => Content::Other(other.to_owned()),
        },
        uuid: uuid.map(str::to_owned),
    })
}

/// Checks an ext file system and repairs what can be repaired without a question.
///
/// # Errors
/// It has errors beyond that.
pub fn check(node: &Path) -> Result<()> {
    let call = Call::new(Program::E2fsck).args(["-f", "-p"]).args([node]);
    let output = call.deadline(DEADLINE).output()?;
    match output.status {
        0 | REPAIRED => Ok(()),
        _ => Err(output.failure()),
    }
}

/// Grows an ext file system to the partition's end, or to `max` bytes where it cannot be larger.
///
/// # Errors
/// resize2fs fails.
pub fn grow(node: &Path, max: Option<u64>) -> Result<()> {
    let call = Call::new(Program::Resize2fs).args([node]);
    let call = call.args(max.map(|bytes| format!("{}K", bytes >> 10)));
    call.deadline(DEADLINE).run().map(|_| ())
}

/// Gives an ext file system this UUID.
///
/// # Errors
/// tune2fs fails.
pub fn rename_ext(node: &Path, uuid: &str) -> Result<()> {
    let call = Call::new(Program::Tune2fs).args(["-U", uuid]);
    // A file system without checksum seed has all its checksums made anew.
    call.args([node]).deadline(DEADLINE).run().map(|_| ())
}

/// Gives a FAT this serial number, written as [`serial_text`] does.
///
/// # Errors
/// It is none of the known kinds, or the partition cannot be written.
pub fn rename_fat(node: &Path, serial: &str) -> Result<()> {
    let failed = |error: std::io::Error| {
        let reason = format!("the FAT on {} cannot be renamed: {error}", node.display());
        Error::new(Kind::Environment, reason)
    };
    let serial = u32::from_str_radix(&serial.replace('-', ""), 16);
    let serial = serial.map_err(|error| failed(std::io::Error::other(error)))?;
    let file = OpenOptions::new().read(true).write(true).open(node);
    let file = file.map_err(failed)?;
    let mut boot = [0; 512];
    file.read_exact_at(&mut boot, 0).map_err(failed)?;
    let places = serial_places(&boot).ok_or_else(|| {
        let error = "its boot sector is not understood";
        failed(std::io::Error::other(error))
    })?;
    for place in places {
        file.write_all_at(&serial.to_le_bytes(), place)
            .map_err(failed)?;
    }
    file.sync_all().map_err(failed)
}

/// Where a FAT has its serial number, in bytes (Microsoft's FAT specification 1.03, section 3): in the boot sector and, in
/// FAT32, in the copy of it.
fn serial_places(boot: &[u8; 512]) -> Option<Vec<u64>> {
    /// Extended boot signatures: what follows has a serial number.
    const SIGNATURES: [u8; 2] = [0x28, 0x29];
    let word = |at: usize| u64::from(u16::from_le_bytes([boot[at], boot[at + 1]]));
    let (sector, sectors_per_fat, backup) = (word(11), word(22), word(50));
    // FAT12 and FAT16 have the size of a FAT there, FAT32 has 0.
    let (signature, serial) = match sectors_per_fat {
        0 => (66, 67),
        _ => (38, 39),
    };
    if !SIGNATURES.contains(&boot[signature]) {
        return None;
    }
    let mut places = vec![serial];
    if sectors_per_fat == 0 && (1..0xffff).contains(&backup) {
        places.push(backup * sector + serial);
    }
    Some(places)
}

/// A serial number as libblkid and `/dev/disk/by-uuid` write it.
pub fn serial_text(serial: u32) -> String {
    format!("{:04X}-{:04X}", serial >> 16, serial & 0xffff)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::PathBuf;
    use std::process::Command;

    use super::*;

    fn made(size: u64, tool: &str, arguments: &[&str]) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let path = directory.path().join("part");
        let file = File::create(&path).and_then(|file| file.set_len(size));
        file.expect("file");
        run(tool, arguments, &path);
        (directory, path)
    }

    fn run(tool: &str, arguments: &[&str], path: &Path) -> String {
        let output = Command::new(tool)
            .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
            .args(arguments)
            .arg(path)
            .output()
            .expect("the tool starts");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(output.status.success(), "{tool}: {text}");
        text
    }

    #[test]
    fn a_fat_of_each_kind_gets_another_serial_number() {
        for (kind, size) in [("12", 2 << 20), ("16", 32 << 20), ("32", 64 << 20)] {
            let options = ["-F", kind, "-i", "11112222"];
            let (_directory, path) = made(size, "mkfs.vfat", &options);
            let before = find(&path).expect("a file system");
            assert_eq!(
                (before.content, before.uuid.as_deref()),
                (Content::Fat, Some("1111-2222"))
            );
            rename_fat(&path, "E057-000A").expect("it is renamed");
            let after = find(&path).expect("a file system");
            assert_eq!(after.uuid.as_deref(), Some("E057-000A"));
            assert_eq!(serial_text(0xe057_000a), "E057-000A");
            // It compares the boot sector with its copy.
            run("fsck.vfat", &["-n"], &path);
        }
    }

    #[test]
    fn what_is_no_fat_is_not_written() {
        let (_directory, path) = made(1 << 20, "true", &[]);
        let error = rename_fat(&path, "0000-0001").expect_err("it has no boot sector");
        assert!(error.reason.contains("is not understood"), "{error}");
        assert!(
            std::fs::read(&path)
                .expect("file")
                .iter()
                .all(|byte| *byte == 0)
        );
    }

    #[test]
    fn an_ext4_is_checked_renamed_and_grown() {
        let (_directory, path) = made(8 << 20, "mkfs.ext4", &["-q", "-b", "4096"]);
        let file = OpenOptions::new().write(true).open(&path);
        file.and_then(|file| file.set_len(64 << 20))
            .expect("it grows");
        let uuid = "1f6e2c4a-5b0d-4e7a-9c38-e0575f6d7402";
        check(&path).expect("no errors");
        rename_ext(&path, uuid).expect("it is renamed");
        grow(&path, None).expect("it grows");
        let found = find(&path).expect("a file system");
        assert_eq!(
            (found.content, found.uuid),
            (Content::Ext, Some(uuid.to_owned()))
        );
        let blocks = run("dumpe2fs", &["-h"], &path);
        assert!(
            blocks.contains("Block count:              16384\n"),
            "{blocks}"
        );
        check(&path).expect("still no errors");
    }

    #[test]
    fn an_ext4_grows_no_further_than_it_can() {
        let (_directory, path) = made(8 << 20, "mkfs.ext4", &["-q", "-b", "1024"]);
        let file = OpenOptions::new().write(true).open(&path);
        file.and_then(|file| file.set_len(64 << 20))
            .expect("it grows");
        check(&path).expect("no errors");
        grow(&path, Some(32 << 20)).expect("it grows");
        let blocks = run("dumpe2fs", &["-h"], &path);
        assert!(
            blocks.contains("Block count:              32768\n"),
            "{blocks}"
        );
    }

    #[test]
    fn a_file_system_beyond_repair_is_an_error() {
        let (_directory, path) = made(8 << 20, "mkfs.ext4", &["-q", "-b", "4096"]);
        let file = OpenOptions::new().write(true).open(&path).expect("file");
        // The root directory's inode and its neighbours.
        let table = run("dumpe2fs", &[], &path);
        let at = table.split("Inode table at ").nth(1).expect("a table");
        let block: u64 = at[..at.find('-').expect("a range")]
            .parse()
            .expect("a number");
        file.write_all_at(&[0xff; 4096], block * 4096)
            .expect("written");
        let error = check(&path).expect_err("it is damaged");
        assert!(error.reason.contains("e2fsck"), "{error}");
    }

    #[test]
    fn an_old_superblock_at_the_end_is_named() {
        let (_directory, path) = made(8 << 20, "mkfs.ext4", &["-q"]);
        let file = OpenOptions::new().write(true).open(&path).expect("file");
        let mut md = vec![0; 4096];
        for (at, word) in [0xa92b_4efc_u32, 0, 90, 0, 0, 0x1111_1111, 0, 1, 1024, 2]
            .iter()
            .enumerate()
        {
            md[at * 4..at * 4 + 4].copy_from_slice(&word.to_le_bytes());
        }
        file.write_all_at(&md, (8 << 20) - (64 << 10))
            .expect("written");
        let error = find(&path).expect_err("there are two");
        assert!(
            error
                .reason
                .ends_with("has several signatures after it was written: ext4, linux_raid_member"),
            "{error}"
        );
    }

    #[test]
    fn other_contents_are_told_apart() {
        let (_directory, swap) = made(1 << 20, "mkswap", &[]);
        let found = find(&swap).expect("a signature");
        assert_eq!(found.content, Content::Other("swap".into()));
        let (_directory, empty) = made(1 << 20, "true", &[]);
        let nothing = Found {
            content: Content::Nothing,
            uuid: None,
        };
        assert_eq!(find(&empty), Ok(nothing));
        assert!(find(Path::new("/nonexistent")).is_err());
        assert!(super::found("no JSON").is_err());
    }
}
