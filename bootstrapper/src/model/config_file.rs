//! The outermost mapping of the config-file.

use super::{ConfigSpec, Kubernetes, OperatingSystem, Registries};
use crate::values::{ConfigVersion, GuestPath};
use schemars::JsonSchema;
use serde::Deserialize;

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
    /// was written, the proposal's slips mended.
    pub fn k3s(&self) -> &ConfigSpec {
        let Kubernetes::KThrees(template) = &self.kubernetes;
        &template.spec.template.spec.direct
    }

    /// The private registries, which K3s gets as registries.yaml.
    pub fn registries(&self) -> &Registries {
        let Kubernetes::KThrees(template) = &self.kubernetes;
        &template.registries
    }

    /// The path that K3s reads its registries from.
    pub fn registries_path(&self) -> &str {
        let given = &self.k3s().agent_config.private_registry;
        given
            .as_ref()
            .map_or(Registries::DEFAULT_PATH, GuestPath::as_str)
    }
}
