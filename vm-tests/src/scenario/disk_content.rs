//! What is on a machine's disks before it is switched on.

use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::{Result, bail};

use super::machine_definition::DiskContent;
use super::stick::{Place, copy_partition, debugfs, place_of};
use crate::tool::{run, tool};

/// The stick's partition with the OS image.
const OS_PARTITION: &str = "EMTS-OS";

/// Bytes at the end of a disk, in whole multiples of themselves, that begin with the superblock of a Linux software RAID
/// (`MD_RESERVED_BYTES` in Linux' include/uapi/linux/raid/md_p.h).
const RAID_RESERVED: u64 = 64 << 10;
/// Its first words: `MD_SB_MAGIC`, `major_version`, `minor_version`.
const RAID_MAGIC_AND_FORMAT: [u32; 3] = [0xa92b_4efc, 0, 90];

const MIB: u64 = 1 << 20;
/// Bytes of the second partition table.
const TABLE: u64 = 33 * 512;

/// The label of a physical volume of LVM, for the second sector of its disk or partition: that of a volume without
/// metadata (LVM2, lib/format_text/layout.h and lib/label/label.c).
fn lvm_label() -> [u8; 512] {
    let mut label = [0; 512];
    label[..8].copy_from_slice(b"LABELONE");
    label[8..16].copy_from_slice(&1u64.to_le_bytes()); // its sector
    label[20..24].copy_from_slice(&32u32.to_le_bytes()); // where the volume's header begins
    label[24..32].copy_from_slice(b"LVM2 001");
    label[32..64].copy_from_slice(b"0123456789abcdefghijklmnopqrstuv"); // its UUID
    // LVM inverts neither the first value nor the last one.
    let mut crc = crc32fast::Hasher::new_with_initial(!0xf597_a6cf);
    crc.update(&label[20..]);
    label[16..20].copy_from_slice(&(!crc.finalize()).to_le_bytes());
    label
}

/// Puts something on an empty disk. `stick` is the machine's, in QEMU's own format.
pub(super) fn fill(file: &Path, content: DiskContent, stick: &Path) -> Result<()> {
    match content {
        DiskContent::Empty => Ok(()),
        DiskContent::ForeignOs => foreign_os(file),
        DiskContent::RaidMember => raid_member(file),
        DiskContent::LvmMember => lvm_member(file),
        DiskContent::StaleSuperblock => stale_superblock(file),
        DiskContent::OsImage => os_image(file, stick),
        DiskContent::Luks => luks(file),
    }
}

fn foreign_os(file: &Path) -> Result<()> {
    let mut table = tool("sgdisk");
    table
        .args([
            "--new=1:2048:+32M",
            "--typecode=1:ef00",
            "--change-name=1:ESP",
        ])
        .args([
            "--new=2:0:+64M",
            "--typecode=2:8300",
            "--change-name=2:other-root",
        ])
        .arg(file);
    run(table)?;
    let place = place_of(file, "other-root")?;
    make_ext4(file, place)?;
    debugfs(file, place, "mkdir home")
}

fn make_ext4(file: &Path, place: Place) -> Result<()> {
    let mut make = tool("mke2fs");
    make.args(["-q", "-t", "ext4", "-L", "other", "-E"])
        .arg(format!("offset={}", place.start))
        .arg(file)
        .arg(format!("{}k", place.length >> 10));
    run(make).map(drop)
}

fn raid_member(file: &Path) -> Result<()> {
    foreign_os(file)?;
    let end = fs_err::metadata(file)?.len() & !(RAID_RESERVED - 1);
    raid_superblock(file, end)
}

/// Partitions end at whole MiB, before the second partition table.
fn stale_superblock(file: &Path) -> Result<()> {
    let end = fs_err::metadata(file)?.len() - TABLE;
    raid_superblock(file, end & !(MIB - 1))
}

