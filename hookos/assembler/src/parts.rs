//! Compressed parts of the initrd, one for each image, kept by what they are made of.
//!
//! The kernel unpacks any number of compressed cpio archives one after another, so that after a
//! change only the parts it touches are made anew.

use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::boot::{Boot, BootFilter};
use crate::checksum::{checksum, copy_checked};
use crate::compress::zstd_encoder;
use crate::linuxkit::Piece;
use crate::oci::sha256_hex;
use crate::tree::CpioWriter;
use crate::unpack::{self, ImageOutcome};
use crate::{Error, Result};

/// A digest of the code that decides the bytes of a part (`build.rs`): a part made by other code is not used.
const CODE: &str = env!("HOOKOS_CODE");
/// The folder of all parts in a cache.
pub const FOLDER: &str = "parts";
/// The archive's name in a part's folder.
const ARCHIVE: &str = "part.cpio.zst";
/// The description's name in a part's folder.
pub const DESCRIPTION: &str = "part.json";

/// What is written beside a part's archive.
#[derive(Debug, Serialize, Deserialize)]
struct Description {
    /// Of the archive.
    checksum: String,
    /// Of the archive, bytes.
    size: u64,
    /// Boot files taken out of the part, by name, with their checksums.
    boot: Vec<(String, String)>,
    warnings: Vec<String>,
}

/// A part that is in the output now.
#[derive(Clone, Debug)]
pub struct Part {
    /// What it was made of.
    pub name: String,
    /// Compressed size, bytes.
    pub size: u64,
    /// Whether it came from the cache.
    pub cached: bool,
    /// Said of the image when the part was made.
    pub warnings: Vec<String>,
}

/// Where parts are made and kept.
pub struct Parts<'a> {
    /// Kept between builds; a temporary folder if nobody asked for a cache.
    pub cache: &'a Path,
    /// zstd level, 1 to 19.
    pub level: i32,
}

impl Parts<'_> {
    /// Appends a piece to `out`; what belongs under `boot/` goes to `boot`.
    pub fn append(&self, piece: &Piece, out: &mut std::fs::File, boot: &mut Boot) -> Result<Part> {
        let Some(key) = self.key(piece) else {
            return self.append_small(piece, out, boot);
        };
        let dir = self.cache.join(&key);
        let start = out.stream_position()?;
        if let Some(part) = Self::copy(&dir, piece, out, boot)? {
            return Ok(Part {
                cached: true,
                ..part
            });
        }
        // Missing, or damaged and perhaps copied half.
        out.set_len(start)?;
        out.seek(SeekFrom::Start(start))?;
        if dir.exists() {
            fs_err::remove_dir_all(&dir)?;
        }
        self.make(&dir, piece)?;
        Self::copy(&dir, piece, out, boot)?.ok_or_else(|| {
            Error::Io(io::Error::other(format!(
                "{} changed while it was read",
                dir.display()
            )))
        })
    }

    /// A name for the bytes that the piece will give; `None` for pieces that are not worth it.
    fn key(&self, piece: &Piece) -> Option<String> {
        let what = match piece {
            Piece::Small(_) => return None,
            Piece::Kernel(kernel) => format!(
                "kernel\n{}\n{}\n{}\n{}",
                kernel.image.digest,
                kernel.binary,
                kernel.tar.as_deref().unwrap_or(""),
                kernel.ucode.as_deref().unwrap_or("")
            ),
            Piece::ApkDatabase(images) => {
                let digests: Vec<&str> = images.iter().map(|image| image.digest.as_str()).collect();
                format!("apk\n{}", digests.join("\n"))
            }
            Piece::Tree {
                image,
                prefix,
                role,
                ..
            } => {
                format!("tree\n{}\n{prefix}\n{role:?}", image.digest)
            }
        };
        let zstd = zstd::zstd_safe::version_number();
        Some(sha256_hex(
            format!("{CODE}\n{zstd}\n{}\n{what}", self.level).as_bytes(),
        ))
    }

    fn append_small(
        &self,
        piece: &Piece,
        out: &mut std::fs::File,
        boot: &mut Boot,
    ) -> Result<Part> {
        let start = out.stream_position()?;
        let mut sink = BootFilter::new(
            CpioWriter::new(zstd_encoder(BufWriter::new(&*out), self.level)?),
            boot,
        );
        unpack::write(piece, self.cache, &mut sink)?;
        sink.finish()
            .finish()?
            .finish()?
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        let size = out.stream_position()? - start;
        Ok(Part {
            name: unpack::name(piece),
            size,
            cached: false,
            warnings: Vec::new(),
        })
    }

    /// Makes a part in a folder beside `dir` and renames it; another build may do the same.
    fn make(&self, dir: &Path, piece: &Piece) -> Result<()> {
        let work = tempfile::Builder::new()
            .prefix("making-")
            .tempdir_in(self.cache)?;
        let file =
            BufWriter::with_capacity(1 << 20, fs_err::File::create(work.path().join(ARCHIVE))?);
        let mut boot = Boot::new(work.path());
        let cpio = CpioWriter::new(zstd_encoder(file, self.level)?);
        let mut sink = BootFilter::new(cpio, &mut boot);
        let ImageOutcome { warnings } = unpack::write(piece, work.path(), &mut sink)?;
        sink.finish().finish()?.finish()?.flush()?;
        let (checksum, size) = checksum(fs_err::File::open(work.path().join(ARCHIVE))?)?;
        let description = Description {
            checksum,
            size,
            boot: boot.checksums()?,
            warnings,
        };
        let text = serde_json::to_vec_pretty(&description).map_err(io::Error::other)?;
        fs_err::write(work.path().join(DESCRIPTION), text)?;
        let path = work.keep();
        match std::fs::rename(&path, dir) {
            Err(_) if dir.join(DESCRIPTION).exists() => Ok(fs_err::remove_dir_all(path)?),
            outcome => Ok(outcome?),
        }
    }

    /// Copies a part to the output, checking it on the way; `None` when it is missing or damaged.
    fn copy(
        dir: &Path,
        piece: &Piece,
        out: &mut std::fs::File,
        boot: &mut Boot,
    ) -> Result<Option<Part>> {
        let Ok(text) = std::fs::read(dir.join(DESCRIPTION)) else {
            return Ok(None);
        };
        let Ok(description) = serde_json::from_slice::<Description>(&text) else {
            return Ok(None);
        };
        for (name, expected) in &description.boot {
            let Ok(file) = std::fs::File::open(dir.join(name)) else {
                return Ok(None);
            };
            if checksum(file)?.0 != *expected {
                return Ok(None);
            }
        }
        let Ok(archive) = std::fs::File::open(dir.join(ARCHIVE)) else {
            return Ok(None);
        };
        let (checksum, size) = copy_checked(archive, |bytes| out.write_all(bytes))?;
        if checksum != description.checksum || size != description.size {
            return Ok(None);
        }
        // Pruning goes by the last use. A cache that cannot be written is used all the same.
        let _ = std::fs::File::open(dir.join(DESCRIPTION))
            .and_then(|file| file.set_modified(std::time::SystemTime::now()));
        let taken: Vec<PathBuf> = description
            .boot
            .iter()
            .map(|(name, _)| dir.join(name))
            .collect();
        boot.take(&taken)?;
        Ok(Some(Part {
            name: unpack::name(piece),
            size,
            cached: false,
            warnings: description.warnings,
        }))
    }
}
