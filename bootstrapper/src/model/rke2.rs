//! RKE2 as cluster-api-provider-rke2 describes it: `RKE2ControlPlaneTemplate`, v1beta1, and the RKE2ControlPlaneSpec,
//! RKE2ConfigSpec, RKE2AgentConfig and RKE2ServerConfig in it.

use super::{File, Registries, Rke2Registries};
use crate::values::{
    Command, ComponentArg, DomainName, FilePath, GuestPath, IpAddress, IpList, NodeLabel,
    NodeTaint, Port, PortRange, RegistryPrefix, Rke2Version, Sha256Sum, SubjectAltName,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The control plane template of RKE2. It is converted and validated; the OS images have K3s only.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rke2ControlPlaneTemplate {
    /// Chooses RKE2.
    pub kind: Rke2Kind,
    /// Version of the template's API.
    pub api_version: Rke2ApiVersion,
    /// Private registries and mirrors; instead of `privateRegistriesConfig` or a file registries.yaml under `files`.
    #[serde(default)]
    pub registries: Registries,
    /// The template's specification.
    pub spec: Rke2Spec,
}

/// `kind` of the RKE2 template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Rke2Kind {
    /// The control plane of RKE2.
    #[serde(rename = "RKE2ControlPlaneTemplate")]
    Rke2ControlPlaneTemplate,
}

/// `apiVersion` of the RKE2 template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Rke2ApiVersion {
    /// The version that is converted.
    #[serde(rename = "controlplane.cluster.x-k8s.io/v1beta1")]
    V1Beta1,
}

/// `spec` of the template.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Rke2Spec {
    /// The template.
    pub template: Rke2Template,
}

/// `spec.template`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Rke2Template {
    /// The RKE2 configuration.
    #[serde(default)]
    pub spec: Rke2ConfigSpec,
}

/// RKE2ControlPlaneSpec with the RKE2ConfigSpec in it: what RKE2 gets.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rke2ConfigSpec {
    /// Version of RKE2. It is checked for its form only: the installed artifacts fix it.
    #[serde(default)]
    pub version: Option<Rke2Version>,
    /// Files written before RKE2 is installed.
    #[serde(default)]
    pub files: Vec<File>,
    /// Commands run before RKE2 is installed.
    #[serde(default, rename = "preRKE2Commands")]
    pub pre_rke2_commands: Vec<Command>,
    /// Commands run after RKE2 was started.
    #[serde(default, rename = "postRKE2Commands")]
    pub post_rke2_commands: Vec<Command>,
    /// Settings of the node's agent.
    #[serde(default)]
    pub agent_config: Rke2AgentConfig,
    /// Settings of the server (control plane).
    #[serde(default)]
    pub server_config: Rke2ServerConfig,
    /// Private registries and mirrors, without the references to Secrets; becomes registries.yaml.
    #[serde(default)]
    pub private_registries_config: Rke2Registries,
    /// ConfigMap with manifests; refused, as there is no API server to read it from.
    #[serde(default)]
    pub manifests_config_map_reference: Option<Value>,
    /// Compression of Cluster API's user data; no effect on a standalone node.
    #[serde(default)]
    pub gzip_user_data: Option<bool>,
    /// Number of Cluster API's machines; no effect on a standalone node.
    #[serde(default)]
    pub replicas: Option<u32>,
    /// Cluster API's machines; no effect on a standalone node.
    #[serde(default)]
    pub machine_template: Option<Value>,
    /// Cluster API's infrastructure; no effect on a standalone node.
    #[serde(default)]
    pub infrastructure_ref: Option<Value>,
    /// Cluster API's drain time-out; no effect on a standalone node.
    #[serde(default)]
    pub node_drain_timeout: Option<String>,
    /// How Cluster API's machines join; no effect on a standalone node.
    #[serde(default)]
    pub registration_method: Option<String>,
    /// Where Cluster API's machines join; no effect on a standalone node.
    #[serde(default)]
    pub registration_address: Option<String>,
    /// Cluster API's roll-out; no effect on a standalone node.
    #[serde(default)]
    pub rollout_strategy: Option<Value>,
    /// Cluster API's remediation; no effect on a standalone node.
    #[serde(default)]
    pub remediation_strategy: Option<Value>,
}

