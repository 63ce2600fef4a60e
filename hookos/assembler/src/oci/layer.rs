//! Layers made from a list of entries, for images that are put together file by file.

use std::io::{self, Read, Write};
use std::path::PathBuf;

use super::T0;
use super::{Error, Result};

/// The content of a regular file.
#[derive(Clone, Debug)]
pub enum Content {
    /// Bytes in memory.
    Bytes(Vec<u8>),
    /// A file on disk, read when the layer is written.
    File(PathBuf),
    /// A blob of an image, as it is stored.
    Blob(super::Blob),
}

impl Content {
    /// The size in bytes, and the content.
    ///
    /// # Errors
    /// When a file cannot be opened.
    pub fn open(&self) -> Result<(u64, Box<dyn Read + '_>)> {
        Ok(match self {
            Self::Bytes(bytes) => (bytes.len() as u64, Box::new(bytes.as_slice())),
            Self::Blob(blob) => (blob.size, Box::new(blob.open()?)),
            Self::File(path) => {
                let file = fs_err::File::open(path)?;
                (file.metadata()?.len(), Box::new(file))
            }
        })
    }
}

/// What an [`Entry`] is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A folder.
    Directory,
    /// A regular file.
    File(Content),
    /// A symbolic link and its target, written as it is.
    Symlink(String),
}

/// One entry of a layer.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Path below the image's root, without a leading `/`.
    pub path: String,
    /// Type and content.
    pub kind: Kind,
    /// Permission bits (12 bits).
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time, seconds since 1970.
    pub mtime: u64,
}

impl Entry {
    fn new(path: impl Into<String>, kind: Kind, mode: u32) -> Self {
        Self {
            path: path.into(),
            kind,
            mode,
            uid: 0,
            gid: 0,
            mtime: T0,
        }
    }

    /// A folder owned by root.
    pub fn directory(path: impl Into<String>, mode: u32) -> Self {
        Self::new(path, Kind::Directory, mode)
    }

    /// A regular file owned by root, its content in memory.
    pub fn file(path: impl Into<String>, mode: u32, content: impl Into<Vec<u8>>) -> Self {
        Self::new(path, Kind::File(Content::Bytes(content.into())), mode)
    }

    /// A regular file owned by root, its content read from `source` when the layer is written.
    pub fn file_from(path: impl Into<String>, mode: u32, source: impl Into<PathBuf>) -> Self {
        Self::new(path, Kind::File(Content::File(source.into())), mode)
    }

    /// A symbolic link owned by root.
    pub fn symlink(path: impl Into<String>, target: impl Into<String>) -> Self {
        Self::new(path, Kind::Symlink(target.into()), 0o777)
    }
}

/// Writes `entries` in their order as an uncompressed tar archive; the same entries give the same
/// bytes.
///
/// # Errors
/// [`Error::BadEntry`] for a path that is absolute, empty or has `..`; [`Error::Io`] when a
/// content cannot be read or the archive cannot be written.
pub fn write_tar(entries: &[Entry], out: impl Write) -> Result<()> {
    let mut tar = tar::Builder::new(out);
    for entry in entries {
        check_path(&entry.path)?;
        append(&mut tar, entry)?;
    }
    tar.into_inner()?.flush()?;
    Ok(())
}

fn check_path(path: &str) -> Result<()> {
    let reason = if path.is_empty() {
        "the path is empty"
    } else if path.starts_with('/') {
        "the path is absolute"
    } else if path.split('/').any(|part| part == "..") {
        "the path has `..`"
    } else {
        return Ok(());
    };
    Err(Error::BadEntry {
        layer: "to be written".into(),
        path: path.into(),
        reason: reason.into(),
    })
}

fn append<W: Write>(tar: &mut tar::Builder<W>, entry: &Entry) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(entry.mode & 0o7777);
    header.set_uid(u64::from(entry.uid));
    header.set_gid(u64::from(entry.gid));
    header.set_mtime(entry.mtime);
    header.set_size(0);
    match &entry.kind {
        Kind::Directory => {
            header.set_entry_type(tar::EntryType::Directory);
            tar.append_data(
                &mut header,
                format!("{}/", entry.path.trim_end_matches('/')),
                io::empty(),
            )?;
        }
        Kind::Symlink(target) => {
            header.set_entry_type(tar::EntryType::Symlink);
            tar.append_link(&mut header, &entry.path, target)?;
        }
        Kind::File(content) => {
            let (size, data) = content.open()?;
            header.set_entry_type(tar::EntryType::Regular);
            header.set_size(size);
            tar.append_data(&mut header, &entry.path, data.take(size))?;
        }
    }
    Ok(())
}
