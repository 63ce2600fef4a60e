//! Which profile a user names, how its artifacts are reached, and what is to be otherwise than it says.

use std::path::PathBuf;

use anyhow::Result;
use artifacts::plan::{Changes, Mirror, Replacement};
use clap::Args;

use crate::acquire::Reach;

/// Whether publishers and registries may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Unless the user says --offline.
    Allowed,
    /// Only what is on this machine counts, for commands that only look.
    Never,
}

/// Which profile, and how its artifacts are reached.
#[derive(Args, Clone, Default)]
pub struct Sources {
    /// Profile: `upstream`, `reference` or a file; it never falls back [default: upstream if it can be had]
    #[arg(long, value_name = "NAME|FILE")]
    pub profile: Option<String>,
    /// Directory with the profile's artifacts, as `cargo xtask artifacts export` makes it or all in one
    #[arg(long, value_name = "DIR")]
    pub artifacts: Option<PathBuf>,
    /// Open no connection to publishers and mirrors
    #[arg(long)]
    pub offline: bool,
    /// Server asked before a publisher: `https://github.com/=https://mirror.example/github/`
    #[arg(long, value_name = "URL=URL")]
    pub mirror: Vec<Mirror>,
    /// PEM file with certificates to trust beside the system's
    #[arg(long, value_name = "FILE")]
    pub ca: Vec<PathBuf>,
    /// Another version of K3s than the profile's; of an OS image of your own, the version of the K3s inside
    #[arg(long, value_name = "VERSION")]
    pub k3s_version: Option<String>,
    /// The proxy in front of publishers, in place of the environment's.
    #[arg(skip)]
    pub proxy: Option<String>,
    /// One file of the profile from elsewhere: k3s=./k3s
    #[arg(long, value_name = "NAME=PATH|URL")]
    pub artifact: Vec<Replacement>,
}

impl Sources {
    /// What the user wants otherwise than the profile has it.
    pub fn changes(&self) -> Changes {
        Changes {
            mirrors: self.mirror.clone(),
            k3s_version: self.k3s_version.clone(),
            replaced: self.artifact.clone(),
        }
    }

    /// How servers are reached.
    pub fn reach(&self) -> Result<Reach> {
        let ca = self.ca.iter().map(|path| Ok(fs_err::canonicalize(path)?));
        Ok(Reach {
            ca: ca.collect::<Result<_>>()?,
            proxy: self.proxy.clone(),
        })
    }
}
