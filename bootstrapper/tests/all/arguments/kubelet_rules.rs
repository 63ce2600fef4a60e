//! What the kubelet refuses beyond the form of a flag.

use super::*;

#[test]
fn a_static_cpu_manager_needs_reserved_cpus() {
    is_error(
        &kubelet("cpu-manager-policy=static"),
        "reserved-cpu",
        "cpu-manager-policy=static without reserved CPUs: the kubelet would not start",
        Some("add reserved-cpus=0, or an amount such as kube-reserved=cpu=500m"),
    );
}

#[test]
fn an_amount_of_no_cpus_reserves_none() {
    let found = kubelet("cpu-manager-policy=static, 'kube-reserved=cpu=0,memory=1Gi'");
    assert_eq!(codes(&found), [(Severity::Error, "reserved-cpu")]);
}

#[test]
fn cpus_can_be_reserved_in_three_ways() {
    for reserved in [
        "reserved-cpus=0-1",
        "kube-reserved=cpu=500m",
        "'system-reserved=memory=1Gi, cpu=1'",
    ] {
        is_valid(&kubelet(&format!("cpu-manager-policy=static, {reserved}")));
    }
}

#[test]
fn the_policy_that_is_given_last_counts() {
    assert_eq!(
        codes(&kubelet(
            "cpu-manager-policy=static, cpu-manager-policy=none",
        )),
        [(Severity::Warning, "argument-twice")]
    );
}

#[test]
fn a_drop_in_can_reserve_the_cpus() {
    let parsed = drop_in(
        &["kubelet-arg+: [reserved-cpus=0]"],
        "agentConfig: {kubeletArgs: [cpu-manager-policy=static]}",
    );
    is_valid(&parsed.diagnostics);
}

#[test]
fn a_configuration_of_the_kubelet_may_reserve_them() {
    for (arg, path) in [
        (
            ", config=/etc/rancher/k3s/kubelet.yaml",
            "/etc/rancher/k3s/kubelet.yaml",
        ),
        (", config-dir=/etc/kubelet.d", "/etc/kubelet.d/a.conf"),
        (
            "",
            "/var/lib/rancher/k3s/agent/etc/kubelet.conf.d/50-a.conf",
        ),
    ] {
        is_valid(&k3s(&format!(
            "agentConfig: {{kubeletArgs: [cpu-manager-policy=static{arg}]}}, \
             files: [{{path: {path}, content: '{{apiVersion: kubelet.config.k8s.io/v1beta1, kind: KubeletConfiguration}}'}}]"
        )));
    }
}

#[test]
fn a_static_memory_manager_needs_reserved_memory() {
    let found = kubelet("memory-manager-policy=Static");
    assert_eq!(codes(&found), [(Severity::Error, "reserved-memory")]);
    is_valid(&kubelet(
        "memory-manager-policy=Static, 'reserved-memory=0:memory=1Gi'",
    ));
}

#[test]
fn a_soft_eviction_needs_its_grace_period() {
    let found = kubelet("'eviction-soft=memory.available<1Gi'");
    assert_eq!(codes(&found), [(Severity::Error, "eviction-grace")]);
    is_valid(&kubelet(
        "'eviction-soft=memory.available<1Gi', 'eviction-soft-grace-period=memory.available=1m'",
    ));
}

#[test]
fn labels_among_the_arguments_are_checked_as_the_key_is() {
    let of_key = k3s("agentConfig: {nodeLabels: ['node-role.kubernetes.io/edge=true']}");
    let of_argument = kubelet("'node-labels=a=b,node-role.kubernetes.io/edge=true'");
    is_error(
        &of_argument,
        "node-label",
        &of_key[0].message,
        of_key[0].help.as_deref(),
    );
}

#[test]
fn labels_among_the_arguments_replace_those_of_the_key() {
    let found = k3s("agentConfig: {nodeLabels: [a=b], kubeletArgs: ['node-labels=c=d']}");
    assert_eq!(codes(&found), [(Severity::Warning, "argument-replaces")]);
    is_valid(&k3s(
        "agentConfig: {nodeLabels: [a=b], kubeletArgs: ['node-labels+=c=d']}",
    ));
}

#[test]
fn taints_among_the_arguments_are_checked_as_the_key_is() {
    let found = kubelet("'register-with-taints=a=b:Never'");
    assert_eq!(codes(&found), [(Severity::Error, "node-taint")]);
}

#[test]
fn taints_among_the_arguments_replace_those_of_the_key() {
    let found = k3s(
        "agentConfig: {nodeTaints: ['a=b:PreferNoSchedule'], kubeletArgs: ['register-with-taints=a=b:PreferNoSchedule']}",
    );
    assert_eq!(codes(&found), [(Severity::Warning, "argument-replaces")]);
}

#[test]
fn a_taint_that_keeps_pods_off_the_only_node_is_told() {
    for taint in ["a=b:NoSchedule", "a:NoExecute"] {
        let found = k3s(&format!("agentConfig: {{nodeTaints: ['{taint}']}}"));
        assert_eq!(codes(&found), [(Severity::Note, "taint-only-node")]);
    }
    is_valid(&k3s("agentConfig: {nodeTaints: ['a=b:PreferNoSchedule']}"));
}

#[test]
fn a_node_that_joins_a_cluster_is_not_its_only_one() {
    let parsed = drop_in(
        &[
            "server: https://k3s.example.com:6443",
            "token: a-long-token",
        ],
        "agentConfig: {nodeTaints: ['a=b:NoSchedule']}",
    );
    is_valid(&parsed.diagnostics);
}

#[test]
fn a_cloud_provider_of_a_drop_in_is_checked() {
    let parsed = drop_in(&["kubelet-arg: [cloud-provider=aws]"], "");
    assert_eq!(
        codes(&parsed.diagnostics),
        [(Severity::Error, "cloud-provider")]
    );
}

#[test]
fn more_pods_than_addresses_get_a_warning() {
    let found = kubelet("max-pods=255");
    assert_eq!(codes(&found), [(Severity::Warning, "max-pods")]);
    assert_eq!(
        found[0].message,
        "max-pods=255, but the node's pod network, a /24, has 254 addresses"
    );
    is_valid(&kubelet("max-pods=254"));
}

#[test]
fn the_size_of_the_nodes_pod_network_can_be_given() {
    let with = |size: &str, pods: &str| {
        k3s(&format!(
            "agentConfig: {{kubeletArgs: [max-pods={pods}]}}, serverConfig: {{kubeControllerManagerArgs: [{size}]}}"
        ))
    };
    is_valid(&with("node-cidr-mask-size=22", "1000"));
    is_valid(&with("node-cidr-mask-size-ipv4=22", "1000"));
    let found = with("node-cidr-mask-size=26", "110");
    assert_eq!(codes(&found), [(Severity::Warning, "max-pods")]);
}

#[test]
fn pods_of_ipv6_or_of_another_network_have_addresses_enough() {
    is_valid(&k3s(
        "agentConfig: {kubeletArgs: [max-pods=500]}, serverConfig: {clusterCidr: 'fd00:42::/56', serviceCidr: 'fd00:43::/112'}",
    ));
    let parsed = drop_in(
        &["flannel-backend: none", "kubelet-arg: [max-pods=500]"],
        "",
    );
    assert!(
        parsed
            .diagnostics
            .iter()
            .all(|d| d.code.as_str() != "max-pods")
    );
}
