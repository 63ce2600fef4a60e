//! K3s as cluster-api-k3s describes it: `KThreesControlPlaneTemplate` and the KThreesConfigSpec in it (v1beta2).

use super::{
    CLUSTER_CIDR, CLUSTER_DOMAIN, ComponentName, InstallScriptPath, K3sVersion, REGISTRIES,
    SERVICE_CIDR,
};
use crate::model::{File, OneOrMany, Registries};
use crate::values::{
    CidrList, Command, ComponentArg, DomainName, FilePath, IpAddress, IpList, NodeLabel, NodeName,
    NodeTaint, Port, RegistryPrefix, SubjectAltName,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// The control plane template of K3s.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KThreesControlPlaneTemplate {
    /// Chooses K3s.
    pub kind: KThreesKind,
    /// Name and labels of the Cluster API object.
    #[serde(default)]
    #[schemars(extend("x-no-effect" = true))]
    pub metadata: Option<serde_json::Value>,
    /// Version of the template's API.
    pub api_version: KThreesApiVersion,
    /// Private registries and mirrors; instead of a file registries.yaml under `files`.
    #[serde(default)]
    pub registries: Registries,
    /// The template's specification.
    pub spec: KThreesSpec,
}

/// `kind` of the K3s template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum KThreesKind {
    /// The control plane of K3s.
    KThreesControlPlaneTemplate,
}

/// `apiVersion` of the K3s template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum KThreesApiVersion {
    /// The only version there is of this kind.
    #[serde(rename = "controlplane.cluster.x-k8s.io/v1beta2")]
    V1Beta2,
}

/// `spec` of the template.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct KThreesSpec {
    /// The template.
    pub template: KThreesTemplate,
}

/// `spec.template`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct KThreesTemplate {
    /// Labels and annotations of Cluster API objects.
    #[serde(default)]
    #[schemars(extend("x-no-effect" = true))]
    pub metadata: Option<serde_json::Value>,
    /// The K3s configuration, written here or under `kthreesConfigSpec`.
    #[serde(default)]
    pub spec: TemplateSpec,
}

/// `spec.template.spec`: the fields of KThreesConfigSpec themselves, or `kthreesConfigSpec` with them.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateSpec {
    /// The K3s configuration in the CRD's place; not together with the same fields beside it.
    #[serde(default)]
    pub kthrees_config_spec: Option<Box<ConfigSpec>>,
    /// Cluster API's roll-out time.
    #[serde(default)]
    #[schemars(extend("x-no-effect" = true))]
    pub rollout_after: Option<serde_json::Value>,
    /// Cluster API's machines.
    #[serde(default)]
    #[schemars(extend("x-no-effect" = true))]
    pub machine_template: Option<serde_json::Value>,
    /// Cluster API's remediation.
    #[serde(default)]
    #[schemars(extend("x-no-effect" = true))]
    pub remediation_strategy: Option<serde_json::Value>,
    /// The K3s configuration in the proposal's place.
    #[serde(flatten)]
    pub direct: ConfigSpec,
}

/// KThreesConfigSpec: what K3s gets.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigSpec {
    /// Version of K3s. The OS image fixes it: leave it out, or give exactly the embedded version.
    #[serde(default)]
    pub version: Option<K3sVersion>,
    /// Files written before K3s is installed.
    #[serde(default)]
    pub files: OneOrMany<File>,
    /// Commands run before K3s is installed.
    #[serde(default, rename = "preK3sCommands")]
    pub pre_k3s_commands: Vec<Command>,
    /// Commands run after K3s was installed and its API answers.
    #[serde(default, rename = "postK3sCommands")]
    pub post_k3s_commands: Vec<Command>,
    /// Settings of the node's agent.
    #[serde(default)]
    pub agent_config: AgentConfig,
    /// Settings of the server (control plane).
    #[serde(default)]
    pub server_config: ServerConfig,
}

