//! What a run builds with: the outcome of the choice of a profile.

use std::path::PathBuf;

use anyhow::Result;
use pipeline::choice::{Hookos, K3s, Options};

use crate::parts::Parts;

/// What a run builds with.
#[derive(Debug)]
pub struct Selection {
    /// Name of the profile, as reports and bundles carry it.
    pub name: String,
    /// Why this one.
    pub reason: String,
    /// What is not as the profile has it.
    pub replaced: Vec<String>,
    /// The node's Kubernetes, unless it is in an OS image.
    pub k3s: K3s,
    /// An OS image in place of the reference node image.
    pub os_image: Option<PathBuf>,
    /// Version of the K3s in that image, when it is known.
    pub k3s_version: Option<String>,
    /// What HookOS is made of.
    pub hookos: Hookos,
}

impl Selection {
    /// The options of all stages.
    pub fn options(&self, parts: &Parts, config_file: Option<PathBuf>) -> Result<Options> {
        let absolute = |path: &PathBuf| fs_err::canonicalize(path);
        Ok(Options {
            profile: self.name.clone(),
            k3s: self.k3s.clone(),
            k3s_version: self.k3s_version.clone(),
            os_image: self.os_image.clone(),
            layout: parts.layout.unwrap_or_default(),
            config_file,
            newest_packages: None,
            signing: None,
            hookos: self.hookos.clone(),
            before_hookos: parts.before_hookos.as_ref().map(absolute).transpose()?,
        })
    }

    /// Whether a build compiles refk3s.
    pub fn builds_double(&self) -> bool {
        self.os_image.is_none() && matches!(self.k3s, K3s::Double)
    }

    /// Says which profile it is and why.
    pub fn announce(&self) {
        println!("profile: {} ({})", self.name, self.reason);
        for replaced in &self.replaced {
            println!("in place of the profile's own: {replaced}");
        }
    }
}
