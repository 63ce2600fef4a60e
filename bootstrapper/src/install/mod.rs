//! Writes the operating system section into a root tree: accounts, SSH keys, sudo, proxy, host name, files, network,
//! units.
//! Run twice it changes nothing; nothing outside the root is touched, whatever links the tree has.

mod accounts;
mod environment;
mod files;
mod network;
mod root;
mod units;

pub use environment::proxy_variables;
pub use root::{Owners, Root, RootError};

use crate::config_file::ConfigFile;
use crate::model::ContentError;
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
    /// The tree is no OS image's.
    #[error("there is no {file}: this is not the root of an OS image")]
    NoImage {
        /// What every image has.
        file: &'static str,
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
    /// The OS image lacks what a key needs.
    #[error("{key}: the OS image has no {program}; leave the key out, or take another image")]
    Missing {
        /// The key.
        key: &'static str,
        /// What it needs.
        program: &'static str,
    },
    /// A unit cannot be started at boot.
    #[error("operatingSystem.services: {unit} cannot be enabled: {reason}")]
    Unit {
        /// The unit.
        unit: String,
        /// Why.
        reason: &'static str,
    },
    /// The owner of a file is not there.
    #[error(
        "operatingSystem.writeFiles: {path} is to belong to the {what} `{name}`, which the OS image does not have"
    )]
    Owner {
        /// The file.
        path: String,
        /// User or group.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The content of a file does not fit its encoding.
    #[error("operatingSystem.writeFiles: {path}: {error}")]
    Content {
        /// The file.
        path: String,
        /// Why.
        error: ContentError,
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
    files::install(&os.write_files, root)?;
    network::install(os, root)?;
    units::install(&os.services, root)?;
    Ok(())
}
