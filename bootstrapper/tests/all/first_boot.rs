//! First boots that go wrong or happen again: the generated scripts run by sh, with recorders in the place of systemctl
//! and of K3s' install.sh. (That K3s runs at the end is for the tests in a virtual machine to show.)

use crate::support::boot;
use cluster_bootstrapper::FirstBoot;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output};

/// A node's folders, and programs that write down how they are called.
struct Node {
    folder: tempfile::TempDir,
}

/// Keeps the unit's state in a file; `enable` is what install.sh does.
const SYSTEMCTL: &str = "#!/bin/sh
echo \"systemctl $*\" >> \"$NODE/calls\"
case $1 in
    is-enabled) test -e \"$NODE/enabled\" ;;
    start) test ! -e \"$NODE/broken\" ;;
esac
";
const INSTALL: &str = "echo \"install.sh $INSTALL_K3S_SKIP_DOWNLOAD $INSTALL_K3S_EXEC ${INSTALL_K3S_FORCE_RESTART:-}\" >> \"$NODE/calls\"
test ! -e \"$NODE/refused\" || exit 3
: > \"$NODE/enabled\"
test ! -e \"$NODE/cut\" || { kill -9 \"-$(cat \"$NODE/boot\")\"; kill -9 0; }
";

impl Node {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("temporary directory");
        let node = Self { folder };
        node.program("bin/systemctl", SYSTEMCTL);
        node.program("bin/journalctl", "#!/bin/sh\necho 'the journal'\n");
        node.program("install.sh", INSTALL);
        fs::create_dir(node.path().join("emts")).expect("directory");
        node
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn program(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("directory");
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("mode");
    }

    fn set(&self, flag: &str, on: bool) {
        let path = self.path().join(flag);
        let done = if on {
            fs::write(path, "")
        } else {
            fs::remove_file(path)
        };
        done.expect("set");
    }

    /// A script with the node's folders in the place of the real ones.
    fn here(&self, script: &str) -> String {
        let at = self.path().display();
        script
            .replace("/opt/install.sh", &format!("{at}/install.sh"))
            .replace("/etc/rancher/emts", &format!("{at}/emts"))
            .replace("/run/cluster-api", &format!("{at}/run"))
            .replace("/var/lib/emts", &format!("{at}/lib"))
            .replace("/var/lib/cloud", &format!("{at}/cloud"))
    }

    fn sh(&self, script: &str) -> Output {
        let path = format!(
            "{}/bin:{}",
            self.path().display(),
            std::env::var("PATH").expect("PATH")
        );
        // A group of its own, which a cut ends as a whole; timeout(1) makes one more below it.
        let script = format!("echo $$ > \"$NODE/boot\"\n{script}");
        let mut command = Command::new("sh");
        command
            .args(["-c", &script])
            .env("PATH", path)
            .env("NODE", self.path())
            .process_group(0);
        command.output().expect("sh")
    }

    /// What cloud-init does at a boot: bootcmd, the files, runcmd. Gives the exit status of runcmd and the calls made.
    fn boots(&self, boot: &FirstBoot) -> (Option<i32>, Vec<String>) {
        let config: serde_json::Value = serde_saphyr::from_str(&boot.cloud_config()).expect("YAML");
        let bootcmd = config["bootcmd"][0].as_str().expect("a command");
        assert!(self.sh(&self.here(bootcmd)).status.success());
        for file in boot
            .files
            .iter()
            .filter(|file| file.path.starts_with("/etc/rancher/emts/"))
        {
            let name = file.path.rsplit('/').next().expect("a name");
            let text = String::from_utf8(file.bytes.clone()).expect("text");
            fs::write(self.path().join("emts").join(name), self.here(&text)).expect("written");
        }
        let done = self.sh(&self.here(&boot.commands.join("\n")));
        let calls = fs::read_to_string(self.path().join("calls")).unwrap_or_default();
        let _ = fs::remove_file(self.path().join("calls"));
        (
            done.status.code(),
            calls.lines().map(str::to_owned).collect(),
        )
    }

    fn has(&self, name: &str) -> bool {
        self.path().join(name).exists()
    }
}

const FRESH: &[&str] = &["install.sh true server ", "systemctl start k3s.service"];
const AGAIN: &[&str] = &[
    "systemctl is-enabled --quiet k3s.service",
    "systemctl start k3s.service",
];

