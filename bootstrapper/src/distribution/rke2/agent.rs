//! RKE2's agent as cluster-api-provider-rke2 describes it: RKE2AgentConfig and the types in it.

use super::{DATA_DIR, Sha256Sum};
use crate::model::{reference, refused};
use crate::values::{
    ComponentArg, FilePath, GuestPath, NodeLabel, NodeTaint, Port, RegistryPrefix,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// RKE2AgentConfig.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rke2AgentConfig {
    /// Folder of RKE2's state (`data-dir`).
    #[serde(default)]
    #[schemars(extend("default" = DATA_DIR))]
    pub data_dir: Option<GuestPath>,
    /// Labels the node registers with (`node-label`).
    #[serde(default)]
    pub node_labels: Vec<NodeLabel>,
    /// Taints the node registers with (`node-taint`).
    #[serde(default)]
    pub node_taints: Vec<NodeTaint>,
    /// Annotations that Cluster API adds to its nodes.
    #[serde(default)]
    #[schemars(extend("x-no-effect" = true))]
    pub node_annotations: BTreeMap<String, String>,
    /// Prefix of the names of Cluster API's nodes.
    #[serde(default)]
    #[schemars(extend("x-no-effect" = true))]
    pub node_name: Option<String>,
    /// NTP servers.
    #[serde(default)]
    #[schemars(extend("x-refused" = refused(
        "NTP servers are set for the operating system, not by the template",
        "put them under operatingSystem"
    )))]
    pub ntp: Option<Value>,
    /// ConfigMap of a credential provider.
    #[serde(default)]
    #[schemars(extend("x-refused" = reference(
        "write the provider's configuration with `files`, and its flags into /etc/rancher/rke2/config.yaml.d"
    )))]
    pub image_credential_provider_config_map: Option<Value>,
    /// Socket of another container runtime (`container-runtime-endpoint`).
    #[serde(default)]
    pub container_runtime_endpoint: Option<String>,
    /// Snapshotter of containerd (`snapshotter`).
    #[serde(default)]
    #[schemars(extend("default" = "overlayfs"))]
    pub snapshotter: Option<String>,
    /// CIS profile (`profile`); the node's kernel parameters and the user etcd are set up for it.
    #[serde(default)]
    pub cis_profile: Option<CisProfile>,
    /// File with the pod security admission configuration (`pod-security-admission-config-file`).
    #[serde(default)]
    pub pod_security_admission_config_file: Option<GuestPath>,
    /// ConfigMap with a resolv.conf.
    #[serde(default)]
    #[schemars(extend("x-refused" = reference(
        "write the file with `files`, and `resolv-conf` into /etc/rancher/rke2/config.yaml.d"
    )))]
    pub resolv_conf: Option<Value>,
    /// Fail when kernel parameters differ from the kubelet's defaults (`protect-kernel-defaults`).
    #[serde(default)]
    pub protect_kernel_defaults: bool,
    /// Registry of the system images (`system-default-registry`).
    #[serde(default)]
    pub system_default_registry: Option<RegistryPrefix>,
    /// SELinux in containerd (`selinux`).
    #[serde(default, rename = "enableContainerdSElinux")]
    pub enable_containerd_selinux: bool,
    /// Another kubelet (`kubelet-path`).
    #[serde(default)]
    pub kubelet_path: Option<FilePath>,
    /// Arguments of the kubelet (`kubelet-arg`).
    #[serde(default)]
    pub kubelet: Option<KubeletConfig>,
    /// kube-proxy (`kube-proxy-arg` and its like).
    #[serde(default)]
    pub kube_proxy: Option<ComponentConfig>,
    /// Image of containerd, kubectl and crictl (`runtime-image`).
    #[serde(default)]
    pub runtime_image: Option<String>,
    /// Local port of the supervisor's load balancer (`lb-server-port`).
    #[serde(default)]
    #[schemars(extend("default" = "6444"))]
    pub load_balancer_port: Option<Port>,
    /// Always true: RKE2 is installed from /opt/rke2-artifacts.
    #[serde(default)]
    #[schemars(extend("default" = true))]
    pub air_gapped: Option<bool>,
    /// SHA-256 of the file sha256sum-*.txt among the artifacts; another one fails the first boot.
    #[serde(default)]
    pub air_gapped_checksum: Option<Sha256Sum>,
    /// Always `cloud-config`.
    #[serde(default)]
    #[schemars(extend("default" = "cloud-config"))]
    pub format: Option<Rke2Format>,
    /// Further cloud-init.
    #[serde(default)]
    #[schemars(extend("x-refused" = refused(
        "further cloud-init cannot be added: cloud-init does not merge lists",
        "use `files`, `preRKE2Commands` and `postRKE2Commands`"
    )))]
    pub additional_user_data: Option<Value>,
}

/// CIS profiles of RKE2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum CisProfile {
    /// The profile of the RKE2 release.
    #[serde(rename = "cis")]
    Cis,
    /// Benchmark 1.23.
    #[serde(rename = "cis-1.23")]
    Cis123,
    /// Benchmark 1.5.
    #[serde(rename = "cis-1.5")]
    Cis15,
    /// Benchmark 1.6.
    #[serde(rename = "cis-1.6")]
    Cis16,
}

impl CisProfile {
    /// The name as RKE2 takes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cis => "cis",
            Self::Cis123 => "cis-1.23",
            Self::Cis15 => "cis-1.5",
            Self::Cis16 => "cis-1.6",
        }
    }
}

/// Format of the user data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Rke2Format {
    /// cloud-init's.
    #[serde(rename = "cloud-config")]
    CloudConfig,
}

/// ComponentConfig of the kubelet, of which RKE2 takes the arguments only.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KubeletConfig {
    /// Arguments.
    #[serde(default)]
    pub extra_args: Vec<ComponentArg>,
}

/// ComponentConfig: how a static pod of the control plane differs from RKE2's own.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComponentConfig {
    /// Environment variables (`…-extra-env`).
    #[serde(default)]
    pub extra_env: BTreeMap<String, String>,
    /// Arguments (`…-arg`).
    #[serde(default)]
    pub extra_args: Vec<ComponentArg>,
    /// Mounts, from the path on the node to the one in the pod (`…-extra-mount`).
    #[serde(default)]
    pub extra_mounts: BTreeMap<String, String>,
    /// Image (`…-image`).
    #[serde(default)]
    pub override_image: Option<String>,
}
