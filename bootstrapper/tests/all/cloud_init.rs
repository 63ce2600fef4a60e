//! The conversion as the real cloud-init takes it: its schema, its merge of cloud.cfg.d, the files it writes and the
//! scripts it runs.

use crate::support::{command_with, here, read, sample};
use cluster_bootstrapper::FirstBoot;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use serde_json::Value;
use std::fmt::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Output};

const MISSING: &str = "cloud-init is not installed; run: cargo xtask setup";
/// Debian's own Python, which is the one that has cloud-init.
const PYTHON: &str = "/usr/bin/python3";
/// The configuration that the Debian package brings.
const PACKAGED: &str = "/etc/cloud/cloud.cfg";

/// Texts in the ways that YAML, shells and templates trip over.
const TEXTS: &[&str] = &[
    "plain",
    " leading space\n",
    "   three leading spaces\n   on all lines\n",
    "\n\nleading lines\n",
    "\ttab first\n",
    "no final line break",
    "one final line break\n",
    "two final line breaks\n\n",
    "three\n\n\n",
    "carriage return\r\nin the middle\r\nand at the end\r",
    "\u{e4}\u{20ac}\u{1f600} not ASCII\n",
    "\u{85}\u{2028}\u{2029}\u{feff}\u{a0}",
    "\u{1}\u{7f}\u{1b}[31m",
    "{{ template \"base\" . }}\n",
    "{% if x %}{{ y }}{% endif %}{# z #}\n",
    "## template: jinja\n{{ v1.local_hostname }}\n",
    "#cloud-config\nruncmd: [reboot]\n",
    "# a comment: no value # another\n",
    "key: value\n- item\n? complex\n",
    "--- \n...\n%YAML 1.1\n",
    "'single' \"double\" \\ back\\nslash $HOME `id` $(id) ${#x}\n",
    "trailing space \nnext \n",
    " \n",
    "yes",
    "0644",
    "1_000",
    "null",
    "~",
    "=",
    "<<: *x",
    "!!binary x",
    "&a *b",
    "| \n> \n",
    "@at %percent",
];

/// The texts above and as many random ones.
fn texts() -> Vec<String> {
    let mut runner = TestRunner::deterministic();
    let any = proptest::string::string_regex("[^\0]{1,40}").expect("a valid pattern");
    let mut all: Vec<String> = TEXTS.iter().map(|text| (*text).to_owned()).collect();
    for _ in 0..200 {
        all.push(any.new_tree(&mut runner).expect("a string").current());
    }
    all
}

/// A double-quoted scalar with everything escaped that is not plain ASCII.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            _ => drop(write!(out, "\\U{:08X}", c as u32)),
        }
    }
    out + "\""
}

fn boot(spec: &str) -> FirstBoot {
    boot_of("KThreesControlPlaneTemplate", "v1beta2", spec)
}

fn boot_of(kind: &str, version: &str, spec: &str) -> FirstBoot {
    let text = format!(
        "operatingSystem: {{runCommands: [first]}}\nkubernetes:\n  kind: {kind}\n  apiVersion: \
         controlplane.cluster.x-k8s.io/{version}\n  spec: {{template: {{spec: {spec}}}}}\n"
    );
    let parsed = read(&text);
    let config = parsed.config;
    let config = config.unwrap_or_else(|| panic!("refused: {spec}\n{:#?}", parsed.diagnostics));
    config.first_boot().expect("decoded")
}

/// One file and one command a text.
fn boot_with_all_texts() -> (FirstBoot, Vec<String>) {
    let texts = texts();
    let mut files = String::new();
    let mut commands = String::new();
    for (index, text) in texts.iter().enumerate() {
        let _ = write!(
            files,
            "{{path: /etc/t/{index}, content: {}}}, ",
            quoted(text)
        );
        let _ = write!(commands, "{}, ", quoted(&command_with(text)));
    }
    let spec = format!("{{files: [{files}], preK3sCommands: [{commands}]}}");
    (boot(&spec), texts)
}

fn sample_boot() -> FirstBoot {
    let text = sample();
    let config = read(&text).config;
    config.expect("valid").first_boot().expect("decoded")
}

