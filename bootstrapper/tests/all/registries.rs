//! `kubernetes.registries`: one case a rule, and the file that K3s reads; and the same file given by the user.

use crate::support::{found, read};
use cluster_bootstrapper::Parsed;
use cluster_bootstrapper::diagnostic::Severity;

/// A config-file with `kubernetes.registries` in flow style, which begins at line 4, column 15.
fn with_registries(registries: &str, spec: &str) -> Parsed {
    let text = format!(
        "operatingSystem: {{users: [{{username: root, password: Zm9yIHRoaXMgdGVzdA==}}]}}\nkubernetes:\n  kind: \
         KThreesControlPlaneTemplate\n  registries: {registries}\n  apiVersion: \
         controlplane.cluster.x-k8s.io/v1beta2\n  spec: {{template: {{spec: {spec}}}}}\n"
    );
    read(&text)
}

/// The registries, the code and the column in line 4.
const ERRORS: &[(&str, &str, usize)] = &[
    ("{mirrors: {'https://docker.io': {}}}", "registry-host", 26),
    ("{mirrors: {'a b': {}}}", "registry-host", 26),
    (
        "{mirrors: {docker.io: {endpoints: ['ftp://m']}}}",
        "registry-url",
        50,
    ),
    (
        "{mirrors: {docker.io: {endpoints: ['https://u:p@mirror']}}}",
        "registry-url",
        50,
    ),
    ("{mirrors: {docker.io: {endpoint: []}}}", "unknown-key", 38),
    (
        "{mirrors: {docker.io: {endpoints: ['https://m'], rewrite: {'(': x}}}}",
        "rewrite-rule",
        74,
    ),
    (
        "{mirrors: {docker.io: {rewrite: {'^a': b}}}}",
        "registry-rewrite",
        38,
    ),
    (
        "{configs: {a: {auth: {username: u, password: ''}}}}",
        "registry-secret",
        60,
    ),
    ("{configs: {a: {auth: {username: u}}}}", "registry-auth", 30),
    ("{configs: {a: {auth: {}}}}", "registry-auth", 30),
    (
        "{configs: {a: {auth: {username: u, password: p, identityToken: t}}}}",
        "registry-auth",
        30,
    ),
    (
        "{configs: {a: {auth: {auth: secret}}}}",
        "registry-auth-encoding",
        43,
    ),
    (
        "{configs: {a: {tls: {insecureSkipVerify: yes}}}}",
        "wrong-type",
        56,
    ),
    (
        "{configs: {a: {tls: {certFile: /etc/crt}}}}",
        "registry-tls",
        30,
    ),
];

#[test]
fn every_fault_of_the_registries_is_found_at_its_place() {
    for (registries, code, column) in ERRORS {
        let parsed = with_registries(registries, "{}");
        assert_eq!(
            found(&parsed, Severity::Error),
            [(*code, 4, *column)],
            "{registries}: {:#?}",
            parsed.diagnostics
        );
        assert!(parsed.config.is_none(), "{registries} was accepted");
    }
}

#[test]
fn half_a_login_is_told_apart_from_two() {
    for (auth, words) in [
        ("{username: u}", "belong together"),
        ("{password: p}", "belong together"),
        ("{username: u, auth: 'dTpw'}", "exactly one of them"),
    ] {
        let parsed = with_registries(&format!("{{configs: {{a: {{auth: {auth}}}}}}}"), "{}");
        let message = &parsed.diagnostics[0].message;
        assert!(message.contains(words), "{auth}: {message}");
    }
}

#[test]
fn a_second_registries_file_is_refused_where_k3s_would_read_it() {
    let mirrors = "{mirrors: {a: {}}}";
    for spec in [
        "{files: [{path: /etc/rancher/k3s/registries.yaml}]}",
        "{agentConfig: {privateRegistry: /etc/r.yaml}, files: [{path: /etc/r.yaml}]}",
    ] {
        let parsed = with_registries(mirrors, spec);
        assert_eq!(
            found(&parsed, Severity::Error),
            [("registries-twice", 4, 3)],
            "{spec}"
        );
    }
    let elsewhere = "{agentConfig: {privateRegistry: /etc/r.yaml}, files: [{path: /etc/rancher/k3s/registries.yaml}]}";
    assert!(with_registries(mirrors, elsewhere).config.is_some());
}

#[test]
fn warns_of_a_tls_file_that_nothing_writes() {
    let registries = "{configs: {a: {tls: {caFile: /etc/ca.pem}}}}";
    let missing = with_registries(registries, "{}");
    let column = 15 + registries.find("/etc").expect("there");
    assert_eq!(
        found(&missing, Severity::Warning),
        [("registry-tls-file", 4, column)]
    );
    let given = with_registries(registries, "{files: [{path: /etc/ca.pem, content: x}]}");
    assert!(given.diagnostics.is_empty(), "{:#?}", given.diagnostics);
}

