//! Files that arguments name.

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

#[test]
fn of_a_configuration_without_a_version_that_is_told() {
    let found = k3s(
        "files: [{path: /var/lib/rancher/k3s/agent/etc/kubelet.conf.d/a.conf, content: 'kind: KubeletConfiguration'}]",
    );
    assert_eq!(
        codes(&found),
        [(Severity::Warning, "configuration-file")],
        "{found:#?}"
    );
    let message = &found[0].message;
    assert!(
        message.contains("and that has no `apiVersion`"),
        "{message}"
    );
}
