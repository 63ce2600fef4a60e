//! The entries of a tree, and where they go.

use std::io::{self, Read, Write};

/// Type of an [`Entry`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A folder.
    Directory,
    /// A regular file of `size` bytes with `links` names; `inode` is the same for each of them
    /// within one sink.
    File {
        /// Content length, bytes.
        size: u64,
        /// Number of names, 1 for most files.
        links: u32,
        /// Identity of the content among the entries of one source.
        inode: u64,
    },
    /// A further name of a file written before.
    HardLink {
        /// The path of that file, as written.
        target: String,
        /// Number of names.
        links: u32,
        /// The same as the file's.
        inode: u64,
    },
    /// A symbolic link and its target.
    Symlink(String),
    /// A character device: major, minor.
    Char(u32, u32),
    /// A block device: major, minor.
    Block(u32, u32),
    /// A named pipe.
    Fifo,
}

/// One entry of a tree.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Path without a leading `/`; `.` for the root.
    pub path: String,
    /// Type.
    pub kind: EntryKind,
    /// Permission bits (12 bits).
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time, seconds since 1970.
    pub mtime: u64,
    /// Extended attributes, name to value; kept in tar archives only.
    pub xattrs: Vec<(String, Vec<u8>)>,
}

/// Something that entries are written to.
pub trait Sink {
    /// Writes an entry; `data` has the content of a file and is empty for all else.
    ///
    /// # Errors
    /// When the archive cannot be written, or `data` is shorter than the entry says.
    fn entry(&mut self, entry: &Entry, data: &mut dyn Read) -> io::Result<()>;
}

/// Writes entries to a tar archive.
pub struct TarWriter<W: Write> {
    tar: tar::Builder<W>,
}

impl<W: Write> TarWriter<W> {
    /// An empty archive.
    pub fn new(out: W) -> Self {
        Self {
            tar: tar::Builder::new(out),
        }
    }

    /// Ends the archive.
    pub fn finish(self) -> io::Result<W> {
        self.tar.into_inner()
    }
}

impl<W: Write> Sink for TarWriter<W> {
    fn entry(&mut self, entry: &Entry, data: &mut dyn Read) -> io::Result<()> {
        if !entry.xattrs.is_empty() {
            let keys: Vec<(String, &[u8])> = (entry.xattrs.iter())
                .map(|(name, value)| (format!("SCHILY.xattr.{name}"), value.as_slice()))
                .collect();
            self.tar
                .append_pax_extensions(keys.iter().map(|(key, value)| (key.as_str(), *value)))?;
        }
        let mut header = tar::Header::new_gnu();
        header.set_mode(entry.mode & 0o7777);
        header.set_uid(u64::from(entry.uid));
        header.set_gid(u64::from(entry.gid));
        header.set_mtime(entry.mtime);
        header.set_size(0);
        header.set_entry_type(match entry.kind {
            EntryKind::Directory => tar::EntryType::Directory,
            EntryKind::File { .. } => tar::EntryType::Regular,
            EntryKind::HardLink { .. } => tar::EntryType::Link,
            EntryKind::Symlink(_) => tar::EntryType::Symlink,
            EntryKind::Char(..) => tar::EntryType::Char,
            EntryKind::Block(..) => tar::EntryType::Block,
            EntryKind::Fifo => tar::EntryType::Fifo,
        });
        match &entry.kind {
            EntryKind::Directory => {
                self.tar
                    .append_data(&mut header, format!("{}/", entry.path), io::empty())
            }
            EntryKind::File { size, .. } => {
                header.set_size(*size);
                self.tar
                    .append_data(&mut header, &entry.path, Exact { data, left: *size })
            }
            EntryKind::HardLink { target, .. } | EntryKind::Symlink(target) => {
                self.tar.append_link(&mut header, &entry.path, target)
            }
            EntryKind::Char(major, minor) | EntryKind::Block(major, minor) => {
                header.set_device_major(*major)?;
                header.set_device_minor(*minor)?;
                self.tar.append_data(&mut header, &entry.path, io::empty())
            }
            EntryKind::Fifo => self.tar.append_data(&mut header, &entry.path, io::empty()),
        }
    }
}

/// A reader that gives exactly `left` bytes or fails.
pub(super) struct Exact<'a> {
    pub data: &'a mut dyn Read,
    pub left: u64,
}

impl Read for Exact<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let most = buf
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if most == 0 {
            return Ok(0);
        }
        match self.data.read(&mut buf[..most])? {
            0 => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("a file's content ended {} bytes early", self.left),
            )),
            n => {
                self.left -= n as u64;
                Ok(n)
            }
        }
    }
}
