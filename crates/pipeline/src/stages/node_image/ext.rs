//! The superblock of ext2 to ext4, as far as an installation depends on it (Linux, Documentation/filesystems/ext4/super.rst).

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::disk;
use super::raw::{at, read_at};

/// Where it is on its partition, and its size, in bytes.
const PLACE: (u64, usize) = (1024, 1024);
/// Features (`s_feature_incompat`): a journal that is to be replayed, group descriptors in every group, block numbers of 64 bits.
const RECOVER: u32 = 0x4;
const META_BG: u32 = 0x10;
const SIXTY_FOUR: u32 = 0x80;
/// resize2fs wants the group descriptors in the first group, beside a little else.
const BESIDE: u64 = 64;
/// Disks are smaller than that: 128 TiB.
const DISKS: u64 = 1 << 47;

/// A superblock.
#[derive(Debug)]
pub struct Superblock(Vec<u8>);

impl Superblock {
    /// That of the file system at this byte of an image.
    pub fn read(raw: &Path, start: u64) -> Result<Self> {
        let (offset, size) = PLACE;
        read_at(raw, start + offset, size).map(Self)
    }

    /// Bytes.
    pub fn block_size(&self) -> u64 {
        1024 << self.word(0x18).min(6)
    }

    fn half(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.0[at], self.0[at + 1]])
    }

    fn word(&self, at: usize) -> u32 {
        u32::from(self.half(at)) | u32::from(self.half(at + 2)) << 16
    }

    fn has(&self, feature: u32) -> bool {
        self.word(0x60) & feature != 0
    }

    /// Seconds since 1970: of its making, its last mount, write and check. e2fsck refuses a clock before them.
    pub fn newest_time(&self) -> u64 {
        let times = [0x2c, 0x30, 0x40, 0x108].map(|at| u64::from(self.word(at)));
        times.into_iter().max().unwrap_or_default()
    }

    /// Bytes that resize2fs can grow it to, where disks may be larger.
    pub fn max_size(&self) -> Option<u64> {
        let block = self.block_size();
        let numbers = match self.has(SIXTY_FOUR) {
            true => DISKS,
            false => u64::from(u32::MAX) * block,
        };
        let descriptor = match self.has(SIXTY_FOUR) {
            true => u64::from(self.half(0xfe)).max(64),
            false => 32,
        };
        let per_group = u64::from(self.word(0x20));
        let groups = per_group.saturating_sub(BESIDE) * (block / descriptor);
        let descriptors = match self.has(META_BG) {
            true => DISKS,
            false => groups.saturating_mul(per_group).saturating_mul(block),
        };
        Some(numbers.min(descriptors)).filter(|size| *size < DISKS)
    }

    /// That e2fsck finds no error. A journal that is to be replayed, as in the image of a system that was not shut down, says
    /// nothing of them; the installer replays it.
    pub fn check(&self, raw: &Path, start: u64) -> Result<()> {
        if self.has(RECOVER) {
            return Ok(());
        }
        let mut e2fsck = disk::tool("e2fsck");
        e2fsck.args(["-f", "-n"]).arg(at(raw, start));
        let output = e2fsck.output().context("starting e2fsck")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let lines: Vec<_> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        ensure!(
            output.status.success(),
            "e2fsck finds errors in its file system: {}",
            lines
                .iter()
                .take(8)
                .copied()
                .collect::<Vec<_>>()
                .join(" / ")
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn made(options: &[&str], size: u64) -> Result<(tempfile::TempDir, Superblock)> {
        let dir = tempfile::tempdir()?;
        let raw = dir.path().join("raw");
        fs_err::File::create(&raw)?.set_len(size)?;
        let mut mke2fs = disk::tool("mke2fs");
        crate::process::run(mke2fs.args(["-q", "-F"]).args(options).arg(&raw))?;
        let superblock = Superblock::read(&raw, 0)?;
        superblock.check(&raw, 0)?;
        Ok((dir, superblock))
    }

    /// 1023 GiB is the most that resize2fs 1.47.0 takes of 1 KiB blocks with 64bit, 2047 GiB without.
    #[test]
    fn small_blocks_limit_the_size() -> Result<()> {
        let limit = |options: &[&str]| -> Result<Option<u64>> {
            let (_dir, superblock) = made(options, 16 << 20)?;
            Ok(superblock.max_size().map(|size| size / GIB))
        };
        let features = |more: &str| format!("none,extent,filetype{more}");
        let small = ["-b", "1024", "-O", &features(",64bit")];
        assert_eq!(limit(&small)?, Some(1016));
        assert_eq!(limit(&["-b", "1024", "-O", &features("")])?, Some(2032));
        assert_eq!(limit(&["-b", "4096", "-O", &features("")])?, Some(16383));
        assert_eq!(limit(&["-b", "4096", "-O", &features(",64bit")])?, None);
        assert_eq!(
            limit(&["-b", "1024", "-O", &features(",64bit,meta_bg")])?,
            None
        );
        Ok(())
    }

    #[test]
    fn the_newest_time_is_that_of_the_last_change() -> Result<()> {
        let (dir, superblock) = made(&["-b", "4096"], 16 << 20)?;
        assert!(superblock.newest_time() > 1_500_000_000);
        let raw = dir.path().join("raw");
        let mut debugfs = disk::tool("debugfs");
        debugfs.args(["-w", "-R", "set_super_value mtime 4000000000"]);
        crate::process::run(debugfs.arg(&raw))?;
        assert_eq!(Superblock::read(&raw, 0)?.newest_time(), 4_000_000_000);
        Ok(())
    }

    #[test]
    fn a_damaged_file_system_is_named() -> Result<()> {
        let (dir, superblock) = made(&["-b", "4096"], 16 << 20)?;
        let raw = dir.path().join("raw");
        let mut debugfs = disk::tool("debugfs");
        debugfs.args(["-w", "-R", "clri <2>"]);
        crate::process::run(debugfs.arg(&raw))?;
        let error = superblock
            .check(&raw, 0)
            .expect_err("it has no root directory");
        assert!(
            error.to_string().contains("Root inode is not a directory"),
            "{error}"
        );
        Ok(())
    }
}
