//! Arguments of Kubernetes' components: what a component would not start with is refused, wherever it was written.

use crate::support::with;
use cluster_bootstrapper::diagnostic::{Diagnostic, Severity};
use cluster_bootstrapper::{ParseOptions, Parsed, parse};

const USER: &str = "  users: [{username: a, password: bm90LXRoZS11c3VhbC1vbmU=}]\n";

fn k3s(spec: &str) -> Vec<Diagnostic> {
    with(USER, &format!("{{{spec}}}")).diagnostics
}

/// Arguments of the kubelet, as a list in flow style.
fn kubelet(args: &str) -> Vec<Diagnostic> {
    k3s(&format!("agentConfig: {{kubeletArgs: [{args}]}}"))
}

fn api_server(args: &str) -> Vec<Diagnostic> {
    k3s(&format!("serverConfig: {{kubeAPIServerArg: [{args}]}}"))
}

/// A drop-in of K3s, from line 9 on.
fn drop_in(lines: &[&str], more: &str) -> Parsed {
    let content = lines.join("\n          ");
    let text = format!(
        "operatingSystem:\n{USER}kubernetes:\n  kind: KThreesControlPlaneTemplate\n  apiVersion: controlplane.cluster.x-k8s.io/v1beta2\n  \
         spec: {{template: {{spec: {{{more}}}}}}}\n"
    );
    let files = format!(
        "  writeFiles:\n    - path: /etc/rancher/k3s/config.yaml.d/a.yaml\n      content: |\n          {content}\n"
    );
    let (os, kubernetes) = text.split_once("kubernetes:").expect("there");
    parse(
        &format!("{os}{files}kubernetes:{kubernetes}"),
        &ParseOptions::default(),
    )
}

fn codes(found: &[Diagnostic]) -> Vec<(Severity, &'static str)> {
    found
        .iter()
        .map(|d| (d.severity, d.code.as_str()))
        .collect()
}

#[track_caller]
fn is_error(found: &[Diagnostic], code: &str, message: &str, help: Option<&str>) {
    assert_eq!(codes(found), [(Severity::Error, code)], "{found:#?}");
    assert_eq!(found[0].message, message);
    assert_eq!(found[0].help.as_deref(), help);
}

#[track_caller]
fn is_valid(found: &[Diagnostic]) {
    assert!(found.is_empty(), "{found:#?}");
}

mod unknown {
    use super::*;

    #[test]
    fn a_mistyped_flag_is_refused_with_the_one_that_was_meant() {
        is_error(
            &kubelet("max-pod=200"),
            "unknown-argument",
            "the kubelet of Kubernetes 1.33 has no flag `max-pod` and would not start",
            Some("did you mean `max-pods`?"),
        );
    }

    #[test]
    fn a_flag_of_another_component_is_told_as_such() {
        let found = api_server("max-pods=200");
        assert_eq!(found[0].help.as_deref(), Some("it is a flag of kubelet"));
    }

    #[test]
    fn the_value_of_an_unknown_flag_is_not_shown() {
        let found = kubelet("tokem=hunter2");
        assert!(!format!("{found:?}").contains("hunter2"));
    }

    #[test]
    fn each_component_has_its_own_flags() {
        for (list, arg) in [
            ("agentConfig: {kubeletArgs", "pods-per-core=10"),
            ("agentConfig: {kubeProxyArgs", "proxy-mode=nftables"),
            (
                "serverConfig: {kubeAPIServerArg",
                "max-requests-inflight=800",
            ),
            (
                "serverConfig: {kubeControllerManagerArgs",
                "node-monitor-grace-period=20s",
            ),
            ("serverConfig: {kubeSchedulerArgs", "kube-api-qps=100"),
        ] {
            is_valid(&k3s(&format!("{list}: ['{arg}']}}")));
        }
    }

    #[test]
    fn k3s_own_flag_of_the_api_server_is_known() {
        is_valid(&api_server("advertise-port=6443"));
    }

