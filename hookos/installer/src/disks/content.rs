//! What is on a disk: signatures, a finished node, nothing, or something that cannot be read.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::disk::Disk;
use super::mark::{self, Mark};
use super::signature::{self, Signature};
use crate::error::{Result, escaped};
use crate::state::Loss;

/// Bytes at the begin of a disk that are zero on an empty one.
const BEGIN: usize = 1 << 20;
/// A partition table without partitions is within the first of them.
const TABLE: usize = 64 << 10;
/// Bytes at both ends of a node that have to be readable: there libblkid looks, and is silent where it cannot read.
const END: usize = 64 << 10;
/// Where btrfs has the number of its devices, and its magic number (its on-disk format, `struct btrfs_super_block`).
const BTRFS_DEVICES: u64 = 0x10088;

/// What is on a disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// Each node that cannot be read, and why.
    pub unreadable: Vec<String>,
    /// The disk itself, then its partitions.
    pub nodes: Vec<NodeContent>,
    /// Whether there is something that no signature tells.
    pub unknown: bool,
    /// The node that was installed on it.
    pub mark: Option<Mark>,
}

/// What is on a disk or on a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeContent {
    /// The node.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// Its name in the partition table.
    pub name: String,
    /// Whether it is the whole disk.
    pub whole: bool,
    /// What libblkid finds.
    pub signatures: Vec<Signature>,
    /// How many disks the file system extends over; 1 where nothing says more.
    pub devices: u64,
}

impl Content {
    /// Reads a disk and its partitions, each by itself.
    pub fn of(disk: &Disk) -> Self {
        Self::probed(disk, signature::probe)
    }

    fn probed(disk: &Disk, probe: impl Fn(&Path) -> Result<Vec<Signature>>) -> Self {
        let mut content = Self::default();
        let whole = std::iter::once((&disk.path, disk.size, ""));
        let parts = disk.partitions.iter();
        let parts = parts.map(|part| (&part.path, part.size, part.label.as_str()));
        for (path, size, name) in whole.chain(parts).filter(|(_, size, _)| *size > 0) {
            let read = probe(path)
                .map_err(|error| error.reason)
                .and_then(|signatures| {
                    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
                    read_ends(path, size).map_err(failed)?;
                    Ok(signatures)
                });
            match read {
                Err(reason) => content.unreadable.push(reason),
                Ok(signatures) => content.nodes.push(NodeContent {
                    path: path.clone(),
                    size,
                    name: name.to_owned(),
                    whole: *path == disk.path,
                    devices: devices(path, &signatures),
                    signatures,
                }),
            }
        }
        if content.unreadable.is_empty() {
            content.unknown = content.is_bare(disk) && !is_blank(&disk.path, content.has_table());
            content.mark = mark::read(&disk.path, disk.sector_size);
        }
        content
    }

    /// What makes the disk part of something that other disks or other systems need.
    pub fn members(&self) -> Vec<String> {
        let signatures = self.nodes.iter().flat_map(|node| {
            let members = node.signatures.iter().filter(|one| one.is_member());
            let names = members.map(|one| one.kind.clone());
            let several = (node.devices > 1).then(|| format!("btrfs of {} disks", node.devices));
            names.chain(several)
        });
        let mut members: Vec<_> = signatures.collect();
        members.sort();
        members.dedup();
        members
    }

    /// Whether nothing is lost when the disk is overwritten.
    pub fn is_empty(&self) -> bool {
        self.losses().is_empty() && self.unreadable.is_empty()
    }

    /// What is lost when the disk is overwritten, ready to be shown.
    pub fn losses(&self) -> Vec<Loss> {
        let mut losses: Vec<_> = self.nodes.iter().filter_map(NodeContent::loss).collect();
        if let Some(disk) = self.nodes.first().filter(|_| self.unknown) {
            losses.push(Loss {
                label: escaped(&disk.path.to_string_lossy()),
                size: disk.size,
                kind: "unknown data".into(),
            });
        }
        losses
    }

