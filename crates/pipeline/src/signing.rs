//! Signatures of the boot files for Secure Boot: the stick's and those of the OS images made here.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::choice::Signing;
use crate::process;

/// The key pair that Debian's `OVMF_VARS_4M.snakeoil.fd` trusts (package ovmf). Everybody has its private key.
const TEST_KEY: &str = "/usr/share/ovmf/PkKek-1-snakeoil.key";
const TEST_CERTIFICATE: &str = "/usr/share/ovmf/PkKek-1-snakeoil.pem";
/// The private key's passphrase, as the package documents it.
const TEST_PASSPHRASE: &str = "pass:snakeoil";

/// The test key of the scenarios' firmware, without its passphrase in `directory`.
///
/// # Errors
/// The package ovmf or openssl is not there.
pub fn test_key(directory: &Path) -> Result<Signing> {
    let key = directory.join("snakeoil.key");
    let mut command = Command::new("openssl");
    command
        .args(["pkey", "-in", TEST_KEY, "-passin", TEST_PASSPHRASE, "-out"])
        .arg(&key);
    process::run(&mut command)
        .context("reading the test key of Secure Boot, of the package ovmf")?;
    Signing::with(&key, Path::new(TEST_CERTIFICATE))
}

/// Signs an EFI executable in place.
///
/// # Errors
/// The key is none, or the file is no EFI executable.
pub fn sign(image: &Path, with: &Signing) -> Result<()> {
    let (key, certificate) = (with.key.path(), with.certificate.path());
    Ok(hookos::uki::sign(image, key, certificate)?)
}