    #[test]
    fn underscores_dashes_and_signs_are_read_as_k3s_and_kubernetes_read_them() {
        is_valid(&kubelet(
            "--max-pods=100, max_pods=100, 'feature-gates+=NodeSwap=true', v-=2",
        ));
    }

    #[test]
    fn a_flag_that_another_version_may_have_gets_a_warning_there() {
        let text = format!(
            "operatingSystem:\n{USER}{}  spec: {{template: {{spec: {{agentConfig: {{kubeletArgs: [max-pod=200]}}}}}}}}\n",
            crate::support::K3S
        );
        let options = ParseOptions {
            k3s_version: Some("v1.34.1+k3s1".to_owned()),
        };
        let found = parse(&text, &options).diagnostics;
        assert_eq!(codes(&found), [(Severity::Warning, "unknown-argument")]);
    }

    #[test]
    fn an_argument_of_a_drop_in_is_checked_at_its_line() {
        let parsed = drop_in(&["debug: true", "kubelet-arg:", "- max-pod=200"], "");
        let found = &parsed.diagnostics;
        assert_eq!(
            codes(found),
            [(Severity::Error, "unknown-argument")],
            "{found:#?}"
        );
        assert_eq!((found[0].line, found[0].column), (8, 13));
    }

    #[test]
    fn arguments_that_a_drop_in_replaces_are_not_checked() {
        let parsed = drop_in(
            &["kubelet-arg: [v=2]"],
            "agentConfig: {kubeletArgs: [max-pod=200]}",
        );
        assert_eq!(
            codes(&parsed.diagnostics),
            [(Severity::Note, "k3s-setting-replaced")]
        );
    }

    #[test]
    fn arguments_of_the_older_name_of_a_setting_are_checked() {
        let parsed = drop_in(&["kube-controller-arg: [node-monitor=1]"], "");
        assert_eq!(
            codes(&parsed.diagnostics),
            [(Severity::Error, "unknown-argument")]
        );
    }

    #[test]
    fn arguments_of_the_cloud_controller_are_checked() {
        let parsed = drop_in(&["kube-cloud-controller-manager-arg: [vv=1]"], "");
        assert_eq!(
            codes(&parsed.diagnostics),
            [(Severity::Error, "unknown-argument")]
        );
    }

    #[test]
    fn arguments_of_etcd_are_not_held_against_a_table() {
        is_valid(&drop_in(&["etcd-arg: [quota-backend-bytes=1, made-up=2]"], "").diagnostics);
    }
}

mod values {
    use super::*;

    #[test]
    fn a_value_of_another_type_is_refused() {
        is_error(
            &kubelet("'max-pods=two hundred'"),
            "argument-value",
            "`two hundred` is not a value of max-pods, which takes a whole number of 32 bits: the kubelet would not start",
            None,
        );
    }

    #[test]
    fn each_type_has_values_that_it_does_not_take() {
        for arg in [
            "max-pods=1e3",
            "max-pods=99999999999",
            "max-pods=",
            "max-pods=-1",
            "fail-swap-on=no",
            "kube-api-burst=many",
            "registry-qps=1.5",
            "node-status-update-frequency=20",
            "address=localhost",
            "v=two",
            "image-gc-high-threshold=101",
            "topology-manager-policy=single-numa",
            "cpu-manager-policy=Static",
            "cgroup-driver=Systemd",
            "enforce-node-allocatable=pods,all",
            "eviction-hard=memory.available=100Mi",
            "eviction-hard=memory<100Mi",
            "eviction-hard=memory.available<100MB",
            "eviction-hard=nodefs.available<110%",
            "eviction-minimum-reclaim=nodefs.available",
            "kube-reserved=gpu=1",
            "kube-reserved=cpu=half",
            "system-reserved=memory=-1Gi",
            "reserved-cpus=0;1",
        ] {
            let found = kubelet(&format!("'{arg}'"));
            assert_eq!(
                codes(&found),
                [(Severity::Error, "argument-value")],
                "{arg}: {found:#?}"
            );
        }
    }