    /// Whether there are neither partitions nor signatures but that of a partition table.
    fn is_bare(&self, disk: &Disk) -> bool {
        let mut signatures = self.nodes.iter().flat_map(|node| &node.signatures);
        disk.partitions.is_empty() && signatures.all(Signature::is_table)
    }

    fn has_table(&self) -> bool {
        let mut signatures = self.nodes.iter().flat_map(|node| &node.signatures);
        signatures.any(Signature::is_table)
    }
}

impl NodeContent {
    /// A partition is lost whatever is in it; of the whole disk only what is no partition table.
    fn loss(&self) -> Option<Loss> {
        let told = self.signatures.iter().find(|one| !one.is_table());
        if self.whole && told.is_none() {
            return None;
        }
        let label = told
            .map(|one| one.label.trim())
            .filter(|label| !label.is_empty());
        let label = label.unwrap_or(self.name.trim());
        let node = self.path.display();
        Some(Loss {
            label: escaped(&match label {
                "" => node.to_string(),
                label => format!("{node} ({label})"),
            }),
            size: self.size,
            kind: escaped(told.map_or("unknown data", |one| &one.kind)),
        })
    }
}

fn read_ends(path: &Path, size: u64) -> std::io::Result<()> {
    let node = File::open(path)?;
    let mut end = vec![0; END.min(usize::try_from(size).unwrap_or(END))];
    node.read_exact_at(&mut end, 0)?;
    let last = size - end.len() as u64;
    node.read_exact_at(&mut end, last)
}

/// How many disks a btrfs extends over.
fn devices(path: &Path, signatures: &[Signature]) -> u64 {
    if !signatures.iter().any(|one| one.kind == "btrfs") {
        return 1;
    }
    let mut number = [0; 8];
    let read = File::open(path).and_then(|node| node.read_exact_at(&mut number, BTRFS_DEVICES));
    read.map_or(1, |()| u64::from_le_bytes(number))
}

