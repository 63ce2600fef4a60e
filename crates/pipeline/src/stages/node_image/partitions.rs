//! The partitions of a raw disk image, and what of them the installer relies on: checked when the bundle is made, not after
//! a disk was overwritten.

use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use arch::ARCH;
use gpt::disk::LogicalBlockSize;
use gpt::{DiskDevice, GptConfig, GptDisk, partition_types};

use super::described::{Disk, FileSystem, Partition};
use super::ext::Superblock;
use super::{disk, files, identities};

/// GPT name by which the installer finds the partition that it configures where none has the type of a root file system.
const ROOT_NAME: &str = "rootfs";
/// Bytes per sector that disks have.
const SECTORS: [LogicalBlockSize; 2] = [LogicalBlockSize::Lb512, LogicalBlockSize::Lb4096];

/// The partition table of an image, in the sectors that it counts in.
///
/// # Errors
/// It has none.
pub fn table<D: DiskDevice>(open: impl Fn() -> Result<D>) -> Result<GptDisk<D>> {
    for sector in SECTORS {
        // The second table may be behind what is there to be read.
        let table = GptConfig::new().writable(false).logical_block_size(sector);
        if let Ok(table) = table.open_from_device(open()?) {
            return Ok(table);
        }
    }
    bail!("it is not a raw disk image with a GPT, plain or compressed by zstd, gzip or xz")
}

/// The partitions of a table. There has to be an ESP and a root partition, told by its type or its name.
///
/// # Errors
/// One is missing.
pub fn listed<D: DiskDevice>(table: &GptDisk<D>) -> Result<Vec<Partition>> {
    let sector = table.logical_block_size().as_u64();
    let used = table.partitions().iter().filter(|(_, one)| one.is_used());
    let partitions = used.map(|(number, one)| Partition {
        number: *number,
        name: one.name.clone(),
        kind: one.part_type_guid.guid.to_string().to_uppercase(),
        guid: one.part_guid.to_string(),
        start: one.first_lba * sector,
        size: (one.last_lba + 1).saturating_sub(one.first_lba) * sector,
        file_system: None,
    });
    let partitions: Vec<_> = partitions.collect();
    if !partitions.iter().any(is_esp) {
        bail!("its partition table has no EFI system partition");
    }
    if root(&partitions).is_none() {
        let names: Vec<_> = partitions
            .iter()
            .map(|one| format!("{:?}", one.name))
            .collect();
        bail!(
            "no partition has the type of a root file system ({}) or is called {ROOT_NAME:?}; the partitions are \
             called {}",
            ARCH.root_type,
            names.join(", ")
        );
    }
    Ok(partitions)
}

fn is_esp(partition: &Partition) -> bool {
    partition.kind == partition_types::EFI.guid.to_string().to_uppercase()
}

fn root(partitions: &[Partition]) -> Option<&Partition> {
    let typed = partitions.iter().find(|one| one.kind == ARCH.root_type);
    typed.or_else(|| partitions.iter().find(|one| one.name == ROOT_NAME))
}

