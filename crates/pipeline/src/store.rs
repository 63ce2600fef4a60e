//! The stage store: finished outputs of build stages, named by the digest of their inputs.
//!
//! Layout under the root (`$XDG_CACHE_HOME/emts/store`, else `~/.cache/emts/store`):
//! `<digest>-<name>/out/` the output, `<digest>-<name>/entry.json` what it was made of and what is in it,
//! `<digest>-<name>/stamps.json` what the files were when they were last seen whole, `locks/`, `logs/<name>.log` the last
//! build's output, `history.jsonl` how long builds took. An entry is built in `tmp/`, synced, then renamed: it is whole or
//! not there at all.
//!
//! An entry says nothing of the machine: copied by `cp -a`, `tar` or a CI's cache it is read once and taken when its
//! content is what it was. On the machine that knows it a look at the stamps is enough.

mod content;

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use content::{Content, Stamps};
use serde::{Deserialize, Serialize};

use crate::cache;
use crate::cancel::Cancel;
use crate::digest;
use crate::group::POLL;

/// Hexadecimal digits of the input digest that name an entry.
const NAME_DIGITS: usize = 16;
const ENTRY: &str = "entry.json";
const STAMPS: &str = "stamps.json";

/// Where entries are kept.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// What is known of a finished entry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// Stage name.
    pub name: String,
    /// Input name to digest.
    pub inputs: BTreeMap<String, String>,
    /// Digest of the output: what later stages depend on.
    pub output: String,
    /// Build time in seconds.
    pub seconds: f64,
    /// Output size in bytes.
    pub size: u64,
    /// What is in the output.
    content: Content,
}

/// An entry's place in the store, by name and inputs.
#[derive(Debug, Clone)]
pub struct Key {
    /// Stage name.
    pub name: String,
    /// Input name to digest.
    pub inputs: BTreeMap<String, String>,
}

impl Key {
    fn id(&self) -> String {
        let text: String = self
            .inputs
            .iter()
            .map(|(name, value)| format!("{name}={value}\n"))
            .collect();
        let digest = digest::of_text(&format!("{}\n{text}", self.name));
        format!("{}-{}", &digest[..NAME_DIGITS], self.name)
    }
}

/// An entry under construction: its lock is held, and its directory vanishes unless it is committed.
#[derive(Debug)]
pub struct Draft {
    key: Key,
    dir: PathBuf,
    _lock: File,
}

impl Draft {
    /// What it will be found by.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The directory that the build fills.
    pub fn out(&self) -> PathBuf {
        self.dir.join("out")
    }

    /// A directory for the build's own temporary files.
    pub fn scratch(&self) -> PathBuf {
        self.dir.join("scratch")
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        remove_tree(&self.dir);
    }
}

/// What [`Store::open`] found under a key.
pub enum Found {
    /// A finished, unchanged entry: its output directory and facts.
    Ready(PathBuf, Entry),
    /// Nothing: build it here.
    Absent(Draft),
}

impl Store {
    /// The user's store, made when it is not there yet.
    pub fn of_user() -> Result<Self> {
        Self::at(cache::directory()?.join("store"))
    }

    /// A store in `root`, made when it is not there yet.
    pub fn at(root: PathBuf) -> Result<Self> {
        for directory in ["", "locks", "logs", "tmp"] {
            fs_err::create_dir_all(root.join(directory))
                .context("making the stage store (set XDG_CACHE_HOME to have it elsewhere)")?;
        }
        // What programs print is for the user alone.
        let logs = root.join("logs");
        if fs_err::metadata(&logs)?.permissions().mode() & 0o077 != 0 {
            fs_err::set_permissions(&logs, PermissionsExt::from_mode(0o700))?;
        }
        Ok(Self { root })
    }

    /// The store's directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The file that holds the output of a stage's last build.
    pub fn log(&self, stage: &str) -> PathBuf {
        self.root.join("logs").join(format!("{stage}.log"))
    }

    /// Takes the key's lock, waiting for another process that builds it, and looks it up.
    ///
    /// # Errors
    /// The store cannot be written, or it is time to end.
    pub fn open(&self, key: &Key, cancel: &Cancel) -> Result<Found> {
        loop {
            if let Some(found) = self.try_open(key)? {
                return Ok(found);
            }
            cancel.check(&format!("waiting for another run that makes {}", key.name))?;
            std::thread::sleep(POLL);
        }
    }

