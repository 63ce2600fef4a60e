//! Who uses a disk now: mounts, swap, RAIDs and volumes made of it, anybody else.

use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::disk::Disk;
use super::list::Host;
use super::sysfs::{Sysfs, entries, text};
use crate::error::{Error, Kind, Result};

/// Who uses a disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// What is made of it, such as `/dev/md0 (raid1)`.
    pub holders: Vec<String>,
    /// Where file systems of it are mounted, the last one first.
    pub mounts: Vec<PathBuf>,
    /// Nodes that are swapped to.
    pub swaps: Vec<PathBuf>,
    /// Whether somebody has it whom nothing of these names.
    pub busy: bool,
}

impl Usage {
    /// Who uses a disk of this machine.
    ///
    /// # Errors
    /// The kernel does not say what is mounted.
    pub fn of(host: &Host, disk: &Disk) -> Result<Self> {
        let table = |file: &str| {
            let path = host.proc.join(file);
            fs::read(&path).map_err(|error| {
                let reason = format!("{} cannot be read: {error}", path.display());
                Error::new(Kind::Bug, reason)
            })
        };
        let usage = Self {
            holders: holders(host, disk),
            mounts: mounts(&table("self/mountinfo")?, disk),
            swaps: swaps(&table("swaps")?, disk),
            busy: false,
        };
        let named = usage != Self::default();
        Ok(Self {
            busy: !named && is_busy(&disk.path),
            ..usage
        })
    }
}

/// Names, numbers and paths of a disk and its partitions.
fn nodes(disk: &Disk) -> impl Iterator<Item = (&str, &str, &Path)> {
    let parts = disk.partitions.iter();
    let parts = parts.map(|part| (&*part.name, &*part.number, &*part.path));
    std::iter::once((&*disk.name, &*disk.number, &*disk.path)).chain(parts)
}

fn holders(host: &Host, disk: &Disk) -> Vec<String> {
    let sysfs = Sysfs::at(&host.sysfs);
    let names = nodes(disk).flat_map(|(name, _, _)| entries(&sysfs.block(name).join("holders")));
    let mut holders: Vec<_> = names
        .map(|name| {
            let block = sysfs.block(&name);
            let path = host.dev.join(&name);
            let level = text(&block.join("md/level"));
            let uuid = text(&block.join("dm/uuid"));
            let kind = match uuid.split_once('-') {
                _ if !level.is_empty() => level,
                // LVM-…, CRYPT-LUKS2-…, mpath-…
                Some((kind, _)) => kind.to_ascii_lowercase(),
                None => name
                    .trim_end_matches(|c: char| c.is_ascii_digit())
                    .to_owned(),
            };
            format!("{} ({kind})", path.display())
        })
        .collect();
    holders.sort();
    holders.dedup();
    holders
}

/// From `/proc/self/mountinfo`: number and place of each mount, and behind ` - ` the type and the source.
fn mounts(table: &[u8], disk: &Disk) -> Vec<PathBuf> {
    let mut mounts = Vec::new();
    for line in table.split(|byte| *byte == b'\n') {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        let dash = fields.iter().position(|field| *field == b"-");
        let (Some(number), Some(place)) = (fields.get(2), fields.get(4)) else {
            continue;
        };
        let source = dash
            .and_then(|at| fields.get(at + 2))
            .map(|source| unescaped(source));
        // The number of btrfs is no device's; its source is.
        let used = nodes(disk).any(|(_, seen, path)| {
            seen.as_bytes() == *number || source.as_deref() == Some(path.as_os_str().as_bytes())
        });
        let place = PathBuf::from(std::ffi::OsString::from_vec(unescaped(place)));
        if used && !mounts.contains(&place) {
            mounts.push(place);
        }
    }
    mounts.reverse();
    mounts
}

/// From `/proc/swaps`, whose first line is a heading.
fn swaps(table: &[u8], disk: &Disk) -> Vec<PathBuf> {
    let lines = table.split(|byte| *byte == b'\n').skip(1);
    let areas = lines.filter_map(|line| line.split(|byte| *byte == b' ').next());
    let areas = areas.map(unescaped);
    areas
        .filter(|area| nodes(disk).any(|(_, _, path)| path.as_os_str().as_bytes() == *area))
        .map(|area| PathBuf::from(std::ffi::OsString::from_vec(area)))
        .collect()
}

/// A field without the kernel's `\040` for a blank and the like.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        let octal = tail.get(..3).filter(|_| *first == b'\\');
        let value =
            octal.and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(value.unwrap_or(*first));
        rest = if value.is_some() { &tail[3..] } else { tail };
    }
    bytes
}

