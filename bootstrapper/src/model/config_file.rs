//! The outermost mapping of the config-file.

use super::{ConfigSpec, File, Kubernetes, OperatingSystem, Registries};
use crate::values::{ConfigVersion, GuestPath};
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
    /// was written, the proposal's slips mended. Of another distribution's config-file, nothing is set.
    pub fn k3s(&self) -> &ConfigSpec {
        static NOTHING: LazyLock<ConfigSpec> = LazyLock::new(ConfigSpec::default);
        match &self.kubernetes {
            Kubernetes::KThrees(template) => &template.spec.template.spec.direct,
            Kubernetes::Rke2(_) => &NOTHING,
        }
    }

    /// The private registries, which the distribution gets as registries.yaml.
    pub fn registries(&self) -> &Registries {
        match &self.kubernetes {
            Kubernetes::KThrees(template) => &template.registries,
            Kubernetes::Rke2(template) => &template.registries,
        }
    }

    /// The files that the distribution's template writes.
    pub fn files(&self) -> &[File] {
        match &self.kubernetes {
            Kubernetes::KThrees(_) => self.k3s().files.as_slice(),
            Kubernetes::Rke2(template) => &template.spec.template.spec.files,
        }
    }

    /// The path that the distribution reads its registries from.
    pub fn registries_path(&self) -> &str {
        if let Kubernetes::Rke2(_) = &self.kubernetes {
            return crate::rke2::REGISTRIES;
        }
        let given = &self.k3s().agent_config.private_registry;
        given
            .as_ref()
            .map_or(Registries::DEFAULT_PATH, GuestPath::as_str)
    }
}