/// KThreesAgentConfig.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentConfig {
    /// Labels the node registers with (`node-label`).
    #[serde(default)]
    pub node_labels: Vec<NodeLabel>,
    /// Taints the node registers with (`node-taint`).
    #[serde(default)]
    pub node_taints: Vec<NodeTaint>,
    /// Path of the registries file (`private-registry`).
    #[serde(default)]
    #[schemars(extend("examples" = ["/etc/rancher/k3s/registries.yaml"]))]
    #[schemars(extend("default" = REGISTRIES))]
    pub private_registry: Option<FilePath>,
    /// Arguments of the kubelet (`kubelet-arg`).
    #[serde(default)]
    pub kubelet_args: Vec<ComponentArg>,
    /// Arguments of kube-proxy (`kube-proxy-arg`).
    #[serde(default)]
    pub kube_proxy_args: Vec<ComponentArg>,
    /// Name of the node (`node-name`); the host name when left out.
    #[serde(default)]
    pub node_name: Option<NodeName>,
    /// Always true: K3s is part of the OS image.
    #[serde(default)]
    #[schemars(extend("default" = true))]
    pub air_gapped: Option<bool>,
    /// Always /opt/install.sh, where the OS image has it.
    #[serde(default)]
    #[schemars(extend("default" = InstallScriptPath::FIXED))]
    pub air_gapped_install_script_path: Option<InstallScriptPath>,
}

/// KThreesServerConfig.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerConfig {
    /// Arguments of the API server (`kube-apiserver-arg`).
    #[serde(default, rename = "kubeAPIServerArg")]
    pub kube_api_server_arg: Vec<ComponentArg>,
    /// Arguments of the controller manager (`kube-controller-manager-arg`).
    #[serde(default)]
    pub kube_controller_manager_args: Vec<ComponentArg>,
    /// Arguments of the scheduler (`kube-scheduler-arg`).
    #[serde(default)]
    pub kube_scheduler_args: Vec<ComponentArg>,
    /// Further names in the API server's certificate (`tls-san`).
    #[serde(default)]
    pub tls_san: Vec<SubjectAltName>,
    /// Address the server listens on (`bind-address`); all when left out, which is best.
    #[serde(default)]
    pub bind_address: Option<IpAddress>,
    /// Port of the API (`https-listen-port`).
    #[serde(default)]
    #[schemars(extend("default" = "6443"))]
    pub https_listen_port: Option<Port>,
    /// Address the API server tells its clients (`advertise-address`); the node's when left out.
    #[serde(default)]
    pub advertise_address: Option<IpAddress>,
    /// Port the API server tells its clients (`advertise-port`); `httpsListenPort` when left out.
    #[serde(default)]
    pub advertise_port: Option<Port>,
    /// Network of the pods (`cluster-cidr`).
    #[serde(default)]
    #[schemars(extend("default" = CLUSTER_CIDR))]
    pub cluster_cidr: Option<CidrList>,
    /// Network of the services (`service-cidr`).
    #[serde(default)]
    #[schemars(extend("default" = SERVICE_CIDR))]
    pub service_cidr: Option<CidrList>,
    /// Address of the cluster's DNS (`cluster-dns`), inside serviceCidr; its tenth address when left out.
    #[serde(default, rename = "clusterDNS")]
    pub cluster_dns: Option<IpList>,
    /// DNS domain of the cluster (`cluster-domain`).
    #[serde(default)]
    #[schemars(extend("default" = CLUSTER_DOMAIN))]
    pub cluster_domain: Option<DomainName>,
    /// Packaged components left out (`disable`).
    #[serde(default)]
    pub disable_components: Vec<ComponentName>,
    /// Deprecated in cluster-api-k3s and unused there.
    #[serde(default)]
    #[schemars(extend("x-no-effect" = true))]
    pub disable_external_cloud_provider: Option<bool>,
    /// Switches K3s' own cloud controller off (`disable-cloud-controller`).
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub disable_cloud_controller: Option<bool>,
    /// Cloud provider of the kubelet and the controller manager: `external`, or none when left out.
    #[serde(default)]
    pub cloud_provider_name: Option<String>,
    /// Registry of the system images (`system-default-registry`).
    #[serde(default)]
    pub system_default_registry: Option<RegistryPrefix>,
    /// Image of the etcd proxy that Cluster API adds.
    #[serde(default)]
    #[schemars(extend("x-no-effect" = true))]
    pub etcd_proxy_image: Option<String>,
}
