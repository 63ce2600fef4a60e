//! The options by which a user says where the parts of a build come from; shared by several commands.

use std::path::PathBuf;

use anyhow::Result;
use artifacts::plan::{Changes, Mirror, Replacement};
use clap::Args;

use crate::acquire::Reach;
use crate::hookos_parts::HookosParts;
use crate::stages::node_image::Layout;

/// Whether publishers and registries may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Unless the user says --offline.
    Allowed,
    /// Only what is on this machine counts, for commands that only look.
    Never,
}

/// Where the parts come from.
#[derive(Args, Clone, Default)]
pub struct Parts {
    #[command(flatten)]
    pub sources: Sources,
    /// Directory with the files of a K3s release: `k3s`, `install.sh`, an archive of its airgap images
    #[arg(long, value_name = "DIR", conflicts_with_all = ["artifacts", "artifact", "k3s_version"])]
    pub k3s_dir: Option<PathBuf>,
    /// OS image to install: raw, or raw compressed by zstd, gzip or xz
    #[arg(long, value_name = "FILE")]
    pub os_image: Option<PathBuf>,
    #[command(flatten)]
    pub hookos: HookosParts,
    /// Layout of the reference OS image [default: plain]
    #[arg(long, value_enum, conflicts_with = "os_image")]
    pub layout: Option<Layout>,
    /// A LinuxKit file that is merged before hook-os.yaml; only for measurements.
    #[arg(skip)]
    pub before_hookos: Option<PathBuf>,
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
    /// Server asked before a publisher: https://github.com/=https://mirror.example/github/
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

impl Parts {
    /// What is not as the profile has it, for the report.
    pub fn replaced(&self) -> Vec<String> {
        let mut all = Vec::new();
        let sources = &self.sources;
        all.extend(
            self.k3s_dir
                .iter()
                .map(|dir| format!("K3s: the files in {}", dir.display())),
        );
        all.extend(
            sources
                .k3s_version
                .iter()
                .map(|version| format!("version of K3s: {version}")),
        );
        all.extend(sources.artifact.iter().map(replacement));
        all.extend(
            self.os_image
                .iter()
                .map(|image| format!("OS image: {}", image.display())),
        );
        all.extend(
            sources
                .mirror
                .iter()
                .map(|mirror| format!("mirror: {mirror}")),
        );
        all
    }
}

fn replacement(it: &Replacement) -> String {
    format!("{}: {}", it.name, it.source)
}
