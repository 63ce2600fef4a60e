//! The key that boot files are signed with for Secure Boot.

use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::input::Source;

/// A key that boot files are signed with, and its certificate, both PEM.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Signing {
    /// The private key.
    pub key: Source,
    /// Its certificate.
    pub certificate: Source,
}

impl Signing {
    /// A private key and its certificate.
    ///
    /// # Errors
    /// One of them is not there.
    pub fn with(key: &Path, certificate: &Path) -> Result<Self> {
        Ok(Self {
            key: Source::named("signing key", fs_err::canonicalize(key)?),
            certificate: Source::named("signing certificate", fs_err::canonicalize(certificate)?),
        })
    }
}
