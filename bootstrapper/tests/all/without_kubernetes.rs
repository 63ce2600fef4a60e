//! A config-file without `kubernetes`: a node that runs containerd or Docker as the OS image has it.

use crate::support::{found, owners, read, rendered, text_in};
use cluster_bootstrapper::diagnostic::Severity;
use cluster_bootstrapper::export::{Target, manifest};
use cluster_bootstrapper::install::{Machine, Root, generated_paths, plan, proxy_variables};
use cluster_bootstrapper::{ConfigFile, FirstBoot};
use std::process::Command;

const NODE: &str = "operatingSystem:
  hostname: gate-7
  users: [{username: root, password: Zm9yIHRoaXMgdGVzdA==}]
  proxy: {httpProxy: 'http://proxy.example.com:911', noProxy: .example.com}
  network: [{interface: e0, addresses: [10.42.0.2/16], gateway: 10.42.0.1}]
  writeFiles: [{path: /etc/a, content: a}]
";

fn config(text: &str) -> ConfigFile {
    let parsed = read(text);
    let shown = rendered(&parsed);
    parsed.config.unwrap_or_else(|| panic!("{shown}"))
}

fn boot(commands: &str) -> FirstBoot {
    let config = config(&format!("operatingSystem:\n  runCommands: [{commands}]\n"));
    config.first_boot().expect("decoded")
}

#[test]
fn it_is_valid_and_a_note_says_what_is_not_there() {
    let parsed = read(NODE);
    assert!(parsed.config.is_some(), "{}", rendered(&parsed));
    assert_eq!(found(&parsed, Severity::Note), [("no-kubernetes", 1, 1)]);
    assert_eq!(found(&parsed, Severity::Warning), []);
}

#[test]
fn a_mistyped_section_is_no_node_without_kubernetes() {
    for key in ["kubernets", "Kubernetes", "kubernetes-x", "k8s"] {
        let parsed = read(&format!(
            "{NODE}{key}: {{kind: KThreesControlPlaneTemplate}}\n"
        ));
        assert_eq!(
            found(&parsed, Severity::Error),
            [("unknown-key", 7, 1)],
            "{key}"
        );
        assert_eq!(found(&parsed, Severity::Note), [], "{key}");
    }
}

#[test]
fn a_section_that_is_refused_is_reported_for_itself() {
    let parsed = read(&format!(
        "{NODE}kubernetes: {{kind: KThreesControlPlaneTemplate}}\n"
    ));
    let codes: Vec<&str> = parsed.diagnostics.iter().map(|d| d.code.as_str()).collect();
    assert!(
        !codes.is_empty() && codes.iter().all(|code| *code == "missing-key"),
        "{codes:?}"
    );
    assert!(!rendered(&parsed).contains("runs no Kubernetes"));
}

#[test]
fn a_section_without_a_value_is_refused() {
    let parsed = read(&format!("{NODE}kubernetes:\n"));
    assert_eq!(found(&parsed, Severity::Error), [("missing-key", 7, 1)]);
}

#[test]
fn a_file_that_describes_nothing_is_refused() {
    for text in [
        "version: 1.0\n",
        "operatingSystem:\n",
        "operatingSystem: {}\n",
    ] {
        assert_eq!(
            found(&read(text), Severity::Error),
            [("missing-key", 1, 1)],
            "{text}"
        );
    }
}

#[test]
fn the_first_boot_installs_nothing() {
    let boot = config(NODE).first_boot().expect("decoded");
    assert_eq!(boot.files, []);
    let text = boot.cloud_config();
    assert!(
        !text.contains("k3s") && !text.contains("write_files:"),
        "{text}"
    );
}

/// Runs the commands of a first boot: their output, and whether the first boot is then complete.
fn run(boot: &FirstBoot) -> (String, bool) {
    let folder = tempfile::tempdir().expect("temporary directory");
    let state = folder.path().join("state");
    let script = boot.commands.join("\n");
    let script = script.replace("/var/lib/emts", &state.display().to_string());
    let run = Command::new("sh")
        .args(["-c", &script])
        .output()
        .expect("sh");
    let output = String::from_utf8_lossy(&run.stdout).into_owned();
    (output, state.join("first-boot-complete").exists())
}

#[test]
fn its_commands_run_and_the_first_boot_is_complete() {
    let (output, complete) = run(&boot("'x=1', 'echo $x'"));
    assert_eq!((output.as_str(), complete), ("1\n", true));
}

#[test]
fn a_command_that_ends_the_shell_leaves_the_first_boot_incomplete() {
    assert_eq!(run(&boot("echo a, exit")), ("a\n".to_owned(), false));
}

#[test]
fn no_network_of_a_cluster_is_kept_from_the_proxy() {
    let variables = proxy_variables(&config(NODE));
    assert_eq!(variables[2], ("no_proxy", ".example.com".to_owned()));
    let without = config(&NODE.replace(", noProxy: .example.com", ""));
    assert_eq!(proxy_variables(&without).len(), 2);
}

#[test]
fn paths_of_k3s_are_the_user_s() {
    let rules = generated_paths(&config(NODE));
    let covers = |path: &str| rules.iter().any(|rule| rule.covers(path));
    assert!(covers("/etc/hostname") && covers("/var/lib/emts/first-boot-complete"));
    assert!(!covers("/etc/systemd/system/k3s.service.d/10-emts.conf"));
    assert!(!covers("/etc/rancher/k3s/config.yaml"));
}

#[test]
fn it_is_installed_as_any_other() {
    let tree = tempfile::tempdir().expect("temporary directory");
    for (path, text) in [
        ("etc/passwd", "root:x:0:0::/root:/bin/sh\n"),
        ("etc/shadow", "root:*:20000::::::\n"),
        ("etc/group", "root:x:0:\n"),
        ("usr/lib/systemd/systemd-networkd", ""),
        (
            "usr/lib/systemd/system/systemd-networkd.service",
            "[Install]\nWantedBy=multi-user.target\n",
        ),
    ] {
        let path = tree.path().join(path);
        std::fs::create_dir_all(path.parent().expect("above")).expect("directory");
        std::fs::write(path, text).expect("file");
    }
    let root = Root::open(tree.path(), owners()).expect("a root");
    let machine = Machine::new(None).expect("random");
    let plan = plan(&config(NODE), &machine, &root).expect("planned");
    plan.carry_out(&root).expect("installed");
    assert_eq!(text_in(tree.path(), "etc/hostname"), "gate-7\n");
    assert_eq!(text_in(tree.path(), "etc/a"), "a");
    let first_boot = text_in(tree.path(), "etc/cloud/cloud.cfg.d/k8s.cfg");
    assert!(first_boot.contains("first-boot-complete") && !first_boot.contains("k3s"));
}

#[test]
fn there_is_no_template_to_export() {
    let target = Target {
        name: "a".to_owned(),
        version: None,
    };
    let error = manifest(&read(NODE), &target).expect_err("refused");
    assert!(
        error.to_string().contains("KThreesControlPlaneTemplate"),
        "{error}"
    );
}

#[test]
fn a_mistyped_operating_system_is_reported_for_itself() {
    for text in [
        "operatingsystem: {users: []}\n",
        "operatingSystem: {userz: []}\n",
    ] {
        let parsed = read(text);
        let codes: Vec<&str> = parsed.diagnostics.iter().map(|d| d.code.as_str()).collect();
        assert_eq!(codes, ["unknown-key"], "{text}");
    }
}
