//! A profile, its lock file, and the plan that both make: which artifacts a build takes.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use artifacts::lock::Lock;
use artifacts::plan::{Artifact, Changes};
use artifacts::profile::Profile;
use diagnostics::text::closest;

/// Where the project's own profiles are, below the checkout.
const DIRECTORY: &str = "configs/profiles";

/// What is known of a profile's artifacts.
#[derive(Debug, Clone)]
pub struct Catalogue {
    /// The profile.
    pub profile: Profile,
    /// Its lock file, read.
    pub lock: Lock,
    /// What it takes, with the user's changes.
    pub artifacts: Vec<Artifact>,
    path: PathBuf,
}

impl Catalogue {
    /// Reads the profile that `name` names, or that is the file `name`, and its lock file.
    ///
    /// # Errors
    /// There is none, it is malformed, or it and its lock file contradict each other.
    pub fn read(root: &Path, name: &str, changes: &Changes) -> Result<Self> {
        let path = path_of(root, name)?;
        let profile = Profile::read(&path)?;
        let lock = Lock::read(&Lock::path_of(&path))?;
        let artifacts = changes
            .plan(&profile, &lock)
            .with_context(|| format!("reading {}", path.display()))?;
        Ok(Self {
            profile,
            lock,
            artifacts,
            path,
        })
    }

    /// Where its lock file is.
    pub fn lock_path(&self) -> PathBuf {
        Lock::path_of(&self.path)
    }

    /// The artifacts of one part.
    pub fn of_part(&self, part: &str) -> Vec<Artifact> {
        let of_part = |artifact: &&Artifact| artifact.part == part;
        self.artifacts.iter().filter(of_part).cloned().collect()
    }
}

/// Whether `--profile` names a file, and not a profile of the project.
pub fn is_path(name: &str) -> bool {
    Path::new(name).extension().is_some() || name.contains('/')
}

fn path_of(root: &Path, name: &str) -> Result<PathBuf> {
    let file = Path::new(name);
    if is_path(name) {
        return fs_err::canonicalize(file).context("reading the profile that --profile names");
    }
    let own = root.join(DIRECTORY).join(format!("{name}.yaml"));
    if own.is_file() {
        return Ok(own);
    }
    let mut names = Vec::new();
    for entry in fs_err::read_dir(root.join(DIRECTORY))? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "yaml") {
            names.extend(
                path.file_stem()
                    .map(|stem| stem.to_string_lossy().into_owned()),
            );
        }
    }
    names.sort();
    let meant = closest(name, names.iter().map(String::as_str));
    let meant = meant.map_or_else(String::new, |meant| format!("did you mean `{meant}`? "));
    bail!(
        "--profile {name}: no profile has this name; {meant}there are {}, or name a file such as ./mine.yaml",
        names.join(" and ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> PathBuf {
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
    }

    #[test]
    fn a_profile_is_found_by_name_and_by_path() -> Result<()> {
        let by_name = Catalogue::read(&root(), "upstream", &Changes::default())?;
        assert_eq!(by_name.of_part("k3s").len(), 3);
        let path = root().join(DIRECTORY).join("reference.yaml");
        let by_path = Catalogue::read(&root(), &path.display().to_string(), &Changes::default())?;
        assert_eq!(by_path.profile.name, "reference");
        Ok(())
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let error =
            Catalogue::read(&root(), "upsteam", &Changes::default()).expect_err("no such profile");
        assert!(
            error.to_string().contains("reference and upstream"),
            "{error}"
        );
        assert!(
            error.to_string().contains("did you mean `upstream`?"),
            "{error}"
        );
    }
}
