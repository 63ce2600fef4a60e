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
