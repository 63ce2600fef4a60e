//! What an installation does to a root tree, as values: writes, links, removals, directories, programs to run.

use super::InstallError;
use super::access::Access;
use super::root::Root;
use super::target::{Outcome, Program, Staged};
use std::fmt;

/// One change of the tree. Paths are absolute in it.
#[derive(Clone, PartialEq, Eq)]
pub enum Action {
    /// A directory, made with those above it; one that is there gets the access.
    Directory {
        /// Where.
        path: String,
        /// Owner and mode.
        access: Access,
    },
    /// A file, in the place of what has the path.
    Write {
        /// Where.
        path: String,
        /// Owner and mode.
        access: Access,
        /// All of it.
        content: Vec<u8>,
    },
    /// A symbolic link, in the place of what has the path.
    Link {
        /// Where.
        path: String,
        /// What it says.
        target: String,
        /// User and group.
        owner: (u32, u32),
    },
    /// A file or a link goes.
    Remove {
        /// Which.
        path: String,
    },
    /// A program of the tree makes the file that is named; without it the first boot has to.
    Make {
        /// The file.
        path: String,
        /// The program.
        program: Program,
    },
}

impl Action {
    /// What is changed.
    pub fn path(&self) -> &str {
        match self {
            Self::Directory { path, .. }
            | Self::Write { path, .. }
            | Self::Link { path, .. }
            | Self::Remove { path }
            | Self::Make { path, .. } => path,
        }
    }

    fn carry_out(&self, root: &Root) -> Result<Option<String>, InstallError> {
        match self {
            Self::Directory { path, access } => root.directory(path, *access)?,
            Self::Write {
                path,
                access,
                content,
            } => root.write(path, content, *access)?,
            Self::Link {
                path,
                target,
                owner,
            } => root.link(path, target, *owner)?,
            Self::Remove { path } => root.unlink(path)?,
            Self::Make { path, program } => {
                return Ok(match program.run(root.path(), &Staged::default()) {
                    Outcome::Done(_) => None,
                    Outcome::Failed(why) | Outcome::NotRun(why) => Some(format!(
                        "{path} could not be made, the first boot has to make it: {why}"
                    )),
                });
            }
        }
        Ok(None)
    }
}

/// Never the content: it may be a secret.
impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory { path, access } => write!(f, "directory {path} {access}"),
            Self::Write {
                path,
                access,
                content,
            } => write!(f, "write {path} {access} {} bytes", content.len()),
            Self::Link { path, target, .. } => write!(f, "link {path} -> {target}"),
            Self::Remove { path } => write!(f, "remove {path}"),
            Self::Make { path, program } => write!(f, "make {path} by {program}"),
        }
    }
}

/// A question to a program of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The files that are asked about.
    pub files: Vec<Given>,
    /// The program with its arguments.
    pub program: Program,
}

/// A file of the user's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The key of the config-file.
    pub key: String,
    /// Where it is written.
    pub path: String,
}

/// The changes in their order, then the checks of the tree that they made.
#[derive(Debug, Default)]
pub struct Plan {
    pub(super) actions: Vec<Action>,
    pub(super) checks: Vec<Check>,
    pub(super) staged: Staged,
}

impl Plan {
    /// The changes in their order.
    pub fn actions(&self) -> &[Action] {
        &self.actions
    }

    /// What programs of the tree are asked about what was written.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Changes the tree; what could not be done and is not fatal is returned.
    ///
    /// # Errors
    /// The tree cannot be written.
    pub fn carry_out(&self, root: &Root) -> Result<Vec<String>, InstallError> {
        let mut warnings = vec![];
        for action in &self.actions {
            warnings.extend(action.carry_out(root)?);
        }
        Ok(warnings)
    }

    /// Asks the programs of the tree, which must have been written, whether they take the user's files; what they only
    /// warn of is returned.
    ///
    /// # Errors
    /// A program refuses a file.
    pub fn verify(&self, root: &Root) -> Result<Vec<String>, InstallError> {
        let mut warnings = vec![];
        for check in &self.checks {
            warnings.extend(check.run(root.path(), &self.staged)?);
        }
        Ok(warnings)
    }
}
