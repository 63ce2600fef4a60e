//! Checks of an RKE2 control plane template: what needs a management cluster is refused or has no effect, and the rules
//! that RKE2 shares with K3s.

use super::Meaning;
use super::files::Others;
use crate::install::generated_paths;
use crate::model::{ConfigFile, Kubernetes, KubernetesComponent, Rke2ConfigSpec, Rke2ServerConfig};
use crate::rke2::{NETWORKS, REGISTRIES, template as template_of};
use crate::values::Cidr;
use crate::yaml::Pointer;

/// Fields that Cluster API's controllers use and a standalone node does not, below `spec.template.spec`.
const WITHOUT_EFFECT: &[&str] = &[
    "gzipUserData",
    "replicas",
    "machineTemplate",
    "infrastructureRef",
    "nodeDrainTimeout",
    "registrationMethod",
    "registrationAddress",
    "rolloutStrategy",
    "remediationStrategy",
    "agentConfig/nodeAnnotations",
    "agentConfig/nodeName",
];

/// References to objects of a management cluster, and what to do instead.
const REFERENCES: &[(&str, &str)] = &[
    (
        "manifestsConfigMapReference",
        "write the manifests with `files` into /var/lib/rancher/rke2/server/manifests",
    ),
    (
        "agentConfig/imageCredentialProviderConfigMap",
        "write the provider's configuration with `files`, and its flags into /etc/rancher/rke2/config.yaml.d",
    ),
    (
        "agentConfig/resolvConf",
        "write the file with `files`, and `resolv-conf` into /etc/rancher/rke2/config.yaml.d",
    ),
    (
        "serverConfig/auditPolicySecret",
        "write the policy with `files`, and `audit-policy-file` into /etc/rancher/rke2/config.yaml.d",
    ),
    (
        "serverConfig/cloudProviderConfigMap",
        "write the configuration with `files`, and `cloud-provider-config` into /etc/rancher/rke2/config.yaml.d",
    ),
    (
        "serverConfig/externalDatastoreSecret",
        "write `datastore-endpoint` with `files` into /etc/rancher/rke2/config.yaml.d",
    ),
    (
        "serverConfig/etcd/backupConfig/s3",
        "write the etcd-s3 settings with `files` into /etc/rancher/rke2/config.yaml.d",
    ),
    (
        "serverConfig/secretsEncryption/encryptionKeySecret",
        "leave it out: RKE2 makes a key of its own",
    ),
];

