//! Writing past the page cache.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::{ALIGNMENT, PART};
use crate::error::{Error, Kind, Result};

/// What is zero is left out in pieces of this size: smaller ones spare next to nothing and make more requests.
const ZEROS: usize = 64 << 10;

/// Memory for a part of an image that direct I/O accepts.
pub struct Buffer {
    memory: Vec<u8>,
    start: usize,
}

impl Buffer {
    pub fn new() -> Self {
        let memory = vec![0; PART + ALIGNMENT];
        let start = memory.as_ptr().align_offset(ALIGNMENT);
        Self { memory, start }
    }

    pub fn bytes(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + PART]
    }
}

/// The disk.
pub struct Disk {
    direct: File,
    /// For what is less than direct I/O takes, at the end of an image.
    buffered: File,
    path: PathBuf,
    sparse: bool,
}

impl Disk {
    /// Opens the disk for this process alone: the kernel refuses a block device that is mounted or has a holder.
    /// With `sparse`, [`Disk::write`] leaves out what is zero.
    pub fn open(path: &Path, sparse: bool) -> Result<Self> {
        Self::with_flags(path, sparse, OFlags::DIRECT | OFlags::EXCL)
    }

    /// A file in the place of a disk, through the page cache: not every file system has direct I/O.
    #[cfg(test)]
    pub fn file(path: &Path, sparse: bool) -> Result<Self> {
        Self::with_flags(path, sparse, OFlags::empty())
    }

    fn with_flags(path: &Path, sparse: bool, flags: OFlags) -> Result<Self> {
        let open = |flags: OFlags| {
            let mut options = OpenOptions::new();
            options.write(true).custom_flags(flags.bits().cast_signed());
            options.open(path).map_err(|error| {
                let reason = format!("{} cannot be opened: {error}", path.display());
                Error::new(Kind::Environment, reason)
            })
        };
        Ok(Self {
            direct: open(flags)?,
            buffered: open(OFlags::empty())?,
            path: path.into(),
            sparse,
        })
    }

    /// Writes the begin of a [`Buffer`] at this byte, a multiple of [`ALIGNMENT`].
    pub fn write(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let zero: Vec<_> = bytes
            .chunks(ZEROS)
            .map(|piece| self.sparse && is_zero(piece))
            .collect();
        let mut start = 0;
        for run in zero.chunk_by(|one, next| one == next) {
            let end = bytes.len().min(start + run.len() * ZEROS);
            if !run[0] {
                let whole = end - end % ALIGNMENT;
                self.write_at(&self.direct, &bytes[start..whole], offset + start as u64)?;
                self.write_at(&self.buffered, &bytes[whole..end], offset + whole as u64)?;
            }
            start = end;
        }
        Ok(())
    }

    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> Result<()> {
        let written = file.write_all_at(bytes, offset);
        written.map_err(|error| self.failed(&format!("cannot be written at byte {offset}"), error))
    }

    /// Returns when the disk has all that was written, also what was in its own cache.
    pub fn sync(&self) -> Result<()> {
        let synced = self.buffered.sync_all();
        synced.map_err(|error| self.failed("did not take what was written to it", error))
    }

    fn failed(&self, what: &str, error: std::io::Error) -> Error {
        let reason = format!("{} {what}: {error}", self.path.display());
        Error::new(Kind::Environment, reason)
    }
}

fn is_zero(piece: &[u8]) -> bool {
    static ZERO: [u8; ZEROS] = [0; ZEROS];
    piece == &ZERO[..piece.len()]
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// What a file of ones holds after a part was written, one number for each piece.
    fn written(sparse: bool) -> anyhow::Result<Vec<u8>> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("disk");
        fs::write(&path, vec![1; 6 * ZEROS])?;
        let disk = Disk::file(&path, sparse)?;
        let part: Vec<_> = [0, 2, 2, 0].iter().flat_map(|n| [*n; ZEROS]).collect();
        disk.write(&part, ZEROS as u64)?;
        let content = fs::read(&path)?;
        assert!(
            content
                .chunks(ZEROS)
                .all(|piece| piece.iter().all(|byte| *byte == piece[0]))
        );
        Ok(content.chunks(ZEROS).map(|piece| piece[0]).collect())
    }

    #[test]
    fn writes_everything_or_leaves_out_what_is_zero() -> anyhow::Result<()> {
        assert_eq!(written(false)?, [1, 0, 2, 2, 0, 1]);
        assert_eq!(written(true)?, [1, 1, 2, 2, 1, 1]);
        Ok(())
    }

    #[test]
    fn a_piece_with_one_byte_that_is_not_zero_is_not_zero() {
        for place in [0, ZEROS / 2, ZEROS - 1] {
            let mut piece = vec![0; ZEROS];
            piece[place] = 1;
            assert!(!is_zero(&piece));
        }
        assert!(is_zero(&[0; ZEROS]) && is_zero(&[0; 512]));
    }

    #[test]
    fn buffers_are_aligned() {
        let mut buffer = Buffer::new();
        assert_eq!(buffer.bytes().as_ptr().align_offset(ALIGNMENT), 0);
        assert_eq!(buffer.bytes().len(), PART);
    }
}
