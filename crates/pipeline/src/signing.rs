//! Signatures of the boot files for Secure Boot: the stick's and those of the OS images made here.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use arch::ARCH;

use crate::choice::Signing;
use crate::process;

/// The test key's passphrase, as the package documents it.
const TEST_PASSPHRASE: &str = "pass:snakeoil";

/// The test key of the scenarios' firmware, without its passphrase in `directory`.
///
/// # Errors
/// The package of the firmware or openssl is not there.
pub fn test_key(directory: &Path) -> Result<Signing> {
    let key = directory.join("snakeoil.key");
    let mut command = Command::new("openssl");
    command.args(["pkey", "-in", ARCH.test_key, "-passin", TEST_PASSPHRASE]);
    command.arg("-out").arg(&key);
    process::run(&mut command).with_context(|| {
        let package = ARCH.firmware_package.debian;
        format!("reading the test key of Secure Boot, of the package {package}")
    })?;
    Signing::with(&key, Path::new(ARCH.test_certificate))
}

/// Signs an EFI executable in place.
///
/// # Errors
/// The key is none, or the file is no EFI executable.
pub fn sign(image: &Path, with: &Signing) -> Result<()> {
    let (key, certificate) = (with.key.path(), with.certificate.path());
    Ok(hookos::uki::sign(image, key, certificate)?)
}
