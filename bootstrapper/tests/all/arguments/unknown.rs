//! Flags that no component of Kubernetes 1.33 has.

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
fn what_another_version_may_have_gets_a_warning_there() {
    for (argument, code) in [
        ("max-pod=200", "unknown-argument"),
        ("cpu-manager-policy=other", "argument-value"),
    ] {
        let text = format!(
            "operatingSystem:\n{USER}{}  spec: {{template: {{spec: {{agentConfig: {{kubeletArgs: [{argument}]}}}}}}}}\n",
            crate::support::K3S
        );
        let options = ParseOptions {
            k3s_version: Some("v1.34.1+k3s1".to_owned()),
        };
        let found = parse(&text, &options).diagnostics;
        assert_eq!(codes(&found), [(Severity::Warning, code)]);
    }
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
