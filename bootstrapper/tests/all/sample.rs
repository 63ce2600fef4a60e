//! The sample config-file as a user gets it: it is valid, its conversion is the golden file, its scripts are sound.

use crate::support::{golden, here};
use cluster_bootstrapper::{ParseOptions, k3s, parse};
use std::process::Command;

fn sample() -> String {
    std::fs::read_to_string(here("../configs/config-file.yaml")).expect("the sample")
}

fn converted() -> String {
    let parsed = parse(&sample(), &ParseOptions::default());
    let shown: Vec<_> = parsed.diagnostics.iter().map(|d| &d.message).collect();
    assert!(shown.is_empty(), "the sample has findings: {shown:?}");
    let config = parsed.config.expect("no errors, so a config");
    k3s::first_boot(&config).expect("decoded").cloud_config()
}

#[test]
fn converts_the_sample_to_the_golden_output() {
    golden("golden/sample-k8s.cfg", &converted());
}

#[test]
fn the_generated_scripts_pass_shellcheck() {
    for path in [
        "first_boot/default-route.sh",
        "k3s/scripts/install-k3s.sh",
        "rke2/scripts/install-rke2.sh",
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
    let boot = k3s::first_boot(&parsed.config.expect("valid")).expect("decoded");
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
