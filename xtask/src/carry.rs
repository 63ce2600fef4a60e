//! What a build takes from networks, carried to a site without one: a profile's artifacts and the outputs of the stages
//! that take packages from a mirror.
//!
//! The directory: `<part>/<file>`, `stages/<name>.tar` with `stages/<name>.json`, `<profile>.lock`, `SHA256SUMS`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use artifacts::Sha256;
use artifacts::checksums::Checksums;
use artifacts::lock::{Lock, Locked};
use artifacts::plan::Artifact;
use pipeline::cancel::Cancel;
use pipeline::choice::Options;
use pipeline::stages;
use pipeline::store::{self, Entry, Found, Key, Store};
use serde::{Deserialize, Serialize};

use crate::catalogue::Catalogue;
use crate::project::Project;
use crate::shelf::Shelf;

/// Sums of all other files, as `sha256sum` writes them.
const SUMS: &str = "SHA256SUMS";
/// The directory of stages' outputs.
const STAGES: &str = "stages";

/// What is known of a stage's output.
#[derive(Debug, Serialize, Deserialize)]
struct Carried {
    inputs: BTreeMap<String, String>,
    output: String,
}

/// Copies everything to `dir`, which is made. Stages that are not in the store are built.
///
/// # Errors
/// An artifact is not on this machine, or `dir` has other files in it.
pub fn export(
    project: Project<'_>,
    shelf: &Shelf<'_>,
    catalogue: &Catalogue,
    dir: &Path,
) -> Result<()> {
    fs_err::create_dir_all(dir)?;
    check_empty(dir)?;
    let mut lock = catalogue.lock.clone();
    for artifact in &catalogue.artifacts {
        let Some(present) = shelf.find(artifact)? else {
            bail!(
                "{} is not on this machine; `cargo xtask artifacts fetch --profile {}` gets it",
                artifact.file,
                catalogue.profile.name
            );
        };
        let target = dir.join(&artifact.part).join(&artifact.file);
        replace(&present.path, &target)?;
        let locked = Locked {
            sha256: present.sha256,
            size: present.size,
            from: artifact.source.to_string(),
        };
        lock.learn(&artifact.part, &artifact.version, &artifact.file, locked)?;
    }
    export_stages(project, shelf.store, &dir.join(STAGES))?;
    lock.write(&dir.join(lock_name(catalogue)))?;
    let sums = sums_of(dir)?;
    fs_err::write(dir.join(SUMS), &sums)?;
    println!("{} files in {}", sums.lines().count(), dir.display());
    Ok(())
}

/// Takes what [`export`] wrote into the store.
///
/// # Errors
/// A file is not what `SHA256SUMS`, the profile or its lock file say. Nothing of it is taken then.
pub fn import(shelf: &Shelf<'_>, catalogue: &mut Catalogue, dir: &Path) -> Result<()> {
    check_sums(dir)?;
    let mut lock = catalogue.lock.clone();
    let carried = Lock::read(&dir.join(lock_name(catalogue)))?;
    let mut files = Vec::new();
    for artifact in &catalogue.artifacts {
        let path = dir.join(&artifact.part).join(&artifact.file);
        files.push((artifact, sum_of(artifact, &path)?, path));
        if let Some(locked) = carried.get(&artifact.part, &artifact.version, &artifact.file) {
            lock.learn(
                &artifact.part,
                &artifact.version,
                &artifact.file,
                locked.clone(),
            )?;
        }
    }
    for (artifact, sum, path) in files {
        keep_copy(shelf, artifact, sum, &path)?;
    }
    import_stages(shelf.store, shelf.cancel, &dir.join(STAGES))?;
    if lock != catalogue.lock {
        lock.write(&catalogue.lock_path())?;
        println!("wrote {}", catalogue.lock_path().display());
    }
    println!("taken from {}", dir.display());
    Ok(())
}

/// An export may be repeated, but not beside files of somebody else.
fn check_empty(dir: &Path) -> Result<()> {
    ensure!(
        fs_err::read_dir(dir)?.next().is_none() || dir.join(SUMS).is_file(),
        "{} has files that are not of an export; name an empty directory",
        dir.display()
    );
    Ok(())
}

