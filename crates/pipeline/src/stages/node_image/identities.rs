//! What an image is called, and who names it: GUIDs and UUIDs that the installer renews, with the texts that name them, and
//! those that it must leave, since something names them that it cannot write.

use std::collections::BTreeSet;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use anyhow::Result;
use fs_err::File;
use memchr::memmem::Finder;

use super::described::{Kept, Named, Partition};
use super::files;

/// Files of plain text that name file systems or partitions, at the root of a system or of its /boot.
const TEXTS: [&str; 12] = [
    "/etc/crypttab",
    "/etc/default/grub",
    "/etc/fstab",
    "/etc/kernel/cmdline",
    "/boot/grub/grub.cfg",
    "/boot/grub/grubenv",
    "/boot/grub2/grub.cfg",
    "/boot/grub2/grubenv",
    "/grub/grub.cfg",
    "/grub/grubenv",
    "/grub2/grub.cfg",
    "/grub2/grubenv",
];
/// Directories of such files (Boot Loader Specification).
const DIRECTORIES: [&str; 2] = ["/boot/loader/entries", "/loader/entries"];
/// Bytes that are searched at once.
const BLOCK: usize = 8 << 20;

/// A file of the ESP.
struct Text {
    path: String,
    bytes: Vec<u8>,
    /// Whether it can be written anew: it is a configuration, and no program or archive.
    is_plain: bool,
}

/// Who names identities on a partition.
enum Readers {
    /// Firmware and boot loaders: of an ESP all counts.
    Esp(Vec<Text>),
    /// A system: of ext2 to ext4, what its own configurations say, which are at these bytes of the image. Logs and remains
    /// in free blocks name identities, too, and start nothing.
    System(Vec<Range<u64>>),
    /// Nobody knows: all counts.
    Unknown,
}

/// What becomes of places in which an identity is written.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Written(Vec<u64>),
    Kept(String),
}

/// Who names the image's identities. Within compressed files, such as an initramfs, nobody looks.
pub fn find(
    raw: &Path,
    disk: &str,
    partitions: &[Partition],
    scratch: &Path,
) -> Result<(Vec<Kept>, Vec<Named>)> {
    let identities = identities(disk, partitions);
    let (mut kept, mut named) = (Vec::<Kept>::new(), Vec::<Named>::new());
    for partition in partitions {
        let readers = Readers::of(raw, partition, scratch)?;
        let forms: Vec<String> = identities.iter().flat_map(|one| forms(one)).collect();
        let found = search(raw, partition, &forms)?;
        for (uuid, places) in forms.into_iter().zip(found) {
            match readers.judge(&uuid, places, partition) {
                Verdict::Kept(by) => kept.push(Kept {
                    uuid: uuid.to_ascii_lowercase(),
                    by,
                }),
                Verdict::Written(offsets) if offsets.is_empty() => {}
                Verdict::Written(offsets) => named.push(Named { uuid, offsets }),
            }
        }
    }
    kept.sort_by(|a, b| a.uuid.cmp(&b.uuid));
    kept.dedup_by(|a, b| a.uuid == b.uuid);
    let is_kept = |named: &Named| {
        let mut kept = kept.iter();
        kept.any(|one| one.uuid.eq_ignore_ascii_case(&named.uuid))
    };
    named.retain(|one| !is_kept(one));
    Ok((kept, named))
}

/// GUIDs of the table and the partitions, UUIDs of the file systems, each once.
fn identities(disk: &str, partitions: &[Partition]) -> BTreeSet<String> {
    let guids = partitions.iter().map(|one| one.guid.clone());
    let systems = partitions.iter().filter_map(|one| one.file_system.as_ref());
    let uuids = systems.filter_map(|one| one.uuid.clone());
    let all = guids.chain(uuids).chain([disk.to_owned()]);
    all.map(|one| one.to_ascii_lowercase()).collect()
}

/// The ways in which it is written.
fn forms(identity: &str) -> BTreeSet<String> {
    [identity.to_ascii_lowercase(), identity.to_ascii_uppercase()].into()
}

impl Readers {
    fn of(raw: &Path, partition: &Partition, scratch: &Path) -> Result<Self> {
        let start = partition.start;
        match &partition.file_system {
            Some(system) if system.kind == "vfat" => {
                let files = files::of_fat(raw, start, scratch)?.into_iter();
                let texts = files.map(|(path, bytes)| Text {
                    path,
                    is_plain: !bytes.contains(&0),
                    bytes,
                });
                Ok(Self::Esp(texts.collect()))
            }
            Some(system) if system.is_ext() => {
                let mut paths: Vec<String> = TEXTS.map(str::to_owned).to_vec();
                for directory in DIRECTORIES {
                    let names = files::names_of_ext(raw, start, directory)?.into_iter();
                    paths.extend(names.map(|name| format!("{directory}/{name}")));
                }
                let mut areas = Vec::new();
                for path in paths {
                    areas.extend(files::blocks_of_ext(raw, start, &path)?);
                }
                Ok(Self::System(areas))
            }
            _ => Ok(Self::Unknown),
        }
    }

