//! The outermost mapping of the config-file.

use crate::distribution::joined::Joined;
use crate::distribution::k3s::ConfigSpec;
use crate::distribution::{self, Distribution, FirstBoot, Inside, Kubernetes};
use crate::model::{ContentError, File, OperatingSystem, Registries};
use crate::values::ConfigVersion;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::LazyLock;

/// Configuration of a standalone edge node: its operating system, and its Kubernetes if it has one.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigFile {
    /// Version of this file's format.
    #[serde(default)]
    pub version: Option<ConfigVersion>,
    /// The node's operating system.
    #[serde(default)]
    pub operating_system: OperatingSystem,
    /// The node's Kubernetes, as a control plane template of Cluster API. A file without it is a node without Kubernetes,
    /// which runs what else the OS image has, such as containerd or Docker.
    #[serde(default)]
    pub kubernetes: Option<Kubernetes>,
}

impl ConfigFile {
    /// The distribution; `None` on a node without Kubernetes.
    pub(crate) fn distribution(&self) -> Option<&dyn Distribution> {
        self.kubernetes.as_ref().map(Kubernetes::distribution)
    }

    /// The K3s part: files, commands, agent and server settings. After [`crate::parse`] it is here whichever way it
    /// was written. Of another distribution's config-file, or without Kubernetes, nothing is set.
    pub fn k3s(&self) -> &ConfigSpec {
        static NOTHING: LazyLock<ConfigSpec> = LazyLock::new(ConfigSpec::default);
        match &self.kubernetes {
            Some(Kubernetes::KThrees(template)) => &template.spec.template.spec.direct,
            _ => &NOTHING,
        }
    }

    /// The private registries, which the distribution gets as registries.yaml.
    pub fn registries(&self) -> &Registries {
        static NONE: LazyLock<Registries> = LazyLock::new(Registries::default);
        self.distribution()
            .map_or(&*NONE, |distribution| distribution.registries())
    }

    /// The files that the distribution's template writes.
    pub fn files(&self) -> &[File] {
        self.distribution()
            .map_or(&[], |distribution| distribution.files())
    }

    /// The path that the distribution reads its registries from; `None` on a node without Kubernetes.
    pub fn registries_path(&self) -> Option<&str> {
        Some(self.distribution()?.registries_path())
    }

    /// What is inside the cluster, by the configuration that the distribution reads; `None` on a node without Kubernetes.
    pub(crate) fn inside(&self) -> Option<Inside> {
        let distribution = self.distribution()?;
        let joined = Joined::of(distribution, &self.operating_system);
        let facts = distribution.facts();
        Some(Inside::of(facts, &joined, &self.operating_system))
    }

    /// Plans the first boot of the node.
    ///
    /// # Errors
    /// A file's content does not fit its encoding; [`crate::parse`] refuses such a config-file.
    pub fn first_boot(&self) -> Result<FirstBoot, ContentError> {
        distribution::first_boot(self.distribution(), &self.operating_system)
    }
}