    #[test]
    fn each_type_has_values_that_it_takes() {
        for arg in [
            "max-pods=0x40",
            "fail-swap-on=F",
            "registry-qps=10",
            "node-status-update-frequency=1m20.5s",
            "address=::",
            "v=4",
            "image-gc-high-threshold=90",
            "topology-manager-policy=single-numa-node",
            "cpu-manager-policy=none",
            "cgroup-driver=systemd",
            "enforce-node-allocatable=pods,kube-reserved",
            "eviction-hard=memory.available<100Mi,nodefs.available<5.5%,",
            "eviction-minimum-reclaim=nodefs.available=10%",
            "kube-reserved=cpu=500m, memory=1Gi,pid=100",
            "node-ip=192.0.2.7",
        ] {
            is_valid(&kubelet(&format!("'{arg}'")));
        }
    }

    #[test]
    fn the_value_that_was_meant_is_suggested() {
        let found = kubelet("topology-manager-policy=single-numa");
        assert_eq!(
            found[0].help.as_deref(),
            Some("did you mean `single-numa-node`?")
        );
    }

    #[test]
    fn an_unknown_admission_plugin_is_refused() {
        let found = api_server("'enable-admission-plugins=NodeRestriction,PodSecurityPolicy'");
        assert_eq!(
            codes(&found),
            [(Severity::Error, "argument-value")],
            "{found:#?}"
        );
    }

    #[test]
    fn a_controller_can_be_switched_off() {
        is_valid(&k3s(
            "serverConfig: {kubeControllerManagerArgs: ['controllers=*,-ttl-after-finished-controller']}",
        ));
    }

    #[test]
    fn an_unknown_controller_is_refused() {
        let found = k3s("serverConfig: {kubeControllerManagerArgs: ['controllers=*,-made-up']}");
        assert_eq!(codes(&found), [(Severity::Error, "argument-value")]);
    }

    #[test]
    fn an_unknown_feature_gate_is_refused_by_every_component() {
        for list in [
            "agentConfig: {kubeletArgs",
            "agentConfig: {kubeProxyArgs",
            "serverConfig: {kubeAPIServerArg",
            "serverConfig: {kubeControllerManagerArgs",
            "serverConfig: {kubeSchedulerArgs",
        ] {
            let found = k3s(&format!(
                "{list}: ['feature-gates=NodeSwap=true,NodeSwop=true']}}"
            ));
            is_error(
                &found,
                "feature-gate",
                &found[0].message,
                Some("did you mean `NodeSwap`?"),
            );
        }
    }

    #[test]
    fn a_feature_gate_without_a_value_is_refused() {
        is_error(
            &kubelet("'feature-gates=NodeSwap'"),
            "feature-gate",
            "`NodeSwap` in feature-gates has no `=`: the kubelet would not start",
            Some("write name=true or name=false"),
        );
    }

    #[test]
    fn a_feature_gate_that_is_fixed_cannot_be_changed() {
        let found = kubelet("'feature-gates=CPUManager=false'");
        assert_eq!(
            codes(&found),
            [(Severity::Error, "feature-gate")],
            "{found:#?}"
        );
    }

    #[test]
    fn the_control_plane_takes_a_feature_gate_with_the_name_of_its_component() {
        is_valid(&api_server("'feature-gates=kube:NodeSwap=true'"));
    }

    #[test]
    fn a_flag_that_is_no_switch_needs_a_value() {
        is_error(
            &api_server("max-requests-inflight"),
            "argument-without-value",
            "`max-requests-inflight` has no `=`: K3s would pass on `true` as its value",
            Some("write max-requests-inflight=<value>"),
        );
    }

