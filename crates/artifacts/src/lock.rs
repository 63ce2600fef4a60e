//! The lock file of a profile: what the publishers' files were when they were first fetched.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use diagnostics::decode::decode;
use serde::Deserialize;

use crate::Sha256;

/// What stands before the entries.
const HEADER: &str = "\
# What the publishers' files were when they were first fetched. A file that differs later is an error.
# Written by `cargo xtask artifacts fetch` and `cargo xtask artifacts lock`.
";

/// A lock file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading or writing failed; the message names the file.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The file is not what this program writes.
    #[error("{} is not a lock file: {reason}; remove it to learn all sums again", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file has another sum than the one that is locked.
    #[error("{file} has sha256 {seen}; the lock file has {locked}")]
    Contradiction {
        /// The file, with part and version.
        file: String,
        /// The sum in the lock file.
        locked: Sha256,
        /// The sum seen now.
        seen: Sha256,
    },
}

/// What is known of one file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Locked {
    /// Its sum.
    pub sha256: Sha256,
    /// Its size in bytes.
    pub size: u64,
    /// Where the sum is from: the URL of the publisher's checksum file, or of the file itself.
    pub from: String,
}

/// Files by part, version and name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock {
    parts: BTreeMap<String, BTreeMap<String, BTreeMap<String, Locked>>>,
}

impl Lock {
    /// Where the lock of a profile is: beside it, its extension `lock`.
    #[must_use]
    pub fn path_of(profile: &Path) -> PathBuf {
        profile.with_extension("lock")
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
        let parts = decode(&text).map_err(|error| Error::Malformed {
            path: path.into(),
            reason: error.to_string(),
        })?;
        Ok(Self { parts })
    }

    /// What is locked of a file.
    #[must_use]
    pub fn get(&self, part: &str, version: &str, file: &str) -> Option<&Locked> {
        self.parts.get(part)?.get(version)?.get(file)
    }

    /// Locks a file, unless it is locked already.
    ///
    /// # Errors
    /// [`Error::Contradiction`] when it is locked to another sum.
    pub fn learn(
        &mut self,
        part: &str,
        version: &str,
        file: &str,
        seen: Locked,
    ) -> Result<(), Error> {
        if let Some(locked) = self.get(part, version, file) {
            if locked.sha256 == seen.sha256 {
                return Ok(());
            }
            return Err(Error::Contradiction {
                file: format!("{file} of {part} {version}"),
                locked: locked.sha256,
                seen: seen.sha256,
            });
        }
        let versions = self.parts.entry(part.into()).or_default();
        let files = versions.entry(version.into()).or_default();
        files.insert(file.into(), seen);
        Ok(())
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// When its folder cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let mut file = tempfile::Builder::new()
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .tempfile_in(folder.unwrap_or(Path::new(".")))?;
        file.write_all(self.text().as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }

    fn text(&self) -> String {
        let mut text = HEADER.to_owned();
        for (part, versions) in &self.parts {
            text.push_str(&format!("{part}:\n"));
            for (version, files) in versions {
                text.push_str(&format!("  {version:?}:\n"));
                for (name, Locked { sha256, size, from }) in files {
                    text.push_str(&format!(
                        "    {name:?}:\n      sha256: {sha256}\n      size: {size}\n      from: {from:?}\n"
                    ));
                }
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locked(digit: &str) -> Locked {
        Locked {
            sha256: digit.repeat(64).parse().unwrap(),
            size: 7,
            from: "https://host/v1.33.13+k3s2/sums.txt".into(),
        }
    }

    #[test]
    fn what_was_written_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = Lock::path_of(&dir.path().join("upstream.yaml"));
        assert_eq!(Lock::read(&path).unwrap(), Lock::default());
        let mut lock = Lock::default();
        lock.learn("k3s", "v1.33.13+k3s2", "k3s", locked("a"))
            .unwrap();
        lock.learn("k3s", "v1.33.13+k3s2", "install.sh", locked("b"))
            .unwrap();
        lock.write(&path).unwrap();
        assert!(path.ends_with("upstream.lock"));
        assert_eq!(Lock::read(&path).unwrap(), lock);
    }

    #[test]
    fn a_later_difference_names_both_sums() {
        let mut lock = Lock::default();
        lock.learn("k3s", "v1", "k3s", locked("a")).unwrap();
        lock.learn("k3s", "v1", "k3s", locked("a")).unwrap();
        let error = lock.learn("k3s", "v1", "k3s", locked("b")).unwrap_err();
        let message = error.to_string();
        assert!(
            message.contains(&"a".repeat(64)) && message.contains(&"b".repeat(64)),
            "{message}"
        );
        assert_eq!(lock.get("k3s", "v1", "k3s"), Some(&locked("a")));
        assert_eq!(lock.get("k3s", "v2", "k3s"), None);
    }

    #[test]
    fn what_is_not_a_sum_is_refused_with_the_files_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.lock");
        fs_err::write(
            &path,
            "k3s:\n  v1:\n    k3s: {sha256: latest, size: 1, from: x}\n",
        )
        .unwrap();
        let error = Lock::read(&path).unwrap_err().to_string();
        assert!(error.contains("a.lock"), "{error}");
    }
}
