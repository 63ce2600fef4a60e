//! The key that boot files are signed with, on a command line.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use pipeline::choice::Signing;

/// The key of a command line.
#[derive(Args, Clone, Default)]
pub struct SigningArguments {
    /// Private key (PEM) to sign HookOS and the reference OS image's boot files with for Secure Boot
    #[arg(long, value_name = "FILE", requires = "sign_cert")]
    sign_key: Option<PathBuf>,
    /// Certificate (PEM) of that key
    #[arg(long, value_name = "FILE", requires = "sign_key")]
    sign_cert: Option<PathBuf>,
}

impl SigningArguments {
    /// The key, if one was given.
    ///
    /// # Errors
    /// A file is not there.
    pub fn signing(&self) -> Result<Option<Signing>> {
        match (&self.sign_key, &self.sign_cert) {
            (Some(key), Some(certificate)) => Signing::with(key, certificate).map(Some),
            _ => Ok(None),
        }
    }
}
