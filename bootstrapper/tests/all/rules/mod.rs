//! One case a rule: a config-file with one fault, and the code, line and column of the finding.

mod errors;
mod node_errors;
mod operating_system;
mod told;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cluster_bootstrapper::diagnostic::Severity;
use cluster_bootstrapper::{ParseOptions, Parsed, parse};
use errors::SPEC_ERRORS;
use node_errors::NODE_ERRORS;
use operating_system::OS_ERRORS;
use told::{ACCEPTED, HELP, MESSAGES};

/// A valid head; what follows begins at line 9, inside `spec.template.spec`.
const HEAD: &str = "version: 1.0
operatingSystem:
  users: [{username: root, password: Zm9yIHRoaXMgdGVzdA==}]
kubernetes:
  kind: KThreesControlPlaneTemplate
  apiVersion: controlplane.cluster.x-k8s.io/v1beta2
  spec:
    template: {spec: {
";

fn options() -> ParseOptions {
    ParseOptions {
        k3s_version: Some("v1.33.13+k3s1".to_owned()),
    }
}

/// The K3s configuration, written in flow style from line 9 on.
fn with_spec(spec: &str) -> Parsed {
    parse(&format!("{HEAD}{spec}\n    }}}}\n"), &options())
}

fn with_os(os: &str) -> Parsed {
    let rest = HEAD.split_once("kubernetes:").expect("there").1;
    let text = format!("operatingSystem:\n{os}kubernetes:{rest}    }}}}\n");
    parse(&text, &options())
}

#[track_caller]
fn finds(parsed: &Parsed, severity: Severity, code: &str, line: usize, column: usize) {
    let found: Vec<_> = parsed
        .diagnostics
        .iter()
        .map(|d| (d.severity, d.code.as_str(), d.line, d.column))
        .collect();
    assert_eq!(
        found,
        [(severity, code, line, column)],
        "{:#?}",
        parsed.diagnostics
    );
    assert_eq!(parsed.config.is_some(), severity != Severity::Error);
}

#[test]
fn every_fault_of_the_k3s_configuration_is_found_at_its_place() {
    for (spec, code, column) in SPEC_ERRORS.iter().chain(NODE_ERRORS) {
        let parsed = with_spec(spec);
        let found: Vec<_> = parsed
            .diagnostics
            .iter()
            .filter(|d| d.severity == Severity::Error)
            .map(|d| (d.code.as_str(), d.line, d.column))
            .collect();
        assert_eq!(
            found,
            [(*code, 9, *column)],
            "{spec}: {:#?}",
            parsed.diagnostics
        );
        assert!(parsed.config.is_none(), "{spec} was accepted");
    }
}

#[test]
fn what_is_just_right_has_no_finding() {
    let schema = cluster_bootstrapper::schema::schema();
    let validator = jsonschema::validator_for(&schema).expect("a valid JSON Schema");
    for spec in ACCEPTED {
        let parsed = with_spec(spec);
        // Editors must not complain of it either.
        let value: serde_json::Value = serde_saphyr::from_str(parsed.source()).expect("YAML");
        let complaint = validator.iter_errors(&value).next();
        assert!(complaint.is_none(), "{spec}: {complaint:?}");
        assert!(
            parsed.diagnostics.is_empty(),
            "{spec}: {:#?}",
            parsed.diagnostics
        );
    }
}

#[test]
fn every_fault_of_the_operating_system_is_found_at_its_place() {
    for (os, code, line, column) in OS_ERRORS {
        let parsed = with_os(os);
        let found: Vec<_> = parsed
            .diagnostics
            .iter()
            .filter(|d| d.severity == Severity::Error)
            .map(|d| (d.code.as_str(), d.line, d.column))
            .collect();
        assert_eq!(
            found,
            [(*code, *line, *column)],
            "{os}: {:#?}",
            parsed.diagnostics
        );
    }
}

#[test]
fn a_setting_in_a_file_of_k3s_that_has_no_effect_or_another_is_told() {
    let drop_in = |text: &str| {
        with_spec(&format!(
            "agentConfig: {{kubeletArgs: [v=2]}}, files: [{{path: /etc/rancher/k3s/config.yaml.d/a.yml, content: '{text}'}}]"
        ))
    };
    finds(
        &drop_in("kubelet-args+: [a=b]"),
        Severity::Warning,
        "k3s-setting",
        9,
        98,
    );
    let help = drop_in("kubelet-args: x").diagnostics[0].help.clone();
    assert_eq!(help.as_deref(), Some("did you mean `kubelet-arg`?"));
    finds(
        &drop_in("kubelet-arg: [max-pods=64]"),
        Severity::Note,
        "k3s-setting-replaced",
        9,
        98,
    );
}

#[test]
fn warns_of_an_owner_that_the_node_may_not_have() {
    let owner = |owner: &str| with_spec(&format!("files: [{{path: /etc/a, owner: '{owner}'}}]"));
    for name in ["plant", "plant:root", "root:plant"] {
        finds(&owner(name), Severity::Warning, "file-owner-unknown", 9, 31);
    }
    let user = "  users: [{username: plant, password: Zm9yIHRoaXMgdGVzdA==}]\n";
    let parsed = crate::support::with(user, "{files: [{path: /etc/a, owner: 'plant:plant'}]}");
    assert!(parsed.diagnostics.is_empty(), "{:#?}", parsed.diagnostics);
}

#[test]
fn warns_when_nobody_can_log_in() {
    finds(
        &with_os("  hostname: edge\n"),
        Severity::Warning,
        "no-login",
        1,
        1,
    );
}

#[test]
fn does_not_say_that_nobody_can_log_in_when_the_way_in_was_refused() {
    for os in [
        "  users: [{username: a, password: '?'}]\n",
        "  users: [{username: A, password: Zm9yIHRoaXMgdGVzdA==}]\n",
        "  sshKey: ssh-dss AAAAB3NzaC1kc3M=\n",
        "  sshKeys: x\n  sshKey: [x]\n",
    ] {
        let parsed = with_os(os);
        assert!(parsed.config.is_none(), "{os}");
        let codes: Vec<_> = parsed.diagnostics.iter().map(|d| d.code.as_str()).collect();
        assert!(!codes.contains(&"no-login"), "{os}: {codes:?}");
    }
}

#[test]
fn warns_of_a_password_that_is_guessed_soon() {
    for (password, reason) in [
        ("change-me", "is one that is tried first"),
        ("Password", "is one that is tried first"),
        ("pass word!", "is one that is tried first"),
        ("Plant-Operator", "is one that is tried first"),
        ("n7%Qz1x", "has fewer than 8 characters"),
    ] {
        let encoded = STANDARD.encode(password);
        let parsed = with_os(&format!(
            "  users: [{{username: plant-operator, password: \"{encoded}\"}}]\n"
        ));
        finds(&parsed, Severity::Warning, "password-weak", 2, 48);
        let message = &parsed.diagnostics[0].message;
        assert!(message.ends_with(reason), "{password}: {message}");
        assert!(!crate::support::rendered(&parsed).contains(password));
    }
    for password in ["n7%Qz1xy", "four words in a row"] {
        let encoded = STANDARD.encode(password);
        let parsed = with_os(&format!(
            "  users: [{{username: plant-operator, password: \"{encoded}\"}}]\n"
        ));
        assert_eq!(parsed.diagnostics, [], "{password}");
    }
}

#[test]
fn the_placeholder_of_a_password_is_refused() {
    let parsed = with_os("  users: [{username: plant, password: CHANGE-ME}]\n");
    finds(&parsed, Severity::Error, "password-placeholder", 2, 39);
}

#[test]
fn notes_a_password_that_ends_in_a_line_break() {
    let parsed = with_os("  users: [{username: a, password: Zm9yIHRoaXMgdGVzdAo=}]\n");
    finds(&parsed, Severity::Note, "password-newline", 2, 35);
}

#[test]
fn reports_all_errors_in_one_run() {
    let parsed =
        with_spec("foo: 1, files: [{path: x}], serverConfig: {clusterCidr: y, httpsListenPort: z}");
    let codes: Vec<_> = parsed.diagnostics.iter().map(|d| d.code.as_str()).collect();
    assert_eq!(codes, ["unknown-key", "path-not-absolute", "cidr", "port"]);
}

#[test]
fn the_help_fits_what_was_seen() {
    for (spec, help) in HELP {
        let parsed = with_spec(spec);
        let found = parsed.diagnostics[0].help.as_deref();
        assert_eq!(found, Some(*help), "{spec}");
    }
}

#[test]
fn the_message_says_what_was_seen() {
    for (spec, message) in MESSAGES {
        let parsed = with_spec(spec);
        let mut found = parsed.diagnostics.iter();
        let first = found.find(|d| d.severity == Severity::Error);
        assert_eq!(first.map(|d| d.message.as_str()), Some(*message), "{spec}");
    }
}

#[test]
fn suggests_the_key_that_was_meant() {
    let parsed = with_spec("serverConfig: {clusterCIDRs: 10.42.0.0/16}");
    let help = parsed.diagnostics[0].help.as_deref();
    assert_eq!(help, Some("did you mean `clusterCidr`?"));
}
