//! Where artifacts are on this machine: the stage store, a directory that the user names, a file of the user's own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use artifacts::Sha256;
use artifacts::checksums::Checksums;
use artifacts::plan::{Artifact, Source};
use pipeline::cancel::Cancel;
use pipeline::store::{Found, Key, Store};

/// What the names of the store's entries begin with.
const ENTRY: &str = "artifact-";

/// An artifact that is on this machine.
#[derive(Debug, Clone)]
pub struct Present {
    /// The file.
    pub path: PathBuf,
    /// The sum of its content.
    pub sha256: Sha256,
    /// Its size in bytes.
    pub size: u64,
    /// Where it is.
    pub place: Place,
}

/// Where an artifact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the stage store, checked when it came there.
    Store,
    /// In the directory of `--artifacts`.
    Directory,
    /// The file that `--artifact` names.
    Own,
}

/// The places to look in.
#[derive(Debug, Clone)]
pub struct Shelf<'a> {
    /// The store.
    pub store: &'a Store,
    /// The directory of `--artifacts`.
    pub directory: Option<&'a Path>,
    /// When to end early.
    pub cancel: &'a Cancel,
}

impl Shelf<'_> {
    /// The artifact, if it is here. The user's directory comes before the store.
    ///
    /// # Errors
    /// What is here contradicts what is known of it.
    pub fn find(&self, artifact: &Artifact) -> Result<Option<Present>> {
        if let Source::Path(path) = &artifact.source {
            return measured(path, Place::Own).map(Some);
        }
        if let Some(present) = self.in_directory(artifact)? {
            return Ok(Some(present));
        }
        match artifact.sha256 {
            Some(sha256) => self.in_store(&artifact.file, sha256),
            None => Ok(None),
        }
    }

    fn in_directory(&self, artifact: &Artifact) -> Result<Option<Present>> {
        let Some(directory) = self.directory else {
            return Ok(None);
        };
        let places = [directory.join(&artifact.part), directory.to_owned()];
        let Some(directory) = places
            .iter()
            .find(|directory| directory.join(&artifact.file).is_file())
        else {
            return Ok(None);
        };
        let present = measured(&directory.join(&artifact.file), Place::Directory)?;
        let expected = match artifact.sha256 {
            Some(sum) => Some((sum, "the profile or its lock file".to_owned())),
            None => published(artifact, directory)?,
        };
        if let Some((sum, from)) = expected
            && sum != present.sha256
        {
            bail!(
                "{} has sha256 {}; {from} has {sum}: it is another version or damaged, fetch it again",
                present.path.display(),
                present.sha256
            );
        }
        Ok(Some(present))
    }

    fn in_store(&self, file: &str, sha256: Sha256) -> Result<Option<Present>> {
        let Some((out, entry)) = self.store.lookup(&key(file, sha256)) else {
            return Ok(None);
        };
        Ok(Some(Present {
            path: out.join(file),
            sha256,
            size: entry.size,
            place: Place::Store,
        }))
    }

    /// Moves a verified file into the store, unless it is there already.
    ///
    /// # Errors
    /// Its content is not what was verified, or the store cannot be written.
    pub fn keep(&self, name: &str, sha256: Sha256, file: &Path) -> Result<Present> {
        if let Found::Absent(draft) = self.store.open(&key(name, sha256), self.cancel)? {
            let target = draft.out().join(name);
            // A rename within a file system; else a copy.
            if fs_err::rename(file, &target).is_err() {
                fs_err::copy(file, &target)?;
            }
            let (seen, _) = Sha256::of_file(&target)
                .with_context(|| format!("reading {}", target.display()))?;
            ensure!(
                seen == sha256,
                "{} has sha256 {seen}, expected {sha256}",
                file.display()
            );
            self.store.commit(draft, Duration::ZERO, "artifact")?;
        }
        self.in_store(name, sha256)?
            .with_context(|| format!("{name} is not in the store after it was put there"))
    }
}

fn key(file: &str, sha256: Sha256) -> Key {
    Key {
        name: format!("{ENTRY}{file}"),
        inputs: [("sha256".to_owned(), sha256.to_string())].into(),
    }
}

