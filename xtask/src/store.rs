//! The stage store: finished outputs of build stages, named by the digest of their inputs.
//!
//! Layout under the root (`$XDG_CACHE_HOME/emts/store`, else `~/.cache/emts/store`):
//! `<digest>-<name>/out/` the output, `<digest>-<name>/entry.json` what it was made of,
//! `locks/`, `logs/<name>.log` the last build's output, `history.jsonl` how long builds took.
//! An entry is built in `tmp/`, synced, then renamed: it is whole or not there at all.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

use crate::digest;

/// Hexadecimal digits of the input digest that name an entry.
const NAME_DIGITS: usize = 16;

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
    /// Path below `out/` to the stamp taken when it was finished.
    files: BTreeMap<String, Stamp>,
}

/// Inode facts that change with every write to a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    inode: u64,
    size: u64,
    /// Nanoseconds since 1970; set by the kernel at every change of content or mode.
    changed: i128,
}

impl Stamp {
    fn of(path: &Path) -> Result<Self> {
        let meta = fs_err::symlink_metadata(path)?;
        let changed = i128::from(meta.ctime()) * 1_000_000_000 + i128::from(meta.ctime_nsec());
        Ok(Self {
            inode: meta.ino(),
            size: meta.size(),
            changed,
        })
    }
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

/// An entry under construction: its lock is held, and its folder vanishes unless it is committed.
#[derive(Debug)]
pub struct Draft {
    key: Key,
    dir: PathBuf,
    _lock: File,
}

impl Draft {
    /// The folder that the build fills.
    pub fn out(&self) -> PathBuf {
        self.dir.join("out")
    }

    /// A folder for the build's own temporary files.
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
    /// A finished, unchanged entry: its output folder and facts.
    Ready(PathBuf, Entry),
    /// Nothing: build it here.
    Absent(Draft),
}

impl Store {
    /// The user's store, made when it is not there yet.
    pub fn of_user() -> Result<Self> {
        Self::at(cache_dir()?.join("store"))
    }

    /// A store in `root`, made when it is not there yet.
    pub fn at(root: PathBuf) -> Result<Self> {
        for folder in ["", "locks", "logs", "tmp"] {
            fs_err::create_dir_all(root.join(folder))
                .context("making the stage store; XDG_CACHE_HOME names another place")?;
        }
        Ok(Self { root })
    }

    /// The store's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The file that holds the output of a stage's last build.
    pub fn log(&self, stage: &str) -> PathBuf {
        self.root.join("logs").join(format!("{stage}.log"))
    }

    /// Takes the key's lock, waiting for another process that builds it, and looks it up.
    pub fn open(&self, key: &Key) -> Result<Found> {
        let lock = self.lock_file(key)?;
        lock.lock()
            .with_context(|| format!("waiting for the lock of {}", key.id()))?;
        self.locked(key, lock)
    }

    /// The same without waiting: `None` while another process builds it.
    pub fn try_open(&self, key: &Key) -> Result<Option<Found>> {
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
        if let Some((out, entry)) = self.lookup(key)? {
            return Ok(Found::Ready(out, entry));
        }
        let dir = self.root.join("tmp").join(key.id());
        // The lock is ours, so what lies here is what a killed build left.
        remove_tree(&dir);
        fs_err::create_dir_all(dir.join("out"))?;
        fs_err::create_dir_all(dir.join("scratch"))?;
        Ok(Found::Absent(Draft {
            key: key.clone(),
            dir,
            _lock: lock,
        }))
    }

    /// A finished entry whose files are as they were when it was finished.
    ///
    /// A changed entry is removed with a message, so that it is built anew.
    pub fn lookup(&self, key: &Key) -> Result<Option<(PathBuf, Entry)>> {
        let dir = self.root.join(key.id());
        if !dir.join("entry.json").exists() {
            return Ok(None);
        }
        let entry: Entry = serde_json::from_str(&fs_err::read_to_string(dir.join("entry.json"))?)
            .with_context(|| format!("reading the store entry {}", dir.display()))?;
        if let Some(file) = first_changed(&dir.join("out"), &entry)? {
            eprintln!(
                "warning: {} in the store was changed after it was built; building it anew",
                file.display()
            );
            remove_tree(&dir);
            return Ok(None);
        }
        File::open(dir.join("entry.json"))?.set_modified(SystemTime::now())?;
        Ok(Some((dir.join("out"), entry)))
    }

