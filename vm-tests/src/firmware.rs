//! The firmware (OVMF): its code, shared and read-only, and a variable store of
//! the machine's own.

use std::path::{Path, PathBuf};

/// Where Debian's package `ovmf` has its files.
const OVMF_FOLDER: &str = "/usr/share/OVMF";

/// Code and variables of one machine's firmware.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firmware {
    /// The firmware's code, not written to.
    pub code: PathBuf,
    /// The variable store, written by the machine.
    pub vars: PathBuf,
}

impl Firmware {
    /// OVMF of 4 MiB flash size without Secure Boot; its empty variable store
    /// is copied to `vars`. `EMTS_OVMF_DIR` names another folder than Debian's.
    ///
    /// # Errors
    /// The package is not installed, or the copy cannot be written.
    pub fn new_machine(vars: &Path) -> std::io::Result<Self> {
        let folder = std::env::var_os("EMTS_OVMF_DIR")
            .map_or_else(|| PathBuf::from(OVMF_FOLDER), PathBuf::from);
        Self::from_folder(&folder, vars)
    }

    /// As [`Firmware::new_machine`], from a named folder.
    ///
    /// # Errors
    /// As there.
    pub fn from_folder(folder: &Path, vars: &Path) -> std::io::Result<Self> {
        let code = folder.join("OVMF_CODE_4M.fd");
        let template = folder.join("OVMF_VARS_4M.fd");
        for path in [&code, &template] {
            if !path.is_file() {
                let message = format!(
                    "the firmware {} does not exist; install the package ovmf (`cargo xtask setup` does)",
                    path.display()
                );
                return Err(std::io::Error::new(std::io::ErrorKind::NotFound, message));
            }
        }
        // Read and written, not copied: a copy would keep a read-only template's mode.
        fs_err::write(vars, fs_err::read(&template)?)?;
        Ok(Self {
            code,
            vars: vars.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_package_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = Firmware::from_folder(folder.path(), &folder.path().join("vars.fd"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("OVMF_CODE_4M.fd") && error.contains("package ovmf"),
            "{error}"
        );
    }
}
