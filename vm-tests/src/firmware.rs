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
    /// It verifies what it starts. Its code then needs system management mode, and lets nothing else write the
    /// variable store.
    pub secure_boot: bool,
}

/// OVMF's files of 4 MiB flash size for one kind of machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Without Secure Boot; the variable store is empty.
    Plain,
    /// With Secure Boot on. The variable store trusts Debian's test key ("snakeoil") and nothing else.
    SecureBoot,
}

impl Kind {
    /// Names of the code and of the variable store that a new machine begins with.
    fn files(self) -> [&'static str; 2] {
        match self {
            Self::Plain => ["OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"],
            Self::SecureBoot => ["OVMF_CODE_4M.secboot.fd", "OVMF_VARS_4M.snakeoil.fd"],
        }
    }

    /// Code and variable store, in Debian's folder or the one that `EMTS_OVMF_DIR` names.
    fn paths(self) -> [PathBuf; 2] {
        let folder = std::env::var_os("EMTS_OVMF_DIR")
            .map_or_else(|| PathBuf::from(OVMF_FOLDER), PathBuf::from);
        self.files().map(|name| folder.join(name))
    }

    /// The content of the variable store that a new machine begins with.
    ///
    /// # Errors
    /// The package is not installed.
    pub fn initial_vars(self) -> std::io::Result<Vec<u8>> {
        let [_, template] = self.paths();
        fs_err::read(template)
    }
}

impl Firmware {
    /// OVMF; the variable store of a new machine is copied to `vars`. `EMTS_OVMF_DIR` names another folder than
    /// Debian's.
    ///
    /// # Errors
    /// The package is not installed, or the copy cannot be written.
    pub fn new_machine(kind: Kind, vars: &Path) -> std::io::Result<Self> {
        Self::from_files(kind, kind.paths(), vars)
    }

    fn from_files(
        kind: Kind,
        [code, template]: [PathBuf; 2],
        vars: &Path,
    ) -> std::io::Result<Self> {
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
            secure_boot: kind == Kind::SecureBoot,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_package_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let files = Kind::Plain.files().map(|name| folder.path().join(name));
        let error = Firmware::from_files(Kind::Plain, files, &folder.path().join("vars.fd"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("OVMF_CODE_4M.fd") && error.contains("package ovmf"),
            "{error}"
        );
    }
}
