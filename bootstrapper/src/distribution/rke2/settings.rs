//! RKE2's own settings, from agentConfig and serverConfig. The keys are those that cluster-api-provider-rke2 writes
//! (pkg/rke2/config.go).

use super::{
    Cni, ComponentConfig, KubernetesComponent, Rke2AgentConfig, Rke2ConfigSpec, Rke2ServerConfig,
};
use crate::distribution::{Arguments, Entry, Setting};
use std::collections::BTreeMap;

/// The settings and the keys that they come from.
pub(super) fn entries(spec: &Rke2ConfigSpec) -> Vec<Entry> {
    let mut out = agent(&spec.agent_config);
    out.extend(server(&spec.server_config));
    out.extend(etcd(&spec.server_config));
    let mut out: Vec<Entry> = out.into_iter().flatten().collect();
    for arguments in arguments(spec) {
        out.extend(Entry::list(
            &arguments.setting,
            &arguments.at,
            arguments.list,
        ));
    }
    for (name, at, component) in components(spec) {
        out.extend(differences(name, at, component));
    }
    out
}

fn agent(agent: &Rke2AgentConfig) -> Vec<Option<Entry>> {
    let profile = agent.cis_profile.map(|profile| profile.as_str());
    vec![
        Entry::text("data-dir", "agentConfig/dataDir", &agent.data_dir),
        Entry::list("node-label", "agentConfig/nodeLabels", &agent.node_labels),
        Entry::list("node-taint", "agentConfig/nodeTaints", &agent.node_taints),
        Entry::text(
            "container-runtime-endpoint",
            "agentConfig/containerRuntimeEndpoint",
            &agent.container_runtime_endpoint,
        ),
        Entry::text("snapshotter", "agentConfig/snapshotter", &agent.snapshotter),
        Entry::text("profile", "agentConfig/cisProfile", &profile),
        Entry::text(
            "pod-security-admission-config-file",
            "agentConfig/podSecurityAdmissionConfigFile",
            &agent.pod_security_admission_config_file,
        ),
        Entry::flag(
            "protect-kernel-defaults",
            "agentConfig/protectKernelDefaults",
            agent.protect_kernel_defaults,
        ),
        Entry::text(
            "system-default-registry",
            "agentConfig/systemDefaultRegistry",
            &agent.system_default_registry,
        ),
        Entry::flag(
            "selinux",
            "agentConfig/enableContainerdSElinux",
            agent.enable_containerd_selinux,
        ),
        Entry::text(
            "kubelet-path",
            "agentConfig/kubeletPath",
            &agent.kubelet_path,
        ),
        Entry::text(
            "runtime-image",
            "agentConfig/runtimeImage",
            &agent.runtime_image,
        ),
        Entry::text(
            "lb-server-port",
            "agentConfig/loadBalancerPort",
            &agent.load_balancer_port,
        ),
    ]
}

fn server(server: &Rke2ServerConfig) -> Vec<Option<Entry>> {
    let plugins = &server.disable_components.plugin_components;
    let plugins: Vec<&str> = plugins.iter().map(|plugin| plugin.as_str()).collect();
    let provider = server.secrets_encryption.as_ref().and_then(|e| e.provider);
    let mut out = vec![
        Entry::text(
            "bind-address",
            "serverConfig/bindAddress",
            &server.bind_address,
        ),
        Entry::text(
            "advertise-address",
            "serverConfig/advertiseAddress",
            &server.advertise_address,
        ),
        Entry::list("tls-san", "serverConfig/tlsSan", &server.tls_san),
        Entry::text(
            "service-node-port-range",
            "serverConfig/serviceNodePortRange",
            &server.service_node_port_range,
        ),
        Entry::text(
            "cluster-dns",
            "serverConfig/clusterDNS",
            &server.cluster_dns,
        ),
        Entry::text(
            "cluster-domain",
            "serverConfig/clusterDomain",
            &server.cluster_domain,
        ),
        Entry::text(
            "pause-image",
            "serverConfig/pauseImage",
            &server.pause_image,
        ),
        Entry::text(
            "cloud-provider-name",
            "serverConfig/cloudProviderName",
            &server.cloud_provider_name,
        ),
        Entry::flag(
            "embedded-registry",
            "serverConfig/embeddedRegistry",
            server.embedded_registry,
        ),
        Entry::list(
            "disable",
            "serverConfig/disableComponents/pluginComponents",
            &plugins,
        ),
        Entry::list("cni", "serverConfig/cni", &cni(server)),
        Entry::text(
            "secrets-encryption-provider",
            "serverConfig/secretsEncryption/provider",
            &provider.map(|provider| provider.as_str()),
        ),
    ];
    out.extend(disabled(server));
    out
}