    #[test]
    fn the_element_after_a_switch_of_the_kubelet_would_be_dropped_in_a_drop_in_too() {
        let parsed = drop_in(
            &["kubelet-arg+: [fail-swap-on, v=2]"],
            "agentConfig: {kubeletArgs: [max-pods=64]}",
        );
        assert_eq!(
            codes(&parsed.diagnostics),
            [(Severity::Error, "argument-without-value")]
        );
    }

    #[test]
    fn a_switch_before_what_a_drop_in_appends_would_drop_it() {
        let parsed = drop_in(
            &["kubelet-arg+: [v=2]"],
            "agentConfig: {kubeletArgs: [fail-swap-on]}",
        );
        assert_eq!(
            codes(&parsed.diagnostics),
            [(Severity::Error, "argument-without-value")]
        );
    }

    #[test]
    fn a_template_of_cloud_init_is_told_and_not_checked_further() {
        let found = kubelet("'max-pods={{ ds.meta_data.pods }}'");
        assert_eq!(codes(&found), [(Severity::Warning, "argument-template")]);
    }

    #[test]
    fn no_message_is_longer_than_a_few_lines() {
        let long = "x".repeat(2000);
        for args in [
            format!("'max-pods={long}'"),
            format!("'{long}=1'"),
            format!("'tls-cipher-suites={long}'"),
            format!("'feature-gates={long}=true'"),
            format!("'config=/etc/{long}'"),
            long.clone(),
        ] {
            for found in kubelet(&args) {
                let help = found.help.as_ref().map_or(0, String::len);
                assert!(found.message.len() <= 300 && help <= 300, "{found:#?}");
            }
        }
    }
}

mod kubelet_rules {
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
}

mod files {
    use super::*;

    const POLICY: &str = "/etc/rancher/k3s/audit.yaml";

    #[test]
    fn a_file_that_nobody_writes_is_told() {
        let found = api_server("audit-policy-file=/etc/rancher/k3s/audit.yaml");
        assert_eq!(codes(&found), [(Severity::Warning, "argument-file")]);
        assert_eq!(
            found[0].message,
            "`audit-policy-file` names `/etc/rancher/k3s/audit.yaml`, which nothing in the config-file writes: \
             without it the API server does not start"
        );
    }

    #[test]
    fn a_file_of_the_config_file_is_there() {
        let arg = format!("serverConfig: {{kubeAPIServerArg: [audit-policy-file={POLICY}]}}");
        let file =
            format!("{{path: {POLICY}, content: '{{apiVersion: audit.k8s.io/v1, kind: Policy}}'}}");
        is_valid(&k3s(&format!("{arg}, files: [{file}]")));
        let os = format!("{USER}  writeFiles: [{file}]\n");
        is_valid(&with(&os, &format!("{{{arg}}}")).diagnostics);
    }

    #[test]
    fn a_file_that_a_command_makes_is_there() {
        is_valid(&k3s(&format!(
            "serverConfig: {{kubeAPIServerArg: [audit-policy-file={POLICY}]}}, preK3sCommands: ['cp /etc/a {POLICY}']"
        )));
    }

    #[test]
    fn what_k3s_makes_itself_is_there() {
        is_valid(&api_server(
            "client-ca-file=/var/lib/rancher/k3s/server/tls/client-ca.crt",
        ));
    }

    #[test]
    fn what_a_component_writes_is_no_file_to_bring() {
        is_valid(&api_server("audit-log-path=/var/log/audit.log"));
    }

    #[test]
    fn the_kubelets_configuration_is_one_of_them() {
        let found = kubelet("config=/etc/rancher/k3s/kubelet.yaml");
        assert_eq!(codes(&found), [(Severity::Warning, "argument-file")]);
    }

    #[test]
    fn a_setting_of_a_drop_in_can_name_one() {
        let parsed = drop_in(&["token-file: /etc/rancher/k3s/token"], "");
        assert_eq!(
            codes(&parsed.diagnostics),
            [(Severity::Warning, "argument-file")]
        );
    }
}
