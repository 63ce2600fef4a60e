//! What no input may do to the reader: panic, hang or flood the report.

use crate::support::{found, read, with};
use cluster_bootstrapper::diagnostic::MAX_FINDINGS;
use cluster_bootstrapper::diagnostic::Severity;

#[test]
fn refuses_nesting_without_end() {
    let parsed = read(&"[".repeat(100_000));
    assert!(["too-deep", "yaml-syntax"].contains(&parsed.diagnostics[0].code.as_str()));
}

#[test]
fn stops_after_many_errors() {
    let keys: String = (0..20_000).map(|n| format!("key{n}: 1, ")).collect();
    let parsed = read(&format!("{{{keys}}}"));
    assert_eq!(parsed.diagnostics.len(), MAX_FINDINGS);
}

/// Checks that compare each with each, or go down level by level, would not end here.
#[test]
fn many_of_a_kind_and_deep_nesting_are_checked_to_the_end() {
    let list = |count: usize, one: &dyn Fn(usize) -> String| -> String {
        (0..count).map(|n| one(n) + ", ").collect()
    };
    let template = |content: &str| {
        format!(
            "{{files: [{{path: /var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl, content: \"{content}\"}}]}}"
        )
    };
    let user = "  users: [{username: a, password: YQ==}]\n";
    let units = list(45_000, &|n| format!("u{n}"));
    let interfaces = list(9_000, &|n| {
        format!(
            "{{interface: e{n}, addresses: [10.{}.{}.2/24]}}",
            64 + n / 250,
            n % 250
        )
    });
    let addresses = list(12_000, &|n| format!("10.{}.{}.2/24", 64 + n / 250, n % 250));
    let ciphers: String = (0..50_000).map(|n| format!("TLS_{n},")).collect();
    let settings = list(20_000, &|n| format!("key-{n}: 1"));
    let arguments = list(40_000, &|n| format!("max-pods={}", n % 250 + 1));
    let policies = list(12_000, &|n| format!("audit-policy-file=/etc/f/{n}"));
    let files = list(12_000, &|n| {
        format!("{{path: /etc/f/{n}, content: 'kind: A'}}")
    });
    let taints = list(45_000, &|n| format!("k{n}=v:NoExecute"));
    let tables: String = (0..50_000).map(|n| format!("[t{n}]\\n")).collect();
    for (os, spec, code) in [
        (
            format!("services: {{enable: [{units} u0]}}"),
            "{}".to_owned(),
            Some("service-twice"),
        ),
        (format!("network: [{interfaces}]"), "{}".to_owned(), None),
        (
            format!("network: [{{interface: e, addresses: [{addresses}]}}]"),
            "{}".to_owned(),
            None,
        ),
        (
            format!("proxy: {{{settings} http_proxy: x}}"),
            "{}".to_owned(),
            Some("unknown-key"),
        ),
        (
            "hostname: a".to_owned(),
            format!("{{agentConfig: {{kubeletArgs: ['tls-cipher-suites={ciphers}']}}}}"),
            Some("tls-name"),
        ),
        (
            "hostname: a".to_owned(),
            format!("{{agentConfig: {{kubeletArgs: [{arguments}]}}}}"),
            None,
        ),
        (
            "hostname: a".to_owned(),
            format!("{{serverConfig: {{kubeAPIServerArg: [{policies}]}}, files: [{files}]}}"),
            Some("configuration-file"),
        ),
        (
            "hostname: a".to_owned(),
            format!("{{agentConfig: {{nodeTaints: [{taints}]}}}}"),
            None,
        ),
        (
            "hostname: a".to_owned(),
            format!(
                "{{files: [{{path: /etc/rancher/k3s/config.yaml.d/a.yaml, content: '{{{settings}}}'}}]}}"
            ),
            None,
        ),
        (
            "hostname: a".to_owned(),
            template(&format!("{tables}[t0]")),
            Some("containerd-table"),
        ),
        (
            "hostname: a".to_owned(),
            template(&"{{ if . }}".repeat(50_000)),
            Some("template-syntax"),
        ),
        (
            "hostname: a".to_owned(),
            template(&format!("{{{{ {} }}}}", "(".repeat(50_000))),
            Some("template-syntax"),
        ),
    ] {
        let parsed = with(&format!("{user}  {os}\n"), &spec);
        let errors = found(&parsed, Severity::Error);
        assert_eq!(
            errors.first().map(|error| error.0),
            code,
            "{}",
            &spec[..spec.len().min(99)]
        );
    }
}
