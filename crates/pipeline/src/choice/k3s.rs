//! Which Kubernetes the node runs.

use serde::{Deserialize, Serialize};

use crate::input::Source;

/// Which Kubernetes the node runs.
#[derive(Debug, Clone, Default)]
pub enum K3s {
    /// refk3s, the test double.
    #[default]
    Double,
    /// The files of a release.
    Release(Box<Release>),
}

/// A release on this machine: files with the content that they had when they were chosen.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Release {
    /// The version that it has to be; none takes any.
    pub version: Option<String>,
    /// The program.
    pub k3s: Source,
    /// The script of the same version.
    pub install: Source,
    /// The archive of preloaded images.
    pub airgap: Source,
    /// The archive's file name, which ends as K3s wants it.
    pub airgap_name: String,
}
