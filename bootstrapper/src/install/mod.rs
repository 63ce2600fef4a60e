//! Writes the operating system section into a root tree: accounts, SSH keys, sudo, proxy, host name.
//! Run twice it changes nothing; nothing outside the root is touched, whatever links the tree has.

mod accounts;
mod environment;
mod root;

pub use environment::proxy_variables;
pub use root::{Owners, Root, RootError};

use crate::model::ConfigFile;
use crate::password::HashError;

/// Why the root tree could not be configured.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// A file of the tree could not be read or written.
    #[error(transparent)]
    Root(#[from] RootError),
    /// A password could not be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The tree has an account that must not become a login user.
    #[error(
        "the OS image has `{name}` as an account of the system (uid {uid}); choose another user name"
    )]
    SystemAccount {
        /// The account.
        name: String,
        /// Its user id.
        uid: u32,
    },
    /// A line of an account file is not what it should be.
    #[error("{file}: the line of `{name}` has no valid {field}")]
    Line {
        /// The file.
        file: &'static str,
        /// The account.
        name: String,
        /// What is missing.
        field: &'static str,
    },
}

/// Writes the operating system section of a config-file into the tree.
///
/// # Errors
/// The tree lacks what an OS image has, or cannot be written.
pub fn install(config: &ConfigFile, root: &Root) -> Result<(), InstallError> {
    let os = &config.operating_system;
    accounts::install(os, root)?;
    environment::proxy(config, root)?;
    if let Some(name) = &os.hostname {
        environment::hostname(name, root)?;
    }
    Ok(())
}
