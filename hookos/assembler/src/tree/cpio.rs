//! The cpio format of the kernel's initramfs ("newc", magic 070701).
//!
//! Source: Documentation/driver-api/early-userspace/buffer-format.rst of the kernel. Hard links
//! are real here: all names have one inode number, and the content comes with the first. The
//! kernel and GNU cpio both take that.

use std::collections::HashMap;
use std::io::{self, Read, Write};

use super::sink::Exact;
use super::{Entry, EntryKind, Sink};

/// LinuxKit's first inode number.
const FIRST_INODE: u64 = 721;
/// An archive's length is a multiple of this, bytes.
const BLOCK: u64 = 512;

/// Writes entries to a newc archive.
pub struct CpioWriter<W: Write> {
    out: W,
    written: u64,
    next_inode: u64,
    /// Inode numbers given to contents with several names.
    shared: HashMap<u64, u64>,
}

#[derive(Default)]
struct Header {
    inode: u64,
    mode: u32,
    uid: u32,
    gid: u32,
    links: u32,
    mtime: u64,
    size: u64,
    device: (u32, u32),
}

impl<W: Write> CpioWriter<W> {
    /// An empty archive.
    pub fn new(out: W) -> Self {
        Self {
            out,
            written: 0,
            next_inode: FIRST_INODE,
            shared: HashMap::new(),
        }
    }

    /// Writes the trailer, without which the kernel calls the archive cut off.
    pub fn finish(mut self) -> io::Result<W> {
        let inode = self.number(None);
        self.header(
            "TRAILER!!!",
            &Header {
                inode,
                links: 1,
                ..Header::default()
            },
        )?;
        self.pad(BLOCK)?;
        Ok(self.out)
    }

    fn number(&mut self, shared: Option<u64>) -> u64 {
        if let Some(known) = shared.and_then(|key| self.shared.get(&key)) {
            return *known;
        }
        let number = self.next_inode;
        self.next_inode += 1;
        if let Some(key) = shared {
            self.shared.insert(key, number);
        }
        number
    }

    fn header(&mut self, name: &str, header: &Header) -> io::Result<()> {
        let size = u32::try_from(header.size).map_err(|_| {
            io::Error::other(format!(
                "{name} has {} bytes; an initrd's files end at 4 GiB",
                header.size
            ))
        })?;
        let mtime = u32::try_from(header.mtime).unwrap_or(u32::MAX);
        let inode = u32::try_from(header.inode).map_err(io::Error::other)?;
        let name_size = name.len() as u32 + 1;
        let fields = [
            inode,
            header.mode,
            header.uid,
            header.gid,
            header.links,
            mtime,
            size,
            3,
            1,
            header.device.0,
            header.device.1,
            name_size,
            0,
        ];
        let mut text = String::with_capacity(110);
        text.push_str("070701");
        for field in fields {
            text.push_str(&format!("{field:08x}"));
        }
        self.put(text.as_bytes())?;
        self.put(name.as_bytes())?;
        self.put(&[0])?;
        self.pad(4)
    }

    fn put(&mut self, data: &[u8]) -> io::Result<()> {
        self.out.write_all(data)?;
        self.written += data.len() as u64;
        Ok(())
    }

    fn pad(&mut self, multiple: u64) -> io::Result<()> {
        let missing = self.written.next_multiple_of(multiple) - self.written;
        self.put(&[0; BLOCK as usize][..missing as usize])
    }
}

impl<W: Write> Sink for CpioWriter<W> {
    fn entry(&mut self, entry: &Entry, data: &mut dyn Read) -> io::Result<()> {
        let mut header = Header {
            mode: entry.mode & 0o7777,
            uid: entry.uid,
            gid: entry.gid,
            links: 1,
            mtime: entry.mtime,
            ..Header::default()
        };
        let mut shared = None;
        let mut content: Option<&str> = None;
        header.mode |= match &entry.kind {
            EntryKind::Directory => {
                header.links = 2;
                0o040_000
            }
            EntryKind::File { size, links, inode } => {
                header.size = *size;
                header.links = *links;
                shared = (*links > 1).then_some(*inode);
                0o100_000
            }
            EntryKind::HardLink { links, inode, .. } => {
                header.links = *links;
                shared = Some(*inode);
                0o100_000
            }
            EntryKind::Symlink(target) => {
                header.size = target.len() as u64;
                content = Some(target);
                0o120_000
            }
            EntryKind::Char(major, minor) => {
                header.device = (*major, *minor);
                0o020_000
            }
            EntryKind::Block(major, minor) => {
                header.device = (*major, *minor);
                0o060_000
            }
            EntryKind::Fifo => 0o010_000,
        };
        header.inode = self.number(shared);
        self.header(&entry.path, &header)?;
        let written = match content {
            Some(target) => io::copy(&mut target.as_bytes(), &mut self.out)?,
            None => io::copy(
                &mut Exact {
                    data,
                    left: header.size,
                },
                &mut self.out,
            )?,
        };
        self.written += written;
        self.pad(4)
    }
}
