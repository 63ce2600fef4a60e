//! The file that holds the bytes of an artifact until they are verified.
//!
//! It is locked while a run works with it. It is renamed to its final name at the end, so a lock
//! that was waited for may be that of a file which has left: its path is compared with it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Where the bytes came from: what a server has to be asked for to continue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Without user and password.
    pub url: String,
    /// Only a strong one.
    pub etag: Option<String>,
    pub last_modified: Option<String>,
}

impl Origin {
    /// What `If-Range` takes.
    pub fn validator(&self) -> Option<&str> {
        self.etag.as_deref().or(self.last_modified.as_deref())
    }
}

/// A locked partial file.
#[derive(Debug)]
pub struct Partial {
    pub file: File,
    path: PathBuf,
}

impl Partial {
    /// Opens or makes it and locks it; `wait` is called before waiting for another process.
    pub fn open(path: &Path, wait: impl Fn()) -> io::Result<Self> {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        loop {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    wait();
                    // Ends when the other process ends, which has limits of its own.
                    file.lock()?;
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
            if is_at(&file, path)? {
                let path = path.to_owned();
                return Ok(Self { file, path });
            }
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Where its bytes came from; `None` if that is not known.
    pub fn origin(&self) -> Option<Origin> {
        let text = std::fs::read(self.origin_path()).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Notes where its bytes come from, for another run.
    pub fn remember(&self, origin: &Origin) -> io::Result<()> {
        std::fs::write(self.origin_path(), serde_json::to_vec(origin)?)
    }

    /// Forgets all bytes; it stays locked.
    pub fn clear(&self) -> io::Result<()> {
        remove(&self.origin_path())?;
        self.file.set_len(0)
    }

    /// Removes it if it has no bytes.
    pub fn leave(self) -> io::Result<()> {
        if self.length()? > 0 {
            return Ok(());
        }
        remove(&self.origin_path())?;
        remove(&self.path)
    }

    /// Gives it its final name, durably. Its bytes are verified and synced.
    pub fn finish(self, target: &Path) -> io::Result<()> {
        if let Some(dir) = target.parent() {
            std::fs::create_dir_all(dir)?;
        }
        std::fs::rename(&self.path, target)?;
        remove(&self.origin_path())?;
        match target.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => File::open(dir)?.sync_all(),
            _ => File::open(".")?.sync_all(),
        }
    }

    fn origin_path(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".resume.json");
        name.into()
    }
}

fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let own = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(other) => Ok((own.dev(), own.ino()) == (other.dev(), other.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nobody_waits() {
        panic!("nobody else has it");
    }

    #[test]
    fn the_origin_is_remembered_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let partial = Partial::open(&dir.path().join("a/k3s"), nobody_waits).unwrap();
        let origin = Origin {
            url: "https://host/k3s".into(),
            etag: Some("\"1\"".into()),
            last_modified: None,
        };
        partial.remember(&origin).unwrap();
        assert_eq!(partial.origin(), Some(origin));
        assert!(dir.path().join("a/k3s.resume.json").exists());
    }

    #[test]
    fn a_damaged_origin_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let partial = Partial::open(&dir.path().join("k3s"), nobody_waits).unwrap();
        std::fs::write(dir.path().join("k3s.resume.json"), "{").unwrap();
        assert_eq!(partial.origin(), None);
    }

    #[test]
    fn an_empty_one_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let partial = Partial::open(&dir.path().join("k3s"), nobody_waits).unwrap();
        partial.leave().unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn who_waited_for_one_that_has_left_opens_a_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let (path, target) = (dir.path().join("partial"), dir.path().join("target"));
        let first = Partial::open(&path, nobody_waits).unwrap();
        let (waiting, waits) = std::sync::mpsc::channel();
        let second = {
            let path = path.clone();
            std::thread::spawn(move || {
                Partial::open(&path, || waiting.send(()).unwrap()).and_then(|it| it.length())
            })
        };
        waits.recv().unwrap();
        std::io::Write::write_all(&mut &first.file, b"abc").unwrap();
        first.finish(&target).unwrap();
        assert_eq!(second.join().unwrap().unwrap(), 0);
        assert_eq!(std::fs::read(target).unwrap(), b"abc");
    }
}