/// RKE2AgentConfig.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rke2AgentConfig {
    /// Folder of RKE2's state (`data-dir`).
    #[serde(default)]
    #[schemars(extend("default" = "/var/lib/rancher/rke2"))]
    pub data_dir: Option<GuestPath>,
    /// Labels the node registers with (`node-label`).
    #[serde(default)]
    pub node_labels: Vec<NodeLabel>,
    /// Taints the node registers with (`node-taint`).
    #[serde(default)]
    pub node_taints: Vec<NodeTaint>,
    /// Annotations that Cluster API adds to its nodes; no effect on a standalone node.
    #[serde(default)]
    pub node_annotations: BTreeMap<String, String>,
    /// Prefix of the names of Cluster API's nodes; no effect on a standalone node.
    #[serde(default)]
    pub node_name: Option<String>,
    /// NTP servers; refused, as the operating system section has them.
    #[serde(default)]
    pub ntp: Option<Value>,
    /// ConfigMap of a credential provider; refused, as there is no API server to read it from.
    #[serde(default)]
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
    /// ConfigMap with a resolv.conf; refused, as there is no API server to read it from.
    #[serde(default)]
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
    /// Further cloud-init; refused, as cloud-init does not merge lists.
    #[serde(default)]
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

/// RKE2ServerConfig.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rke2ServerConfig {
    /// Secret with an audit policy; refused, as there is no API server to read it from.
    #[serde(default)]
    pub audit_policy_secret: Option<Value>,
    /// Address the server listens on (`bind-address`).
    #[serde(default)]
    pub bind_address: Option<IpAddress>,
    /// Address the API server tells its clients (`advertise-address`).
    #[serde(default)]
    pub advertise_address: Option<IpAddress>,
    /// Further names in the API server's certificate (`tls-san`).
    #[serde(default)]
    pub tls_san: Vec<SubjectAltName>,
    /// Ports of NodePort services (`service-node-port-range`).
    #[serde(default)]
    #[schemars(extend("default" = "30000-32767"))]
    pub service_node_port_range: Option<PortRange>,
    /// Address of the cluster's DNS (`cluster-dns`), inside 10.43.0.0/16.
    #[serde(default, rename = "clusterDNS")]
    #[schemars(extend("default" = "10.43.0.10"))]
    pub cluster_dns: Option<IpList>,
    /// DNS domain of the cluster (`cluster-domain`).
    #[serde(default)]
    #[schemars(extend("default" = "cluster.local"))]
    pub cluster_domain: Option<DomainName>,
    /// What is left out.
    #[serde(default)]
    pub disable_components: Rke2DisableComponents,
    /// Network plugin (`cni`).
    #[serde(default)]
    #[schemars(extend("default" = "canal"))]
    pub cni: Option<Cni>,
    /// Multus before the network plugin (`cni`).
    #[serde(default)]
    pub cni_multus_enable: bool,
    /// Image of the pause container (`pause-image`).
    #[serde(default)]
    pub pause_image: Option<String>,
    /// etcd.
    #[serde(default)]
    pub etcd: EtcdConfig,
    /// Encryption of Secrets at rest.
    #[serde(default)]
    pub secrets_encryption: Option<SecretsEncryption>,
    /// API server (`kube-apiserver-arg` and its like).
    #[serde(default, rename = "kubeAPIServer")]
    pub kube_api_server: Option<ComponentConfig>,
    /// Controller manager (`kube-controller-manager-arg` and its like).
    #[serde(default)]
    pub kube_controller_manager: Option<ComponentConfig>,
    /// Scheduler (`kube-scheduler-arg` and its like).
    #[serde(default)]
    pub kube_scheduler: Option<ComponentConfig>,
    /// Cloud controller (`cloud-controller-manager-extra-env`, `cloud-controller-manager-extra-mount`).
    #[serde(default)]
    pub cloud_controller_manager: Option<ComponentConfig>,
    /// Cloud provider (`cloud-provider-name`).
    #[serde(default)]
    pub cloud_provider_name: Option<String>,
    /// ConfigMap of the cloud provider; refused, as there is no API server to read it from.
    #[serde(default)]
    pub cloud_provider_config_map: Option<Value>,
    /// RKE2's embedded registry mirror (`embedded-registry`).
    #[serde(default)]
    pub embedded_registry: bool,
    /// Secret of an external datastore; refused, as there is no API server to read it from.
    #[serde(default)]
    pub external_datastore_secret: Option<Value>,
}

