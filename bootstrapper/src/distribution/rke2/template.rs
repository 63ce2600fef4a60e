//! RKE2 as cluster-api-provider-rke2 describes it: `RKE2ControlPlaneTemplate`, v1beta1, and the RKE2ControlPlaneSpec,
//! RKE2ConfigSpec and RKE2ServerConfig in it.

use super::{
    CLUSTER_DOMAIN, ComponentConfig, PortRange, Rke2AgentConfig, Rke2Registries, Rke2Version,
};
use crate::model::{File, Registries, reference};
use crate::values::{Command, DomainName, FilePath, IpAddress, IpList, SubjectAltName};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// The control plane template of RKE2. It is converted and validated; the OS images have K3s only.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rke2ControlPlaneTemplate {
    /// Chooses RKE2.
    pub kind: Rke2Kind,
    /// Name and labels of the Cluster API object.
    #[serde(default)]
    #[schemars(extend("x-no-effect" = true))]
    pub metadata: Option<Value>,
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
    /// Labels and annotations of Cluster API objects.
    #[serde(default)]
    #[schemars(extend("x-no-effect" = true))]
    pub metadata: Option<Value>,
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
    /// ConfigMap with manifests.
    #[serde(default)]
    #[schemars(extend("x-refused" = reference(
        "write the manifests with `files` into /var/lib/rancher/rke2/server/manifests"
    )))]
    pub manifests_config_map_reference: Option<Value>,
    /// Compression of Cluster API's user data.
    #[serde(default)]
    #[schemars(extend("x-no-effect" = true))]
    pub gzip_user_data: Option<bool>,
    /// Number of Cluster API's machines.
    #[serde(default)]
    #[schemars(extend("x-no-effect" = true))]
    pub replicas: Option<u32>,
    /// Cluster API's machines.
    #[serde(default)]
    #[schemars(extend("x-no-effect" = true))]
    pub machine_template: Option<Value>,
    /// Cluster API's infrastructure.
    #[serde(default)]
    #[schemars(extend("x-no-effect" = true))]
    pub infrastructure_ref: Option<Value>,
    /// Cluster API's drain time-out.
    #[serde(default)]
    #[schemars(extend("x-no-effect" = true))]
    pub node_drain_timeout: Option<String>,
    /// How Cluster API's machines join.
    #[serde(default)]
    #[schemars(extend("x-no-effect" = true))]
    pub registration_method: Option<String>,
    /// Where Cluster API's machines join.
    #[serde(default)]
    #[schemars(extend("x-no-effect" = true))]
    pub registration_address: Option<String>,
    /// Cluster API's roll-out.
    #[serde(default)]
    #[schemars(extend("x-no-effect" = true))]
    pub rollout_strategy: Option<Value>,
    /// Cluster API's remediation.
    #[serde(default)]
    #[schemars(extend("x-no-effect" = true))]
    pub remediation_strategy: Option<Value>,
}

/// RKE2ServerConfig.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rke2ServerConfig {
    /// Secret with an audit policy.
    #[serde(default)]
    #[schemars(extend("x-refused" = reference(
        "write the policy with `files`, and `audit-policy-file` into /etc/rancher/rke2/config.yaml.d"
    )))]
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
    #[schemars(extend("default" = CLUSTER_DOMAIN))]
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
    /// ConfigMap of the cloud provider.
    #[serde(default)]
    #[schemars(extend("x-refused" = reference(
        "write the configuration with `files`, and `cloud-provider-config` into /etc/rancher/rke2/config.yaml.d"
    )))]
    pub cloud_provider_config_map: Option<Value>,
    /// RKE2's embedded registry mirror (`embedded-registry`).
    #[serde(default)]
    pub embedded_registry: bool,
    /// Secret of an external datastore.
    #[serde(default)]
    #[schemars(extend("x-refused" = reference(
        "write `datastore-endpoint` with `files` into /etc/rancher/rke2/config.yaml.d"
    )))]
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
    /// An S3 store.
    #[serde(default)]
    #[schemars(extend("x-refused" = reference(
        "write the etcd-s3 settings with `files` into /etc/rancher/rke2/config.yaml.d"
    )))]
    pub s3: Option<Value>,
}

/// SecretsEncryption.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretsEncryption {
    /// Secret with the key.
    #[serde(default)]
    #[schemars(extend("x-refused" = reference(
        "leave it out: RKE2 makes a key of its own"
    )))]
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