/// Whether the begin of a disk is zero, but for the partition table that it may have.
fn is_blank(path: &Path, table: bool) -> bool {
    let mut begin = Vec::with_capacity(BEGIN);
    let read = File::open(path).and_then(|node| {
        use std::io::Read as _;
        node.take(BEGIN as u64).read_to_end(&mut begin)
    });
    let from = if table { TABLE } else { 0 };
    read.is_ok() && begin.iter().skip(from).all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disks::disk::Partition;
    use crate::disks::mark::tests::disk as disk_with_table;
    use crate::disks::rank::tests::disk;
    use crate::error::{Error, Kind};

    const MIB: u64 = 1 << 20;

    /// A disk that is a file, with these bytes at these places.
    fn file(directory: &Path, name: &str, bytes: &[(u64, &[u8])]) -> PathBuf {
        let path = directory.join(name);
        let file = File::create(&path).expect("can be made");
        file.set_len(4 * MIB).expect("a file can be long");
        for (at, bytes) in bytes {
            file.write_all_at(bytes, *at).expect("it takes it");
        }
        path
    }

    fn disk_at(path: &Path) -> Disk {
        Disk {
            path: path.to_owned(),
            size: 4 * MIB,
            ..disk("sda", 0, "sata")
        }
    }

    fn loss(label: &str, size: u64, kind: &str) -> Loss {
        Loss {
            label: label.into(),
            size,
            kind: kind.into(),
        }
    }

    #[test]
    fn bitlocker_is_found_by_its_name() {
        let directory = tempfile::tempdir().expect("can be made");
        let boot: &[u8] = b"\xeb\x58\x90-FVE-FS-\0\x02\x08";
        let content =
            |bytes: &[(u64, &[u8])]| Content::of(&disk_at(&file(directory.path(), "disk", bytes)));
        // Where its metadata begins, which libblkid wants to see: three offsets at byte 176, each to the same magic.
        let place = (2 * MIB).to_le_bytes();
        let found = content(&[
            (0, boot),
            (176, &place),
            (184, &place),
            (192, &place),
            (2 * MIB, b"-FVE-FS-"),
        ]);
        assert_eq!(found.members(), ["BitLocker"]);
        assert_eq!(found.unreadable, [""; 0]);
    }

    #[test]
    fn what_libblkid_knows_of_other_systems_is_found_by_its_name() {
        let verity: &[u8] = b"verity\0\0\x01\0\0\0";
        let promise = 4 * MIB - 63 * 512;
        let rows: [(u64, &[u8], &str); 5] = [
            (0, verity, "DM_verity_hash"),
            (0, b"integrt\0\x01", "DM_integrity"),
            (32, b"ORCLDISK", "oracleasm"),
            (0, b"bluestore block device\n", "ceph_bluestore"),
            (
                promise,
                b"Promise Technology, Inc.",
                "promise_fasttrack_raid_member",
            ),
        ];
        let directory = tempfile::tempdir().expect("can be made");
        for (at, magic, kind) in rows {
            let path = file(directory.path(), "disk", &[(at, magic)]);
            assert_eq!(Content::of(&disk_at(&path)).members(), [kind]);
        }
    }

    #[test]
    fn an_empty_disk_loses_nothing_also_with_a_table_without_partitions() {
        let directory = tempfile::tempdir().expect("can be made");
        assert_eq!(
            Content::of(&disk_at(&file(directory.path(), "zero", &[]))).losses(),
            []
        );
        let table = disk_at(&disk_with_table(directory.path(), None));
        let content = Content::of(&table);
        assert!(content.nodes[0].signatures.iter().any(Signature::is_table));
        assert!(content.is_empty());
    }

    #[test]
    fn data_that_nobody_knows_is_lost_too() {
        let directory = tempfile::tempdir().expect("can be made");
        for at in [0, 8192, MIB - 1] {
            let path = file(directory.path(), "data", &[(at, &[1])]);
            let content = Content::of(&disk_at(&path));
            let shown = path.to_string_lossy();
            assert_eq!(
                content.losses(),
                [loss(&shown, 4 * MIB, "unknown data")],
                "{at}"
            );
            assert!(!content.is_empty());
        }
        let path = file(directory.path(), "later", &[(MIB, &[1])]);
        assert!(Content::of(&disk_at(&path)).is_empty());
    }

    #[test]
    fn behind_a_table_without_partitions_data_is_seen() {
        let directory = tempfile::tempdir().expect("can be made");
        let path = disk_with_table(directory.path(), None);
        let file = std::fs::OpenOptions::new()
            .write(true)
            .open(&path)
            .expect("is there");
        file.write_all_at(&[1], TABLE as u64).expect("it takes it");
        assert_eq!(Content::of(&disk_at(&path)).losses().len(), 1);
    }

    fn partition(path: &Path, label: &str) -> Partition {
        Partition {
            name: "sda1".into(),
            path: path.to_owned(),
            number: "8:1".into(),
            size: 4 * MIB,
            label: label.into(),
        }
    }

    fn signature(kind: &str, usage: &str, label: &str) -> Signature {
        Signature {
            kind: kind.into(),
            usage: usage.into(),
            label: label.into(),
        }
    }

    #[test]
    fn each_node_is_judged_by_itself_and_what_cannot_be_read_is_told() {
        let directory = tempfile::tempdir().expect("can be made");
        let good = file(directory.path(), "good", &[]);
        let mut disk = disk_at(&good);
        let missing = directory.path().join("missing");
        disk.partitions = vec![partition(&missing, ""), partition(&good, "")];
        let content = Content::of(&disk);
        assert_eq!(
            content.nodes.len(),
            2,
            "the disk and the partition that is there"
        );
        let [reason] = &content.unreadable[..] else {
            panic!("{:?}", content.unreadable)
        };
        assert!(
            reason.contains("missing: probing initialization failed: No such file"),
            "{reason}"
        );
        assert!(!content.is_empty(), "nobody knows what is on it");
    }

    #[test]
    fn a_node_whose_end_cannot_be_read_is_told() {
        let directory = tempfile::tempdir().expect("can be made");
        let mut disk = disk_at(&file(directory.path(), "short", &[]));
        disk.size = 5 * MIB;
        let content = Content::of(&disk);
        assert_eq!((content.unreadable.len(), content.nodes.len()), (1, 0));
        assert!(content.unreadable[0].contains("short: failed to fill whole buffer"));
        disk.size = 0;
        assert_eq!(
            Content::of(&disk),
            Content::default(),
            "without a medium nothing is read"
        );
    }

    #[test]
    fn what_is_lost_is_named_with_label_size_and_kind() {
        let directory = tempfile::tempdir().expect("can be made");
        let path = file(directory.path(), "disk", &[]);
        let mut disk = disk_at(&path);
        let parts = ["p1", "p2", "p3"].map(|name| file(directory.path(), name, &[]));
        disk.partitions = vec![
            partition(&parts[0], "Basic data partition"),
            partition(&parts[1], "ESP\u{1b}"),
            partition(&parts[2], ""),
        ];
        let content = Content::probed(&disk, |node| {
            Ok(match node {
                node if *node == path => vec![signature("gpt", "partition-table", "")],
                node if *node == parts[0] => vec![
                    signature("dos", "partition-table", ""),
                    signature("ntfs", "filesystem", " Windows "),
                ],
                node if *node == parts[1] => vec![signature("vfat", "filesystem", "")],
                _ => vec![],
            })
        });
        let shown = |at: usize| parts[at].to_string_lossy().into_owned();
        assert_eq!(
            content.losses(),
            [
                loss(&format!("{} (Windows)", shown(0)), 4 * MIB, "ntfs"),
                loss(&format!("{} (ESP\\x1b)", shown(1)), 4 * MIB, "vfat"),
                loss(&shown(2), 4 * MIB, "unknown data"),
            ]
        );
        assert_eq!(content.members(), [""; 0]);
        assert!(!content.unknown, "the partitions are what is known");
    }

    #[test]
    fn a_file_system_over_several_disks_belongs_to_all_of_them() {
        let directory = tempfile::tempdir().expect("can be made");
        let members = |devices: u64, kind: &str| {
            let number = devices.to_le_bytes();
            let path = file(directory.path(), "btrfs", &[(BTRFS_DEVICES, &number)]);
            let found = vec![signature(kind, "filesystem", "")];
            Content::probed(&disk_at(&path), |_| Ok(found.clone())).members()
        };
        assert_eq!(members(3, "btrfs"), ["btrfs of 3 disks"]);
        assert_eq!(members(1, "btrfs"), [""; 0]);
        assert_eq!(members(3, "ext4"), [""; 0]);
    }

    #[test]
    fn members_are_named_once_each() {
        let directory = tempfile::tempdir().expect("can be made");
        let path = file(directory.path(), "disk", &[]);
        let mut disk = disk_at(&path);
        disk.partitions = vec![partition(&path, "")];
        let found = [
            signature("linux_raid_member", "raid", ""),
            signature("LVM2_member", "raid", ""),
        ];
        let content = Content::probed(&disk, |_| Ok(found.to_vec()));
        assert_eq!(content.members(), ["LVM2_member", "linux_raid_member"]);
    }

    #[test]
    fn a_finished_node_is_seen_unless_the_disk_cannot_be_read() -> Result<()> {
        let directory = tempfile::tempdir().expect("can be made");
        let disk = disk_at(&disk_with_table(directory.path(), None));
        let mark = mark::write(&disk.path, 512, "bundle")?;
        assert_eq!(Content::of(&disk).mark, Some(mark));
        let failed = Content::probed(&disk, |_| Err(Error::new(Kind::Environment, "gone")));
        assert_eq!(
            (failed.mark, failed.unreadable),
            (None, vec!["gone".to_owned()])
        );
        Ok(())
    }
}