#[test]
fn a_boot_after_the_first_restarts_nothing() {
    let (node, boot) = (Node::new(), boot("{}", ""));
    let (status, calls) = node.boots(&boot);
    assert_eq!(
        (status, calls),
        (Some(0), FRESH.iter().map(|c| (*c).to_owned()).collect())
    );
    assert!(node.has("run/bootstrap-success.complete") && node.has("lib/first-boot-complete"));
    for _ in 0..2 {
        let (status, calls) = node.boots(&boot);
        // `start` of a unit that runs does nothing.
        assert_eq!(
            (status, calls),
            (Some(0), AGAIN.iter().map(|c| (*c).to_owned()).collect())
        );
    }
}

#[test]
fn a_first_boot_that_was_cut_off_in_the_installation_is_done_again_without_a_restart() {
    let (node, boot) = (Node::new(), boot("{}", ""));
    node.set("cut", true);
    let (_, calls) = node.boots(&boot);
    assert_eq!(calls, [FRESH[0]]);
    assert!(!node.has("emts/installed") && !node.has("lib/first-boot-complete"));
    node.set("cut", false);
    // install.sh sees by itself that nothing has changed: it is not told to restart.
    let (status, calls) = node.boots(&boot);
    assert_eq!(
        (status, calls),
        (Some(0), FRESH.iter().map(|c| (*c).to_owned()).collect())
    );
    assert!(node.has("emts/installed") && node.has("lib/first-boot-complete"));
}

#[test]
fn a_failed_installation_is_shown_and_tried_again() {
    let (node, boot) = (Node::new(), boot("{}", ""));
    node.set("refused", true);
    let (status, calls) = node.boots(&boot);
    assert_eq!(status, Some(1));
    assert!(
        calls.contains(&"systemctl status --no-pager --full k3s.service".to_owned()),
        "{calls:?}"
    );
    assert!(!node.has("emts/installed") && !node.has("run/bootstrap-success.complete"));
    assert!(
        !node.has("lib/first-boot-complete"),
        "the next boot would not try again"
    );
    node.set("refused", false);
    assert_eq!(node.boots(&boot).0, Some(0));
}

#[test]
fn a_k3s_that_does_not_start_is_shown_and_tried_again() {
    let (node, boot) = (Node::new(), boot("{}", ""));
    node.set("broken", true);
    assert_eq!(node.boots(&boot).0, Some(1));
    assert!(!node.has("emts/installed") && !node.has("lib/first-boot-complete"));
    node.set("broken", false);
    assert_eq!(node.boots(&boot).0, Some(0));
}

#[test]
fn other_settings_or_files_restart_k3s_once() {
    let node = Node::new();
    node.boots(&boot("{}", ""));
    for spec in [
        "{agentConfig: {nodeLabels: [a=b]}}",
        "{files: [{path: /etc/rancher/k3s/config.yaml.d/a.yaml, content: 'a: b'}]}",
    ] {
        let (status, calls) = node.boots(&boot(spec, ""));
        assert_eq!(
            (status, calls[0].as_str()),
            (Some(0), "install.sh true server true"),
            "{spec}"
        );
        let (_, calls) = node.boots(&boot(spec, ""));
        assert_eq!(calls, AGAIN, "{spec}");
    }
}

#[test]
fn until_the_first_boot_is_complete_cloud_init_does_it_again() {
    let (node, boot) = (Node::new(), boot("{}", ""));
    let notes = ["config_write_files", "config_runcmd", "config_scripts_user"];
    let sem = node.path().join("cloud/instance/sem");
    fs::create_dir_all(&sem).expect("directory");
    let note = || {
        notes
            .iter()
            .for_each(|name| fs::write(sem.join(name), "").expect("written"))
    };
    note();
    node.boots(&boot);
    assert!(
        notes.iter().all(|name| !sem.join(name).exists()),
        "the notes of a cut boot stay"
    );
    note();
    node.boots(&boot);
    assert!(
        notes.iter().all(|name| sem.join(name).exists()),
        "a complete boot is done again"
    );
}

#[test]
fn a_failing_command_before_k3s_is_told_by_the_status_that_cloud_init_reports() {
    let node = Node::new();
    for boot in [
        boot("{preK3sCommands: ['false']}", ""),
        boot("{}", "'exit_status() { return 7; }; exit_status'"),
    ] {
        let (status, calls) = node.boots(&boot);
        assert_eq!(status, Some(1));
        assert!(
            calls.contains(&"systemctl start k3s.service".to_owned()),
            "K3s is not started: {calls:?}"
        );
    }
}