    /// The same without waiting: `None` while another process builds it.
    pub fn try_open(&self, key: &Key) -> Result<Option<Found>> {
        if let Some((out, entry)) = self.lookup(key) {
            return Ok(Some(Found::Ready(out, entry)));
        }
        let lock = self.lock_file(key)?;
        match lock.try_lock() {
            Ok(()) => self.locked(key, lock).map(Some),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("taking the lock of {}", key.id()))
            }
        }
    }

    fn lock_file(&self, key: &Key) -> Result<File> {
        let file = fs_err::File::create(self.root.join("locks").join(key.id()))?;
        Ok(file.into_parts().0)
    }

    /// Looks up what the lock is of.
    fn locked(&self, key: &Key, lock: File) -> Result<Found> {
        if let Some((out, entry)) = self.find(key, false) {
            return Ok(Found::Ready(out, entry));
        }
        // A build that was killed may write for a moment yet: each has a directory of its own.
        let dir = format!("{}.{}", key.id(), std::process::id());
        let dir = self.root.join("tmp").join(dir);
        remove_tree(&dir);
        fs_err::create_dir_all(dir.join("out"))?;
        fs_err::create_dir_all(dir.join("scratch"))?;
        Ok(Found::Absent(Draft {
            key: key.clone(),
            dir,
            _lock: lock,
        }))
    }

    /// A finished entry whose output is what it was when it was finished. One that cannot be read is none. Nothing is
    /// deleted.
    pub fn lookup(&self, key: &Key) -> Option<(PathBuf, Entry)> {
        self.find(key, true)
    }

    fn find(&self, key: &Key, warn: bool) -> Option<(PathBuf, Entry)> {
        let dir = self.root.join(key.id());
        let entry = read_entry(&dir)?;
        let out = dir.join("out");
        let changed = match first_changed(&dir, &entry) {
            Ok(None) => None,
            Ok(Some(changed)) => Some(format!(
                "{} is not what was built",
                out.join(changed).display()
            )),
            Err(error) => Some(format!("{error:#}")),
        };
        if let Some(why) = changed {
            if warn {
                eprintln!("warning: an entry of the store is not used, and built again: {why}");
            }
            return None;
        }
        // Clearing up goes by the last use. A store that cannot be written is used all the same.
        let _ = File::open(dir.join(ENTRY)).and_then(|file| file.set_modified(SystemTime::now()));
        Some((out, entry))
    }

    /// Makes a built draft an entry: synced to disk, read-only, renamed into place. `history` is the name under which
    /// the time that it took is kept.
    pub fn commit(&self, draft: Draft, took: Duration, history: &str) -> Result<(PathBuf, Entry)> {
        let out = draft.out();
        if fs_err::read_dir(&out)?.next().is_none() {
            bail!("the stage {} ended well but made nothing", draft.key.name);
        }
        remove_tree(&draft.scratch());
        content::seal(&out)?;
        // Before the content is read: what changes after that does not fit them.
        let stamps = Stamps::of(&out)?;
        let content = Content::of(&out)?;
        let entry = Entry {
            name: draft.key.name.clone(),
            inputs: draft.key.inputs.clone(),
            output: content.digest(),
            seconds: took.as_secs_f64(),
            size: content.size(),
            content,
        };
        write(&draft.dir.join(STAMPS), &stamps)?;
        write(&draft.dir.join(ENTRY), &entry)?;
        sync(&draft.dir)?;
        let place = self.root.join(draft.key.id());
        remove_tree(&place);
        fs_err::rename(&draft.dir, &place)?;
        sync(&self.root)?;
        self.remember(history, entry.seconds)?;
        Ok((place.join("out"), entry))
    }

    fn remember(&self, name: &str, seconds: f64) -> Result<()> {
        let mut history = fs_err::OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.root.join("history.jsonl"))?;
        let line = serde_json::json!({"name": name, "seconds": seconds});
        writeln!(history, "{line}")?;
        Ok(())
    }

    /// Median build time so far of what is kept under `name`, in seconds.
    pub fn median_seconds(&self, name: &str) -> Option<f64> {
        #[derive(Deserialize)]
        struct Line {
            name: String,
            seconds: f64,
        }
        let history = fs_err::read_to_string(self.root.join("history.jsonl")).ok()?;
        let mut seconds: Vec<f64> = history
            .lines()
            .filter_map(|line| serde_json::from_str::<Line>(line).ok())
            .filter(|line| line.name == name)
            .map(|line| line.seconds)
            .collect();
        seconds.sort_by(f64::total_cmp);
        seconds.get(seconds.len() / 2).copied()
    }

    /// What is known of the entry whose output is `out`.
    pub fn entry_of(&self, out: &Path) -> Result<Option<Entry>> {
        let entries = self.entries()?.into_iter();
        Ok(entries
            .filter(|(dir, _, _)| Some(dir.as_path()) == out.parent())
            .map(|(_, entry, _)| entry)
            .next())
    }

    /// All finished entries, newest use first, with their directory and the time since their last use.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn entries(&self) -> Result<Vec<(PathBuf, Entry, Duration)>> {
        let mut found = Vec::new();
        for item in fs_err::read_dir(&self.root)? {
            let dir = item?.path();
            if let Some(entry) = read_entry(&dir) {
                let used = fs_err::metadata(dir.join(ENTRY))?.modified()?;
                found.push((dir, entry, used.elapsed().unwrap_or_default()));
            }
        }
        found.sort_by_key(|(_, _, age)| *age);
        Ok(found)
    }

    /// Directories of entries that cannot be read: half ones, and those of other versions of this program. With the time
    /// since they were changed.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn unreadable(&self) -> Result<Vec<(PathBuf, Duration)>> {
        let mut found = Vec::new();
        for item in fs_err::read_dir(&self.root)? {
            let dir = item?.path();
            if is_entry(&dir) && read_entry(&dir).is_none() {
                let age = fs_err::metadata(&dir)?.modified()?.elapsed();
                found.push((dir, age.unwrap_or_default()));
            }
        }
        Ok(found)
    }

    /// Removes what killed builds have left: directories in `tmp/` of which nobody holds the lock.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn remove_left_overs(&self) -> Result<()> {
        for item in fs_err::read_dir(self.root.join("tmp"))? {
            let dir = item?.path();
            if !is_entry(&dir) {
                continue;
            }
            let name = dir.file_name().unwrap_or_default().to_string_lossy();
            let id = name.rsplit_once('.').map_or(&*name, |(id, _)| id);
            let lock = fs_err::File::create(self.root.join("locks").join(id))?;
            if lock.into_parts().0.try_lock().is_ok() {
                remove_tree(&dir);
            }
        }
        Ok(())
    }

    /// Removes one entry, unless a running build holds its lock. Returns whether it was removed.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self, dir: &Path) -> Result<bool> {
        let id = dir.file_name().context("a store entry has a name")?;
        let lock = fs_err::File::create(self.root.join("locks").join(id))?;
        if lock.into_parts().0.try_lock().is_err() {
            return Ok(false);
        }
        // Out of sight first: an entry is whole or not there.
        let hidden = self.root.join("tmp").join(id);
        fs_err::rename(dir, &hidden)?;
        fs_err::remove_dir_all(&hidden)?;
        Ok(true)
    }
}

