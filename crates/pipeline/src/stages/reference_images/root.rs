//! The one layer of an image: a tar whose every directory comes before what is in it.
//!
//! LinuxKit copies entries into the initrd in the order in which it reads them,
//! topmost layer first, and the kernel skips an entry whose directory is not there
//! yet; so each image has a single layer.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Read, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use hookos::oci::T0;
use tar::{Entry, EntryType, Header};

use super::packages;
use super::selection::Selection;

/// The layer while it is written.
pub struct RootTar {
    tar: tar::Builder<BufWriter<File>>,
    written: BTreeSet<String>,
}

impl RootTar {
    /// Begins a layer in the file `path`.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("making {}", path.display()))?;
        Ok(Self {
            tar: tar::Builder::new(BufWriter::new(file)),
            written: BTreeSet::new(),
        })
    }

    /// Copies the chosen entries of another tar, with owners and modes. Times become one constant.
    pub fn copy_selected(&mut self, from: &Path, selection: &Selection) -> Result<()> {
        let mut archive = tar::Archive::new(
            File::open(from).with_context(|| format!("opening {}", from.display()))?,
        );
        for entry in archive.entries()? {
            let mut entry = entry?;
            let path = clean(&entry.path()?.to_string_lossy());
            let is_folder = entry.header().entry_type().is_dir();
            if path.is_empty() || packages::is_list(&path) || !selection.takes(&path, is_folder) {
                continue;
            }
            self.copy(&mut entry, &path)
                .with_context(|| format!("copying {path}"))?;
        }
        Ok(())
    }

    fn copy<R: Read>(&mut self, entry: &mut Entry<'_, R>, path: &str) -> Result<()> {
        let original = entry.header();
        let mut header = new_header(original.entry_type(), original.mode()?);
        header.set_uid(original.uid()?);
        header.set_gid(original.gid()?);
        self.parents(path)?;
        let link = entry
            .link_name()?
            .map(|link| link.to_string_lossy().into_owned());
        match (entry.header().entry_type(), link) {
            (EntryType::Directory, _) => return self.append_directory(path, header),
            (EntryType::Regular, _) => {
                header.set_size(entry.size());
                self.tar.append_data(&mut header, path, entry)?;
            }
            (EntryType::Symlink, Some(target)) => {
                self.tar.append_link(&mut header, path, target)?
            }
            (EntryType::Link, Some(target)) => {
                let target = clean(&target);
                ensure!(
                    self.written.contains(&target),
                    "it is a hard link to {target}, which is left out; leave out both"
                );
                self.tar.append_link(&mut header, path, target)?;
            }
            (kind, _) => anyhow::bail!("an image cannot have an entry of the type {kind:?}"),
        }
        self.written.insert(path.to_owned());
        Ok(())
    }

    /// Makes a directory and those it is in, unless they are there.
    pub fn directory(&mut self, path: &str) -> Result<()> {
        self.parents(path)?;
        let mode = if path == "tmp" { 0o1777 } else { 0o755 };
        self.append_directory(path, new_header(EntryType::Directory, mode))
    }

    /// Makes a symbolic link.
    pub fn symlink(&mut self, path: &str, target: &str) -> Result<()> {
        self.parents(path)?;
        if self.written.insert(path.to_owned()) {
            self.tar
                .append_link(&mut new_header(EntryType::Symlink, 0o777), path, target)?;
        }
        Ok(())
    }

    /// Makes a file of these bytes.
    pub fn file(&mut self, path: &str, mode: u32, content: &[u8]) -> Result<()> {
        self.append_file(path, mode, content.len() as u64, content)
    }

    /// Makes a file with the content of another one.
    pub fn file_from(&mut self, path: &str, mode: u32, source: &Path) -> Result<()> {
        let file = File::open(source).with_context(|| format!("opening {}", source.display()))?;
        let size = file.metadata()?.len();
        self.append_file(path, mode, size, file)
    }

    /// Writes out what is left.
    pub fn finish(self) -> Result<()> {
        self.tar.into_inner()?.flush()?;
        Ok(())
    }

    fn append_file(&mut self, path: &str, mode: u32, size: u64, content: impl Read) -> Result<()> {
        self.parents(path)?;
        let mut header = new_header(EntryType::Regular, mode);
        header.set_size(size);
        self.tar.append_data(&mut header, path, content)?;
        self.written.insert(path.to_owned());
        Ok(())
    }

    fn parents(&mut self, path: &str) -> Result<()> {
        for (at, _) in path.match_indices('/') {
            self.append_directory(&path[..at], new_header(EntryType::Directory, 0o755))?;
        }
        Ok(())
    }

    fn append_directory(&mut self, path: &str, mut header: Header) -> Result<()> {
        if self.written.insert(path.to_owned()) {
            self.tar
                .append_data(&mut header, format!("{path}/"), std::io::empty())?;
        }
        Ok(())
    }
}

/// A header owned by root, of the constant time, without content.
pub fn new_header(kind: EntryType, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode & 0o7777);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(T0);
    header.set_size(0);
    header
}

/// `./usr/bin/` as `usr/bin`.
fn clean(path: &str) -> String {
    path.split('/')
        .filter(|name| !matches!(*name, "" | "."))
        .collect::<Vec<_>>()
        .join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::reference_images::selection::Pattern;

    fn names(tar: &Path) -> Vec<String> {
        let mut archive = tar::Archive::new(File::open(tar).unwrap());
        let entries = archive.entries().unwrap();
        entries
            .map(|entry| {
                entry
                    .unwrap()
                    .path()
                    .unwrap()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect()
    }

    #[test]
    fn a_folder_comes_before_what_is_in_it() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("layer.tar");
        let mut tar = RootTar::create(&path).unwrap();
        tar.file("usr/sbin/runc", 0o755, b"x").unwrap();
        tar.symlink("usr/bin/runc", "../sbin/runc").unwrap();
        tar.finish().unwrap();
        assert_eq!(
            names(&path),
            [
                "usr/",
                "usr/sbin/",
                "usr/sbin/runc",
                "usr/bin/",
                "usr/bin/runc"
            ]
        );
    }

    #[test]
    fn the_same_content_gives_the_same_bytes() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            let path = root.path().join(name);
            let mut tar = RootTar::create(&path).unwrap();
            tar.directory("tmp").unwrap();
            tar.file("a", 0o644, b"a").unwrap();
            tar.finish().unwrap();
            fs_err::read(path).unwrap()
        };
        assert_eq!(write("1"), write("2"));
    }

    #[test]
    fn a_hard_link_to_something_left_out_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let from = root.path().join("from.tar");
        let mut tar = RootTar::create(&from).unwrap();
        tar.file("a", 0o755, b"a").unwrap();
        tar.tar
            .append_link(&mut new_header(EntryType::Link, 0o755), "b", "a")
            .unwrap();
        tar.finish().unwrap();
        let selection = Selection {
            keep: None,
            drop: vec![Pattern::parse("a").unwrap()],
        };
        let mut to = RootTar::create(&root.path().join("to.tar")).unwrap();
        let error = format!("{:#}", to.copy_selected(&from, &selection).unwrap_err());
        assert!(error.contains("hard link to a"), "{error}");
    }
}