#[test]
fn a_command_that_ends_the_shell_is_told_and_the_next_boot_tries_again() {
    for (spec, status) in [
        ("{preK3sCommands: ['exit 0']}", 1),
        ("{preK3sCommands: ['exit 3']}", 1),
        ("{postK3sCommands: ['exit 0']}", 1),
    ] {
        let node = Node::new();
        let boot = boot(spec, "");
        let (found, _) = node.boots(&boot);
        assert_eq!(found, Some(status), "{spec}");
        assert!(!node.path().join("lib/first-boot-complete").exists());
    }
    let (found, calls) = Node::new().boots(&boot("{preK3sCommands: ['(exit 0)']}", ""));
    assert_eq!(found, Some(0));
    assert_eq!(calls, FRESH);
}

#[test]
fn run_commands_come_before_those_of_k3s_and_share_their_shell() {
    let node = Node::new();
    let boot = boot(
        "{preK3sCommands: ['echo pre $x >> \"$NODE/calls\"'], postK3sCommands: ['echo post $x >> \"$NODE/calls\"']}",
        "x=1, 'echo run >> \"$NODE/calls\"'",
    );
    let (status, calls) = node.boots(&boot);
    assert_eq!(status, Some(0));
    assert_eq!(calls, ["run", "pre 1", FRESH[0], FRESH[1], "post 1"]);
}

/// cloud-init runs the script of runcmd by runparts; what that raises is what `cloud-init status` reports.
#[test]
fn cloud_init_takes_a_failing_command_for_a_failure() {
    let runparts = |spec: &str| {
        let node = Node::new();
        let script = format!("#!/bin/sh\n{}", boot(spec, "").commands.join("\n"));
        let script = script.replace("sh /etc/rancher/emts/install-k3s.sh", "true");
        node.program("scripts/runcmd", &node.here(&script));
        let program = "import sys; from cloudinit.subp import runparts; runparts(sys.argv[1])";
        Command::new("/usr/bin/python3")
            .args(["-c", program])
            .arg(node.path().join("scripts"))
            .output()
            .expect("cloud-init is not installed; run: cargo xtask setup")
    };
    let (good, bad) = (runparts("{}"), runparts("{preK3sCommands: ['false']}"));
    assert!(
        good.status.success(),
        "{}",
        String::from_utf8_lossy(&good.stderr)
    );
    let said = String::from_utf8_lossy(&bad.stderr);
    assert!(
        !bad.status.success() && said.contains("Runparts: 1 failures"),
        "{said}"
    );
}

#[test]
fn a_content_that_no_block_keeps_is_written_so_that_it_arrives() {
    for (content, written) in [
        ("", serde_json::json!({"content": ""})),
        ("a\nb\n", serde_json::json!({"content": "a\nb\n"})),
        // A parser would make a line break of the carriage return; base64 has the bytes.
        (
            "a\r\nb",
            serde_json::json!({"encoding": "b64", "content": "YQ0KYg=="}),
        ),
        (
            "\u{e9}",
            serde_json::json!({"encoding": "b64", "content": "w6k="}),
        ),
    ] {
        let boot = boot(
            &format!("{{files: [{{path: /etc/a, content: {content:?}}}]}}"),
            "",
        );
        let config: serde_json::Value = serde_saphyr::from_str(&boot.cloud_config()).expect("YAML");
        let mut file = config["write_files"][0].clone();
        let fields = file.as_object_mut().expect("a mapping");
        fields.retain(|key, _| key == "content" || key == "encoding");
        assert_eq!(file, written, "{content:?}");
    }
}

#[test]
fn a_command_of_several_lines_arrives_as_it_was() {
    for command in [
        "echo a\necho b\n",
        "echo a\r\necho b",
        "echo \u{e9}\necho b",
    ] {
        let boot = boot(&format!("{{preK3sCommands: [{command:?}]}}"), "");
        let config: serde_json::Value = serde_saphyr::from_str(&boot.cloud_config()).expect("YAML");
        let commands = config["runcmd"].as_array().expect("a list");
        assert!(commands.contains(&command.into()), "{commands:#?}");
    }
}
