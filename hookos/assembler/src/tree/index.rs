//! The table of contents of a layer, and where each file's bytes are.

use std::io::{self, Read, Write};
use std::path::Path;

use crate::oci::{Blob, Error, Result};

use super::paths;
use super::sparse;

/// A file's bytes inside one of the [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Index of the file.
    pub source: usize,
    /// First byte.
    pub offset: u64,
    /// Length, bytes.
    pub size: u64,
}

/// Files that hold uncompressed layers: spooled ones (deleted when closed) or the blobs themselves.
pub type Sources = Vec<std::fs::File>;

/// Type of a [`LayerEntry`].
#[derive(Clone, Debug)]
pub enum LayerKind {
    Directory,
    File(Extent),
    HardLink(String),
    Symlink(String),
    Char(u32, u32),
    Block(u32, u32),
    Fifo,
}

/// An entry of a layer, its name cleaned.
#[derive(Clone, Debug)]
pub struct LayerEntry {
    pub path: String,
    pub kind: LayerKind,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub mtime: u64,
    pub xattrs: Vec<(String, Vec<u8>)>,
}

/// Reads a layer once: checks its digest, keeps its uncompressed bytes where they can be read at
/// any place (a file in `spool`, unless the blob is uncompressed itself), and lists its entries.
pub fn read_layer(blob: &Blob, spool: &Path, sources: &mut Sources) -> Result<Vec<LayerEntry>> {
    let source = sources.len();
    let plain = blob.is_plain()?;
    let file = if plain {
        fs_err::File::open(&blob.path)?.into_parts().0
    } else {
        tempfile::tempfile_in(spool)?
    };
    let base = if plain { blob.offset } else { 0 };
    let copy = if plain { None } else { Some(file.try_clone()?) };
    sources.push(file);
    let name = blob
        .digest
        .clone()
        .unwrap_or_else(|| blob.path.display().to_string());
    let mut reader = Reader {
        layer: name,
        source,
        base,
        spool,
        expanded: None,
        sources,
    };
    blob.with_decoded(|data| {
        let mut tee = Tee {
            data,
            copy: copy.map(|f| io::BufWriter::with_capacity(1 << 20, f)),
        };
        let entries = reader.entries(&mut tar::Archive::new(&mut tee))?;
        if let Some(mut copy) = tee.copy {
            copy.flush()?;
        }
        Ok(entries)
    })
}

struct Reader<'a> {
    layer: String,
    source: usize,
    base: u64,
    spool: &'a Path,
    /// Where sparse files of this layer are expanded: index among the sources, bytes used.
    expanded: Option<(usize, u64)>,
    sources: &'a mut Sources,
}

