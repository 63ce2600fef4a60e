//! The conversion beside what cluster-api-k3s makes of the same templates, as it was recorded: they differ in what
//! docs/differences-from-cluster-api-k3s.md lists, and in nothing else.
//!
//! `tests/provider/cases.json` has random templates over every key, and for each what the packages of cluster-api-k3s
//! (7ed944f: the webhook's defaults, `GenerateInitControlPlaneConfig`, `NewInitControlPlane`) made of it, read as YAML.
//! Templates of which the provider makes no YAML, or files that are not the template's, are not among them.

use crate::support::{K3S, here, read};
use base64::Engine as _;
use cluster_bootstrapper::{FirstBoot, Setting, k3s};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::Read as _;

const CONFIG: &str = "/etc/rancher/k3s/config.yaml";
/// What the first boot has of its own; the heading in the list says for what.
const OWN: [(&str, &str); 4] = [
    (
        "K3s gets the environment and a default route",
        "/etc/systemd/system/k3s.service.d/10-emts.conf",
    ),
    (
        "K3s gets the environment and a default route",
        "/etc/rancher/emts/default-route.sh",
    ),
    (
        "K3s gets the environment and a default route",
        "/etc/rancher/emts/login-screen.sh",
    ),
    (
        "The install line is a script with a deadline",
        "/etc/rancher/emts/install-k3s.sh",
    ),
];

/// A template and what the provider made of it.
#[derive(Deserialize)]
struct Case {
    spec: Value,
    config: Map<String, Value>,
    files: Vec<ProviderFile>,
    commands: Vec<String>,
}

/// An entry of cloud-init's `write_files`.
#[derive(Deserialize)]
struct ProviderFile {
    path: String,
    owner: Option<String>,
    permissions: Option<String>,
    encoding: Option<String>,
    content: String,
}

#[derive(Debug, PartialEq, Eq, Clone)]
struct NodeFile {
    path: String,
    owner: String,
    mode: u32,
    bytes: Vec<u8>,
}

/// What a node is made of, in a form in which both can be compared: values as texts, contents as bytes.
#[derive(Debug, PartialEq, Eq, Clone)]
struct Node {
    config: BTreeMap<String, Vec<String>>,
    files: Vec<NodeFile>,
    commands: Vec<String>,
}

/// A heading of the list, and what the difference makes of the provider's node.
type Listed = (&'static str, fn(&mut Node, &Value));

const LISTED: [Listed; 7] = [
    ("No token, server or endpoint entries", no_endpoint),
    ("No forced API server arguments", no_forced_arguments),
    (
        "The cloud controller is on unless switched off",
        cloud_controller,
    ),
    ("Files below /etc/rancher are root's alone", root_alone),
    ("A file ends as it was written", final_line_breaks),
    ("Node names are in lower case", node_name),
    ("Air-gapped always", install_line),
];

fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string(here("tests/provider/cases.json")).expect("the record");
    serde_json::from_str(&text).expect("cases")
}

/// The values of a setting as the command line would have them.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(list) => list.iter().flat_map(texts).collect(),
        Value::String(text) => vec![text.clone()],
        other => vec![other.to_string()],
    }
}

fn decoded(file: &ProviderFile) -> Vec<u8> {
    let base64 = || base64::engine::general_purpose::STANDARD.decode(file.content.trim_end());
    match file.encoding.as_deref() {
        None => file.content.clone().into_bytes(),
        Some("base64") => base64().expect("base64"),
        Some(_) => {
            let mut bytes = Vec::new();
            let packed = base64().expect("base64");
            let mut unpacked = flate2::read::GzDecoder::new(&packed[..]);
            unpacked.read_to_end(&mut bytes).expect("gzip");
            bytes
        }
    }
}

fn mode(permissions: &str) -> u32 {
    u32::from_str_radix(permissions.trim_start_matches("0o"), 8).expect("octal")
}

/// The provider's node.
fn provider(case: &Case) -> Node {
    let file = |file: &ProviderFile| NodeFile {
        path: file.path.clone(),
        owner: file.owner.clone().unwrap_or_else(|| "root:root".to_owned()),
        mode: file.permissions.as_deref().map_or(0o644, mode),
        bytes: decoded(file),
    };
    let config = case.config.iter();
    Node {
        config: config
            .map(|(key, value)| (key.clone(), texts(value)))
            .collect(),
        files: case.files.iter().map(file).collect(),
        commands: case.commands.clone(),
    }
}

/// The configuration, the files that are not the first boot's own, and the commands without the looks at their status.
fn project(spec: &Value) -> Node {
    let template = json!({"template": {"spec": {"kthreesConfigSpec": spec}}});
    let parsed = read(&format!("{K3S}  spec: {template}\n"));
    let config = parsed.config;
    let config = config.unwrap_or_else(|| panic!("refused: {spec}\n{:#?}", parsed.diagnostics));
    let settings = k3s::settings(config.k3s());
    let boot = config.first_boot().expect("decoded");
    Node {
        config: settings.iter().map(setting).collect(),
        files: user_files(&boot),
        commands: user_commands(boot.commands),
    }
}

