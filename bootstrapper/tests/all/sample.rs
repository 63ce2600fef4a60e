//! The sample config-file as a user gets it: it is valid, its conversion is the golden file, its scripts are sound. And
//! the proposal's own example, slips and all.

use crate::support::{boot_file, found, golden, here, read, sample};
use cluster_bootstrapper::diagnostic::Severity;
use cluster_bootstrapper::{ParseOptions, parse};
use std::process::Command;

fn converted() -> String {
    let parsed = parse(&sample(), &ParseOptions::default());
    let shown: Vec<_> = parsed.diagnostics.iter().map(|d| &d.message).collect();
    assert!(shown.is_empty(), "the sample has findings: {shown:?}");
    let config = parsed.config.expect("no errors, so a config");
    config.first_boot().expect("decoded").cloud_config()
}

#[test]
fn the_sample_as_it_is_does_not_install() {
    let text = std::fs::read_to_string(here("../configs/config-file.yaml")).expect("the sample");
    let errors = found(&read(&text), Severity::Error);
    let placeholder = |line| ("password-placeholder", line, 17);
    assert_eq!(errors, [placeholder(10), placeholder(12)]);
}

#[test]
fn converts_the_sample_to_the_golden_output() {
    golden("golden/sample-k8s.cfg", &converted());
}

#[test]
fn the_generated_scripts_pass_shellcheck() {
    for path in [
        "distribution/default-route.sh",
        "distribution/login-screen.sh",
        "distribution/k3s/scripts/install-k3s.sh",
        "distribution/rke2/scripts/install-rke2.sh",
    ] {
        let run = Command::new("shellcheck")
            .arg(here("src").join(path))
            .output()
            .expect("shellcheck is not installed; run: cargo xtask setup (or apt-get install shellcheck)");
        assert!(
            run.status.success(),
            "{}",
            String::from_utf8_lossy(&run.stdout)
        );
    }
}

#[test]
fn the_runcmd_script_is_valid_shell() {
    let parsed = parse(&sample(), &ParseOptions::default());
    let boot = parsed.config.expect("valid").first_boot().expect("decoded");
    let run = Command::new("sh")
        .args(["-n", "-c", &boot.commands.join("\n")])
        .output()
        .expect("sh");
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
}

#[test]
fn the_proposals_example_is_taken_and_each_slip_in_it_is_named() {
    let text = std::fs::read_to_string(here("tests/proposal.yaml")).expect("the example");
    let parsed = read(&text);
    assert_eq!(found(&parsed, Severity::Error), []);
    // It is "password".
    let weak = [("password-weak", 6, 17)];
    assert_eq!(found(&parsed, Severity::Warning), weak);
    let line_of = |part: &str| {
        1 + text
            .lines()
            .position(|line| line.contains(part))
            .expect(part)
    };
    let notes: Vec<_> = found(&parsed, Severity::Note)
        .iter()
        .map(|(code, line, _)| (*code, *line))
        .collect();
    let expected = [
        ("password-newline", "password:"),
        ("single-file", "files:"),
        ("containerd-template-name", "path:"),
        ("escaped-quotes", "template \\\"base\\\""),
        ("folded-lines", "echo '[Service]"),
        ("cloud-controller-component", "cloudController"),
        ("null-list", "kubeControllerManagerArgs"),
        ("null-list", "kubeSchedulerArgs"),
    ]
    .map(|(code, part)| (code, line_of(part)));
    assert_eq!(notes, expected);
    let boot = parsed.config.expect("valid").first_boot().expect("decoded");
    let template = boot_file(&boot, "/containerd/config-v3.toml.tmpl");
    assert!(
        template.starts_with("{{ template \"base\" . }}\n\n[plugins.'io.containerd"),
        "{template}"
    );
    assert!(template.contains("BinaryName = \"/usr/bin/custom-container-runtime\"\n"));
    golden(
        "golden/proposal-config.yaml",
        &boot_file(&boot, "/etc/rancher/k3s/config.yaml"),
    );
}

/// What the login screen says after its script was called so, where `SERVICE_RESULT` is this.
fn login_screen(argument: &str, result: &str) -> String {
    let parsed = parse(&sample(), &ParseOptions::default());
    let boot = parsed.config.expect("valid").first_boot().expect("decoded");
    let folder = tempfile::tempdir().expect("temporary directory");
    let to = folder.path().to_str().expect("a path in UTF-8");
    // Nobody waits for a name here.
    let script = boot_file(&boot, "/login-screen.sh")
        .replace("/run/issue.d", to)
        .replace("command -v agetty", "command -v no-agetty");
    let run = Command::new("sh")
        .args(["-c", &script, "sh", argument])
        .env("SERVICE_RESULT", result)
        .status()
        .expect("sh");
    assert!(run.success());
    std::fs::read_to_string(folder.path().join("50-emts.issue")).expect("written")
}

#[test]
fn the_login_screen_says_how_k3s_is_and_how_to_log_in() {
    assert_eq!(
        login_screen("starts", ""),
        "K3s is starting.\nAddress: \\4 \\6\nLog in as a user of the config-file, here or by ssh USER@ADDRESS.\n\n"
    );
    assert!(login_screen("runs", "").starts_with("K3s is running.\n"));
    let ended = "K3s has ended (exit-code); journalctl -u k3s.service says why.\n";
    assert!(login_screen("ended", "exit-code").starts_with(ended));
}
