//! What an image is called, and who names it: GUIDs and UUIDs that the installer renews, with the texts that name them, and
//! those that it must leave, since something names them that it cannot write.

use std::collections::BTreeSet;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::Result;
use fs_err::File;
use memchr::memmem::Finder;
use serde::Serialize;

use super::files;
use super::partitions::Partition;

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

/// An identity that stays.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Kept {
    pub uuid: String,
    pub by: String,
}

/// An identity that texts name, at these bytes of the image.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Named {
    pub uuid: String,
    pub offsets: Vec<u64>,
}

/// A file that was read.
struct Text {
    path: String,
    bytes: Vec<u8>,
    /// Whether it can be written anew: it is a configuration, and no program or archive.
    is_plain: bool,
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
        let texts = texts(raw, partition, scratch)?;
        let forms: Vec<String> = identities.iter().flat_map(|one| forms(one)).collect();
        let found = search(raw, partition, &forms)?;
        for (form, offsets) in forms.into_iter().zip(found) {
            if offsets.is_empty() {
                continue;
            }
            match by(&form, offsets.len(), &texts, partition) {
                Some(by) => kept.push(Kept {
                    uuid: form.to_ascii_lowercase(),
                    by,
                }),
                None => named.push(Named {
                    uuid: form,
                    offsets,
                }),
            }
        }
    }
    kept.sort_by(|a, b| a.uuid.cmp(&b.uuid));
    kept.dedup_by(|a, b| a.uuid == b.uuid);
    let is_kept = |named: &Named| {
        kept.iter()
            .any(|one| one.uuid.eq_ignore_ascii_case(&named.uuid))
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

/// What names an identity so that it cannot be changed; nothing where all of its places are in plain texts.
fn by(form: &str, places: usize, texts: &[Text], partition: &Partition) -> Option<String> {
    let finder = Finder::new(form);
    let count = |text: &Text| finder.find_iter(&text.bytes).count();
    let plain: usize = texts.iter().filter(|text| text.is_plain).map(count).sum();
    if plain == places {
        return None;
    }
    let other = texts.iter().find(|text| !text.is_plain && count(text) > 0);
    let other = other.map(|text| text.path.clone());
    Some(other.unwrap_or_else(|| {
        format!(
            "something on partition {} ({:?})",
            partition.number, partition.name
        )
    }))
}

/// The files of a partition that may name identities.
fn texts(raw: &Path, partition: &Partition, scratch: &Path) -> Result<Vec<Text>> {
    let start = partition.start;
    match &partition.file_system {
        Some(system) if system.kind == "vfat" => {
            let files = files::of_fat(raw, start, scratch)?.into_iter();
            let texts = files.map(|(path, bytes)| Text {
                path,
                is_plain: !bytes.contains(&0),
                bytes,
            });
            Ok(texts.collect())
        }
        Some(system) if system.is_ext() => {
            let mut paths: Vec<String> = TEXTS.map(str::to_owned).to_vec();
            for directory in DIRECTORIES {
                let names = files::names_of_ext(raw, start, directory)?.into_iter();
                paths.extend(names.map(|name| format!("{directory}/{name}")));
            }
            let texts = paths.into_iter().map(|path| {
                Ok(Text {
                    bytes: files::of_ext(raw, start, &path)?,
                    is_plain: true,
                    path,
                })
            });
            texts.collect()
        }
        _ => Ok(vec![]),
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
        let text = |path: &str, is_plain, bytes: &str| Text {
            path: path.into(),
            bytes: bytes.into(),
            is_plain,
        };
        let texts = [
            text("loader/entries/a.conf", true, UUID),
            text("EFI/Linux/a.efi", false, UUID),
        ];
        let area = partition(0, 1);
        assert_eq!(by(UUID, 1, &texts[..1], &area), None);
        assert_eq!(
            by(UUID, 2, &texts, &area).as_deref(),
            Some("EFI/Linux/a.efi")
        );
        let unknown = by(UUID, 2, &texts[..1], &area);
        assert_eq!(
            unknown.as_deref(),
            Some("something on partition 2 (\"rootfs\")")
        );
    }
}
