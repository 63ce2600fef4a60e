//! Values that a flag does not take.

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
        "reserved-cpus=0-b",
        "reserved-cpus=a-1",
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
