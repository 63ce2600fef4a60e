//! Arguments of Kubernetes' components: what a component would not start with is refused, wherever it was written.

mod files;
mod kubelet_rules;
mod unknown;
mod values;

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
