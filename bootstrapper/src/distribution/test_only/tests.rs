//! What a distribution gets from the rest of the crate for its folder and its line.

use crate::distribution::joined::Joined;
use crate::distribution::{FirstBoot, Kubernetes};
use crate::install::{generated_paths, proxy_variables};
use crate::schema::{leaves_of, schema};
use crate::{ConfigFile, ParseOptions, Parsed, parse, redact};

const OS: &str = "operatingSystem: {users: [{username: root, password: Zm9yIHRoaXMgdGVzdA==}]}\n";

fn read(kubernetes: &str) -> Parsed {
    let text = format!("{OS}kubernetes:\n  {}", kubernetes.replace('\n', "\n  "));
    parse(&text, &ParseOptions::default())
}

fn mini(rest: &str) -> Parsed {
    read(&format!("kind: MiniTemplate\n{rest}"))
}

#[track_caller]
fn config(rest: &str) -> ConfigFile {
    let parsed = mini(rest);
    let found = parsed.diagnostics;
    parsed.config.unwrap_or_else(|| panic!("{found:#?}"))
}

fn boot(rest: &str) -> FirstBoot {
    config(rest).first_boot().expect("decoded")
}

fn text_of(boot: &FirstBoot, path: &str) -> String {
    let file = boot.files.iter().find(|file| file.path == path);
    let bytes = file
        .unwrap_or_else(|| panic!("no file {path}"))
        .bytes
        .clone();
    String::from_utf8(bytes).expect("text")
}

/// Code and message of the first finding.
#[track_caller]
fn first(parsed: &Parsed) -> (&'static str, String) {
    let found = parsed.diagnostics.first().expect("a finding");
    let help = found.help.clone().unwrap_or_default();
    (found.code.as_str(), format!("{}; {help}", found.message))
}

#[test]
fn its_kind_chooses_it() {
    let kubernetes = config("spec: {}").kubernetes;
    assert!(matches!(kubernetes, Some(Kubernetes::TestOnly(_))));
}

#[test]
fn an_unknown_kind_is_told_of_it() {
    let (code, text) = first(&read("kind: SomethingElse"));
    assert_eq!(code, "unknown-kind");
    assert!(text.contains("MiniTemplate"), "{text}");
}

#[test]
fn the_schema_has_its_keys() {
    let definitions = schema()["$defs"].clone();
    assert!(definitions.get("MiniTemplate").is_some());
    let leaves = leaves_of("MiniTemplate");
    assert!(
        leaves.contains(&"/kubernetes/spec/verbosity".to_owned()),
        "{leaves:?}"
    );
}

#[test]
fn a_key_in_a_wrong_place_is_told_its_own() {
    let (code, text) = first(&mini("verbosity: a"));
    assert_eq!(code, "misplaced-key");
    assert!(text.contains("under `kubernetes.spec`"), "{text}");
}

#[test]
fn its_settings_and_drop_ins_are_joined() {
    let drop_in = "{path: /etc/mini/config.yaml.d/50.yaml, content: 'cluster-cidr: 10.9.0.0/16'}";
    let config = config(&format!(
        "spec: {{verbosity: low, podNetworks: 10.8.0.0/16, files: [{drop_in}]}}"
    ));
    let distribution = config.distribution().expect("there");
    let joined = Joined::of(distribution, &config.operating_system);
    let last = |name| joined.last(name).map(|value| value.text.as_str());
    assert_eq!(last("cluster-cidr"), Some("10.9.0.0/16"));
    assert_eq!(last("level"), Some("low"));
}

#[test]
fn a_drop_in_is_checked_by_what_it_knows() {
    let drop_in = "{path: /etc/mini/config.yaml.d/50.yaml, content: 'levle: a'}";
    let (_, text) = first(&mini(&format!("spec: {{files: [{drop_in}]}}")));
    assert!(
        text.contains("`levle`") && text.contains("`level`"),
        "{text}"
    );
}

#[test]
fn its_own_check_is_asked() {
    let (code, text) = first(&mini("spec: {verbosity: ''}"));
    assert_eq!(code, "not-allowed");
    assert!(text.starts_with("Mini does not start"), "{text}");
}

#[test]
fn the_first_boot_writes_its_settings_and_installs_it() {
    let boot = boot("spec: {verbosity: low, then: ['mini status']}");
    assert!(text_of(&boot, "/etc/mini/config.yaml").contains("level: \"low\"\n"));
    let script = text_of(&boot, "/etc/rancher/emts/install-mini.sh");
    assert!(script.starts_with("systemctl enable --now mini # ") && !script.contains("@DIGEST@"));
    let place = |text: &str| boot.commands.iter().position(|line| line.contains(text));
    assert!(place("install-mini.sh").expect("installed") < place("mini status").expect("run"));
}

#[test]
fn its_registries_are_written_where_it_reads_them() {
    let boot = boot("registries: {mirrors: {docker.io: {endpoints: ['https://m.example.com']}}}");
    assert!(text_of(&boot, "/etc/mini/registries.yaml").contains("m.example.com"));
}

#[test]
fn its_networks_are_kept_from_the_proxy() {
    let text = format!(
        "{}kubernetes: {{kind: MiniTemplate, spec: {{}}}}\n",
        OS.replace("{users", "{proxy: {httpProxy: 'http://p:1'}, users")
    );
    let config = parse(&text, &ParseOptions::default())
        .config
        .expect("valid");
    let variables = proxy_variables(&config);
    let (_, hosts) = variables.last().expect("noProxy");
    assert_eq!(hosts, "10.62.0.0/16,10.63.0.0/16,.svc,.mini.local");
}

#[test]
fn its_paths_and_its_unit_are_kept_for_it() {
    let rules = generated_paths(&config("spec: {}"));
    for path in [
        "/etc/mini/config.yaml",
        "/etc/systemd/system/mini.service.d/10-emts.conf",
    ] {
        assert!(rules.iter().any(|rule| rule.covers(path)), "{path}");
    }
    let text = format!(
        "{}kubernetes: {{kind: MiniTemplate, spec: {{}}}}\n",
        OS.replace("{users", "{services: {enable: [mini]}, users")
    );
    let (code, _) = first(&parse(&text, &ParseOptions::default()));
    assert_eq!(code, "service-reserved");
}

#[test]
fn what_is_shown_of_it_has_no_contents() {
    let parsed = mini("spec: {verbosity: low, then: ['echo secret']}");
    let shown = redact::redacted(&parsed).expect("valid").to_string();
    assert!(
        shown.contains("\"verbosity\":\"low\"") && !shown.contains("secret"),
        "{shown}"
    );
}