/// The digest that an output has once it is an entry.
///
/// # Errors
/// It cannot be read.
pub fn digest_of(out: &Path) -> Result<String> {
    Ok(Content::of(out)?.digest())
}

/// Whether a path has the name of an entry.
fn is_entry(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.split_once('-').is_some_and(|(digits, _)| {
        digits.len() == NAME_DIGITS && digits.bytes().all(|it| it.is_ascii_hexdigit())
    })
}

/// What is known of an entry; `None` where none is, or one that cannot be read, a half one, or one of another version of this
/// program.
fn read_entry(dir: &Path) -> Option<Entry> {
    serde_json::from_slice(&fs_err::read(dir.join(ENTRY)).ok()?).ok()
}

/// What is not as it was when the entry was finished. Without stamps of this machine all content is read, once.
fn first_changed(dir: &Path, entry: &Entry) -> Result<Option<PathBuf>> {
    let out = dir.join("out");
    let known = fs_err::read(dir.join(STAMPS)).ok();
    let known: Option<Stamps> = known.and_then(|text| serde_json::from_slice(&text).ok());
    let now = Stamps::of(&out)?;
    if known.is_some_and(|known| known == now) {
        return Ok(None);
    }
    let changed = entry.content.first_difference(&Content::of(&out)?);
    if changed.is_none() {
        // A store that cannot be written is read each time.
        let _ = write(&dir.join(STAMPS), &now);
    }
    Ok(changed)
}

/// Writes beside and renames: a reader sees the file whole or not at all.
fn write(path: &Path, value: &impl Serialize) -> Result<()> {
    let dir = path.parent().context("a file has a directory")?;
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    serde_json::to_writer_pretty(&mut file, value)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

fn sync(path: &Path) -> Result<()> {
    Ok(fs_err::File::open(path)?.sync_all()?)
}

/// Removes a directory if it is there; what cannot be removed is reported, not fatal.
fn remove_tree(path: &Path) {
    let removed = match fs_err::remove_dir_all(path) {
        Err(error) if error.kind() == ErrorKind::NotADirectory => fs_err::remove_file(path),
        removed => removed,
    };
    if let Err(error) = removed
        && error.kind() != ErrorKind::NotFound
    {
        eprintln!("warning: this stays in the store: {error}");
    }
}

#[cfg(test)]
mod tests;