/// Inputs that reach every key of the output.
fn varied() -> Vec<(&'static str, FirstBoot)> {
    vec![
        ("the sample", sample_boot()),
        ("nothing set", boot("{}")),
        (
            "files in all encodings",
            boot(
                "{files: [{path: /etc/a}, {path: /etc/b, content: '', permissions: 0600, owner: 'root:root'}, \
                 {path: /var/c, encoding: base64, content: AAEC}, {path: /var/d, encoding: gzip+base64, content: \
                 H4sIAAAAAAACA2NgLEmtKAEAyPBtlgYAAAA=}]}",
            ),
        ),
        (
            "all settings",
            boot(
                "{preK3sCommands: [a, \"b\\nc\", 'd \\', e], postK3sCommands: [d], agentConfig: {nodeLabels: [a=b], \
                 nodeTaints: ['a=b:NoSchedule'], nodeName: edge}, serverConfig: {tlsSan: [a.example.com], \
                 httpsListenPort: 6443, clusterDomain: a.b, disableComponents: [traefik]}}",
            ),
        ),
        (
            "RKE2",
            boot_of(
                "RKE2ControlPlaneTemplate",
                "v1beta1",
                "{agentConfig: {cisProfile: cis}, preRKE2Commands: [a]}",
            ),
        ),
        ("every string", boot_with_all_texts().0),
    ]
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn the_output_fits_cloud_inits_json_schema() {
    let script = "import cloudinit.config.schema as s, json; print(json.dumps(s.get_schema()))";
    let output = Command::new(PYTHON).args(["-c", script]).output();
    let output = output.expect(MISSING);
    assert!(output.status.success(), "{MISSING}: {}", said(&output));
    let schema: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a valid JSON Schema");
    for (name, boot) in varied() {
        let value: Value = serde_saphyr::from_str(&boot.cloud_config()).expect("YAML");
        let errors: Vec<String> = validator
            .iter_errors(&value)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{name}: {errors:#?}");
    }
}

#[test]
fn cloud_init_schema_accepts_the_output() {
    let folder = tempfile::tempdir().expect("temporary directory");
    for (name, boot) in varied() {
        let path = folder.path().join("k8s.cfg");
        std::fs::write(&path, boot.cloud_config()).expect("writing k8s.cfg");
        let output = Command::new("cloud-init")
            .args(["schema", "--config-file"])
            .arg(&path)
            .output()
            .expect(MISSING);
        assert!(output.status.success(), "{name}: {}", said(&output));
    }
}

/// A first boot in a temporary folder: the package's cloud.cfg, the reference node's own parts and the output.
struct Booted {
    report: Value,
    root: tempfile::TempDir,
}

impl Booted {
    fn with(boot: &FirstBoot) -> Self {
        let folder = tempfile::tempdir().expect("temporary directory");
        let parts = folder.path().join("cloud.cfg.d");
        std::fs::create_dir(&parts).expect("a directory");
        let copied = std::fs::copy(PACKAGED, folder.path().join("cloud.cfg"));
        copied.unwrap_or_else(|error| panic!("{MISSING} ({PACKAGED}: {error})"));
        let node = here("../vm-tests/reference/node/rootfs");
        for entry in std::fs::read_dir(node.join("etc/cloud/cloud.cfg.d")).expect("a directory") {
            let entry = entry.expect("readable");
            std::fs::copy(entry.path(), parts.join(entry.file_name())).expect("copied");
        }
        std::fs::write(parts.join("k8s.cfg"), boot.cloud_config()).expect("written");
        let root = tempfile::tempdir().expect("temporary directory");
        let output = Command::new(PYTHON)
            .arg(here("tests/support/first_boot.py"))
            .arg(folder.path().join("cloud.cfg"))
            .arg(node.join("var/lib/cloud/seed/nocloud/user-data"))
            .arg(root.path())
            .output()
            .expect(MISSING);
        assert!(output.status.success(), "{}", said(&output));
        let report = serde_json::from_slice(&output.stdout);
        let report = report.unwrap_or_else(|error| panic!("{error}: {}", said(&output)));
        Self { report, root }
    }

    fn messages(&self, key: &str) -> Vec<&str> {
        let list = self.report[key].as_array().expect("a list");
        list.iter().filter_map(Value::as_str).collect()
    }
}

#[test]
fn a_first_boot_of_the_reference_node_warns_of_nothing() {
    for (name, boot) in varied() {
        let booted = Booted::with(&boot);
        assert!(
            booted.messages("faults").is_empty(),
            "{name}: {}",
            booted.report["faults"]
        );
        assert!(
            booted.messages("warnings").is_empty(),
            "{name}: {}",
            booted.report["warnings"]
        );
    }
}

#[test]
fn nothing_of_the_output_is_lost_in_the_merge() {
    for (name, boot) in varied() {
        let booted = Booted::with(&boot);
        let own: Value = serde_saphyr::from_str(&boot.cloud_config()).expect("YAML");
        for (key, value) in own.as_object().expect("a mapping") {
            assert_eq!(&booted.report["merged"][key], value, "{name}: {key}");
        }
    }
}

#[test]
fn every_file_arrives_on_disk_byte_for_byte() {
    let (boot, texts) = boot_with_all_texts();
    let booted = Booted::with(&boot);
    for (index, text) in texts.iter().enumerate() {
        let path = booted.root.path().join(format!("etc/t/{index}"));
        let found = std::fs::read(&path).expect("written");
        assert_eq!(found, text.as_bytes(), "{text:?}");
    }
    for file in &boot.files {
        let path = booted.root.path().join(file.path.trim_start_matches('/'));
        assert_eq!(
            std::fs::read(&path).expect("written"),
            file.bytes,
            "{}",
            file.path
        );
        let mode = std::fs::metadata(&path).expect("there").mode() & 0o7777;
        assert_eq!(mode, file.mode, "{}", file.path);
    }
}

#[test]
fn every_command_arrives_in_the_script_byte_for_byte() {
    let (boot, texts) = boot_with_all_texts();
    let commands: Vec<String> = texts.iter().map(|text| command_with(text)).collect();
    let arrived = boot.commands.iter().filter(|line| commands.contains(line));
    assert!(commands.iter().eq(arrived));
    let booted = Booted::with(&boot);
    let script: String = boot
        .commands
        .iter()
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(
        booted.report["shell"]["runcmd"],
        format!("#!/bin/sh\n{script}")
    );
}

#[test]
fn a_parser_of_yaml_1_2_reads_what_one_of_1_1_reads() {
    let (boot, _) = boot_with_all_texts();
    let folder = tempfile::tempdir().expect("temporary directory");
    let path = folder.path().join("k8s.cfg");
    std::fs::write(&path, boot.cloud_config()).expect("written");
    let script = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
    let output = Command::new(PYTHON)
        .args(["-c", script])
        .arg(&path)
        .output()
        .expect(MISSING);
    assert!(output.status.success(), "{MISSING}: {}", said(&output));
    let old: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let new: Value = serde_saphyr::from_str(&boot.cloud_config()).expect("YAML");
    assert_eq!(old, new);
}
