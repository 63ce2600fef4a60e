//! Signatures of the boot files for Secure Boot: the stick's and those of the OS images made here.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::digest;
use crate::process;
use crate::stages::Input;

/// The key pair that Debian's `OVMF_VARS_4M.snakeoil.fd` trusts (package ovmf). Everybody has its private key.
const TEST_KEY: &str = "/usr/share/ovmf/PkKek-1-snakeoil.key";
const TEST_CERTIFICATE: &str = "/usr/share/ovmf/PkKek-1-snakeoil.pem";
/// The private key's passphrase, as the package documents it.
const TEST_PASSPHRASE: &str = "pass:snakeoil";

/// A key that boot files are signed with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Signing {
    key: PathBuf,
    certificate: PathBuf,
}

/// The key of a command line.
#[derive(Args, Clone, Default)]
pub struct Arguments {
    /// Private key (PEM) to sign HookOS and the reference OS image's boot files with for Secure Boot
    #[arg(long, value_name = "FILE", requires = "sign_cert")]
    sign_key: Option<PathBuf>,
    /// Certificate (PEM) of that key
    #[arg(long, value_name = "FILE", requires = "sign_key")]
    sign_cert: Option<PathBuf>,
}

impl Arguments {
    /// The key, if one was given.
    pub fn signing(&self) -> Result<Option<Signing>> {
        let (Some(key), Some(certificate)) = (&self.sign_key, &self.sign_cert) else {
            return Ok(None);
        };
        Ok(Some(Signing {
            key: fs_err::canonicalize(key)?,
            certificate: fs_err::canonicalize(certificate)?,
        }))
    }
}

impl Signing {
    /// The test key of the scenarios' firmware, without its passphrase in `folder`.
    pub fn with_test_key(folder: &Path) -> Result<Self> {
        let key = folder.join("snakeoil.key");
        let mut command = Command::new("openssl");
        command
            .args(["pkey", "-in", TEST_KEY, "-passin", TEST_PASSPHRASE, "-out"])
            .arg(&key);
        process::run(&mut command)
            .context("reading the test key of Secure Boot, of the package ovmf")?;
        Ok(Self {
            key,
            certificate: TEST_CERTIFICATE.into(),
        })
    }

    /// What a stage whose output is signed depends on. Nothing without a key: then it is the stage that it was.
    pub fn inputs(signing: Option<&Self>) -> Result<Vec<Input>> {
        let Some(Self { key, certificate }) = signing else {
            return Ok(Vec::new());
        };
        Ok(vec![
            Input::Value("signing key", digest::of_file(key)?),
            Input::Value("signing certificate", digest::of_file(certificate)?),
        ])
    }

    /// Signs an EFI executable in place.
    pub fn sign(&self, image: &Path) -> Result<()> {
        Ok(hookos::uki::sign(image, &self.key, &self.certificate)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_key_a_stage_has_no_further_inputs() -> Result<()> {
        assert!(Signing::inputs(None)?.is_empty());
        let folder = tempfile::tempdir()?;
        let signing = Signing::with_test_key(folder.path())?;
        let first: Vec<_> = Signing::inputs(Some(&signing))?;
        let again = tempfile::tempdir()?;
        let second = Signing::inputs(Some(&Signing::with_test_key(again.path())?))?;
        // The same whichever folder the key is in.
        assert_eq!(format!("{first:?}"), format!("{second:?}"));
        assert_eq!(first.len(), 2);
        Ok(())
    }
}