fn lock_name(catalogue: &Catalogue) -> String {
    format!("{}.lock", catalogue.profile.name)
}

fn sum_of(artifact: &Artifact, path: &Path) -> Result<Sha256> {
    let (sum, _) = Sha256::of_file(path).with_context(|| {
        format!(
            "reading {}; is it an export of this profile and version?",
            path.display()
        )
    })?;
    if let Some(known) = artifact.sha256 {
        ensure!(
            known == sum,
            "{} has sha256 {sum}; the profile or its lock file has {known}",
            path.display()
        );
    }
    Ok(sum)
}

/// The store takes a file by renaming it, and the export stays as it is.
fn keep_copy(shelf: &Shelf<'_>, artifact: &Artifact, sum: Sha256, path: &Path) -> Result<()> {
    let directory = tempfile::tempdir_in(shelf.store.root().join("tmp"))?;
    let copy = directory.path().join(&artifact.file);
    fs_err::copy(path, &copy)?;
    shelf.keep(&artifact.file, sum, &copy)?;
    Ok(())
}

fn export_stages(project: Project<'_>, store: &Store, dir: &Path) -> Result<()> {
    let outputs = project.produce(&Options::default(), stages::FROM_MIRRORS)?;
    for name in stages::FROM_MIRRORS {
        let directory = outputs.directory(name)?;
        let entry = store
            .entry_of(directory)?
            .with_context(|| format!("the store has no entry of the stage {name}"))?;
        export_stage(directory, entry, dir)?;
    }
    Ok(())
}

/// The output of one stage as an archive, and what it was made of.
fn export_stage(directory: &Path, entry: Entry, dir: &Path) -> Result<()> {
    fs_err::create_dir_all(dir)?;
    let name = entry.name;
    let carried = Carried {
        inputs: entry.inputs,
        output: entry.output,
    };
    fs_err::write(
        dir.join(format!("{name}.json")),
        serde_json::to_vec_pretty(&carried)?,
    )?;
    let file = fs_err::File::create(dir.join(format!("{name}.tar")))?;
    let mut archive = tar::Builder::new(std::io::BufWriter::new(file));
    archive.mode(tar::HeaderMode::Deterministic);
    archive.append_dir_all(".", directory)?;
    let file = archive.into_inner()?.into_inner();
    Ok(file.context("writing the archive's end")?.sync_all()?)
}

fn import_stages(store: &Store, cancel: &Cancel, dir: &Path) -> Result<()> {
    for name in stages::FROM_MIRRORS {
        let carried: Carried =
            serde_json::from_slice(&fs_err::read(dir.join(format!("{name}.json")))?)
                .with_context(|| format!("reading {name}.json"))?;
        let key = Key {
            name: (*name).to_owned(),
            inputs: carried.inputs,
        };
        let Found::Absent(draft) = store.open(&key, cancel)? else {
            continue;
        };
        // `unpack` refuses names that lead out of the directory.
        tar::Archive::new(fs_err::File::open(dir.join(format!("{name}.tar")))?)
            .unpack(draft.out())?;
        let seen = store::digest_of(&draft.out())?;
        ensure!(
            seen == carried.output,
            "{name}.tar has the content {seen}, its description says {}",
            carried.output
        );
        store.commit(draft, Duration::ZERO, "import")?;
    }
    Ok(())
}

/// Copies beside the target and renames, so that an interrupted export has no half file.
fn replace(from: &Path, to: &Path) -> Result<()> {
    let directory = to.parent().context("a file has a directory")?;
    fs_err::create_dir_all(directory)?;
    let beside = tempfile::NamedTempFile::new_in(directory)?;
    fs_err::copy(from, beside.path())?;
    fs_err::File::open(beside.path())?.sync_all()?;
    beside.persist(to)?;
    Ok(())
}

/// All files below `dir` but the sums, by name.
fn files_of(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(dir).sort_by_file_name() {
        let entry = entry?;
        let name = entry.path().strip_prefix(dir)?;
        if entry.file_type().is_file() && name != Path::new(SUMS) {
            files.push(name.to_owned());
        }
    }
    Ok(files)
}

