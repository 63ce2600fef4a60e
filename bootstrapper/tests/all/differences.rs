//! docs/differences-from-cluster-api-k3s.md: every entry holds for the conversion, and no entry is without a check.

use crate::support::{K3S, boot as boot_with, boot_file as file, here, read, with};
use cluster_bootstrapper::ConfigFile;
use cluster_bootstrapper::FirstBoot;
use cluster_bootstrapper::Setting;
use cluster_bootstrapper::export::{Target, manifest};
use cluster_bootstrapper::k3s::settings;
use cluster_bootstrapper::migrate::migrate;

fn config(spec: &str) -> Option<ConfigFile> {
    with("", spec).config
}

fn boot(spec: &str) -> FirstBoot {
    boot_with(spec, "")
}

fn values(spec: &str, key: &str) -> Option<Vec<String>> {
    settings(config(spec).expect("accepted").k3s())
        .get(key)
        .map(Setting::values)
}

const USER: &str = "{preK3sCommands: ['echo pre'], serverConfig: {kubeAPIServerArg: [anonymous-auth=false], tlsSan: [a.example.com]}}";

/// Heading, and whether the conversion has the difference.
type Difference = (&'static str, fn() -> bool);

const ENTRIES: &[Difference] = &[
    ("No jinja header", || {
        boot("{}").cloud_config().starts_with("#cloud-config\n")
    }),
    ("No certificate files", || {
        !boot("{}")
            .files
            .iter()
            .any(|f| f.path.contains("/server/tls"))
    }),
    ("No etcd-proxy manifest", || {
        !boot("{}")
            .files
            .iter()
            .any(|f| f.path.contains("etcd-proxy"))
    }),
    ("No token, server or endpoint entries", || {
        values(USER, "token").is_none()
            && values(USER, "server").is_none()
            && values(USER, "tls-san") == Some(vec!["a.example.com".to_owned()])
    }),
    ("No forced API server arguments", || {
        values(USER, "kube-apiserver-arg") == Some(vec!["anonymous-auth=false".to_owned()])
    }),
    ("The cloud controller is on unless switched off", || {
        values("{}", "disable-cloud-controller").is_none()
            && values("{}", "kubelet-arg").is_none()
            && values(
                "{serverConfig: {disableCloudController: true}}",
                "disable-cloud-controller",
            )
            .is_some()
            && config("{serverConfig: {disableCloudController: true, cloudProviderName: external}}")
                .is_none()
    }),
    ("Texts are quoted", || {
        file(
            &boot("{serverConfig: {httpsListenPort: 6443}}"),
            "/config.yaml",
        )
        .contains("https-listen-port: \"6443\"\n")
    }),
    ("Encoded files are decoded first", || {
        file(
            &boot("{files: [{path: /etc/a, encoding: base64, content: eA==}]}"),
            "/etc/a",
        ) == "x"
    }),
    ("A file ends as it was written", || {
        file(&boot("{files: [{path: /etc/a, content: a}]}"), "/etc/a") == "a"
    }),
    ("Node names are in lower case", || {
        values("{agentConfig: {nodeName: Edge-1}}", "node-name") == Some(vec!["edge-1".to_owned()])
    }),
    ("Other forms of the same are mended", mends),
    ("Files below /etc/rancher are root's alone", || {
        let boot = boot("{files: [{path: /etc/rancher/a}, {path: /etc/a}]}");
        (boot.files[0].mode, boot.files[1].mode) == (0o600, 0o644)
    }),
    ("Modes that cloud-init loses are refused", || {
        config("{files: [{path: /etc/a, permissions: '0000'}]}").is_none()
            && config("{files: [{path: /etc/a, permissions: 4755}]}").is_none()
    }),
    ("Air-gapped always", || {
        file(&boot("{}"), "install-k3s.sh")
            .contains("INSTALL_K3S_SKIP_DOWNLOAD=true INSTALL_K3S_EXEC='server'")
            && config("{agentConfig: {airGapped: false}}").is_none()
    }),
    ("The install line is a script with a deadline", || {
        let script = file(&boot("{}"), "install-k3s.sh");
        script.contains("deadline=1200\n")
            && script.contains("/run/cluster-api/bootstrap-success.complete")
    }),
    ("A failed command fails cloud-init", || {
        let commands = boot(USER).commands;
        commands.contains(&"emts_check 'preK3sCommands[0]' && :".to_owned())
            && commands.last().is_some_and(|last| last.contains("exit 1"))
    }),
    ("Commands that are no whole program are refused", || {
        let refused =
            |command: &str| config(&format!("{{preK3sCommands: ['{command}']}}")).is_none();
        refused("echo a &&") && refused("if a") && refused("reboot") && !refused("echo reboot")
    }),
    ("An interrupted first boot is resumed", || {
        boot("{}").cloud_config().contains("\nbootcmd:\n")
    }),
    ("K3s gets the environment and a default route", || {
        let drop_in = file(&boot("{}"), "k3s.service.d/10-emts.conf");
        drop_in.contains("EnvironmentFile=-/etc/environment\n")
            && drop_in.contains("default-route.sh")
            && file(&boot("{}"), "default-route.sh").contains("metric=20000\n")
    }),
    ("A node may have no Kubernetes", || {
        let parsed = read("operatingSystem: {hostname: a}\n");
        let boot = parsed.config.expect("accepted").first_boot();
        boot.is_ok_and(|boot| !boot.cloud_config().contains("k3s"))
    }),
    ("Private registries have a section of their own", || {
        let config = |spec: &str| {
            let registries = "{mirrors: {docker.io: {endpoints: [https://m.example.com]}}}";
            let template = format!("{{template: {{spec: {spec}}}}}");
            read(&format!(
                "{K3S}  registries: {registries}\n  spec: {template}\n"
            ))
            .config
        };
        let boot = config("{}").expect("accepted").first_boot();
        let twice = config("{files: [{path: /etc/rancher/k3s/registries.yaml}]}");
        file(&boot.expect("decoded"), "/etc/rancher/k3s/registries.yaml")
            .contains("https://m.example.com")
            && twice.is_none()
    }),
    ("Templates are brought over by two commands", || {
        let target = Target {
            name: "a".to_owned(),
            version: None,
        };
        let exported = manifest(&with("", USER), &target).expect("exported");
        let migrated = migrate(&exported).expect("migrated");
        let found = read(&migrated.text).config.expect("valid").first_boot();
        exported.contains("disableCloudController: false\n")
            && found.expect("decoded") == boot(USER)
    }),
];

fn mends() -> bool {
    let template = r#"{path: /var/lib/rancher/k3s/agent/etc/containerd/config.toml.tmpl, content: "{{ template \\\"base\\\" . }}\n[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.mine]\n"}"#;
    let boot = boot(&format!("{{files: {template}}}"));
    let components = "{serverConfig: {disableComponents: [cloudController, etcd-proxy], clusterCidr: ' 10.1.0.0/16 '}}";
    file(&boot, "/config-v3.toml.tmpl").contains("{{ template \"base\" . }}")
        && values(components, "disable-cloud-controller") == Some(vec!["true".to_owned()])
        && values(components, "disable").is_none()
        && values(components, "cluster-cidr") == Some(vec!["10.1.0.0/16".to_owned()])
}

#[test]
fn every_written_difference_is_one() {
    for (heading, holds) in ENTRIES {
        assert!(
            holds(),
            "the conversion no longer differs as the entry `{heading}` says"
        );
    }
}

#[test]
fn the_list_and_the_checks_have_the_same_entries() {
    let path = here("../docs/differences-from-cluster-api-k3s.md");
    let text = std::fs::read_to_string(path).expect("the list");
    let written: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    let checked: Vec<&str> = ENTRIES.iter().map(|(heading, _)| *heading).collect();
    assert_eq!(written, checked);
}

/// Runs the first boot's commands with install-k3s.sh replaced by a command, and gives the exit code and output.
fn run(spec: &str, install: &str) -> (i32, String) {
    let folder = tempfile::tempdir().expect("temporary directory");
    let state = folder.path().join("state").display().to_string();
    let script = boot(spec)
        .commands
        .join("\n")
        .replace("sh /etc/rancher/emts/install-k3s.sh", install)
        .replace("/var/lib/emts", &state);
    let run = std::process::Command::new("sh")
        .args(["-c", &script])
        .output()
        .expect("sh");
    let output =
        String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr);
    let complete = folder.path().join("state/first-boot-complete").exists();
    (
        run.status.code().unwrap_or(-1),
        format!("{output}complete={complete}\n"),
    )
}

#[test]
fn commands_share_one_shell_and_run_in_order() {
    let spec = "{preK3sCommands: ['x=1', 'echo pre $x'], postK3sCommands: ['echo post $x']}";
    let (code, output) = run(spec, "echo install");
    assert_eq!(
        (code, output.as_str()),
        (0, "pre 1\ninstall\npost 1\ncomplete=true\n")
    );
}

#[test]
fn a_failing_command_is_named_and_the_rest_still_runs() {
    let (code, output) = run(
        "{preK3sCommands: ['echo a; false'], postK3sCommands: ['echo b']}",
        "true",
    );
    assert_eq!(code, 1);
    assert_eq!(
        output,
        "a\nb\nemts: preK3sCommands[0] ended with status 1\nemts: failed: preK3sCommands[0]\ncomplete=true\n"
    );
}

#[test]
fn a_failed_installation_is_tried_again_at_the_next_boot() {
    let (code, output) = run("{}", "false");
    assert_eq!(code, 1);
    assert!(
        output.contains("the installation of K3s ended with status 1"),
        "{output}"
    );
    assert!(output.ends_with("complete=false\n"), "{output}");
}
