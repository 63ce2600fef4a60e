//! What is in an output: content by which an entry is known anywhere, and stamps by which it is known here.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

use crate::digest;

/// Path below the output to what is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Content(BTreeMap<String, Item>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Item {
    Directory,
    /// Its target.
    Link(PathBuf),
    File {
        size: u64,
        executable: bool,
        sha256: String,
    },
}

impl Content {
    /// Reads all of a directory.
    pub fn of(out: &Path) -> Result<Self> {
        let mut items = BTreeMap::new();
        for entry in WalkDir::new(out).min_depth(1) {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type());
            let item = if kind.is_dir() {
                Item::Directory
            } else if kind.is_symlink() {
                Item::Link(fs_err::read_link(path)?)
            } else if kind.is_file() {
                let meta = entry.metadata()?;
                Item::File {
                    size: meta.len(),
                    executable: meta.permissions().mode() & 0o111 != 0,
                    sha256: digest::of_file(path)?,
                }
            } else {
                bail!("{} is neither file, directory nor link", path.display());
            };
            items.insert(name(out, path)?, item);
        }
        Ok(Self(items))
    }

    /// One digest of all.
    pub fn digest(&self) -> String {
        let lines = self.0.iter().map(|(name, item)| match item {
            Item::Directory => format!("directory {name}\n"),
            Item::Link(target) => format!("link {name} {}\n", target.display()),
            Item::File {
                executable, sha256, ..
            } => format!("file {name} {executable} {sha256}\n"),
        });
        digest::of_text(&lines.collect::<String>())
    }

    /// Bytes of all files.
    pub fn size(&self) -> u64 {
        let sizes = self.0.values().map(|item| match item {
            Item::File { size, .. } => *size,
            _ => 0,
        });
        sizes.sum()
    }

    /// The first path that is not the same in another output.
    pub fn first_difference(&self, other: &Self) -> Option<PathBuf> {
        let mut names = self.0.keys().chain(other.0.keys());
        let differs = |name: &&String| self.0.get(*name) != other.0.get(*name);
        names.find(differs).map(PathBuf::from)
    }
}

/// Path below the output to what the kernel says of it, which changes with every write.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamps(BTreeMap<String, Stamp>);

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    inode: u64,
    size: u64,
    /// Nanoseconds since 1970; set by the kernel at every change of content, mode or, of a directory, entries.
    changed: i128,
}

impl Stamps {
    /// Looks at all of a directory without reading it.
    pub fn of(out: &Path) -> Result<Self> {
        let mut stamps = BTreeMap::new();
        for entry in WalkDir::new(out) {
            let entry = entry?;
            let meta = entry.metadata()?;
            let stamp = Stamp {
                inode: meta.ino(),
                size: meta.size(),
                changed: i128::from(meta.ctime()) * 1_000_000_000 + i128::from(meta.ctime_nsec()),
            };
            stamps.insert(name(out, entry.path())?, stamp);
        }
        Ok(Self(stamps))
    }
}

/// Makes all files read-only and syncs everything.
pub(super) fn seal(out: &Path) -> Result<()> {
    for entry in WalkDir::new(out).contents_first(true) {
        let entry = entry?;
        if entry.file_type().is_file() {
            let file = fs_err::File::open(entry.path())?;
            let mode = file.metadata()?.permissions().mode() & !0o222;
            file.set_permissions(std::fs::Permissions::from_mode(mode))?;
            file.sync_all()?;
        } else if entry.file_type().is_dir() {
            super::sync(entry.path())?;
        }
    }
    Ok(())
}

fn name(out: &Path, path: &Path) -> Result<String> {
    let name = path.strip_prefix(out)?.to_str();
    let name = name.with_context(|| format!("{} is not UTF-8", path.display()))?;
    Ok(name.to_owned())
}