/// Components of Kubernetes that are left out, each by a setting of its own.
fn disabled(server: &Rke2ServerConfig) -> impl Iterator<Item = Option<Entry>> {
    let components = server.disable_components.kubernetes_components.iter();
    components.map(|component| {
        let key = match component {
            KubernetesComponent::Scheduler => "disable-scheduler",
            KubernetesComponent::KubeProxy => "disable-kube-proxy",
            KubernetesComponent::CloudController => "disable-cloud-controller",
        };
        let at = "serverConfig/disableComponents/kubernetesComponents";
        Entry::flag(key, at, true)
    })
}

fn cni(server: &Rke2ServerConfig) -> Vec<&'static str> {
    let plugin = server.cni.map(Cni::as_str);
    match server.cni_multus_enable {
        // Multus needs a plugin to stand before; canal is RKE2's own.
        true => vec!["multus", plugin.unwrap_or("canal")],
        false => plugin.into_iter().collect(),
    }
}

fn etcd(server: &Rke2ServerConfig) -> Vec<Option<Entry>> {
    let (etcd, backup) = (&server.etcd, &server.etcd.backup_config);
    let disabled = backup.disable_automatic_snapshots.map(Setting::Flag);
    let at = "serverConfig/etcd/backupConfig/disableAutomaticSnapshots";
    vec![
        Entry::flag(
            "etcd-expose-metrics",
            "serverConfig/etcd/exposeMetrics",
            etcd.expose_metrics,
        ),
        disabled.map(|flag| Entry::new("etcd-disable-snapshots", at, flag)),
        Entry::text(
            "etcd-snapshot-name",
            "serverConfig/etcd/backupConfig/snapshotName",
            &backup.snapshot_name,
        ),
        Entry::text(
            "etcd-snapshot-schedule-cron",
            "serverConfig/etcd/backupConfig/scheduleCron",
            &backup.schedule_cron,
        ),
        Entry::text(
            "etcd-snapshot-retention",
            "serverConfig/etcd/backupConfig/retention",
            &backup.retention,
        ),
        Entry::text(
            "etcd-snapshot-dir",
            "serverConfig/etcd/backupConfig/directory",
            &backup.directory,
        ),
    ]
}

/// The components whose static pods can differ: the beginning of their settings, and where they stand.
fn components(spec: &Rke2ConfigSpec) -> Vec<(&'static str, &'static str, &ComponentConfig)> {
    let (agent, server) = (&spec.agent_config, &spec.server_config);
    let all = [
        ("kube-proxy", "agentConfig/kubeProxy", &agent.kube_proxy),
        (
            "kube-apiserver",
            "serverConfig/kubeAPIServer",
            &server.kube_api_server,
        ),
        (
            "kube-controller-manager",
            "serverConfig/kubeControllerManager",
            &server.kube_controller_manager,
        ),
        (
            "kube-scheduler",
            "serverConfig/kubeScheduler",
            &server.kube_scheduler,
        ),
        (
            "cloud-controller-manager",
            "serverConfig/cloudControllerManager",
            &server.cloud_controller_manager,
        ),
        (
            "etcd",
            "serverConfig/etcd/customConfig",
            &server.etcd.custom_config,
        ),
    ];
    let given = all.into_iter();
    given
        .filter_map(|(name, at, component)| Some((name, at, component.as_ref()?)))
        .collect()
}

/// How a static pod differs, its arguments apart.
fn differences(name: &str, at: &str, component: &ComponentConfig) -> Vec<Entry> {
    let pairs = |map: &BTreeMap<String, String>, between: char| -> Vec<String> {
        map.iter()
            .map(|(key, value)| format!("{key}{between}{value}"))
            .collect()
    };
    let found = [
        Entry::list(
            &format!("{name}-extra-env"),
            at,
            &pairs(&component.extra_env, '='),
        ),
        Entry::list(
            &format!("{name}-extra-mount"),
            at,
            &pairs(&component.extra_mounts, ':'),
        ),
        Entry::text(&format!("{name}-image"), at, &component.override_image),
    ];
    found.into_iter().flatten().collect()
}

/// The arguments of the components.
fn arguments(spec: &Rke2ConfigSpec) -> Vec<Arguments<'_>> {
    let of = |name: &str, at: &str, list| Arguments {
        setting: format!("{name}-arg"),
        at: format!("{at}/extraArgs"),
        list,
    };
    let kubelet = spec.agent_config.kubelet.as_ref();
    let kubelet =
        kubelet.map(|kubelet| of("kubelet", "agentConfig/kubelet", &kubelet.extra_args[..]));
    let components = components(spec).into_iter();
    let components = components.map(|(name, at, component)| of(name, at, &component.extra_args));
    kubelet.into_iter().chain(components).collect()
}
