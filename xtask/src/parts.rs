//! The options by which a user says where the parts of a build come from; shared by several commands.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use artifacts::plan::Replacement;
use clap::Args;
use pipeline::choice::Layout;
use pipeline::stages::node_image;

use crate::hookos_parts::HookosParts;
use crate::named::{self, Takes};
use crate::sources::Sources;

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

impl Parts {
    /// Looks at what the user names, before anything is built.
    ///
    /// # Errors
    /// Something is not there, or is of another kind; an OS image cannot be installed.
    pub fn check(&self) -> Result<()> {
        self.sources.check()?;
        self.hookos.check()?;
        if let Some(directory) = &self.k3s_dir {
            named::check("--k3s-dir", Takes::Directory, directory)?;
        }
        if let Some(image) = &self.os_image {
            named::check("--os-image", Takes::File, image)?;
            let named = || format!("--os-image {}", image.display());
            node_image::check_own(image).with_context(named)?;
        }
        Ok(())
    }

    /// The absolute path of an OS image of the user's own.
    ///
    /// # Errors
    /// There is no such file.
    pub fn os_image(&self) -> Result<Option<PathBuf>> {
        let image = self.os_image.as_ref().map(fs_err::canonicalize);
        Ok(image.transpose()?)
    }

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
