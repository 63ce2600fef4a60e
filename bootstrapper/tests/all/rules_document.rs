//! One case a rule for the document as a whole: what is no config-file at all, or has too much in it; and the proposal's
//! slips, each mended with a note at its line.

use crate::support::{EMPTY, found, read};
use base64::Engine as _;
use cluster_bootstrapper::diagnostic::Severity;
use cluster_bootstrapper::model::MAX_UNPACKED;
use cluster_bootstrapper::yaml::{MAX_BYTES, MAX_DEPTH};
use cluster_bootstrapper::{ParseOptions, Parsed, parse_bytes};
use std::io::Write as _;

/// A document and its first error: code, line, column.
const DOCUMENTS: &[(&str, &str, usize, usize)] = &[
    ("", "empty", 1, 1),
    ("# only a comment\n", "empty", 1, 1),
    ("- a\n", "wrong-type", 1, 1),
    ("text\n", "wrong-type", 1, 1),
    ("a: [\n", "yaml-syntax", 1, 4),
    ("a: 'b\n", "yaml-syntax", 1, 4),
    ("a: b\n\tc: d\n", "yaml-syntax", 2, 1),
    ("a:\n  - b\n \t c: d\n", "yaml-syntax", 3, 2),
    ("a: b\t\nc: d\n\te: f\n", "yaml-syntax", 3, 1),
    ("a: b\n---\nc: d\n", "several-documents", 2, 1),
    ("a: !!python/object:x 1\n", "yaml-tag", 1, 4),
    ("? [a]\n: b\n", "yaml-key", 1, 3),
    ("a: *b\n", "yaml-syntax", 1, 4),
    ("a: &a [*a]\n", "yaml-alias", 1, 8),
    ("a: \0\n", "yaml-syntax", 1, 4),
    ("version: 1.0\n", "missing-key", 1, 1),
    ("<<: {version: 1.0}\n", "unknown-key", 1, 1),
    ("kubernetes: {}\n", "missing-key", 1, 1),
    (
        "kubernetes: {kind: K3sControlPlane}\n",
        "unknown-kind",
        1,
        20,
    ),
    (
        "kubernetes: {kind: KThreesControlPlaneTemplate, apiVersion: v1, spec: {template: {}}}\n",
        "not-allowed",
        1,
        61,
    ),
];

