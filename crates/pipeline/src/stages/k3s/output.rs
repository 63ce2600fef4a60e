//! Names in the output of the stage `k3s`.

use std::path::Path;

use anyhow::Result;

/// The directory with the archives of preloaded images.
pub const IMAGES: &str = "images";
/// The version of the K3s, one line.
pub const VERSION: &str = "version";

/// Gives everybody the right to run a file.
pub(super) fn make_executable(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}
