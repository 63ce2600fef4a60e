//! Makes a root tree the system that a config-file describes: accounts, files, proxy, host name, network, units, an
//! identity of its own, and the first boot. First the plan, as values; then it is carried out.
//! Nothing outside the root is touched, whatever links the tree has.

mod access;
mod accounts;
mod attributes;
mod draft;
mod environment;
mod files;
mod identity;
mod network;
mod plan;
mod root;
mod target;
mod units;
mod verify;

pub use crate::path_rule::PathRule;
pub use access::{Access, Owners};
pub use environment::proxy_variables;
pub use identity::{MachineId, RandomError};
pub use plan::{Action, Check, Given, Plan};
pub use root::{Root, RootError};
pub use target::Program;

use crate::config_file::ConfigFile;
use crate::distribution::{self, FirstBoot};
use crate::model::ContentError;
use crate::password::HashError;
use crate::values::HostName;
use draft::Draft;

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
        program: String,
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
    /// Two parts of the plan write the same file.
    #[error(
        "operatingSystem.writeFiles: {path} is written by the installer itself; leave the file out"
    )]
    Taken {
        /// The file.
        path: String,
    },
    /// A program of the OS image refuses a file.
    #[error("{key}: {path}: {program} refuses it: {said}")]
    Refused {
        /// The key that gives the file.
        key: String,
        /// The file.
        path: String,
        /// The program.
        program: &'static str,
        /// Its own words.
        said: String,
    },
    /// The content of a file cannot be decoded for the first boot.
    #[error("converting the Kubernetes section: {0}")]
    FirstBoot(#[from] ContentError),
    /// The content of a file does not fit its encoding.
    #[error("operatingSystem.writeFiles: {path}: {error}")]
    Content {
        /// The file.
        path: String,
        /// Why.
        error: ContentError,
    },
}

/// cloud-init's configuration of the first boot, for root alone: it may hold tokens.
const FIRST_BOOT: &str = "/etc/cloud/cloud.cfg.d/k8s.cfg";

/// What one machine has and no other one of the same config-file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    id: MachineId,
    hostname: String,
}

impl Machine {
    /// A new machine. Without a name it is called by its machine-id, where the config-file has no name either.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn new(hostname: Option<HostName>) -> Result<Self, RandomError> {
        let id = MachineId::random()?;
        let hostname = hostname.map_or_else(|| id.host_name(), |name| name.to_string());
        Ok(Self { id, hostname })
    }
}

/// A part of the plan: the paths that it keeps for itself, and how it is planned.
struct Step {
    claims: fn(&ConfigFile) -> Vec<PathRule>,
    plan: fn(&Source<'_>, &mut Draft<'_>) -> Result<(), InstallError>,
}

/// What a plan is made from.
struct Source<'a> {
    config: &'a ConfigFile,
    machine: &'a Machine,
    first_boot: FirstBoot,
}

/// In order: a file's owner may be one of the users, a unit one of the files.
const STEPS: &[Step] = &[
    Step {
        claims: |_| accounts::claims(),
        plan: |from, draft| accounts::plan(&from.config.operating_system, draft),
    },
    Step {
        claims: |_| vec![],
        plan: |from, draft| files::plan(&from.config.operating_system.write_files, draft),
    },
    Step {
        claims: environment::claims,
        plan: |from, draft| environment::plan(from.config, &from.machine.hostname, draft),
    },
    Step {
        claims: |_| network::claims(),
        plan: |from, draft| network::plan(&from.config.operating_system, draft),
    },
    Step {
        claims: |config| units::claims(&config.operating_system.services),
        plan: |from, draft| units::plan(&from.config.operating_system.services, draft),
    },
    Step {
        claims: |_| identity::claims(),
        plan: |from, draft| identity::plan(&from.machine.id, draft),
    },
    Step {
        claims: |_| vec![PathRule::new(FIRST_BOOT)],
        plan: |from, draft| {
            let text = from.first_boot.cloud_config();
            draft.write(FIRST_BOOT, text, Access::root(0o600))
        },
    },
];

/// Plans the installation of a machine into the tree.
///
/// # Errors
/// The tree lacks what an OS image has, or cannot be read.
pub fn plan(config: &ConfigFile, machine: &Machine, root: &Root) -> Result<Plan, InstallError> {
    let from = Source {
        config,
        machine,
        first_boot: config.first_boot()?,
    };
    let mut draft = Draft::new(root);
    for step in STEPS {
        draft.begin((step.claims)(config));
        (step.plan)(&from, &mut draft)?;
    }
    // The user's own come first.
    let later = from.first_boot.files.get(..config.files().len());
    let later = later.unwrap_or_default();
    verify::plan(&config.operating_system, later, &mut draft)?;
    Ok(draft.done())
}

/// The paths that the installation and the first boot of a config-file write or remove themselves.
pub fn generated_paths(config: &ConfigFile) -> Vec<PathRule> {
    let installed = STEPS.iter().flat_map(|step| (step.claims)(config));
    let first_boot = distribution::claims(config.distribution(), &config.operating_system);
    installed.chain(first_boot).collect()
}