#[test]
fn registries_become_the_file_that_k3s_reads() {
    let parsed = with_registries(
        "{mirrors: {docker.io: {endpoints: ['https://m.example.com'], rewrite: {'^(.*)$': 'x/$1'}}, '*': {endpoints: ['https://[::1]:5000/v2']}}, \
         configs: {m.example.com: {auth: {username: u, password: 0042}, tls: {caFile: /etc/ca.pem, certFile: /etc/crt.pem, keyFile: /etc/key.pem, insecureSkipVerify: true}}}}",
        "{files: [{path: /etc/ca.pem}, {path: /etc/crt.pem}, {path: /etc/key.pem}]}",
    );
    let boot = parsed.config.expect("valid").first_boot().expect("decoded");
    let file = boot
        .files
        .iter()
        .find(|file| file.path == "/etc/rancher/k3s/registries.yaml")
        .expect("written");
    assert_eq!((file.mode, file.owner.as_str()), (0o600, "root:root"));
    let text = std::str::from_utf8(&file.bytes).expect("text");
    let value: serde_json::Value = serde_saphyr::from_str(text).expect("YAML");
    let expected = serde_json::json!({
        "mirrors": {
            "*": {"endpoint": ["https://[::1]:5000/v2"]},
            "docker.io": {"endpoint": ["https://m.example.com"], "rewrite": {"^(.*)$": "x/$1"}},
        },
        "configs": {"m.example.com": {
            "auth": {"username": "u", "password": "0042"},
            "tls": {
                "ca_file": "/etc/ca.pem",
                "cert_file": "/etc/crt.pem",
                "key_file": "/etc/key.pem",
                "insecure_skip_verify": true,
            },
        }},
    });
    assert_eq!(value, expected);
}

#[test]
fn the_registries_are_written_where_private_registry_says() {
    let parsed = with_registries(
        "{mirrors: {a: {}}}",
        "{agentConfig: {privateRegistry: /etc/r.yaml}}",
    );
    let boot = parsed.config.expect("valid").first_boot().expect("decoded");
    assert!(boot.files.iter().any(|file| file.path == "/etc/r.yaml"));
}

#[test]
fn other_registries_restart_a_running_k3s() {
    let script = |registries: &str| {
        let parsed = with_registries(registries, "{}");
        let boot = parsed.config.expect("valid").first_boot().expect("decoded");
        let file = boot
            .files
            .into_iter()
            .find(|file| file.path.ends_with("/install-k3s.sh"));
        file.expect("written").bytes
    };
    let (a, b) = ("{mirrors: {a: {}}}", "{mirrors: {b: {}}}");
    assert_eq!(script(a), script(a));
    assert_ne!(script(a), script(b), "the digest does not cover them");
}

/// What a user may write into registries.yaml and K3s would not start with, or would silently not use.
#[test]
fn a_faulty_registries_file_is_refused() {
    for content in [
        "mirror: {}",
        "mirrors: [a]",
        "mirrors: {a: {endpoint: b}}",
        "mirrors: {a: {endpoint: ['']}}",
        "mirrors: {a: {endpoints: [b]}}",
        "mirrors: {a: {rewrite: {'(': b}}}",
        "configs: {a: {auth: {user: b}}}",
        "configs: {a: {auth: {username: [b]}}}",
        "configs: {a: {tls: {insecure_skip_verify: maybe}}}",
        "configs: {a: {tls: {ca: b}}}",
    ] {
        for place in [
            "{files: [{path: /etc/rancher/k3s/registries.yaml, content: CONTENT}]}",
            "{agentConfig: {privateRegistry: /etc/r.yaml}, files: [{path: /etc/r.yaml, content: CONTENT}]}",
        ] {
            let spec = place.replace("CONTENT", &format!("{content:?}"));
            let column = 27 + spec.find('"').expect("quoted");
            let parsed = with_registries("{}", &spec);
            assert_eq!(
                found(&parsed, Severity::Error),
                [("registries", 6, column)],
                "{content}"
            );
        }
    }
}

#[test]
fn a_registries_file_that_k3s_takes_is_accepted() {
    for content in [
        "# nothing",
        "mirrors: {a: }",
        "mirrors: {a: {endpoint: [mirror:5000], rewrite: {'^x/(.*)': '$1'}}}",
        "configs: {'*': {auth: {username: a, password: b}, tls: {insecure_skip_verify: true}}}",
    ] {
        let spec = format!(
            "{{files: [{{path: /etc/rancher/k3s/registries.yaml, content: {content:?}}}]}}"
        );
        let parsed = with_registries("{}", &spec);
        assert!(parsed.diagnostics.is_empty(), "{:#?}", parsed.diagnostics);
    }
}

#[test]
fn what_a_registry_does_not_set_is_not_in_the_file() {
    for (registries, file) in [
        (
            "{mirrors: {a: {}}}",
            serde_json::json!({"mirrors": {"a": {}}}),
        ),
        (
            "{configs: {a: {tls: {insecureSkipVerify: false}}}}",
            serde_json::json!({"configs": {"a": {}}}),
        ),
        (
            "{configs: {a: {auth: {identityToken: t}}}}",
            serde_json::json!({"configs": {"a": {"auth": {"identity_token": "t"}}}}),
        ),
    ] {
        let parsed = with_registries(registries, "{}");
        let text = parsed.config.expect("valid").registries().to_yaml();
        let value: serde_json::Value = serde_saphyr::from_str(&text).expect("YAML");
        assert_eq!(value, file, "{registries}");
    }
}