/// Writes the superblock of a member of a RAID that ends there.
fn raid_superblock(file: &Path, end: u64) -> Result<()> {
    let disk = fs_err::OpenOptions::new().write(true).open(file)?;
    let words = RAID_MAGIC_AND_FORMAT.iter();
    let superblock: Vec<u8> = words.flat_map(|word| word.to_le_bytes()).collect();
    Ok(disk.file().write_all_at(&superblock, end - RAID_RESERVED)?)
}

/// One partition over the whole disk.
fn one_partition(file: &Path, kind: &str) -> Result<Place> {
    let mut table = tool("sgdisk");
    table
        .arg("--new=1:2048:0")
        .arg(format!("--typecode=1:{kind}"))
        .arg("--change-name=1:all")
        .arg(file);
    run(table)?;
    place_of(file, "all")
}

fn lvm_member(file: &Path) -> Result<()> {
    let place = one_partition(file, "8e00")?;
    let disk = fs_err::OpenOptions::new().write(true).open(file)?;
    Ok(disk.file().write_all_at(&lvm_label(), place.start + 512)?)
}

/// The image as the stick's installer would write it, with its second partition table at the disk's end.
fn os_image(file: &Path, stick: &Path) -> Result<()> {
    let work = tempfile::tempdir()?;
    let [partition, image] = ["partition", "os-image.raw.zst"].map(|name| work.path().join(name));
    let place = copy_partition(stick, OS_PARTITION, &partition)?;
    let whole = Place { start: 0, ..place };
    debugfs(
        &partition,
        whole,
        &format!("dump os-image.raw.zst {}", image.display()),
    )?;
    let size = fs_err::metadata(file)?.len();
    let mut unpack = tool("zstd");
    unpack.args(["--decompress", "--quiet", "--force", "--sparse", "-o"]);
    unpack.arg(file).arg(&image);
    run(unpack)?;
    let unpacked = fs_err::metadata(file)?.len();
    if unpacked > size {
        bail!("the OS image has {unpacked} bytes, and the disk has {size}");
    }
    fs_err::OpenOptions::new()
        .write(true)
        .open(file)?
        .set_len(size)?;
    let mut table = tool("sgdisk");
    table.arg("--move-second-header").arg(file);
    run(table).map(drop)
}

fn luks(file: &Path) -> Result<()> {
    let key = tempfile::NamedTempFile::new()?;
    fs_err::write(key.path(), "key of the other system")?;
    let mut luks = tool("cryptsetup");
    luks.args(["luksFormat", "--batch-mode", "--pbkdf", "pbkdf2"])
        .args(["--pbkdf-force-iterations", "1000", "--key-file"])
        .arg(key.path())
        .arg(file);
    if run(luks).is_err() {
        bail!("cryptsetup cannot make a LUKS volume in {}", file.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::installed;
    use super::*;
    use vm::machine::create_empty_disk;

    #[test]
    fn a_stale_superblock_shows_in_a_partition_that_ends_there_and_nowhere_else() {
        for (content, seen) in [
            (DiskContent::Empty, "PMBR, gpt"),
            (
                DiskContent::StaleSuperblock,
                "PMBR, gpt; partition all: raid",
            ),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("disk");
            create_empty_disk(&file, 64 << 20).unwrap();
            fill(&file, content, Path::new("")).unwrap();
            let mut table = tool("sgdisk");
            table.args(["--new=1:2048:+62M", "--change-name=1:all"]);
            table.arg(&file);
            run(table).unwrap();
            let place = place_of(&file, "all").unwrap();
            // mke2fs overwrites what is at the end of its own room; the installer's image does not reach so far.
            let length = place.length - MIB;
            make_ext4(&file, Place { length, ..place }).unwrap();
            let check = installed::signatures_check(&file).unwrap();
            assert_eq!(check.actual, seen);
            assert_eq!(check.passed, content == DiskContent::Empty);
        }
    }

    #[test]
    fn a_label_of_lvm_has_the_checksum_that_lvm_computes() {
        // By the loop of `calc_crc` in LVM2's lib/misc/crc.c.
        assert_eq!(lvm_label()[16..20], 0x3de7_a8a5_u32.to_le_bytes());
    }
}
