//! The firmware (OVMF): its code, shared and read-only, and a variable store of
//! the machine's own.

use std::path::{Path, PathBuf};

use arch::{ARCH, Machine};

/// Code and variables of one machine's firmware.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firmware {
    /// The firmware's code, not written to.
    pub code: PathBuf,
    /// The variable store, written by the machine.
    pub vars: PathBuf,
    /// What it is for.
    pub kind: Kind,
}

/// A kernel that QEMU itself loads and starts, without a firmware's boot entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// The kernel's file.
    pub image: PathBuf,
    /// Its initial file system.
    pub initrd: PathBuf,
    /// Its command line.
    pub arguments: String,
}

/// What a machine is started by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// Its firmware, from a disk.
    Firmware(Firmware),
    /// QEMU's loader.
    Kernel(Kernel),
}

impl From<Firmware> for Start {
    fn from(firmware: Firmware) -> Self {
        Self::Firmware(firmware)
    }
}

impl From<Kernel> for Start {
    fn from(kernel: Kernel) -> Self {
        Self::Kernel(kernel)
    }
}

impl Start {
    /// QEMU's part of it.
    pub fn machine(&self) -> &'static Machine {
        match self {
            Self::Firmware(firmware) => firmware.kind.machine(),
            Self::Kernel(_) => Kind::Plain.machine(),
        }
    }
}

/// A kind of machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Without Secure Boot; the variable store is empty.
    Plain,
    /// With Secure Boot on. The variable store trusts the test key and nothing else.
    SecureBoot,
}

impl Kind {
    /// QEMU's part of it.
    pub fn machine(self) -> &'static Machine {
        match self {
            Self::Plain => &ARCH.plain,
            Self::SecureBoot => &ARCH.secure_boot,
        }
    }

    /// The content of the variable store that a new machine begins with.
    ///
    /// # Errors
    /// The package is not installed.
    pub fn initial_vars(self) -> std::io::Result<Vec<u8>> {
        let [_, template] = self.machine().firmware();
        fs_err::read(template)
    }
}

impl Firmware {
    /// The variable store of a new machine is copied to `vars`.
    ///
    /// # Errors
    /// The package is not installed, or the copy cannot be written.
    pub fn new_machine(kind: Kind, vars: &Path) -> std::io::Result<Self> {
        Self::from_files(kind, kind.machine().firmware(), vars)
    }

    fn from_files(
        kind: Kind,
        [code, template]: [PathBuf; 2],
        vars: &Path,
    ) -> std::io::Result<Self> {
        for path in [&code, &template] {
            if !path.is_file() {
                let message = format!(
                    "the firmware {} does not exist; install the package {} (`cargo xtask setup` does)",
                    path.display(),
                    ARCH.firmware_package.debian
                );
                return Err(std::io::Error::new(std::io::ErrorKind::NotFound, message));
            }
        }
        // Read and written, not copied: a copy would keep a read-only template's mode.
        fs_err::write(vars, fs_err::read(&template)?)?;
        Ok(Self {
            code,
            vars: vars.to_owned(),
            kind,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_package_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let files = ["code.fd", "vars.fd"].map(|name| folder.path().join(name));
        let error = Firmware::from_files(Kind::Plain, files, &folder.path().join("vars.fd"))
            .unwrap_err()
            .to_string();
        let package = format!("package {}", ARCH.firmware_package.debian);
        assert!(
            error.contains("code.fd") && error.contains(&package),
            "{error}"
        );
    }
}
