//! RKE2's own settings, /etc/rancher/rke2/config.yaml, from agentConfig and serverConfig. The keys are those that
//! cluster-api-provider-rke2 writes (pkg/rke2/config.go).

use crate::k3s::Setting;
use crate::model::{
    Cni, ComponentConfig, KubernetesComponent, Rke2AgentConfig, Rke2ConfigSpec, Rke2ServerConfig,
};
use std::collections::BTreeMap;

/// The final settings by key.
pub fn settings(spec: &Rke2ConfigSpec) -> BTreeMap<String, Setting> {
    let mut out = Settings::default();
    out.agent(&spec.agent_config);
    out.server(&spec.server_config);
    out.etcd(&spec.server_config);
    out.0
}

#[derive(Default)]
struct Settings(BTreeMap<String, Setting>);

impl Settings {
    fn agent(&mut self, agent: &Rke2AgentConfig) {
        self.text("data-dir", &agent.data_dir);
        self.list("node-label", &agent.node_labels);
        self.list("node-taint", &agent.node_taints);
        self.text(
            "container-runtime-endpoint",
            &agent.container_runtime_endpoint,
        );
        self.text("snapshotter", &agent.snapshotter);
        self.text(
            "profile",
            &agent.cis_profile.map(|profile| profile.as_str()),
        );
        self.text(
            "pod-security-admission-config-file",
            &agent.pod_security_admission_config_file,
        );
        self.flag("protect-kernel-defaults", agent.protect_kernel_defaults);
        self.text("system-default-registry", &agent.system_default_registry);
        self.flag("selinux", agent.enable_containerd_selinux);
        self.text("kubelet-path", &agent.kubelet_path);
        if let Some(kubelet) = &agent.kubelet {
            self.list("kubelet-arg", &kubelet.extra_args);
        }
        self.component("kube-proxy", agent.kube_proxy.as_ref());
        self.text("runtime-image", &agent.runtime_image);
        self.text("lb-server-port", &agent.load_balancer_port);
    }

    fn server(&mut self, server: &Rke2ServerConfig) {
        self.text("bind-address", &server.bind_address);
        self.text("advertise-address", &server.advertise_address);
        self.list("tls-san", &server.tls_san);
        self.text("service-node-port-range", &server.service_node_port_range);
        self.text("cluster-dns", &server.cluster_dns);
        self.text("cluster-domain", &server.cluster_domain);
        self.text("pause-image", &server.pause_image);
        self.text("cloud-provider-name", &server.cloud_provider_name);
        self.flag("embedded-registry", server.embedded_registry);
        let disabled = &server.disable_components;
        let plugins: Vec<&str> = disabled
            .plugin_components
            .iter()
            .map(|p| p.as_str())
            .collect();
        self.list("disable", &plugins);
        for component in &disabled.kubernetes_components {
            let key = match component {
                KubernetesComponent::Scheduler => "disable-scheduler",
                KubernetesComponent::KubeProxy => "disable-kube-proxy",
                KubernetesComponent::CloudController => "disable-cloud-controller",
            };
            self.flag(key, true);
        }
        let plugin = server.cni.map(Cni::as_str);
        let cni = match server.cni_multus_enable {
            // Multus needs a plugin to stand before; canal is RKE2's own.
            true => vec!["multus", plugin.unwrap_or("canal")],
            false => plugin.into_iter().collect(),
        };
        self.list("cni", &cni);
        let provider = server.secrets_encryption.as_ref().and_then(|e| e.provider);
        self.text("secrets-encryption-provider", &provider.map(|p| p.as_str()));
        self.component("kube-apiserver", server.kube_api_server.as_ref());
        self.component(
            "kube-controller-manager",
            server.kube_controller_manager.as_ref(),
        );
        self.component("kube-scheduler", server.kube_scheduler.as_ref());
        self.component(
            "cloud-controller-manager",
            server.cloud_controller_manager.as_ref(),
        );
    }

    fn etcd(&mut self, server: &Rke2ServerConfig) {
        let etcd = &server.etcd;
        let backup = &etcd.backup_config;
        self.flag("etcd-expose-metrics", etcd.expose_metrics);
        if let Some(disabled) = backup.disable_automatic_snapshots {
            self.0
                .insert("etcd-disable-snapshots".to_owned(), Setting::Flag(disabled));
        }
        self.text("etcd-snapshot-name", &backup.snapshot_name);
        self.text("etcd-snapshot-schedule-cron", &backup.schedule_cron);
        self.text("etcd-snapshot-retention", &backup.retention);
        self.text("etcd-snapshot-dir", &backup.directory);
        self.component("etcd", etcd.custom_config.as_ref());
    }

    fn component(&mut self, name: &str, component: Option<&ComponentConfig>) {
        let Some(component) = component else { return };
        let pairs = |map: &BTreeMap<String, String>, between: char| -> Vec<String> {
            map.iter()
                .map(|(key, value)| format!("{key}{between}{value}"))
                .collect()
        };
        self.list(&format!("{name}-arg"), &component.extra_args);
        self.list(
            &format!("{name}-extra-env"),
            &pairs(&component.extra_env, '='),
        );
        self.list(
            &format!("{name}-extra-mount"),
            &pairs(&component.extra_mounts, ':'),
        );
        self.text(&format!("{name}-image"), &component.override_image);
    }

    fn flag(&mut self, key: &str, value: bool) {
        if value {
            self.0.insert(key.to_owned(), Setting::Flag(true));
        }
    }

    fn text<T: ToString>(&mut self, key: &str, value: &Option<T>) {
        if let Some(value) = value {
            self.0
                .insert(key.to_owned(), Setting::Text(value.to_string()));
        }
    }

    fn list<T: ToString>(&mut self, key: &str, values: &[T]) {
        if !values.is_empty() {
            let values = values.iter().map(ToString::to_string).collect();
            self.0.insert(key.to_owned(), Setting::List(values));
        }
    }
}