    /// What becomes of the places of an identity on a partition.
    fn judge(&self, uuid: &str, mut places: Vec<u64>, partition: &Partition) -> Verdict {
        let finder = Finder::new(uuid);
        let count = |text: &Text| finder.find_iter(&text.bytes).count();
        let program = match self {
            Self::System(areas) => {
                let last = uuid.len() as u64 - 1;
                let inside = |at: &u64| areas.iter().any(|area| area.contains(at));
                places.retain(|at| inside(at) && inside(&(at + last)));
                return Verdict::Written(places);
            }
            Self::Esp(texts) => {
                let plain = texts.iter().filter(|text| text.is_plain);
                if plain.map(count).sum::<usize>() == places.len() {
                    return Verdict::Written(places);
                }
                let mut programs = texts.iter().filter(|text| !text.is_plain);
                programs.find(|text| count(text) > 0)
            }
            Self::Unknown if places.is_empty() => return Verdict::Written(places),
            Self::Unknown => None,
        };
        let somebody = || {
            format!(
                "something on partition {} ({:?})",
                partition.number, partition.name
            )
        };
        Verdict::Kept(program.map_or_else(somebody, |text| text.path.clone()))
    }
}

/// The places of each text on a partition, in bytes from the begin of the image.
fn search(raw: &Path, partition: &Partition, texts: &[String]) -> Result<Vec<Vec<u64>>> {
    let finders: Vec<_> = texts.iter().map(Finder::new).collect();
    let longest = texts.iter().map(String::len).max().unwrap_or(1);
    let mut found = vec![Vec::new(); texts.len()];
    let mut file = File::open(raw)?;
    file.seek(SeekFrom::Start(partition.start))?;
    let mut file = file.take(partition.size);
    let mut block: Vec<u8> = Vec::with_capacity(BLOCK + longest);
    // The byte of the image that the block begins at.
    let mut at = partition.start;
    loop {
        let known = block.len();
        (&mut file).take(BLOCK as u64).read_to_end(&mut block)?;
        if block.len() == known {
            return Ok(found);
        }
        for (finder, places) in finders.iter().zip(&mut found) {
            // What ends in the part that is known was found with it.
            let from = known.saturating_sub(finder.needle().len() - 1);
            let hits = finder.find_iter(&block[from..]);
            places.extend(hits.map(|hit| at + (from + hit) as u64));
        }
        let gone = block.len().saturating_sub(longest - 1);
        block.drain(..gone);
        at += gone as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "1f6e2c4a-5b0d-4e7a-9c38-e0575f6d7402";

    fn partition(start: u64, size: u64) -> Partition {
        Partition {
            number: 2,
            name: "rootfs".into(),
            kind: String::new(),
            guid: String::new(),
            start,
            size,
            file_system: None,
        }
    }

    #[test]
    fn texts_are_found_once_wherever_blocks_meet() -> Result<()> {
        let file = tempfile::NamedTempFile::new()?;
        let places = [100, BLOCK + 90, 2 * BLOCK + 64 - 36, 2 * BLOCK + 64];
        let mut bytes = vec![b'-'; 2 * BLOCK + 1000];
        for place in places {
            bytes[place..place + 36].copy_from_slice(UUID.as_bytes());
        }
        // Before the partition and behind it.
        bytes[10..46].copy_from_slice(UUID.as_bytes());
        fs_err::write(file.path(), &bytes)?;
        let area = partition(64, 2 * BLOCK as u64 + 36);
        let found = search(file.path(), &area, &["absent".into(), UUID.into()])?;
        assert_eq!(found, [vec![], places.map(|place| place as u64).to_vec()]);
        Ok(())
    }

    #[test]
    fn a_program_that_names_an_identity_keeps_it_and_is_named() {
        let text = |path: &str, is_plain| Text {
            path: path.into(),
            bytes: UUID.into(),
            is_plain,
        };
        let area = partition(0, 1);
        let entry = || text("loader/entries/a.conf", true);
        let esp = Readers::Esp(vec![entry()]);
        assert_eq!(esp.judge(UUID, vec![7], &area), Verdict::Written(vec![7]));
        let somebody = "something on partition 2 (\"rootfs\")".to_owned();
        assert_eq!(
            esp.judge(UUID, vec![7, 99], &area),
            Verdict::Kept(somebody.clone())
        );
        let esp = Readers::Esp(vec![entry(), text("EFI/Linux/a.efi", false)]);
        let program = Verdict::Kept("EFI/Linux/a.efi".into());
        assert_eq!(esp.judge(UUID, vec![7, 99], &area), program);
        let unknown = Readers::Unknown;
        assert_eq!(unknown.judge(UUID, vec![], &area), Verdict::Written(vec![]));
        assert_eq!(unknown.judge(UUID, vec![7], &area), Verdict::Kept(somebody));
    }

    #[test]
    fn of_a_system_its_configurations_count_and_nothing_else() {
        let system = Readers::System(vec![4096..8192, 16384..20480]);
        let area = partition(0, 1);
        let places = vec![100, 4096, 8192 - 36, 8192 - 35, 9000, 20480 - 36];
        let written = Verdict::Written(vec![4096, 8192 - 36, 20480 - 36]);
        assert_eq!(system.judge(UUID, places, &area), written);
    }
}