fn sums_of(dir: &Path) -> Result<String> {
    let mut text = String::new();
    for name in files_of(dir)? {
        let path = dir.join(&name);
        let (sum, _) =
            Sha256::of_file(&path).with_context(|| format!("reading {}", path.display()))?;
        text.push_str(&format!("{sum}  {}\n", name.display()));
    }
    Ok(text)
}

fn check_sums(dir: &Path) -> Result<()> {
    let path = dir.join(SUMS);
    let text = fs_err::read_to_string(&path)
        .context("reading an export of `cargo xtask artifacts export`")?;
    let sums = Checksums::parse(&text).with_context(|| format!("reading {}", path.display()))?;
    for (name, expected) in sums.iter() {
        let file = dir.join(name);
        let (seen, _) =
            Sha256::of_file(&file).with_context(|| format!("reading {}", file.display()))?;
        ensure!(
            seen == expected,
            "{} has sha256 {seen}, {SUMS} says {expected}: copy the export again",
            file.display()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTENT: &str = "content of a stage";

    fn key(name: &str) -> Key {
        Key {
            name: name.into(),
            inputs: BTreeMap::from([("input".into(), "1".into())]),
        }
    }

    /// An export of stages whose outputs are one small file each.
    fn exported(dir: &Path) -> Result<()> {
        let store = Store::at(dir.join("one"))?;
        for name in stages::FROM_MIRRORS {
            let Found::Absent(draft) = store.open(&key(name), &Cancel::default())? else {
                bail!("expected no entry yet")
            };
            fs_err::write(draft.out().join("file"), CONTENT)?;
            let (directory, entry) = store.commit(draft, Duration::ZERO, name)?;
            export_stage(&directory, entry, &dir.join(STAGES))?;
        }
        Ok(())
    }

    #[test]
    fn outputs_of_stages_are_found_on_another_machine_by_what_they_were_made_of() -> Result<()> {
        let dir = tempfile::tempdir()?;
        exported(dir.path())?;
        let other = Store::at(dir.path().join("two"))?;
        import_stages(&other, &Cancel::default(), &dir.path().join(STAGES))?;
        for name in stages::FROM_MIRRORS {
            let (out, _) = other.lookup(&key(name)).context("imported")?;
            assert_eq!(fs_err::read_to_string(out.join("file"))?, CONTENT);
        }
        Ok(())
    }

    #[test]
    fn an_altered_output_of_a_stage_is_not_taken() -> Result<()> {
        let dir = tempfile::tempdir()?;
        exported(dir.path())?;
        let path = dir.path().join(STAGES).join("node-root.tar");
        let altered =
            String::from_utf8(fs_err::read(&path)?)?.replace(CONTENT, "CONTENT of a stage");
        fs_err::write(&path, altered)?;
        let other = Store::at(dir.path().join("two"))?;
        let error = import_stages(&other, &Cancel::default(), &dir.path().join(STAGES))
            .expect_err("it differs");
        assert!(error.to_string().contains("node-root.tar"), "{error}");
        assert!(other.lookup(&key("node-root")).is_none());
        Ok(())
    }

    #[test]
    fn a_file_that_is_not_as_it_was_exported_is_named_with_both_sums() -> Result<()> {
        let dir = tempfile::tempdir()?;
        fs_err::create_dir(dir.path().join("k3s"))?;
        fs_err::write(dir.path().join("k3s/k3s"), "as exported")?;
        fs_err::write(dir.path().join(SUMS), sums_of(dir.path())?)?;
        check_sums(dir.path())?;
        fs_err::write(dir.path().join("k3s/k3s"), "altered")?;
        let error = check_sums(dir.path()).expect_err("it differs").to_string();
        for content in ["as exported", "altered"] {
            let sum = Sha256::of(content.as_bytes()).to_string();
            assert!(error.contains(&sum), "{error}");
        }
        Ok(())
    }

    #[test]
    fn an_export_does_not_go_among_other_files() -> Result<()> {
        let dir = tempfile::tempdir()?;
        fs_err::write(dir.path().join("mine"), "x")?;
        assert!(check_empty(dir.path()).is_err());
        fs_err::write(dir.path().join(SUMS), "")?;
        check_empty(dir.path())
    }
}