/// Whether somebody has the disk, or a partition of it, for himself: a file system mounted elsewhere, a pool.
fn is_busy(node: &Path) -> bool {
    let flags = OFlags::RDONLY | OFlags::EXCL | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::open(node, flags, Mode::empty()).is_err_and(|error| error == Errno::BUSY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disks::disk::Partition;
    use crate::disks::fake::Fake;
    use crate::disks::rank::tests::disk;

    fn sdb() -> Disk {
        let mut sdb = disk("sdb", 500, "sata");
        sdb.number = "8:16".into();
        sdb.partitions = vec![Partition {
            name: "sdb1".into(),
            path: "/dev/sdb1".into(),
            number: "8:17".into(),
            size: 1,
            label: String::new(),
        }];
        sdb
    }

    #[test]
    fn finds_mounts_of_disk_and_partitions_the_innermost_first() {
        let table = b"22 27 0:21 / /proc rw - proc proc rw
30 27 8:17 / /data rw,relatime shared:1 - ext4 /dev/sdb1 rw
31 30 8:16 / /data/with\\040blank rw - ext4 /dev/sdb rw
32 30 0:44 /sub /pool rw - btrfs /dev/sdb1 rw
33 30 8:17 / /data rw - ext4 /dev/sdb1 rw
34 30 8:170 / /other rw - ext4 /dev/sdb17 rw
35 30 8:1
";
        let expected = ["/pool", "/data/with blank", "/data"].map(PathBuf::from);
        assert_eq!(mounts(table, &sdb()), expected);
    }

    #[test]
    fn finds_areas_that_are_swapped_to() {
        let table =
            b"Filename\tType\n/dev/sdb1 partition 1 2 -2\n/dev/sdb17 partition\n/swapfile file\n";
        assert_eq!(swaps(table, &sdb()), [PathBuf::from("/dev/sdb1")]);
        assert_eq!(
            swaps(b"/dev/sdb1 is the heading\n", &sdb()),
            Vec::<PathBuf>::new()
        );
    }

    #[test]
    fn a_backslash_that_escapes_nothing_stays() {
        assert_eq!(unescaped(br"a\134b\09\777\"), br"a\b\09\777\".to_vec());
    }

    #[test]
    fn names_what_is_made_of_the_disk_and_of_its_partitions() {
        let fake = Fake::new();
        fake.sata("sdb", 1);
        fake.partition("sdb", "sdb1", "");
        let sysfs = fake.sysfs();
        let hold = |holder: &str, held: &str| {
            fake.write(&sysfs.block(held).join("holders").join(holder), "x", "")
        };
        for (name, held) in [
            ("md0", "sdb1"),
            ("dm-3", "sdb"),
            ("bcache0", "sdb"),
            ("dm-3", "sdb1"),
        ] {
            fake.loop_device(name);
            hold(name, held);
        }
        fake.write(&sysfs.block("md0").join("md"), "level", "raid1\n");
        fake.write(
            &sysfs.block("dm-3").join("dm"),
            "uuid",
            "CRYPT-LUKS2-0123\n",
        );
        let mut host = fake.host();
        host.dev = "/dev".into();
        let expected = [
            "/dev/bcache0 (bcache)",
            "/dev/dm-3 (crypt)",
            "/dev/md0 (raid1)",
        ];
        assert_eq!(holders(&host, &sdb()), expected);
    }

    #[test]
    fn reads_the_kernels_tables_or_says_which_it_cannot_read() {
        let fake = Fake::new();
        let host = fake.host();
        let error = Usage::of(&host, &sdb()).expect_err("there are none").reason;
        assert!(
            error.contains("proc/self/mountinfo cannot be read"),
            "{error}"
        );
        fake.write(
            &host.proc.join("self"),
            "mountinfo",
            "30 27 8:16 / /data rw - ext4 x rw\n",
        );
        fake.write(&host.proc, "swaps", "Filename\n/dev/sdb1 partition\n");
        let usage = Usage::of(&host, &sdb()).expect("they are there");
        let expected = Usage {
            mounts: vec!["/data".into()],
            swaps: vec!["/dev/sdb1".into()],
            ..Usage::default()
        };
        assert_eq!(usage, expected);
    }

    #[test]
    fn what_nobody_has_is_not_busy() {
        assert!(!is_busy(Path::new("/dev/null")) && !is_busy(Path::new("/none")));
    }
}
