//! Old parts leave the cache.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::parts::{DESCRIPTION, FOLDER};

/// A part that has not been used for long.
#[derive(Clone, Debug)]
pub struct Old {
    /// Its folder.
    pub path: PathBuf,
    /// What it takes on the disk, bytes.
    pub size: u64,
}

/// The parts in `cache` (see [`crate::Request::cache`]) that no build has used for `age`, and what
/// builds that were killed have left there.
///
/// # Errors
/// When the cache cannot be read; one that is not there is empty.
pub fn old_parts(cache: &Path, age: Duration) -> io::Result<Vec<Old>> {
    let folder = cache.join(FOLDER);
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let now = SystemTime::now();
    let mut old = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        let used = [path.join(DESCRIPTION), path.clone()]
            .iter()
            .find_map(|file| file.metadata().ok()?.modified().ok());
        // One that another process removes at this moment is of no interest.
        let Some(used) = used else { continue };
        if now.duration_since(used).unwrap_or_default() >= age {
            let size = size(&path)?;
            old.push(Old { path, size });
        }
    }
    old.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(old)
}

fn size(folder: &Path) -> io::Result<u64> {
    let mut size = 0;
    for entry in fs_err::read_dir(folder)? {
        size += entry?.metadata()?.len();
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_old_by_their_last_use() {
        let cache = tempfile::tempdir().unwrap();
        assert!(old_parts(cache.path(), Duration::ZERO).unwrap().is_empty());
        let day = Duration::from_secs(24 * 60 * 60);
        for (name, days) in [("used", 0), ("unused", 10)] {
            let folder = cache.path().join(FOLDER).join(name);
            fs_err::create_dir_all(&folder).unwrap();
            fs_err::write(folder.join(DESCRIPTION), "12345").unwrap();
            let file = std::fs::File::open(folder.join(DESCRIPTION)).unwrap();
            file.set_modified(SystemTime::now() - day * days).unwrap();
        }
        let old = old_parts(cache.path(), day * 5).unwrap();
        assert_eq!(old.len(), 1);
        assert!(old[0].path.ends_with("unused") && old[0].size == 5);
    }
}