impl Meaning<'_> {
    /// Checks the RKE2 template of a config-file.
    pub(crate) fn rke2(&mut self, config: &mut ConfigFile) {
        self.generated = generated_paths(config);
        let Kubernetes::Rke2(template) = &mut config.kubernetes else {
            return;
        };
        let section = self.spec.join("files");
        let files = &mut template.spec.template.spec.files;
        let at = |index: usize| section.join(index);
        let os = &mut config.operating_system;
        let others = Others::of(REGISTRIES);
        self.every_file(os, files, at, others);
        let Some(template) = template_of(config) else {
            return;
        };
        let spec = &template.spec.template.spec;
        self.rke2_place();
        self.rke2_registries(config, spec);
        let agent = self.spec.join("agentConfig");
        if spec.agent_config.air_gapped == Some(false) {
            self.error(
                "air-gapped",
                &agent.join("airGapped"),
                "a standalone node is always air-gapped: RKE2 is installed from /opt/rke2-artifacts",
            )
            .help("leave airGapped out, or write true");
        }
        self.rke2_refused(
            "agentConfig/ntp",
            "not-supported",
            "NTP servers are set for the operating system, not by the template",
            "put them under operatingSystem",
        );
        self.rke2_refused(
            "agentConfig/additionalUserData",
            "not-supported",
            "further cloud-init cannot be added: cloud-init does not merge lists",
            "use `files`, `preRKE2Commands` and `postRKE2Commands`",
        );
        self.rke2_arguments(spec);
        self.rke2_server(&spec.server_config);
    }

    /// What has no place on a standalone node, or on one with K3s in its image.
    fn rke2_place(&mut self) {
        if let Some(embedded) = &self.options.k3s_version {
            let message = format!("the OS image has K3s {embedded}, and no RKE2");
            self.error("other-distribution", &Pointer::from("/kubernetes/kind"), message)
                .help("write a KThreesControlPlaneTemplate: RKE2 templates can be converted and validated only");
        }
        for field in WITHOUT_EFFECT {
            let at = Pointer::from(format!("{}/{field}", self.spec).as_str());
            if self.given(&at) {
                let name = field.rsplit('/').next().unwrap_or(field);
                let message = format!("`{name}` has no effect on a standalone node");
                self.note("no-effect", &at, message)
                    .help("it can be left out; Cluster API alone uses it");
            }
        }
        for (field, help) in REFERENCES {
            let message = "a reference into a management cluster, which a standalone node has not";
            self.rke2_refused(field, "cluster-reference", message, help);
        }
    }

    fn rke2_refused(&mut self, field: &str, code: &'static str, message: &str, help: &str) {
        let at = Pointer::from(format!("{}/{field}", self.spec).as_str());
        if self.given(&at) {
            self.error(code, &at, message).help(help);
        }
    }

    fn rke2_registries(&mut self, config: &ConfigFile, spec: &Rke2ConfigSpec) {
        let section = self.spec.join("privateRegistriesConfig");
        for (host, access) in &spec.private_registries_config.configs {
            let at = section.join("configs").join(host);
            for (given, at) in [
                (access.auth_secret.is_some(), at.join("authSecret")),
                (
                    access.tls.tls_config_secret.is_some(),
                    at.join("tls").join("tlsConfigSecret"),
                ),
            ] {
                if given {
                    let message =
                        "a reference into a management cluster, which a standalone node has not";
                    self.error("cluster-reference", &at, message)
                        .help("use kubernetes.registries, which takes credentials and files");
                }
            }
        }
        let twice = !config.registries().is_empty()
            || spec
                .files
                .iter()
                .any(|file| file.path.as_str() == REGISTRIES);
        if twice && !spec.private_registries_config.is_empty() {
            let message =
                format!("the registries are given more than once, and all become {REGISTRIES}");
            self.error("registries-twice", &section, message)
                .help("keep one of kubernetes.registries, privateRegistriesConfig and the file");
        }
    }

    fn rke2_arguments(&mut self, spec: &Rke2ConfigSpec) {
        let (agent, server) = (
            self.spec.join("agentConfig"),
            self.spec.join("serverConfig"),
        );
        if let Some(kubelet) = &spec.agent_config.kubelet {
            let at = agent.join("kubelet").join("extraArgs");
            self.kubelet_arguments(&kubelet.extra_args, false, &at);
        }
        let config = &spec.server_config;
        let components = [
            (&spec.agent_config.kube_proxy, agent.join("kubeProxy")),
            (&config.kube_api_server, server.join("kubeAPIServer")),
            (
                &config.kube_controller_manager,
                server.join("kubeControllerManager"),
            ),
            (&config.kube_scheduler, server.join("kubeScheduler")),
            (
                &config.cloud_controller_manager,
                server.join("cloudControllerManager"),
            ),
            (
                &config.etcd.custom_config,
                server.join("etcd").join("customConfig"),
            ),
        ];
        for (component, at) in components {
            if let Some(component) = component {
                self.arguments(&component.extra_args, &at.join("extraArgs"));
            }
        }
    }

    fn rke2_server(&mut self, server: &Rke2ServerConfig) {
        let section = self.spec.join("serverConfig");
        let disabled = &server.disable_components.kubernetes_components;
        if server.cloud_provider_name.as_deref() == Some("external")
            && disabled.contains(&KubernetesComponent::CloudController)
        {
            self.error(
                "no-cloud-controller",
                &section.join("cloudProviderName"),
                "an external cloud provider without a cloud controller: the node keeps the taint \
                 node.cloudprovider.kubernetes.io/uninitialized and no pod is scheduled",
            )
            .help("leave the cloud provider out, or do not disable the cloud controller");
        }
        let services: Option<Cidr> = NETWORKS[1].parse().ok();
        for address in server.cluster_dns.iter().flat_map(|dns| dns.addresses()) {
            let inside = |cidr: &Cidr| cidr.network().contains(&address.address());
            if !services.as_ref().is_some_and(inside) {
                let message = format!("clusterDNS {address} is not inside {}", NETWORKS[1]);
                self.error("cluster-dns", &section.join("clusterDNS"), message)
                    .help("leave it out: RKE2 takes 10.43.0.10");
            }
        }
    }
}
