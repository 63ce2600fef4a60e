//! Reading a file that may be compressed by zstd, gzip or xz. Not for archives: what it gives is the plain bytes.

use std::io::{BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};

use crate::process;

/// A decoder for a compressed file, told by its first bytes and not by its name.
pub enum Decoder {
    /// In this process; also for a file that is not compressed.
    Builtin(Box<dyn Read>),
    /// The program xz.
    Xz(Child),
}

impl Decoder {
    /// Opens the file at `path`.
    pub fn open(path: &Path) -> Result<Self> {
        let mut magic = [0; 6];
        let read = fs_err::File::open(path)?.read(&mut magic)?;
        let file = BufReader::with_capacity(1 << 20, fs_err::File::open(path)?);
        Ok(match &magic[..read] {
            [0x28, 0xb5, 0x2f, 0xfd, ..] => {
                Self::Builtin(Box::new(zstd::Decoder::with_buffer(file)?))
            }
            [0x1f, 0x8b, ..] => Self::Builtin(Box::new(flate2::bufread::MultiGzDecoder::new(file))),
            [0xfd, b'7', b'z', b'X', b'Z', 0] => Self::Xz(
                Command::new("xz")
                    .args(["--decompress", "--stdout"])
                    .arg(path)
                    .stdin(Stdio::null())
                    .stdout(Stdio::piped())
                    .spawn()
                    .context("starting xz")?,
            ),
            _ => Self::Builtin(Box::new(file)),
        })
    }

    /// The plain bytes.
    pub fn reader(&mut self) -> &mut dyn Read {
        match self {
            Self::Builtin(reader) => reader,
            Self::Xz(child) => child.stdout.as_mut().expect("standard output is a pipe"),
        }
    }

    /// Reads no further.
    pub fn abandon(self) {
        if let Self::Xz(mut child) = self {
            drop(child.stdout.take());
            // It ends by the closed pipe, which is no error.
            let _ = child.wait();
        }
    }

    /// An error when the decompressor did not reach the end.
    pub fn finish(self) -> Result<()> {
        if let Self::Xz(mut child) = self {
            drop(child.stdout.take());
            let status = child.wait()?;
            process::expect_success(status, "xz")?;
        }
        Ok(())
    }
}
