//! What people mistype in a config-file that is YAML all the same: one test a slip, one error a cause. `«` stands where
//! the error is.

use crate::support::read;
use cluster_bootstrapper::diagnostic::Severity;
use cluster_bootstrapper::{Parsed, parse_bytes};

const TOP: &str = "version: 1.0\noperatingSystem:\n  users:\n  - username: admin\n    password: c2VjcmV0LTEyMw==\n";
const BOTTOM: &str = "kubernetes:\n  kind: KThreesControlPlaneTemplate\n  apiVersion: controlplane.cluster.x-k8s.io/v1beta2\n";
const SPEC: &str = "  spec:\n    template:\n      spec:\n";

/// Compares the only error with the mark's line and column, its code and a part of its help.
#[track_caller]
fn one_error(marked: &str, code: &str, help: &str) {
    let before = marked.split('\u{ab}').next().unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    let parsed = read(&marked.replacen('\u{ab}', "", 1));
    let errors = parsed
        .diagnostics
        .iter()
        .filter(|d| d.severity == Severity::Error);
    let errors: Vec<_> = errors.collect();
    assert_eq!(errors.len(), 1, "{marked}\n{errors:#?}");
    let found = (errors[0].code.as_str(), errors[0].line, errors[0].column);
    assert_eq!(found, (code, line, column), "{marked}\n{errors:#?}");
    let given = errors[0].help.as_deref().unwrap_or_default();
    assert!(given.contains(help) && !given.is_empty(), "{errors:#?}");
}

macro_rules! mistakes {
    ($($name:ident: $text:expr => $code:literal, $help:literal;)+) => {$(
        #[test]
        fn $name() {
            one_error(&$text, $code, $help);
        }
    )+};
}

/// A file with these lines in `operatingSystem`.
fn os(lines: &str) -> String {
    format!("{TOP}{lines}{BOTTOM}{SPEC}        files: []\n")
}

/// A file with these lines in `spec.template.spec`.
fn spec(lines: &str) -> String {
    format!("{TOP}{BOTTOM}{SPEC}{lines}")
}