fn measured(path: &Path, place: Place) -> Result<Present> {
    let (sha256, size) =
        Sha256::of_file(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(Present {
        path: fs_err::canonicalize(path)?,
        sha256,
        size,
        place,
    })
}

/// The sum that the publisher's checksum file beside an artifact has for it.
fn published(artifact: &Artifact, directory: &Path) -> Result<Option<(Sha256, String)>> {
    let name = artifact
        .checksums
        .last()
        .and_then(|url| url.rsplit('/').next());
    let Some(path) = name
        .map(|name| directory.join(name))
        .filter(|path| path.is_file())
    else {
        return Ok(None);
    };
    let text = fs_err::read_to_string(&path)?;
    let sums = Checksums::parse(&text).with_context(|| format!("reading {}", path.display()))?;
    Ok(sums
        .get(&artifact.file)
        .map(|sum| (sum, path.display().to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artifact(sha256: Option<Sha256>) -> Artifact {
        Artifact {
            part: "k3s".into(),
            version: "v1".into(),
            file: "k3s-files".into(),
            licence: "MIT".into(),
            source: Source::Urls(Vec::new()),
            sha256,
            size: None,
            checksums: vec!["https://h/v1/sums.txt".into()],
            signature: None,
            replaced: false,
        }
    }

    struct Machine {
        _dir: tempfile::TempDir,
        store: Store,
        cancel: Cancel,
        files: PathBuf,
    }

    impl Machine {
        fn new() -> Result<Self> {
            let dir = tempfile::tempdir()?;
            let files = dir.path().join("files");
            fs_err::create_dir_all(files.join("k3s"))?;
            Ok(Self {
                store: Store::at(dir.path().join("store"))?,
                files,
                cancel: Cancel::default(),
                _dir: dir,
            })
        }

        fn shelf(&self) -> Shelf<'_> {
            Shelf {
                store: &self.store,
                directory: Some(&self.files),
                cancel: &self.cancel,
            }
        }
    }

    #[test]
    fn what_was_kept_is_found_by_its_sum_alone() -> Result<()> {
        let machine = Machine::new()?;
        let file = machine.files.join("download");
        fs_err::write(&file, "content")?;
        let sum = Sha256::of(b"content");
        machine.shelf().keep("k3s-files", sum, &file)?;
        let found = machine
            .shelf()
            .find(&artifact(Some(sum)))?
            .context("kept")?;
        assert_eq!((found.place, found.size), (Place::Store, 7));
        assert!(
            machine
                .shelf()
                .find(&artifact(Some(Sha256::of(b"x"))))?
                .is_none()
        );
        assert!(machine.shelf().find(&artifact(None))?.is_none());
        Ok(())
    }

    #[test]
    fn a_file_that_is_not_the_verified_one_is_not_kept() -> Result<()> {
        let machine = Machine::new()?;
        let file = machine.files.join("download");
        fs_err::write(&file, "other")?;
        let sum = Sha256::of(b"content");
        assert!(machine.shelf().keep("k3s-files", sum, &file).is_err());
        assert!(machine.shelf().find(&artifact(Some(sum)))?.is_none());
        Ok(())
    }

    #[test]
    fn a_directory_may_have_its_files_by_part_or_all_in_one() -> Result<()> {
        for place in ["k3s-files", "k3s/k3s-files"] {
            let machine = Machine::new()?;
            fs_err::write(machine.files.join(place), "content")?;
            let found = machine.shelf().find(&artifact(None))?.context(place)?;
            assert_eq!(found.place, Place::Directory);
        }
        Ok(())
    }

    #[test]
    fn a_file_of_the_directory_with_another_sum_is_an_error_with_both() -> Result<()> {
        let machine = Machine::new()?;
        fs_err::write(machine.files.join("k3s-files"), "content")?;
        let expected = Sha256::of(b"x");
        let error = machine
            .shelf()
            .find(&artifact(Some(expected)))
            .expect_err("it differs");
        let message = error.to_string();
        let seen = Sha256::of(b"content").to_string();
        assert!(
            message.contains(&seen) && message.contains(&expected.to_string()),
            "{message}"
        );
        Ok(())
    }

    #[test]
    fn the_publishers_sums_beside_a_file_count_where_no_other_is_known() -> Result<()> {
        let machine = Machine::new()?;
        fs_err::write(machine.files.join("k3s-files"), "content")?;
        let sums = machine.files.join("sums.txt");
        fs_err::write(&sums, format!("{}  k3s-files\n", Sha256::of(b"x")))?;
        let error = machine
            .shelf()
            .find(&artifact(None))
            .expect_err("it differs");
        assert!(error.to_string().contains("sums.txt"), "{error}");
        fs_err::write(&sums, format!("{}  k3s-files\n", Sha256::of(b"content")))?;
        assert!(machine.shelf().find(&artifact(None))?.is_some());
        Ok(())
    }
}
