//! Files written whole or not at all.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Gives a temporary file (made beside `path`) its name, readable for everybody.
pub(crate) fn persist(file: tempfile::NamedTempFile, path: &Path) -> io::Result<()> {
    file.as_file()
        .set_permissions(std::fs::Permissions::from_mode(0o644))?;
    file.persist(path).map_err(|error| {
        io::Error::new(
            error.error.kind(),
            format!("writing {}: {}", path.display(), error.error),
        )
    })?;
    Ok(())
}

/// Writes `data` to `path` by a temporary file beside it.
pub(crate) fn write(path: &Path, data: &[u8]) -> io::Result<()> {
    let dir = path
        .parent()
        .filter(|dir| !dir.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    io::Write::write_all(&mut file, data)?;
    persist(file, path)
}
