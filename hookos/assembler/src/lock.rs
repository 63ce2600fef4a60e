//! The lock file: which digests the images have that come from registries.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use diagnostics::decode::decode;
use serde::Deserialize;

use crate::oci::is_sha256;

/// What stands before the digests.
const HEADER: &str = "\
# Digests of the images that come from registries. A tag is resolved once and stays at its digest
# until it is renewed: cargo xtask hookos --update-lock
";

/// A lock file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading or writing failed; the message names the file.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// It is not what this program writes.
    #[error("{} is no lock file: {reason}; remove it to resolve all tags anew", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Digests (`sha256:<hex>`) by canonical reference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    digests: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    images: BTreeMap<String, String>,
}

impl Lock {
    /// Where the lock of a LinuxKit file is: beside it, its extension `lock`.
    pub fn path_of(definition: &Path) -> PathBuf {
        definition.with_extension("lock")
    }

    /// Reads a lock file; one that is not there is empty.
    ///
    /// # Errors
    /// [`Error::Malformed`] and [`Error::Io`].
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = match fs_err::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            text => text?,
        };
        let malformed = |reason: String| Error::Malformed {
            path: path.into(),
            reason,
        };
        let content: Content = decode(&text).map_err(|error| malformed(error.to_string()))?;
        for (reference, digest) in &content.images {
            if !is_sha256(digest) {
                return Err(malformed(format!(
                    "{reference} has `{digest}` where sha256: and 64 hexadecimal digits are wanted"
                )));
            }
        }
        Ok(Self {
            digests: content.images,
        })
    }

    /// The digest that a canonical reference is locked to.
    pub fn get(&self, reference: &str) -> Option<&str> {
        self.digests.get(reference).map(String::as_str)
    }

    /// Locks a canonical reference to a digest.
    pub fn set(&mut self, reference: &str, digest: &str) {
        self.digests.insert(reference.into(), digest.into());
    }

    /// Forgets every reference for which `keep` is false.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.digests.retain(|reference, _| keep(reference));
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// When its folder cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
        file.write_all(HEADER.as_bytes())?;
        file.write_all(if self.digests.is_empty() {
            b"images: {}\n"
        } else {
            b"images:\n"
        })?;
        for (reference, digest) in &self.digests {
            writeln!(file, "  \"{reference}\": {digest}")?;
        }
        Ok(crate::files::persist(file, path)?)
    }
}

#[cfg(test)]
mod tests {
    use super::Lock;

    fn digest(digit: char) -> String {
        format!("sha256:{}", digit.to_string().repeat(64))
    }

    #[test]
    fn what_was_written_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = Lock::path_of(&dir.path().join("hook-os.yaml"));
        assert_eq!(Lock::read(&path).unwrap(), Lock::default());
        let mut lock = Lock::default();
        lock.set("docker.io/library/debian:12", &digest('a'));
        lock.set("host:5000/b", &digest('b'));
        lock.write(&path).unwrap();
        assert!(path.ends_with("hook-os.lock"));
        assert_eq!(Lock::read(&path).unwrap(), lock);
        lock.retain(|reference| reference == "host:5000/b");
        assert_eq!(lock.get("docker.io/library/debian:12"), None);
        assert_eq!(lock.get("host:5000/b"), Some(digest('b').as_str()));
    }

    #[test]
    fn what_is_no_digest_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.lock");
        fs_err::write(&path, "images:\n  a/b:1: latest\n").unwrap();
        let error = Lock::read(&path).unwrap_err().to_string();
        assert!(
            error.contains("a.lock") && error.contains("latest"),
            "{error}"
        );
    }
}
