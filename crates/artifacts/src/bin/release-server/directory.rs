//! The files that are served.

use std::io::{Cursor, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result};
use arch::ARCH;
use artifacts::Sha256;
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncSeekExt};

/// The checksum file of a K3s release.
const CHECKSUMS: &str = ARCH.k3s_sums;

/// A directory, and its checksum file.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// Made up where the directory has none.
    checksums: Option<String>,
}

/// A file, or a text in place of one.
#[derive(Debug)]
pub enum Content {
    File {
        path: PathBuf,
        size: u64,
        etag: String,
    },
    Text(String),
}

/// Where bytes come from.
pub type Source = Box<dyn AsyncRead + Send + Unpin>;

impl Directory {
    /// Reads all files once if a checksum file has to be made up.
    pub fn open(path: &Path) -> Result<Self> {
        let has = path.join(CHECKSUMS).exists();
        let checksums = if has { None } else { Some(sums(path)?) };
        Ok(Self {
            path: path.into(),
            checksums,
        })
    }

    /// The file `name`, which has no `/` in it.
    pub fn get(&self, name: &str) -> Option<Content> {
        if let (CHECKSUMS, Some(text)) = (name, &self.checksums) {
            return Some(Content::Text(text.clone()));
        }
        let path = self.path.join(name);
        let metadata = std::fs::metadata(&path)
            .ok()
            .filter(std::fs::Metadata::is_file)?;
        let age = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(Content::File {
            path,
            size: metadata.len(),
            etag: format!("\"{:x}-{:x}\"", metadata.len(), age.as_nanos()),
        })
    }
}

impl Content {
    pub fn size(&self) -> u64 {
        match self {
            Self::File { size, .. } => *size,
            Self::Text(text) => text.len() as u64,
        }
    }

    pub fn etag(&self) -> String {
        match self {
            Self::File { etag, .. } => etag.clone(),
            Self::Text(text) => format!("\"{}\"", Sha256::of(text.as_bytes())),
        }
    }

    /// Its bytes from a position on.
    pub async fn from(self, position: u64) -> std::io::Result<Source> {
        match self {
            Self::File { path, .. } => {
                let mut file = File::open(path).await?;
                file.seek(SeekFrom::Start(position)).await?;
                Ok(Box::new(file))
            }
            Self::Text(text) => {
                let mut text = Cursor::new(text.into_bytes());
                text.set_position(position);
                Ok(Box::new(text))
            }
        }
    }
}

fn sums(dir: &Path) -> Result<String> {
    let mut lines = Vec::new();
    let entries = std::fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_file() {
            let (sum, _) =
                Sha256::of_file(&path).with_context(|| format!("reading {}", path.display()))?;
            let name = path.file_name().unwrap_or_default();
            lines.push(format!("{sum}  {}\n", name.to_string_lossy()));
        }
    }
    // By name, which is what differs between two files at a fixed place.
    lines.sort_by(|one, other| one[66..].cmp(&other[66..]));
    Ok(lines.concat())
}