/// Reads a whole image; `scratch` takes copies of its small files. What a person should know is in the second value.
///
/// # Errors
/// The installer could not install it, or a machine could not start it.
pub fn describe(raw: &Path, scratch: &Path) -> Result<(Disk, Vec<String>)> {
    let table = table(|| Ok(std::fs::File::open(raw)?))?;
    let mut partitions = listed(&table)?;
    let (mut notes, mut not_before) = (vec![], 0);
    let length = fs_err::metadata(raw)?.len();
    let last = partitions.iter().map(|one| one.start).max();
    for partition in &mut partitions {
        let what = format!("partition {} ({:?})", partition.number, partition.name);
        ensure!(
            partition.start + partition.size <= length,
            "{what} reaches beyond the image's end"
        );
        partition.file_system = probe(raw, partition).with_context(|| what.clone())?;
        if let Some(system) = partition.file_system.as_mut().filter(|one| one.is_ext()) {
            let superblock = Superblock::read(raw, partition.start)?;
            superblock
                .check(raw, partition.start)
                .with_context(|| what.clone())?;
            not_before = not_before.max(superblock.newest_time());
            if Some(partition.start) == last {
                system.max_size = superblock.max_size();
            }
        }
        if let Some(max) = partition.file_system.as_ref().and_then(|one| one.max_size) {
            notes.push(format!(
                "{what} of the OS image can grow to {} GiB and no further, whatever the disk has: it was made with too \
                 small blocks, or without the feature 64bit",
                max >> 30
            ));
        }
    }
    check_files(raw, &partitions, scratch)?;
    let guid = table.guid().to_string();
    let (kept, named) = identities::find(raw, &guid, &partitions, scratch)?;
    notes.extend(kept.iter().map(|kept| {
        format!(
            "all disks installed from this OS image share {}, as {} names it: never attach two of them to one machine",
            kept.uuid, kept.by
        )
    }));
    let disk = Disk {
        sector_size: table.logical_block_size().as_u64(),
        architecture: ARCH.rust.split('-').next().unwrap_or_default(),
        disk_guid: guid,
        partitions,
        kept,
        named,
        not_before,
    };
    Ok((disk, notes))
}

/// What libblkid finds on a partition; nothing where it finds nothing.
fn probe(raw: &Path, partition: &Partition) -> Result<Option<FileSystem>> {
    /// blkid's exit status when it finds nothing.
    const NOTHING: i32 = 2;
    let mut blkid = disk::tool("blkid");
    blkid.args(["--probe", "--output", "export"]);
    blkid.arg(format!("--offset={}", partition.start));
    blkid.arg(format!("--size={}", partition.size)).arg(raw);
    let output = blkid.output().context("starting blkid")?;
    if output.status.code() == Some(NOTHING) {
        return Ok(None);
    }
    ensure!(
        output.status.success(),
        "it has several signatures, or none that blkid can read: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let text = String::from_utf8_lossy(&output.stdout);
    let value = |key: &str| {
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        value.map(str::to_owned)
    };
    Ok(value("TYPE").map(|kind| FileSystem {
        kind,
        uuid: value("UUID"),
        max_size: None,
    }))
}

/// What a firmware starts, and what every root file system of Linux has.
fn check_files(raw: &Path, partitions: &[Partition], scratch: &Path) -> Result<()> {
    let esp = partitions
        .iter()
        .find(|one| is_esp(one))
        .context("an ESP")?;
    let loader = files::of_fat(raw, esp.start, scratch)
        .context("reading the EFI system partition")?
        .into_iter()
        .find(|(path, _)| path.eq_ignore_ascii_case(ARCH.boot_file));
    let (_, program) =
        loader.with_context(|| format!("its EFI system partition has no {}", ARCH.boot_file))?;
    ensure!(
        pe_machine(&program) == Some(ARCH.pe),
        "{} on its EFI system partition is no program for {} processors",
        ARCH.boot_file,
        ARCH.name
    );
    let root = root(partitions).context("a root partition")?;
    let system = root.file_system.as_ref();
    let system = system.context("its root partition has no file system that blkid knows")?;
    if system.is_ext() {
        let passwd = files::of_ext(raw, root.start, "/etc/passwd")?;
        ensure!(
            !passwd.is_empty(),
            "its root file system has no /etc/passwd"
        );
    }
    Ok(())
}

/// The machine in the header of a PE image (PE format, "COFF File Header").
fn pe_machine(program: &[u8]) -> Option<u16> {
    let at = program.get(0x3c..0x40)?;
    let at = u32::from_le_bytes(at.try_into().ok()?) as usize;
    let header = program.get(at..at.checked_add(6)?)?;
    header
        .starts_with(b"PE\0\0")
        .then(|| u16::from_le_bytes([header[4], header[5]]))
}