/// Components that are left out.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rke2DisableComponents {
    /// Kubernetes components (`disable-scheduler`, `disable-kube-proxy`, `disable-cloud-controller`).
    #[serde(default)]
    pub kubernetes_components: Vec<KubernetesComponent>,
    /// Packaged components (`disable`).
    #[serde(default)]
    pub plugin_components: Vec<PluginComponent>,
}

/// Kubernetes components that RKE2 can leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum KubernetesComponent {
    /// kube-scheduler.
    Scheduler,
    /// kube-proxy.
    KubeProxy,
    /// RKE2's own cloud controller.
    CloudController,
}

/// Packaged components that the template can leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum PluginComponent {
    /// CoreDNS.
    #[serde(rename = "rke2-coredns")]
    CoreDns,
    /// The ingress controller.
    #[serde(rename = "rke2-ingress-nginx")]
    IngressNginx,
    /// The metrics server.
    #[serde(rename = "rke2-metrics-server")]
    MetricsServer,
    /// The snapshot controller.
    #[serde(rename = "rke2-snapshot-controller")]
    SnapshotController,
    /// The snapshot controller's resource definitions.
    #[serde(rename = "rke2-snapshot-controller-crd")]
    SnapshotControllerCrd,
    /// The snapshot controller's webhook.
    #[serde(rename = "rke2-snapshot-validation-webhook")]
    SnapshotValidationWebhook,
}

impl PluginComponent {
    /// The name as RKE2 takes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CoreDns => "rke2-coredns",
            Self::IngressNginx => "rke2-ingress-nginx",
            Self::MetricsServer => "rke2-metrics-server",
            Self::SnapshotController => "rke2-snapshot-controller",
            Self::SnapshotControllerCrd => "rke2-snapshot-controller-crd",
            Self::SnapshotValidationWebhook => "rke2-snapshot-validation-webhook",
        }
    }
}

/// Network plugins of RKE2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Cni {
    /// No plugin.
    None,
    /// Calico.
    Calico,
    /// Canal.
    Canal,
    /// Cilium.
    Cilium,
}

impl Cni {
    /// The name as RKE2 takes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Calico => "calico",
            Self::Canal => "canal",
            Self::Cilium => "cilium",
        }
    }
}

/// EtcdConfig.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EtcdConfig {
    /// Metrics for all clients (`etcd-expose-metrics`).
    #[serde(default)]
    pub expose_metrics: bool,
    /// Snapshots.
    #[serde(default)]
    pub backup_config: EtcdBackupConfig,
    /// The static pod (`etcd-arg` and its like).
    #[serde(default)]
    pub custom_config: Option<ComponentConfig>,
}

/// EtcdBackupConfig.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EtcdBackupConfig {
    /// No snapshots by the clock (`etcd-disable-snapshots`).
    #[serde(default)]
    pub disable_automatic_snapshots: Option<bool>,
    /// Name of snapshots (`etcd-snapshot-name`).
    #[serde(default)]
    pub snapshot_name: Option<String>,
    /// When they are taken, as cron has it (`etcd-snapshot-schedule-cron`).
    #[serde(default)]
    pub schedule_cron: Option<String>,
    /// How many are kept (`etcd-snapshot-retention`).
    #[serde(default)]
    pub retention: Option<String>,
    /// Their folder (`etcd-snapshot-dir`).
    #[serde(default)]
    pub directory: Option<FilePath>,
    /// An S3 store; refused, as its credentials are in a Secret.
    #[serde(default)]
    pub s3: Option<Value>,
}

/// SecretsEncryption.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretsEncryption {
    /// Secret with the key; refused, as there is no API server to read it from.
    #[serde(default)]
    pub encryption_key_secret: Option<Value>,
    /// Provider (`secrets-encryption-provider`); RKE2 makes the key.
    #[serde(default)]
    pub provider: Option<EncryptionProvider>,
}

/// Providers of encryption at rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EncryptionProvider {
    /// AES-CBC.
    Aescbc,
    /// XSalsa20 and Poly1305.
    Secretbox,
}

impl EncryptionProvider {
    /// The name as RKE2 takes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aescbc => "aescbc",
            Self::Secretbox => "secretbox",
        }
    }
}