    /// Makes a built draft an entry: synced to disk, read-only, renamed into place. `history` is the name under which
    /// the time that it took is kept.
    pub fn commit(&self, draft: Draft, took: Duration, history: &str) -> Result<(PathBuf, Entry)> {
        let out = draft.out();
        if fs_err::read_dir(&out)?.next().is_none() {
            bail!("the stage {} ended well but made nothing", draft.key.name);
        }
        let output = digest::of_path(&out)?;
        remove_tree(&draft.scratch());
        let (files, size) = seal(&out)?;
        let entry = Entry {
            name: draft.key.name.clone(),
            inputs: draft.key.inputs.clone(),
            output,
            seconds: took.as_secs_f64(),
            size,
            files,
        };
        fs_err::write(
            draft.dir.join("entry.json"),
            serde_json::to_string_pretty(&entry)?,
        )?;
        sync_folder(&draft.dir)?;
        let place = self.root.join(draft.key.id());
        remove_tree(&place);
        fs_err::rename(&draft.dir, &place)?;
        sync_folder(&self.root)?;
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

    /// All finished entries, newest use first, with their folder and the time since their last use.
    pub fn entries(&self) -> Result<Vec<(PathBuf, Entry, Duration)>> {
        let mut found = Vec::new();
        for item in fs_err::read_dir(&self.root)? {
            let dir = item?.path();
            let Ok(text) = fs_err::read_to_string(dir.join("entry.json")) else {
                continue;
            };
            let entry = serde_json::from_str(&text)
                .with_context(|| format!("reading the store entry {}", dir.display()))?;
            let used = fs_err::metadata(dir.join("entry.json"))?.modified()?;
            found.push((dir, entry, used.elapsed().unwrap_or_default()));
        }
        found.sort_by_key(|(_, _, age)| *age);
        Ok(found)
    }

    /// Removes one entry, unless a running build holds its lock. Returns whether it was removed.
    pub fn remove(&self, dir: &Path) -> Result<bool> {
        let id = dir.file_name().context("a store entry has a name")?;
        let lock = fs_err::File::create(self.root.join("locks").join(id))?
            .into_parts()
            .0;
        if lock.try_lock().is_err() {
            return Ok(false);
        }
        remove_tree(dir);
        Ok(!dir.exists())
    }
}

/// `$XDG_CACHE_HOME/emts`, else `~/.cache/emts`.
pub fn cache_dir() -> Result<PathBuf> {
    let base = match std::env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()) {
        Some(dir) => PathBuf::from(dir),
        None => PathBuf::from(
            std::env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?,
        )
        .join(".cache"),
    };
    Ok(base.join("emts"))
}

fn first_changed(out: &Path, entry: &Entry) -> Result<Option<PathBuf>> {
    for (name, stamp) in &entry.files {
        let path = out.join(name);
        if !Stamp::of(&path).is_ok_and(|now| now == *stamp) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Makes all files read-only, syncs them, and takes their stamps and total size.
fn seal(out: &Path) -> Result<(BTreeMap<String, Stamp>, u64)> {
    let mut files = BTreeMap::new();
    let mut size = 0;
    for item in WalkDir::new(out).contents_first(true) {
        let item = item?;
        if item.file_type().is_file() {
            let file = fs_err::File::open(item.path())?;
            let mode = file.metadata()?.permissions().mode() & !0o222;
            file.set_permissions(PermissionsExt::from_mode(mode))?;
            file.sync_all()?;
            let stamp = Stamp::of(item.path())?;
            size += stamp.size;
            files.insert(item.path().strip_prefix(out)?.display().to_string(), stamp);
        } else if item.file_type().is_dir() {
            sync_folder(item.path())?;
        }
    }
    Ok((files, size))
}

fn sync_folder(path: &Path) -> Result<()> {
    Ok(fs_err::File::open(path)?.sync_all()?)
}

/// Removes a folder if it is there; what cannot be removed is reported, not fatal.
fn remove_tree(path: &Path) {
    if let Err(error) = fs_err::remove_dir_all(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        eprintln!("warning: a left-over of the store stays: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(value: &str) -> Key {
        Key {
            name: "stage".into(),
            inputs: BTreeMap::from([("input".into(), value.into())]),
        }
    }

    fn build(store: &Store, value: &str) -> Result<PathBuf> {
        let Found::Absent(draft) = store.open(&key(value))? else {
            bail!("expected no entry yet")
        };
        fs_err::write(draft.out().join("file"), value)?;
        Ok(store.commit(draft, Duration::from_secs(2), "stage")?.0)
    }

    #[test]
    fn a_committed_entry_is_found_again_by_the_same_inputs_only() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let store = Store::at(dir.path().join("store"))?;
        let out = build(&store, "one")?;
        assert_eq!(fs_err::read_to_string(out.join("file"))?, "one");
        assert!(store.lookup(&key("one"))?.is_some());
        assert!(store.lookup(&key("two"))?.is_none());
        assert_eq!(store.median_seconds("stage"), Some(2.0));
        Ok(())
    }

    #[test]
    fn an_uncommitted_draft_leaves_nothing() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let store = Store::at(dir.path().join("store"))?;
        let Found::Absent(draft) = store.open(&key("one"))? else {
            bail!("expected no entry yet")
        };
        fs_err::write(draft.out().join("half"), "made")?;
        drop(draft);
        assert!(store.lookup(&key("one"))?.is_none());
        assert_eq!(fs_err::read_dir(store.root().join("tmp"))?.count(), 0);
        Ok(())
    }

    #[test]
    fn what_another_run_builds_is_not_waited_for() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let store = Store::at(dir.path().join("store"))?;
        let other = store.open(&key("one"))?;
        assert!(store.try_open(&key("one"))?.is_none());
        assert!(store.try_open(&key("two"))?.is_some());
        drop(other);
        assert!(store.try_open(&key("one"))?.is_some());
        Ok(())
    }

    #[test]
    fn an_entry_that_was_written_to_is_not_used() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let store = Store::at(dir.path().join("store"))?;
        let file = build(&store, "one")?.join("file");
        fs_err::set_permissions(&file, PermissionsExt::from_mode(0o644))?;
        fs_err::write(&file, "two")?;
        assert!(store.lookup(&key("one"))?.is_none());
        Ok(())
    }

    #[test]
    fn a_build_that_makes_nothing_is_an_error() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let store = Store::at(dir.path().join("store"))?;
        let Found::Absent(draft) = store.open(&key("one"))? else {
            bail!("expected no entry yet")
        };
        assert!(store.commit(draft, Duration::ZERO, "stage").is_err());
        Ok(())
    }
}