impl Reader<'_> {
    fn entries<R: Read>(&mut self, archive: &mut tar::Archive<R>) -> Result<Vec<LayerEntry>> {
        let mut entries = Vec::new();
        for entry in archive.entries()? {
            let mut entry = entry?;
            if entry.header().entry_type() != tar::EntryType::XGlobalHeader {
                entries.push(self.entry(&mut entry)?);
            }
        }
        Ok(entries)
    }

    fn bad(&self, path: &[u8], reason: impl Into<String>) -> Error {
        Error::BadEntry {
            layer: self.layer.clone(),
            path: String::from_utf8_lossy(path).into_owned(),
            reason: reason.into(),
        }
    }

    fn entry(&mut self, entry: &mut tar::Entry<'_, impl Read>) -> Result<LayerEntry> {
        let pax = Pax::read(entry)?;
        let name = pax
            .sparse
            .name
            .clone()
            .unwrap_or_else(|| entry.path_bytes().into_owned());
        let text = |bytes: &[u8]| {
            String::from_utf8(bytes.to_vec()).map_err(|_| self.bad(&name, "its name is not UTF-8"))
        };
        let path = paths::clean(&text(&name)?).map_err(|reason| self.bad(&name, reason))?;
        let link = entry
            .link_name_bytes()
            .map(|bytes| text(&bytes))
            .transpose()?
            .unwrap_or_default();
        let header = entry.header().clone();
        let device = || -> io::Result<(u32, u32)> {
            Ok((
                header.device_major()?.unwrap_or(0),
                header.device_minor()?.unwrap_or(0),
            ))
        };
        let kind = match header.entry_type() {
            tar::EntryType::Directory => LayerKind::Directory,
            tar::EntryType::Regular | tar::EntryType::Continuous | tar::EntryType::GNUSparse => {
                LayerKind::File(self.content(entry, &pax.sparse)?)
            }
            tar::EntryType::Symlink => LayerKind::Symlink(link),
            tar::EntryType::Link => LayerKind::HardLink(paths::clean(&link).map_err(|reason| {
                self.bad(&name, format!("it is a hard link to `{link}`: {reason}"))
            })?),
            tar::EntryType::Char => device().map(|(major, minor)| LayerKind::Char(major, minor))?,
            tar::EntryType::Block => {
                device().map(|(major, minor)| LayerKind::Block(major, minor))?
            }
            tar::EntryType::Fifo => LayerKind::Fifo,
            other => return Err(self.bad(&name, format!("its type {other:?} is not supported"))),
        };
        let id = |value: u64, what: &str| {
            u32::try_from(value)
                .map_err(|_| self.bad(&name, format!("its {what} {value} is too large")))
        };
        Ok(LayerEntry {
            path,
            kind,
            mode: header.mode()? & 0o7777,
            uid: id(header.uid()?, "owner")?,
            gid: id(header.gid()?, "group")?,
            mtime: header.mtime().unwrap_or(0),
            xattrs: pax.xattrs,
        })
    }

    fn content(
        &mut self,
        entry: &mut tar::Entry<'_, impl Read>,
        sparse: &sparse::Keys,
    ) -> Result<Extent> {
        let gnu = entry.header().entry_type() == tar::EntryType::GNUSparse;
        if !gnu && !sparse.is_sparse() {
            let offset = self.base + entry.raw_file_position();
            return Ok(Extent {
                source: self.source,
                offset,
                size: entry.size(),
            });
        }
        let (source, offset) = match self.expanded {
            Some(place) => place,
            None => {
                self.sources.push(tempfile::tempfile_in(self.spool)?);
                (self.sources.len() - 1, 0)
            }
        };
        let size = if gnu {
            sparse::copy_dense(entry, &self.sources[source], offset)?
        } else {
            sparse::expand(entry, sparse, &self.sources[source], offset)?
        };
        self.expanded = Some((source, offset + size));
        Ok(Extent {
            source,
            offset,
            size,
        })
    }
}

/// What a PAX header says of an entry.
#[derive(Default)]
struct Pax {
    xattrs: Vec<(String, Vec<u8>)>,
    sparse: sparse::Keys,
}

impl Pax {
    fn read(entry: &mut tar::Entry<'_, impl Read>) -> Result<Self> {
        let mut pax = Self::default();
        let Some(extensions) = entry.pax_extensions()? else {
            return Ok(pax);
        };
        for extension in extensions {
            let extension = extension?;
            let Ok(key) = extension.key() else { continue };
            if let Some(name) = key.strip_prefix("SCHILY.xattr.") {
                pax.xattrs
                    .push((name.into(), extension.value_bytes().to_vec()));
            } else {
                pax.sparse.note(key, extension.value_bytes());
            }
        }
        pax.xattrs.sort();
        Ok(pax)
    }
}

/// Copies what is read to a file.
struct Tee<'a> {
    data: &'a mut dyn Read,
    copy: Option<io::BufWriter<std::fs::File>>,
}

impl Read for Tee<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.data.read(buf)?;
        if let Some(copy) = &mut self.copy {
            copy.write_all(&buf[..n])?;
        }
        Ok(n)
    }
}
