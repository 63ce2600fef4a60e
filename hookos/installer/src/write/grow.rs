//! What was written becomes the disk's own: identities that no other disk has, and the size of the disk.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::file_system::{self, Content};
use super::identity::Identities;
use super::table::{self, Entry};
use crate::error::{Error, Kind, Result};
use crate::image::{Manifest, OsImage};
use crate::layout::{Label, Roles, node};
use crate::program::{Call, Program};
use crate::state::{Layout, Place, State, Target};

/// How long the kernel may refuse to read a new partition table, as it does while something has a partition open.
const REREAD_DEADLINE: Duration = Duration::from_secs(30);
/// Between two attempts.
const REREAD_PAUSE: Duration = Duration::from_millis(200);

/// Gives the written disk its identities and its size, and notes the [`Layout`]. What a person should know is returned.
///
/// # Errors
/// The disk cannot be written, or a file system is damaged.
pub fn disk(state: &State) -> Result<Vec<String>> {
    let image = Manifest::read(state)?.os_image;
    let target: Target = state.read()?;
    let mut identities = Identities::of(&image);
    let entries = rename_disk(&target, &image, &mut identities)?;
    let node_of = |number| node(&target.path, number);
    reread(&target.path, &entries, node_of)?;
    let mut warnings = partitions(&entries, &image, &mut identities, node_of)?;
    state.write(&layout(&entries, node_of)?)?;
    warnings.extend(identities.warnings());
    Ok(warnings)
}

/// Texts that name identities, then the table. Nothing has a partition open yet, whose page cache is another one.
fn rename_disk(
    target: &Target,
    image: &OsImage,
    identities: &mut Identities,
) -> Result<Vec<Entry>> {
    let failed = |error: std::io::Error| {
        let reason = format!("{} cannot be written: {error}", target.path.display());
        Error::new(Kind::Environment, reason)
    };
    let file = OpenOptions::new().read(true).write(true).open(&target.path);
    let file = file.map_err(failed)?;
    identities.rewrite(image, &file)?;
    let entries = table::adapt(&file, target.sector_size, |guid| {
        let new = identities.renewed(&guid.to_string());
        new.and_then(|text| Uuid::parse_str(&text).ok())
            .unwrap_or(*guid)
    })?;
    file.sync_all().map_err(failed)?;
    Ok(entries)
}

/// Has the kernel read the table.
fn reread(disk: &Path, entries: &[Entry], node_of: impl Fn(u32) -> PathBuf) -> Result<()> {
    let until = Instant::now() + REREAD_DEADLINE;
    loop {
        let call = Call::new(Program::Blockdev)
            .args(["--rereadpt"])
            .args([disk]);
        let read = call.run().map(|_| ());
        let there = || entries.iter().all(|entry| node_of(entry.number).exists());
        if read.is_ok() && there() {
            return Ok(());
        }
        if Instant::now() >= until {
            let what = format!(
                "the kernel does not show the partitions of {}",
                disk.display()
            );
            let seen = || Error::new(Kind::Environment, "their nodes are missing");
            return Err(read.err().unwrap_or_else(seen).while_doing(what));
        }
        sleep(REREAD_PAUSE);
    }
}

/// Checks, renames and grows the file systems.
fn partitions(
    entries: &[Entry],
    image: &OsImage,
    identities: &mut Identities,
    node_of: impl Fn(u32) -> PathBuf,
) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    let last = entries.iter().max_by_key(|entry| entry.start);
    for entry in entries {
        let node = node_of(entry.number);
        let found = file_system::find(&node)?;
        let uuid = found.uuid.and_then(|old| identities.renewed(&old));
        match (&found.content, uuid) {
            (Content::Ext, uuid) => {
                file_system::check(&node)?;
                if let Some(uuid) = uuid {
                    file_system::rename_ext(&node, &uuid)?;
                }
            }
            (Content::Fat, Some(serial)) => file_system::rename_fat(&node, &serial)?,
            (Content::Other(kind), Some(_)) => warnings.push(format!(
                "{} keeps the {kind} of the OS image with its UUID: never attach two disks of this image to one machine",
                node.display()
            )),
            (Content::Fat | Content::Other(_), None) | (Content::Nothing, _) => {}
        }
        if Some(entry) == last {
            warnings.extend(grow(entry, &node, &found.content, image)?);
        }
        // Nothing of an earlier system has come to light at the partition's end.
        file_system::find(&node)?;
    }
    Ok(warnings)
}