#[test]
fn what_is_no_config_file_is_refused_at_its_place() {
    let mut wrong = vec![];
    for (text, code, line, column) in DOCUMENTS {
        let parsed = read(text);
        let found = found(&parsed, Severity::Error);
        if found.first() != Some(&(*code, *line, *column)) {
            wrong.push((*text, found));
        }
        assert!(parsed.config.is_none(), "{text:?} was accepted");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn another_version_of_the_format_is_refused() {
    let parsed = read(&format!("version: 2.0\n{EMPTY}"));
    assert_eq!(found(&parsed, Severity::Error), [("config-version", 1, 10)]);
}

#[test]
fn a_key_that_is_there_twice_is_refused_at_its_second_place() {
    let parsed = read(&format!("version: 1.0\nversion: 1.0\n{EMPTY}"));
    assert_eq!(found(&parsed, Severity::Error), [("duplicate-key", 2, 1)]);
}

#[test]
fn an_anchor_bomb_is_refused_where_it_goes_off() {
    let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for level in 1..12 {
        let below = format!("*a{}", level - 1);
        text += &format!("a{level}: &a{level} [{}]\n", [below.as_str(); 10].join(","));
    }
    let found = found(&read(&text), Severity::Error);
    // Ten to the fifth is the first power beyond the limit of 50 000 values.
    assert_eq!((found.len(), found[0].0, found[0].1), (1, "too-large", 5));
}

#[test]
fn a_document_that_is_too_deep_is_refused_at_the_level_beyond() {
    let open = "[".repeat(MAX_DEPTH + 1);
    let close = "]".repeat(MAX_DEPTH + 1);
    let found = found(&read(&format!("{open}{close}\n")), Severity::Error);
    assert_eq!(found, [("too-deep", 1, MAX_DEPTH + 1)]);
}

#[test]
fn a_document_that_is_too_large_is_refused() {
    let text = format!("{EMPTY}# {}\n", "x".repeat(MAX_BYTES));
    let found = found(&read(&text), Severity::Error);
    assert_eq!(found, [("too-large", 1, 1)]);
}

#[test]
fn a_large_document_within_the_limits_is_read() {
    let files: String = (0..110)
        .map(|n| {
            format!(
                "{{path: /etc/f/{n}, content: \"{}\"}}, ",
                "x".repeat(10 << 10)
            )
        })
        .collect();
    let text = EMPTY.replace("{}", &format!("{{files: [{files}]}}"));
    assert!(text.len() > 1 << 20);
    assert!(read(&text).config.is_some());
}

#[test]
fn text_that_is_not_utf_8_is_refused_at_the_first_wrong_byte() {
    let parsed = parse_bytes(
        b"version: 1.0\nab: \xff\n".to_vec(),
        &ParseOptions::default(),
    );
    assert_eq!(found(&parsed, Severity::Error), [("not-utf-8", 2, 5)]);
}

fn with_spec(spec: &str) -> Parsed {
    read(&EMPTY.replace("{}", &format!("\n{spec}\n")))
}

/// The K3s configuration from line 5 on; the code, line and column of its only note.
const SLIPS: &[(&str, &str, usize, usize)] = &[
    (
        "{files: [{path: /var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl,\ncontent: '{{ template \\\"base\\\" . }}'}]}",
        "escaped-quotes",
        6,
        10,
    ),
    (
        "{files: [{content: \"[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.'x']\",\npath: /var/lib/rancher/k3s/agent/etc/containerd/config.toml.tmpl}]}",
        "containerd-template-name",
        6,
        7,
    ),
    (
        "{serverConfig:\n {disableComponents: [cloudController]}}",
        "cloud-controller-component",
        6,
        23,
    ),
    ("{files:\n {path: /etc/a}}", "single-file", 5, 2),
    (
        "{serverConfig: {\n kubeSchedulerArgs: null}}",
        "null-list",
        6,
        21,
    ),
    ("{agentConfig: {\n kubeletArgs: ~}}", "null-list", 6, 15),
    ("{preK3sCommands: }", "null-list", 5, 2),
    (
        "{postK3sCommands: [a,\n \"echo 'b\n c'\"]}",
        "folded-lines",
        6,
        2,
    ),
];

#[test]
fn each_slip_of_the_proposal_is_mended_with_a_note_at_its_line() {
    for (spec, code, line, column) in SLIPS {
        let parsed = with_spec(spec);
        let notes = found(&parsed, Severity::Note);
        assert_eq!(
            notes,
            [(*code, *line, *column)],
            "{spec}: {:#?}",
            parsed.diagnostics
        );
        assert!(parsed.config.is_some(), "{spec} was refused");
    }
}

#[test]
fn only_escapes_inside_actions_are_mended_where_other_quotes_are_plain() {
    let template = |content: &str| {
        let spec = format!(
            "{{files: [{{path: /var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl, content: '{content}'}}]}}"
        );
        let config = with_spec(&spec).config.expect(content);
        let content = config.k3s().files.as_slice()[0].content.clone();
        content.expect("a content")
    };
    for (given, mended) in [
        (
            "a = \"b\\\"c\" {{ template \\\"base\\\" . }} d = \"e\" {{ printf \\\"f\\\" }} \"g\\\"\"",
            "a = \"b\\\"c\" {{ template \"base\" . }} d = \"e\" {{ printf \"f\" }} \"g\\\"\"",
        ),
        // Go takes these as they are.
        ("{{ printf \"a\\\"b\" }}", "{{ printf \"a\\\"b\" }}"),
    ] {
        assert_eq!(template(given), mended);
    }
}

#[test]
fn an_action_without_an_end_is_mended_and_still_refused() {
    let template = r#"a = "b" {{ template \"base\" . }} {{ print \"c\""#;
    let spec = format!(
        "{{files: [{{path: /var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl, content: '{template}'}}]}}"
    );
    let parsed = with_spec(&spec);
    assert_eq!(
        found(&parsed, Severity::Error),
        [("template-syntax", 5, 89)]
    );
}

#[test]
fn a_command_of_several_lines_that_stay_lines_has_no_note() {
    let more = "\n            ";
    for command in [
        format!("|{more}a{more}b"),
        "\"a\\nb\"".to_owned(),
        format!("\"a \\{more}b\""),
        format!("\"a\n{more}b\""),
        format!("a{more}b"),
    ] {
        let text = EMPTY.replace("{template: {spec: {}}}", "")
            + "    template:\n      spec:\n        preK3sCommands:\n        - COMMAND\n";
        let parsed = read(&text.replace("COMMAND", &command));
        let notes = found(&parsed, Severity::Note);
        assert!(
            parsed.config.is_some() && notes.is_empty(),
            "{command}: {notes:?}"
        );
    }
}

#[test]
fn the_mended_template_is_what_containerd_reads() {
    let parsed = with_spec(
        "{files: {path: /var/lib/rancher/k3s/agent/etc/containerd/config.toml.tmpl, content: \"{{ template \\\\\\\"base\\\\\\\" . }}\\n[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.'x']\\n\"}}",
    );
    let config = parsed.config.expect("accepted");
    let file = &config.k3s().files.as_slice()[0];
    assert_eq!(file.path.file_name(), "config-v3.toml.tmpl");
    let content = file.content.as_deref().unwrap_or_default();
    assert!(
        content.starts_with("{{ template \"base\" . }}\n"),
        "{content}"
    );
}

#[test]
fn a_template_without_effect_here_is_noted_field_by_field() {
    let text = "kubernetes:
  kind: KThreesControlPlaneTemplate
  apiVersion: controlplane.cluster.x-k8s.io/v1beta2
  spec:
    template:
      metadata: {labels: {a: b}}
      spec:
        rolloutAfter: 2026-01-01T00:00:00Z
        machineTemplate: {nodeDrainTimeout: 1s}
        remediationStrategy: {maxRetry: 1}
        kthreesConfigSpec:
          serverConfig:
            disableExternalCloudProvider: true
            etcdProxyImage: a/b:1
";
    let parsed = read(text);
    let found = found(&parsed, Severity::Note);
    let lines: Vec<_> = found.iter().map(|(code, line, _)| (*code, *line)).collect();
    assert_eq!(lines, [6, 8, 9, 10, 13, 14].map(|line| ("no-effect", line)));
    assert!(parsed.config.is_some());
}

#[test]
fn texts_stay_what_the_user_typed() {
    let parsed = read(&EMPTY.replace(
        "{}",
        "{version: 1.33, files: [{path: /etc/a, permissions: 0644, content: 0x10}], \
         preK3sCommands: [1e3], agentConfig: {nodeName: 007, nodeLabels: [a=1.10]}, \
         serverConfig: {httpsListenPort: 6443}}",
    ));
    let config = parsed.config.expect("accepted");
    let spec = config.k3s();
    assert_eq!(spec.version.as_ref().map(|v| v.as_str()), Some("1.33"));
    let file = &spec.files.as_slice()[0];
    assert_eq!(
        file.permissions.as_ref().map(|mode| mode.bits()),
        Some(0o644)
    );
    assert_eq!(file.content.as_deref(), Some("0x10"));
    assert_eq!(spec.pre_k3s_commands[0].as_str(), "1e3");
    assert_eq!(
        spec.agent_config.node_name.as_ref().map(|n| n.as_str()),
        Some("007")
    );
    assert_eq!(spec.agent_config.node_labels[0].as_str(), "a=1.10");
    assert_eq!(
        spec.server_config
            .https_listen_port
            .as_ref()
            .map(|p| p.as_str()),
        Some("6443")
    );
}

#[test]
fn the_generated_files_help_names_where_settings_go() {
    let parsed = with_spec("{files: [{path: /etc/rancher/k3s/config.yaml}]}");
    let mut found = parsed.diagnostics.iter();
    let found = found.find(|d| d.code.as_str() == "path-generated");
    let help = found.and_then(|d| d.help.as_deref()).unwrap_or_default();
    assert!(
        help.contains("config.yaml.d") && help.contains("replaces") && help.contains("key+"),
        "{help}"
    );
}

#[test]
fn encoded_contents_are_decoded() {
    // printf 'line = 7\n' | gzip -n | base64
    let packed = "H4sIAAAAAAAAA8vJzEtVsFUw5wIAbXRVmwkAAAA=";
    let parsed = with_spec(&format!(
        "{{files: [{{path: /etc/a, encoding: gzip+base64, content: {packed}}}, {{path: /etc/b, encoding: base64, content: bGluZSA9IDcK}}]}}"
    ));
    let config = parsed.config.expect("accepted");
    for file in config.k3s().files.as_slice() {
        assert_eq!(
            file.bytes().expect("decoded"),
            b"line = 7\n",
            "{}",
            file.path
        );
    }
}

/// So many bytes packed by gzip, in parts of a mebibyte, which are packed once.
fn packed(bytes: u64) -> Vec<u8> {
    let pack = |bytes: u64| {
        let mut out = flate2::write::GzEncoder::new(vec![], flate2::Compression::default());
        let text = vec![b'x'; usize::try_from(bytes).expect("small")];
        out.write_all(&text)
            .and_then(|()| out.finish())
            .expect("packed")
    };
    let part = 1 << 20;
    let count = usize::try_from(bytes / part).expect("small");
    [pack(part).repeat(count), pack(bytes % part)].concat()
}

#[test]
fn a_file_may_be_as_large_as_the_limit_once_unpacked() {
    let parsed = |bytes: u64| {
        let content = base64::engine::general_purpose::STANDARD.encode(packed(bytes));
        with_spec(&format!(
            "{{files: [{{path: /etc/a, encoding: gzip+base64, content: {content}}}]}}"
        ))
    };
    let largest = parsed(MAX_UNPACKED).config.expect("accepted");
    let bytes = largest.k3s().files.as_slice()[0].bytes().expect("unpacked");
    assert_eq!(bytes.len() as u64, MAX_UNPACKED);
    let beyond = parsed(MAX_UNPACKED + 1);
    let mut errors = beyond.diagnostics.iter();
    let error = errors.find(|d| d.code.as_str() == "content-size");
    let message = &error.expect("refused").message;
    assert!(message.contains("larger than 33554432 bytes"), "{message}");
}

/// So many bytes, packed, as the content of a file.
fn content_of(bytes: usize) -> String {
    use base64::Engine as _;
    use std::io::Write as _;
    let mut packer = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    packer.write_all(&vec![b'x'; bytes]).expect("packed");
    let packed = packer.finish().expect("packed");
    base64::engine::general_purpose::STANDARD.encode(packed)
}

fn limit() -> usize {
    usize::try_from(cluster_bootstrapper::model::MAX_UNPACKED).expect("fits")
}

#[test]
fn a_content_may_be_as_large_as_the_limit_once_unpacked() {
    let with_one = |bytes: usize| {
        let text = content_of(bytes);
        with_spec(&format!(
            "{{files: [{{path: /etc/a, encoding: gzip+base64, content: {text}}}]}}"
        ))
    };
    assert!(with_one(limit()).config.is_some());
    let larger = with_one(limit() + 1);
    assert_eq!(found(&larger, Severity::Error)[0].0, "content-size");
}

#[test]
fn all_contents_together_have_the_limit_of_one() {
    let with_two = |bytes: usize| {
        let text = content_of(bytes);
        let file = |path| format!("{{path: {path}, encoding: gzip+base64, content: {text}}}");
        with_spec(&format!(
            "{{files: [{}, {}]}}",
            file("/etc/a"),
            file("/etc/b")
        ))
    };
    assert!(with_two(limit() / 2).config.is_some());
    let larger = with_two(limit() / 2 + 1);
    assert_eq!(found(&larger, Severity::Error)[0].0, "content-size");
}

#[test]
fn a_packed_content_stays_packed_up_to_the_node() {
    let text = content_of(1 << 20);
    let spec = format!("{{files: [{{path: /etc/a, encoding: gzip+base64, content: {text}}}]}}");
    let config = with_spec(&spec).config.expect("valid");
    let boot = config.first_boot().expect("decoded").cloud_config();
    assert!(boot.contains(&format!("  encoding: gz+b64\n  content: {text}\n")));
    assert!(boot.len() < 100_000, "{}", boot.len());
}
