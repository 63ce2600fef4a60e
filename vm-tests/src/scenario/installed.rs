//! An installed disk looked at while its machine is off: its file system is sound, and it is what another
//! installation of the same stick made.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result, bail};
use cluster_bootstrapper::ConfigFile;
use cluster_bootstrapper::model::File;
use sha2::{Digest, Sha256};

use vm::hex::hex;

use super::stick::{Place, debugfs, place_of, places_of};
use crate::evidence::Check;
use crate::tool::{run, tool};

/// Names of the root partition and of the ESP in the GPT of an OS image.
const ROOT: &str = "rootfs";
const ESP: &str = "esp";
/// Bytes at the begin and the end of a disk that the partition tables take.
const TABLES: u64 = 34 * 512;

/// Bytes at the begin of the ESP with its boot sector and the copy of it, and where these have the serial number of FAT32.
const FAT_HEAD: u64 = 4096;
const FAT_NAMES: [Range<usize>; 2] = [67..71, 6 * 512 + 67..6 * 512 + 71];

/// What every installation makes anew: identity with the host name, keys, salts of passwords.
const UNIQUE: &[&str] = &[
    "etc/machine-id",
    "etc/hostname",
    "etc/hosts",
    "etc/shadow",
    "etc/ssh/ssh_host_",
];

/// The root file system has no error that e2fsck finds.
///
/// # Errors
/// The disk has no root partition, or e2fsck cannot be started.
pub(super) fn file_system_check(label: &str, disk: &Path) -> Result<Check> {
    let place = place_of(disk, ROOT)?;
    let mut command = tool("e2fsck");
    command.args(["-f", "-n"]).arg(at(disk, place));
    let output = command.output().context("cannot start e2fsck")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let clean = output.status.success();
    Ok(Check::new(
        "machine/fileSystem",
        format!("{label}the root file system has no errors"),
        "clean",
        if clean { "clean" } else { text.trim() },
        clean,
    ))
}

/// The disk as a whole is a partition table and nothing else, and each partition one thing: what it was before has left no
/// trace that the installed system could find.
///
/// # Errors
/// wipefs or blkid cannot be started, or does not read the disk.
pub(super) fn signatures_check(disk: &Path) -> Result<Check> {
    let mut command = tool("wipefs");
    command.args(["--no-act", "--json"]).arg(disk);
    let found: serde_json::Value = serde_json::from_str(&run(command)?)?;
    let types: BTreeSet<_> = found["signatures"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|signature| signature["type"].as_str())
        .collect();
    let mut actual = types.into_iter().collect::<Vec<_>>().join(", ");
    for (name, place) in places_of(disk)? {
        if let Some(usage) = foreign_usage(disk, place)? {
            actual += &format!("; partition {name}: {usage}");
        }
    }
    Ok(Check::same(
        "machine/signatures",
        "disk and partitions are of no system besides the installed one",
        "PMBR, gpt",
        actual,
    ))
}

