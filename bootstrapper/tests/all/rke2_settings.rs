//! The settings of RKE2 in its drop-ins: its own, and those that it shares with K3s.

use crate::rke2::with;
use cluster_bootstrapper::ParseOptions;

/// What is reported of a drop-in: severity, code, message and help.
fn of_drop_in(setting: &str) -> Vec<String> {
    let path = "/etc/rancher/rke2/config.yaml.d/a.yaml";
    let file = format!("files: [{{path: {path}, content: \"{setting}\"}}]");
    let parsed = with(&file, &ParseOptions::default());
    let found = parsed.diagnostics.iter();
    let shown = found.map(|d| {
        let help = d.help.as_deref().unwrap_or_default();
        format!("{} {}: {} ({help})", d.severity.as_str(), d.code, d.message)
    });
    shown.collect()
}

#[test]
fn a_mistyped_setting_of_its_own_in_a_drop_in_is_reported_with_the_known_one() {
    let message = "warning k3s-setting: RKE2 does not know the setting `ingres-controller` and would ignore it";
    assert_eq!(
        of_drop_in("ingres-controller: traefik"),
        [format!("{message} (did you mean `ingress-controller`?)")]
    );
}

#[test]
fn settings_of_k3s_that_it_lacks_are_unknown() {
    let lacking = [
        "flannel-backend: vxlan",
        "disable-helm-controller: true",
        "cluster-init: true",
        "docker: false",
        "kube-controller-arg: [v=2]",
    ];
    for setting in lacking {
        let found = of_drop_in(setting);
        assert_eq!(found.len(), 1, "{setting}: {found:?}");
        assert!(
            found[0].starts_with("warning k3s-setting: RKE2 does not know"),
            "{found:?}"
        );
    }
}

#[test]
fn settings_of_its_own_and_those_that_it_shares_with_k3s_are_known() {
    let known = [
        "cni: [multus, cilium]",
        "profile: cis",
        "etcd-extra-env: [A=b]",
        "pause-image: a/b",
        "audit-policy-file: /etc/site/audit.yaml",
        "node-ip: 192.0.2.7",
        "enable-servicelb: true",
    ];
    for setting in known {
        assert_eq!(of_drop_in(setting), [""; 0], "{setting}");
    }
}

#[test]
fn values_of_its_own_settings_are_checked() {
    assert_eq!(
        of_drop_in("profile: ciss"),
        [
            "error k3s-value: `ciss` is not a value of `profile`: RKE2 would not start (did you mean `cis`?)"
        ]
    );
    assert_eq!(
        of_drop_in("enable-servicelb: maybe"),
        ["error k3s-value: `maybe` is not true or false: RKE2 would not start ()"]
    );
}

#[test]
fn a_file_that_one_of_its_settings_names_and_nobody_writes_is_reported() {
    let found = of_drop_in("pod-security-admission-config-file: /etc/site/psa.yaml");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("/etc/site/psa.yaml"), "{found:?}");
}
