//! The files of the tree that do not go into the initrd but beside it: kernel, command line,
//! microcode.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::checksum::checksum;
use crate::tree::{Entry, EntryKind, Sink};

/// Entries of the tree that are taken out, by their exact path.
const TAKEN: [(&str, &str); 3] = [
    ("boot/kernel", "kernel"),
    ("boot/cmdline", "cmdline"),
    ("boot/ucode.cpio", "ucode.cpio"),
];

/// A folder into which boot files are put; the last one of a name wins.
pub struct Boot {
    dir: PathBuf,
}

impl Boot {
    /// Files go into `dir`.
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.into() }
    }

    /// Path of a boot file that was seen: `kernel`, `cmdline`, `ucode.cpio`.
    pub fn file(&self, name: &str) -> Option<PathBuf> {
        Some(self.dir.join(name)).filter(|path| path.exists())
    }

    /// Name and checksum of each boot file.
    pub fn checksums(&self) -> io::Result<Vec<(String, String)>> {
        let mut out = Vec::new();
        for (_, name) in TAKEN {
            if let Some(path) = self.file(name) {
                out.push((name.to_owned(), checksum(fs_err::File::open(path)?)?.0));
            }
        }
        Ok(out)
    }

    /// Copies boot files in.
    pub fn take(&self, files: &[PathBuf]) -> io::Result<()> {
        for file in files {
            if let Some(name) = file.file_name() {
                fs_err::copy(file, self.dir.join(name))?;
            }
        }
        Ok(())
    }
}

/// Takes boot files out of a stream of entries; everything else below `boot/` is dropped, as
/// LinuxKit drops it.
pub struct BootFilter<'a, S> {
    inner: S,
    boot: &'a mut Boot,
}

impl<'a, S: Sink> BootFilter<'a, S> {
    /// Filters what goes to `inner`.
    pub fn new(inner: S, boot: &'a mut Boot) -> Self {
        Self { inner, boot }
    }

    /// The inner sink.
    pub fn finish(self) -> S {
        self.inner
    }
}

impl<S: Sink> Sink for BootFilter<'_, S> {
    fn entry(&mut self, entry: &Entry, data: &mut dyn Read) -> io::Result<()> {
        if !entry.path.starts_with("boot/") {
            return self.inner.entry(entry, data);
        }
        let taken = TAKEN.iter().find(|(path, _)| *path == entry.path);
        // A link or an empty file counts as not there, as with LinuxKit.
        if let (Some((_, name)), EntryKind::File { size, .. }) = (taken, &entry.kind) {
            let path = self.boot.dir.join(name);
            let mut file = fs_err::File::create(path)?;
            let copied = io::copy(data, &mut file)?;
            if copied != *size {
                return Err(io::Error::other(format!(
                    "{} has {copied} bytes instead of {size}",
                    entry.path
                )));
            }
        }
        Ok(())
    }
}