/// What libblkid, and so udev in the installed system, takes a part of a disk for, where that is another thing than a file
/// system: a member of a RAID that has a file system's superblock, too, is that member to it.
fn foreign_usage(disk: &Path, place: Place) -> Result<Option<String>> {
    /// Exit status of blkid(8) where there are signatures of which none goes before the others.
    const AMBIVALENT: i32 = 8;
    /// And where there is none.
    const NOTHING: i32 = 2;
    let mut command = tool("blkid");
    command.args(["--probe", "--output", "value", "--match-tag", "USAGE"]);
    command.args(["--offset", &place.start.to_string()]);
    command
        .args(["--size", &place.length.to_string()])
        .arg(disk);
    let output = command.output().context("cannot start blkid")?;
    let usage = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    match output.status.code() {
        Some(0) => Ok(Some(usage).filter(|usage| usage != "filesystem")),
        Some(NOTHING) => Ok(None),
        Some(AMBIVALENT) => Ok(Some("several".to_owned())),
        _ => bail!(
            "blkid ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        ),
    }
}

/// The SHA-256 of a disk's root partition in hexadecimal.
///
/// # Errors
/// The disk has no root partition, or cannot be read.
pub(super) fn root_digest(disk: &Path) -> Result<String> {
    let place = place_of(disk, ROOT)?;
    let sum = range(disk, place.start, place.length)?;
    Ok(hex(&sum))
}

/// Every file that the config-file has the installer write is on the disk, byte for byte.
///
/// # Errors
/// The disk has no root partition, or there is no room for a copy of a file.
pub(super) fn written_files(disk: &Path, config: &ConfigFile) -> Result<Vec<Check>> {
    let place = place_of(disk, ROOT)?;
    let seen = |bytes: &[u8]| {
        let sum = hex(&Sha256::digest(bytes)[..6]);
        format!("{} bytes, SHA-256 {sum}…", bytes.len())
    };
    let check = |file: &File| {
        let work = tempfile::tempdir()?;
        let copy = work.path().join("copy");
        let request = format!("dump \"{}\" \"{}\"", file.path, copy.display());
        let expected = seen(&file.bytes()?);
        let actual = match debugfs(disk, place, &request) {
            Ok(()) => seen(&fs_err::read(&copy)?),
            Err(error) => format!("{error:#}"),
        };
        let text = format!("{} is on the installed disk as it was written", file.path);
        Ok(Check::same("machine/writeFiles", text, expected, actual))
    };
    config
        .operating_system
        .write_files
        .iter()
        .map(check)
        .collect()
}

/// The check that two disks have the same content, but for what is unique to a machine.
///
/// # Errors
/// A disk cannot be read, or a tool is missing.
pub(super) fn same_content_check(label: &str, whole: &Path, other: &Path) -> Result<Check> {
    let differences = differences(whole, other)?;
    Ok(Check {
        key: "machine/content".into(),
        check: format!("{label}the disk is that of an uninterrupted installation"),
        expected: "no difference".into(),
        passed: differences.is_empty(),
        actual: match differences.len() {
            0 => "no difference".to_owned(),
            count => format!(
                "{count} differences: {}",
                differences[..count.min(20)].join(", ")
            ),
        },
    })
}

fn differences(a: &Path, b: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let length = fs_err::metadata(a)?.len();
    if fs_err::metadata(b)?.len() != length {
        return Ok(vec!["the disk's size".to_owned()]);
    }
    let (esp_a, esp_b) = (place_of(a, ESP)?, place_of(b, ESP)?);
    let (head_a, head_b) = (
        esp_a.start..esp_a.start + FAT_HEAD,
        esp_b.start..esp_b.start + FAT_HEAD,
    );
    for (what, [a_place, b_place], names) in [
        (
            "the first partition table",
            [0..TABLES, 0..TABLES],
            names_in_table(512, 1024),
        ),
        (
            "the second partition table",
            [length - TABLES + 512..length, length - TABLES + 512..length],
            names_in_table(TABLES as usize - 1024, 0),
        ),
        ("the begin of the ESP", [head_a, head_b], FAT_NAMES.to_vec()),
    ] {
        if without(a, a_place, &names)? != without(b, b_place, &names)? {
            found.push(what.to_owned());
        }
    }
    let rest = |disk, esp: Place| range(disk, esp.start + FAT_HEAD, esp.length - FAT_HEAD);
    if rest(a, esp_a)? != rest(b, esp_b)? {
        found.push("the ESP".to_owned());
    }
    found.extend(differing_files(&tree(a)?, &tree(b)?));
    Ok(found)
}

/// Where a table has names of its own and checksums of them, in bytes from its begin: the disk's GUID, those of its
/// partitions, and both CRC32 (UEFI specification, 5.3).
fn names_in_table(header: usize, entries: usize) -> Vec<Range<usize>> {
    let in_header = [16..20, 56..72, 88..92].map(|place| header + place.start..header + place.end);
    let guids = (0..128).map(|number| entries + number * 128 + 16..entries + number * 128 + 32);
    in_header.into_iter().chain(guids).collect()
}

/// Bytes of a disk with zeros in some places of them.
fn without(disk: &Path, place: Range<u64>, names: &[Range<usize>]) -> Result<Vec<u8>> {
    let mut file = fs_err::File::open(disk)?;
    file.seek(SeekFrom::Start(place.start))?;
    let mut bytes = vec![0; usize::try_from(place.end - place.start)?];
    file.read_exact(&mut bytes)?;
    for name in names {
        bytes[name.clone()].fill(0);
    }
    Ok(bytes)
}

/// The check that two installations, one of which was not the other one's continuation, have no name in common.
///
/// # Errors
/// A disk cannot be read, or a tool is missing.
pub(super) fn nothing_shared_check(label: &str, whole: &Path, other: &Path) -> Result<Check> {
    let (whole, other) = (names(whole)?, names(other)?);
    let shared: Vec<_> = whole.intersection(&other).map(String::as_str).collect();
    let expected = format!("{} names, none shared", whole.len());
    let actual = match shared.is_empty() {
        true => format!("{} names, none shared", other.len()),
        false => format!("shared: {}", shared.join(", ")),
    };
    Ok(Check {
        key: "machine/names".into(),
        check: format!(
            "{label}disk, partitions and file systems are called as those of no other installation"
        ),
        passed: expected == actual,
        expected,
        actual,
    })
}

/// GUIDs of a disk's table and partitions, and UUIDs of its file systems.
fn names(disk: &Path) -> Result<BTreeSet<String>> {
    let table = gpt::GptConfig::new().writable(false).open(disk)?;
    let mut names = BTreeSet::from([table.guid().to_string()]);
    for partition in table.partitions().values().filter(|one| one.is_used()) {
        names.insert(partition.part_guid.to_string());
        let (first, last) = (partition.first_lba, partition.last_lba);
        let mut blkid = tool("blkid");
        blkid.args(["--probe", "--output", "value", "--match-tag", "UUID"]);
        blkid.arg(format!("--offset={}", first * 512));
        blkid
            .arg(format!("--size={}", (last + 1 - first) * 512))
            .arg(disk);
        names.insert(run(blkid)?.trim().to_owned());
    }
    Ok(names)
}

/// A SHA-256 of part of a file.
fn range(path: &Path, start: u64, length: u64) -> Result<Vec<u8>> {
    let mut file = fs_err::File::open(path)?;
    file.seek(SeekFrom::Start(start))?;
    let mut hasher = Sha256::new();
    let mut file = file.take(length);
    let mut block = vec![0; 1 << 20];
    loop {
        match file.read(&mut block)? {
            0 => break,
            size => hasher.update(&block[..size]),
        }
    }
    Ok(hasher.finalize().to_vec())
}

/// Type, mode, owner and content of every file.
type Tree = BTreeMap<String, String>;

fn differing_files(a: &Tree, b: &Tree) -> Vec<String> {
    let unique = |name: &&String| UNIQUE.iter().any(|prefix| name.starts_with(prefix));
    let mut names: Vec<&String> = a
        .keys()
        .chain(b.keys())
        .filter(|name| a.get(*name) != b.get(*name) && !unique(name))
        .collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .map(|name| {
            let seen = |tree: &Tree| tree.get(name).map_or("absent", String::as_str).to_owned();
            format!("/{name} ({} and {})", seen(a), seen(b))
        })
        .collect()
}

/// Reads the root file system of a disk, without mounting it.
fn tree(disk: &Path) -> Result<Tree> {
    let place = place_of(disk, ROOT)?;
    let work = tempfile::tempdir_in(disk.parent().unwrap_or(Path::new(".")))?;
    let request = format!("rdump / \"{}\"", work.path().display());
    debugfs(disk, place, &request)?;
    let mut tree = Tree::new();
    read_folder(work.path(), "", &mut tree)?;
    anyhow::ensure!(
        !tree.is_empty(),
        "debugfs read nothing from {}",
        disk.display()
    );
    Ok(tree)
}

fn read_folder(folder: &Path, prefix: &str, tree: &mut Tree) -> Result<()> {
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let metadata = entry.metadata()?;
        let kind = if metadata.is_symlink() {
            format!("link to {}", fs_err::read_link(entry.path())?.display())
        } else if metadata.is_file() {
            let sum = range(&entry.path(), 0, metadata.len())?;
            hex(&sum[..6])
        } else {
            "folder or device".to_owned()
        };
        let mode = metadata.permissions().mode() & 0o7777;
        let text = format!("{kind} {mode:o} {}:{}", metadata.uid(), metadata.gid());
        if metadata.is_dir() {
            read_folder(&entry.path(), &format!("{name}/"), tree)?;
        }
        tree.insert(name, text);
    }
    Ok(())
}

/// How the tools of e2fsprogs name a file system inside a file.
fn at(disk: &Path, place: Place) -> OsString {
    let mut name = OsString::from(disk);
    name.push(format!("?offset={}", place.start));
    name
}

#[cfg(test)]
mod tests;
