//! K3s' own settings, from agentConfig and serverConfig.

use super::{ConfigSpec, ServerConfig};
use crate::distribution::{Arguments, Entry, Setting};

/// The settings and the keys that they come from.
pub(super) fn entries(spec: &ConfigSpec) -> Vec<Entry> {
    let (agent, server) = (&spec.agent_config, &spec.server_config);
    let without_ccm = server.disable_cloud_controller == Some(true);
    let mut out = vec![
        Some(Entry::new("cluster-init", "", Setting::Flag(true))),
        Entry::flag(
            "disable-cloud-controller",
            "serverConfig/disableCloudController",
            without_ccm,
        ),
        Entry::text("node-name", "agentConfig/nodeName", &agent.node_name),
        Entry::text(
            "private-registry",
            "agentConfig/privateRegistry",
            &agent.private_registry,
        ),
    ];
    out.extend(network(server));
    out.extend([
        Entry::text(
            "system-default-registry",
            "serverConfig/systemDefaultRegistry",
            &server.system_default_registry,
        ),
        Entry::list("node-label", "agentConfig/nodeLabels", &agent.node_labels),
        Entry::list("node-taint", "agentConfig/nodeTaints", &agent.node_taints),
        Entry::list("tls-san", "serverConfig/tlsSan", &server.tls_san),
        Entry::list(
            "disable",
            "serverConfig/disableComponents",
            &server.disable_components,
        ),
    ]);
    for arguments in arguments(spec) {
        out.push(Entry::list(
            &arguments.setting,
            &arguments.at,
            arguments.list,
        ));
    }
    out.extend(provider(spec));
    out.into_iter().flatten().collect()
}

/// Addresses, ports and networks.
fn network(server: &ServerConfig) -> [Option<Entry>; 8] {
    [
        Entry::text(
            "bind-address",
            "serverConfig/bindAddress",
            &server.bind_address,
        ),
        Entry::text(
            "https-listen-port",
            "serverConfig/httpsListenPort",
            &server.https_listen_port,
        ),
        Entry::text(
            "advertise-address",
            "serverConfig/advertiseAddress",
            &server.advertise_address,
        ),
        Entry::text(
            "advertise-port",
            "serverConfig/advertisePort",
            &server.advertise_port,
        ),
        Entry::text(
            "cluster-cidr",
            "serverConfig/clusterCidr",
            &server.cluster_cidr,
        ),
        Entry::text(
            "service-cidr",
            "serverConfig/serviceCidr",
            &server.service_cidr,
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
    ]
}

/// The cloud provider as an argument of the components that have one, behind the user's.
fn provider(spec: &ConfigSpec) -> [Option<Entry>; 2] {
    let name = spec.server_config.cloud_provider_name.as_deref();
    let argument = name
        .filter(|name| !name.is_empty())
        .map(|name| format!("cloud-provider={name}"));
    let of = |setting| Entry::element(setting, "serverConfig/cloudProviderName", argument.clone());
    [of("kubelet-arg"), of("kube-controller-manager-arg")]
}

/// The arguments of the components.
fn arguments(spec: &ConfigSpec) -> Vec<Arguments<'_>> {
    let (agent, server) = (&spec.agent_config, &spec.server_config);
    let of = |setting: &str, at: &str, list| Arguments {
        setting: setting.to_owned(),
        at: at.to_owned(),
        list,
    };
    vec![
        of(
            "kubelet-arg",
            "agentConfig/kubeletArgs",
            &agent.kubelet_args[..],
        ),
        of(
            "kube-proxy-arg",
            "agentConfig/kubeProxyArgs",
            &agent.kube_proxy_args,
        ),
        of(
            "kube-apiserver-arg",
            "serverConfig/kubeAPIServerArg",
            &server.kube_api_server_arg,
        ),
        of(
            "kube-controller-manager-arg",
            "serverConfig/kubeControllerManagerArgs",
            &server.kube_controller_manager_args,
        ),
        of(
            "kube-scheduler-arg",
            "serverConfig/kubeSchedulerArgs",
            &server.kube_scheduler_args,
        ),
    ]
}
