//! The outermost mapping of the config-file.

use crate::distribution::joined::Joined;
use crate::distribution::k3s::ConfigSpec;
use crate::distribution::{self, FirstBoot, Inside, Kubernetes};
use crate::model::{ContentError, File, OperatingSystem, Registries};
use crate::values::ConfigVersion;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::LazyLock;

/// Configuration of a standalone edge node: its operating system and its Kubernetes.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigFile {
    /// Version of this file's format.
    #[serde(default)]
    pub version: Option<ConfigVersion>,
    /// The node's operating system.
    #[serde(default)]
    pub operating_system: OperatingSystem,
    /// The node's Kubernetes, as a control plane template of Cluster API.
    pub kubernetes: Kubernetes,
}

impl ConfigFile {
    /// The K3s part: files, commands, agent and server settings. After [`crate::parse`] it is here whichever way it
    /// was written. Of another distribution's config-file, nothing is set.
    pub fn k3s(&self) -> &ConfigSpec {
        static NOTHING: LazyLock<ConfigSpec> = LazyLock::new(ConfigSpec::default);
        match &self.kubernetes {
            Kubernetes::KThrees(template) => &template.spec.template.spec.direct,
            _ => &NOTHING,
        }
    }

    /// The private registries, which the distribution gets as registries.yaml.
    pub fn registries(&self) -> &Registries {
        self.kubernetes.distribution().registries()
    }

    /// The files that the distribution's template writes.
    pub fn files(&self) -> &[File] {
        self.kubernetes.distribution().files()
    }

    /// The path that the distribution reads its registries from.
    pub fn registries_path(&self) -> &str {
        self.kubernetes.distribution().registries_path()
    }

    /// What is inside the cluster, by the configuration that the distribution reads.
    pub(crate) fn inside(&self) -> Inside {
        let distribution = self.kubernetes.distribution();
        let joined = Joined::of(distribution, &self.operating_system);
        Inside::of(distribution.facts(), &joined, &self.operating_system)
    }

    /// Plans the first boot of the node.
    ///
    /// # Errors
    /// A file's content does not fit its encoding; [`crate::parse`] refuses such a config-file.
    pub fn first_boot(&self) -> Result<FirstBoot, ContentError> {
        distribution::first_boot(self.kubernetes.distribution(), &self.operating_system)
    }
}
