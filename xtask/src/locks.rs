//! The lock files of Debian packages: kept to, or written.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use pipeline::build::Outputs;
use pipeline::stages::{LOCKS, debian};

/// A name for what the archive has now; another one a moment later.
pub fn this_moment() -> Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(format!("newest at {} s", now.as_secs()))
}

/// Writes what the stages of a run have taken into the lock files of the checkout.
pub fn update_locks(root: &Path, outputs: &Outputs) -> Result<()> {
    for (stage, lock) in LOCKS {
        if let Ok(directory) = outputs.directory(stage) {
            let taken = fs_err::read(directory.join(debian::PACKAGES))?;
            fs_err::write(root.join(lock), taken)?;
            println!("wrote {lock}");
        }
    }
    Ok(())
}

/// An error where a stage of a run has taken what is not locked.
pub fn require_locked(outputs: &Outputs) -> Result<()> {
    let notes = outputs.runs.iter().flat_map(|run| &run.notes);
    let notes: Vec<&str> = notes
        .map(String::as_str)
        .filter(|note| note.starts_with("not pinned"))
        .collect();
    ensure!(
        notes.is_empty(),
        "not everything is as locked, and --locked was given:\n{}\n`cargo xtask build --update-lock` renews the locks",
        notes.join("\n")
    );
    Ok(())
}