fn setting((name, setting): (&String, &Setting)) -> (String, Vec<String>) {
    (name.clone(), setting.values())
}

fn user_files(boot: &FirstBoot) -> Vec<NodeFile> {
    let own = |path: &str| path == CONFIG || OWN.iter().any(|(_, own)| *own == path);
    let files = boot.files.iter().filter(|file| !own(&file.path));
    files
        .map(|file| NodeFile {
            path: file.path.clone(),
            owner: file.owner.clone(),
            mode: file.mode,
            bytes: file.bytes.clone(),
        })
        .collect()
}

/// Commands between the first and the last two, which are the first boot's frame.
fn user_commands(mut commands: Vec<String>) -> Vec<String> {
    commands.truncate(commands.len() - 2);
    commands.remove(0);
    commands.retain(|command| !command.starts_with("emts_check "));
    commands
}

fn no_endpoint(node: &mut Node, _: &Value) {
    node.config.remove("token");
    let names = node.config.get_mut("tls-san").expect("the endpoint");
    assert_eq!(names.pop().as_deref(), Some("endpoint.example"));
    node.config.retain(|_, values| !values.is_empty());
}

fn no_forced_arguments(node: &mut Node, _: &Value) {
    let arguments = node.config.get_mut("kube-apiserver-arg");
    let arguments = arguments.expect("the provider's own");
    let ciphers = arguments.pop().expect("the ciphers");
    assert!(ciphers.starts_with("tls-cipher-suites="), "{ciphers}");
    assert_eq!(arguments.pop().as_deref(), Some("anonymous-auth=true"));
    node.config.retain(|_, values| !values.is_empty());
}

fn cloud_controller(node: &mut Node, spec: &Value) {
    let given = |key: &str| spec.pointer(&format!("/serverConfig/{key}"));
    if given("disableCloudController").is_none() {
        node.config.remove("disable-cloud-controller");
    }
    if given("cloudProviderName").is_none() {
        for key in ["kubelet-arg", "kube-controller-manager-arg"] {
            if let Some(arguments) = node.config.get_mut(key) {
                assert_eq!(arguments.pop().as_deref(), Some("cloud-provider=external"));
            }
        }
    }
    node.config.retain(|_, values| !values.is_empty());
}

fn root_alone(node: &mut Node, spec: &Value) {
    let written = spec["files"].as_array().into_iter().flatten();
    for (file, written) in node.files.iter_mut().zip(written) {
        let unset = written["permissions"]
            .as_str()
            .unwrap_or_default()
            .is_empty();
        if unset && file.path.starts_with("/etc/rancher/") {
            file.mode = 0o600;
        }
    }
}

/// The provider's block text has one line break at its end, whatever the file has.
fn final_line_breaks(node: &mut Node, spec: &Value) {
    let written = spec["files"].as_array().into_iter().flatten();
    for (file, written) in node.files.iter_mut().zip(written) {
        let plain = written["encoding"].as_str().unwrap_or_default().is_empty();
        if !plain {
            continue;
        }
        let written = written["content"].as_str().unwrap_or_default();
        let bare = written.trim_end_matches('\n');
        let one = if bare.is_empty() { "" } else { "\n" };
        assert_eq!(file.bytes, format!("{bare}{one}").into_bytes());
        file.bytes = written.to_owned().into_bytes();
    }
}

fn node_name(node: &mut Node, _: &Value) {
    for name in node.config.get_mut("node-name").into_iter().flatten() {
        name.make_ascii_lowercase();
    }
}

fn install_line(node: &mut Node, _: &Value) {
    let installs =
        |command: &&mut String| command.contains("/run/cluster-api/bootstrap-success.complete");
    let line = node.commands.iter_mut().find(installs);
    *line.expect("the install line") =
        "sh /etc/rancher/emts/install-k3s.sh && emts_installed=yes".to_owned();
}

#[test]
fn nothing_differs_from_the_provider_but_what_is_listed() {
    for case in cases() {
        let mut expected = provider(&case);
        for (_, apply) in LISTED {
            apply(&mut expected, &case.spec);
        }
        assert_eq!(project(&case.spec), expected, "{}", case.spec);
    }
}

#[test]
fn every_difference_is_met_by_a_recorded_case() {
    for (heading, apply) in LISTED {
        let changes = |case: &Case| {
            let before = provider(case);
            let mut after = before.clone();
            apply(&mut after, &case.spec);
            before != after
        };
        assert!(cases().iter().any(changes), "{heading}");
    }
}

#[test]
fn each_of_them_is_on_the_list() {
    let path = here("../docs/differences-from-cluster-api-k3s.md");
    let text = std::fs::read_to_string(path).expect("the list");
    let applied = LISTED.iter().map(|(heading, _)| *heading);
    for heading in applied.chain(OWN.map(|(heading, _)| heading)) {
        assert!(text.contains(&format!("\n## {heading}\n")), "{heading}");
    }
}