/// Grows the file system of the last partition; a warning where it stays smaller than that.
fn grow(entry: &Entry, node: &Path, content: &Content, image: &OsImage) -> Result<Option<String>> {
    let kept = |why: String| Ok(Some(format!("{}: {why}", node.display())));
    match content {
        Content::Ext => {}
        Content::Nothing => return Ok(None),
        Content::Fat => return kept("its FAT keeps the size that it has in the OS image".into()),
        Content::Other(kind) => {
            return kept(format!(
                "its {kind} keeps the size that it has in the OS image"
            ));
        }
    }
    let described = image
        .partitions
        .iter()
        .find(|one| one.number == entry.number);
    let described = described.and_then(|one| one.file_system.as_ref());
    let max = described
        .and_then(|one| one.max_size)
        .filter(|max| *max < entry.size);
    file_system::grow(node, max)?;
    match max {
        None => Ok(None),
        Some(max) => kept(format!(
            "its file system has {} GiB of {} GiB, as it cannot be larger: the OS image was made with too small blocks",
            max >> 30,
            entry.size >> 30
        )),
    }
}

fn layout(entries: &[Entry], node_of: impl Fn(u32) -> PathBuf) -> Result<Layout> {
    let labels: Vec<_> = entries
        .iter()
        .map(|entry| Label {
            kind: &entry.kind,
            name: &entry.name,
        })
        .collect();
    let roles = Roles::of(&labels)?;
    let place = |at: usize| Place {
        number: entries[at].number,
        node: node_of(entries[at].number),
        guid: entries[at].guid.clone(),
    };
    Ok(Layout {
        esp: place(roles.esp),
        root: place(roles.root),
        persistent: roles.persistent.map(place),
    })
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::process::Command;

    use super::*;
    use crate::image::{FileSystem, Kept, example};

    const MIB: u64 = 1 << 20;
    const ROOT: &str = "1f6e2c4a-5b0d-4e7a-9c38-e0575f6d7402";

    /// The example's partitions as files: a FAT of 4 MiB, and an ext4 of 8 MiB on a partition of 64 MiB.
    fn disk(root: &[&str]) -> (tempfile::TempDir, Vec<Entry>) {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let make = |number: u32, size: u64, tool: &str, options: &[&str]| {
            let path = directory.path().join(format!("disk{number}"));
            let file = File::create(&path).expect("file");
            file.set_len(size).expect("it grows");
            let output = Command::new(tool)
                .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
                .args(options)
                .arg(&path)
                .output()
                .expect("the tool starts");
            assert!(output.status.success(), "{output:?}");
            file
        };
        make(1, 4 * MIB, "mkfs.vfat", &["-i", "e0575f01"]);
        make(2, 8 * MIB, root[0], &root[1..])
            .set_len(64 * MIB)
            .expect("it grows");
        let entry = |number: u32, name: &str, kind: &str, size| Entry {
            number,
            name: name.into(),
            kind: kind.into(),
            guid: format!("guid-{number}"),
            start: u64::from(number) * 16 * MIB,
            size,
        };
        let partitions = example().partitions;
        let entries = vec![
            entry(1, "esp", &partitions[0].kind, 4 * MIB),
            entry(2, "rootfs", &partitions[1].kind, 64 * MIB),
        ];
        (directory, entries)
    }

    const EXT4: [&str; 6] = ["mkfs.ext4", "-q", "-b", "4096", "-U", ROOT];

    fn grown(image: &OsImage, root: &[&str]) -> (Vec<String>, [Option<String>; 2], u64) {
        let (directory, entries) = disk(root);
        let node_of = |number| directory.path().join(format!("disk{number}"));
        let mut identities = Identities::of(image);
        let warnings = partitions(&entries, image, &mut identities, node_of);
        let uuid = |number| file_system::find(&node_of(number)).expect("found").uuid;
        let blocks = {
            let mut superblock = [0; 1024];
            let file = File::open(node_of(2)).expect("file");
            std::os::unix::fs::FileExt::read_exact_at(&file, &mut superblock, 1024).expect("read");
            let word = |at: usize| {
                u32::from_le_bytes(superblock[at..at + 4].try_into().expect("four bytes"))
            };
            u64::from(word(4)).checked_shl(10 + word(24)).unwrap_or(0)
        };
        (warnings.expect("it grows"), [uuid(1), uuid(2)], blocks)
    }

    #[test]
    fn file_systems_are_renamed_and_the_last_one_grows() {
        let (warnings, uuids, size) = grown(&example(), &EXT4);
        assert!(warnings.is_empty(), "{warnings:?}");
        assert_eq!(size, 64 * MIB);
        let uuids = uuids.map(|uuid| uuid.expect("it has one"));
        assert!(uuids[0] != "E057-5F01" && uuids[1] != ROOT, "{uuids:?}");
        assert_eq!((uuids[0].len(), uuids[1].len()), (9, 36));
    }

    #[test]
    fn what_is_kept_keeps_its_name_and_grows_all_the_same() {
        let kept = |uuid: &str| Kept {
            uuid: uuid.into(),
            by: "EFI/Linux/a.efi".into(),
        };
        let image = OsImage {
            kept: vec![kept(ROOT), kept("e057-5f01")],
            ..example()
        };
        let (_, uuids, size) = grown(&image, &EXT4);
        assert_eq!(uuids, ["E057-5F01", ROOT].map(|uuid| Some(uuid.to_owned())));
        assert_eq!(size, 64 * MIB);
    }

    #[test]
    fn a_file_system_that_cannot_fill_its_partition_is_as_large_as_it_can_be() {
        let mut image = example();
        image.partitions[1].file_system = Some(FileSystem {
            kind: "ext4".into(),
            max_size: Some(32 * MIB),
        });
        let (warnings, _, size) = grown(&image, &EXT4);
        assert_eq!((warnings.len(), size), (1, 32 * MIB));
        assert!(warnings[0].contains("has 0 GiB of 0 GiB"), "{warnings:?}");
    }

    #[test]
    fn another_file_system_stays_with_a_warning_for_name_and_size() {
        let (warnings, uuids, _) = grown(&example(), &["mkswap", "-U", ROOT]);
        assert_eq!(uuids[1].as_deref(), Some(ROOT));
        assert_eq!(warnings.len(), 2);
        assert!(
            warnings[0].contains("keeps the swap of the OS image with its UUID"),
            "{warnings:?}"
        );
        assert!(warnings[1].ends_with("its swap keeps the size that it has in the OS image"));
    }

    #[test]
    fn the_layout_names_node_and_guid() {
        let (directory, entries) = disk(&EXT4);
        let node_of = |number| directory.path().join(format!("disk{number}"));
        let layout = layout(&entries, node_of).expect("both are there");
        assert_eq!((layout.esp.number, layout.root.number), (1, 2));
        assert_eq!(layout.root.node, node_of(2));
        assert_eq!((&*layout.esp.guid, layout.persistent), ("guid-1", None));
    }

    #[test]
    fn table_and_texts_of_the_disk_get_the_same_new_names() {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let path = directory.path().join("disk");
        let text = format!("root=PARTUUID={ROOT}");
        let file = File::create(&path).expect("file");
        file.set_len(8 * MIB).expect("it grows");
        let status = Command::new("sgdisk")
            .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
            .args(["-n1:2M:+4M", "-t1:8304"])
            .arg(format!("-u1:{ROOT}"))
            .arg(&path)
            .output();
        assert!(status.expect("it starts").status.success());
        let at = 3 * MIB;
        std::os::unix::fs::FileExt::write_all_at(&file, text.as_bytes(), at).expect("written");
        let target = Target {
            path: path.clone(),
            ..crate::state::example_target()
        };
        let image = OsImage {
            named: vec![crate::image::Named {
                uuid: ROOT.into(),
                offsets: vec![at + 14],
            }],
            ..example()
        };
        let entries = rename_disk(&target, &image, &mut Identities::of(&image));
        let entries = entries.expect("it is renamed");
        let bytes = std::fs::read(&path).expect("file");
        let seen = String::from_utf8_lossy(&bytes[at as usize..at as usize + text.len()]);
        assert_eq!(seen, format!("root=PARTUUID={}", entries[0].guid));
        assert_ne!(entries[0].guid, ROOT);
    }
}
