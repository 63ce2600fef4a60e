//! Where the user's caches are.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// `$XDG_CACHE_HOME/emts`, else `~/.cache/emts`. A relative path does not count (XDG Base Directory Specification).
///
/// # Errors
/// Neither `XDG_CACHE_HOME` nor `HOME` is set.
pub fn directory() -> Result<PathBuf> {
    let base =
        match std::env::var_os("XDG_CACHE_HOME").filter(|value| Path::new(value).is_absolute()) {
            Some(dir) => PathBuf::from(dir),
            None => PathBuf::from(
                std::env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?,
            )
            .join(".cache"),
        };
    Ok(base.join("emts"))
}
