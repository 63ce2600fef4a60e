//! The LinuxKit files that a user has chosen, and what goes with them.

use std::path::{Path, PathBuf};

use ::hookos::lock::Lock;
use anyhow::Result;

use crate::choice::Hookos;

/// The LinuxKit file that counts where the user names no other.
pub const DEFINITION: &str = "hookos/hook-os.yaml";

/// The LinuxKit file.
pub fn original(choice: &Hookos, root: &Path) -> PathBuf {
    let own = || root.join(DEFINITION);
    choice.definition.clone().unwrap_or_else(own)
}

/// What `source:` of files is relative to.
pub fn base(choice: &Hookos, root: &Path) -> PathBuf {
    let original = original(choice, root);
    original.parent().unwrap_or(Path::new("/")).to_owned()
}

/// The lock file of its images: with another `init` list it is another one.
pub fn lock(choice: &Hookos, root: &Path) -> PathBuf {
    lock_of(&original(choice, root), choice.init.is_some())
}

/// The files as they are, or with another `init` list as copies in the directory `derived`.
///
/// # Errors
/// A file cannot be read or is no LinuxKit file.
pub fn with_init(
    definitions: Vec<PathBuf>,
    init: Option<&[String]>,
    derived: &Path,
) -> Result<Vec<PathBuf>> {
    Ok(match init {
        Some(images) => ::hookos::derive(&definitions, images, derived)?,
        None => definitions,
    })
}

/// The lock file of a LinuxKit file's images, of the file as it is or with another `init` list.
pub fn lock_of(definition: &Path, derived: bool) -> PathBuf {
    if derived {
        definition.with_extension("linuxkit.lock")
    } else {
        Lock::path_of(definition)
    }
}