mistakes! {
    a_key_in_other_case: os("  «HostName: a\n") => "unknown-key", "did you mean `hostname`?";
    a_key_of_another_tool: os("  «locale: en_US.UTF-8\n") => "unknown-key", "known keys here";
    a_mistyped_key_that_is_required: format!("{TOP}  «user: []\n{BOTTOM}{SPEC}") => "unknown-key", "known keys here";
    a_mistyped_key_that_its_mapping_needs: os("").replace("username", "«usernam") => "unknown-key", "did you mean `username`?";
    a_mistyped_key_whose_mapping_lacks_another: os("  writeFiles: [{«conten: a}]\n") => "unknown-key", "did you mean `content`?";
    a_mistyped_kind_key: format!("{TOP}{}{SPEC}        files: []\n", BOTTOM.replace("kind", "«Kind")) => "unknown-key", "`kind`";
    a_mistyped_section: format!("{TOP}{}{SPEC}        files: []\n", BOTTOM.replace("kubernetes", "«kubernets")) => "unknown-key", "`kubernetes`";
    a_key_of_the_node_beside_it: format!("{TOP}{BOTTOM}  «hostname: a\n{SPEC}        files: []\n") => "misplaced-key", "`operatingSystem`";
    a_key_too_deep: os("  proxy:\n    noProxy: a.example\n    «ntpServers: [a.example]\n") => "misplaced-key", "less";
    a_section_too_deep: format!("{TOP}  «{}", format!("{BOTTOM}{SPEC}        files: []\n").replace('\n', "\n  ")) => "misplaced-key", "less";
    a_section_that_fell_out: "version: 1.0\noperatingSystem:\n«users:\n- username: admin\n  password: c2VjcmV0LTEyMw==\nhostname: a\n".to_owned() + BOTTOM + SPEC + "        files: []\n" => "misplaced-key", "deeper than `operatingSystem`";
    keys_that_fell_out_of_the_one_above: spec("        agentConfig:\n          nodeName: a\n          «serverConfig:\n          clusterCidr: 10.42.0.0/16\n          clusterDNS: 10.43.0.10\n") => "misplaced-key", "less";
    a_level_that_is_missing: format!("{TOP}{BOTTOM}  «spec:\n    spec:\n      files: []\n").replace("    spec:\n      files", "    files") => "missing-key", "missing key";
    a_kubernetes_section_that_fell_out: format!("{TOP}{}{}", BOTTOM.replace("  kind", "«kind").replace("  api", "api"), "spec:\n  template:\n    spec:\n      files: []\n") => "misplaced-key", "deeper than `kubernetes`";
    a_list_for_a_text: os("  «hostname: [a]\n") => "wrong-type", "without brackets";
    a_block_list_for_a_text: os("  «hostname:\n  - a\n") => "wrong-type", "without `- `";
    a_text_for_a_list: os("  ntpServers: «a.example\n") => "wrong-type", "`- `";
    a_text_for_a_mapping: os("  proxy: «http://a.example:1\n") => "wrong-type", "keys";
    a_mapping_for_labels: spec("        agentConfig:\n          «nodeLabels:\n            zone: a\n") => "wrong-type", "`- zone=a`";
    a_mapping_among_labels: spec("        agentConfig:\n          nodeLabels:\n          - «zone: a\n") => "wrong-type", "`zone=a`";
    a_mapping_among_arguments: spec("        agentConfig:\n          kubeletArgs: [«{max-pods: 200}]\n") => "wrong-type", "`max-pods=200`";
    a_colon_in_a_command: os("  runCommands:\n  - «echo \"a: b\"\n") => "wrong-type", "in quotes";
    a_command_as_a_list: os("  runCommands:\n  - «[ls, -l]\n") => "wrong-type", "one string";
    a_command_that_begins_with_a_brace: os("  runCommands:\n  - «{ echo a }\n") => "wrong-type", "quotes";
    a_comment_within_quotes: os("  runCommands:\n  - «echo \"a # b\"\n") => "comment-in-text", "quotes";
    a_path_for_a_file: os("  writeFiles: [«/etc/a]\n") => "wrong-type", "`path: ...`";
    a_user_as_a_name: os("").replace("username: admin\n    password", "«admin\n  - username: b\n    password") => "wrong-type", "`username: ...`";
    a_quoted_truth: spec("        serverConfig:\n          disableCloudController: «'true'\n") => "wrong-type", "without quotes";
    a_yes: spec("        serverConfig:\n          disableCloudController: «yes\n") => "wrong-type", "write true";
    a_mode_as_a_number: os("  writeFiles: [{path: /etc/a, permissions: «420}]\n") => "file-mode", "write 0644";
    a_mode_in_letters: os("  writeFiles: [{path: /etc/a, permissions: «rw-r--r--}]\n") => "file-mode", "octal";
    a_size_without_a_unit: os("  installDisk: {minSize: «64}\n") => "disk-size", "64GB";
    a_typographic_quote_in_a_value: os("  hostname: «\u{201c}a\u{201d}\n") => "host-name", "straight quote";
    a_no_break_space_in_a_value: os("  hostname: «a\u{a0}b\n") => "host-name", "plain space";
    a_space_missing_in_the_only_key: os("  proxy:\n    «noProxy:a.example\n").replace("«noProxy", "noProxy«") => "yaml-syntax", "with a space";
    a_key_given_twice: os("  hostname: a\n  «hostname: b\n") => "duplicate-key", "one of them";
    a_merge_key: os("  «<<: {hostname: a}\n") => "unknown-key", "merge keys";
    both_places_of_the_settings: spec("        «kthreesConfigSpec: {agentConfig: {}}\n        files: []\n        preK3sCommands: []\n") => "mixed-spec", "all of it";
    a_file_of_the_old_format: "«user_name=\"a\"\npasswd=\"b\"\nservices:\n  enable: [c]\n" => "old-format", "migrate --input";
    a_file_of_the_old_format_without_yaml: "# old\n«http_proxy=\"\"\nuser_name=\"a\"\n" => "old-format", "migrate --input";
}

#[track_caller]
fn valid(parsed: &Parsed) {
    assert!(parsed.config.is_some(), "{:#?}", parsed.diagnostics);
}

#[test]
fn line_ends_of_windows_and_a_byte_order_mark_are_fine() {
    let text = format!("\u{feff}{}", os("")).replace('\n', "\r\n");
    valid(&parse_bytes(text.into_bytes(), &Default::default()));
}

#[test]
fn a_comment_behind_an_apostrophe_is_fine() {
    let file = "  writeFiles:\n  - path: /etc/a\n    content: it's # a comment\n";
    valid(&read(&os(file)));
}

#[test]
fn a_document_between_its_marks_is_fine() {
    valid(&read(&format!("---\n{}...\n", os(""))));
}

#[test]
fn an_anchor_and_its_alias_are_fine() {
    let proxies = "  proxy:\n    httpProxy: &p http://a.example:1\n    httpsProxy: *p\n";
    valid(&read(&os(proxies)));
}

#[test]
fn a_long_value_is_cut_in_its_message() {
    let parsed = read(&os(&format!("  hostname: {}\n", "a_".repeat(4000))));
    for found in &parsed.diagnostics {
        let long = |text: &str| text.chars().count() > 300;
        assert!(
            !long(&found.message) && !found.help.as_deref().is_some_and(long),
            "{found:?}"
        );
    }
}
