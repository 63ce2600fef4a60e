//! `install` asks the programs of the target whether they take the user's files: in a tree that has this host's /usr.

use crate::install::tree;
use crate::support::{command, stderr};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Output};

/// Binds this host's /usr into the tree `$1`, then `$2`, if it is one, over `mount`, and goes on with the rest.
const WITH_USR: &str = r#"mount --bind /usr "$1/usr" || exit
[ -z "$2" ] || mount --bind "$2" "$(command -v mount)" || exit
shift 2
exec "$@""#;

/// A tree with this host's programs; `None` where they cannot be had.
fn target(programs: &[&str]) -> Option<tempfile::TempDir> {
    let missing = programs.iter().find(|path| !Path::new(path).exists());
    let namespace = Command::new("unshare").args(["--mount", "true"]).output();
    if missing.is_some() || !namespace.is_ok_and(|run| run.status.success()) {
        eprintln!("not run: needs root, and the Debian packages sudo, openssh-server and systemd");
        return None;
    }
    let tree = tree();
    let root = tree.path();
    fs::remove_dir_all(root.join("bin")).expect("removed");
    for name in ["bin", "lib", "lib64", "sbin"] {
        symlink(format!("usr/{name}"), root.join(name)).expect("link");
    }
    for path in [
        "usr",
        "dev",
        "proc",
        "run",
        "tmp",
        "etc/ssh/sshd_config.d",
        "etc/systemd/system",
    ] {
        fs::create_dir_all(root.join(path)).expect("directory");
    }
    let include = "Include /etc/ssh/sshd_config.d/*.conf\n";
    fs::write(root.join("etc/ssh/sshd_config"), include).expect("file");
    let sshd = "sshd:x:101:65534::/run/sshd:/usr/sbin/nologin\n";
    let passwd = fs::read_to_string(root.join("etc/passwd")).expect("there");
    fs::write(root.join("etc/passwd"), passwd + sshd).expect("file");
    Some(tree)
}

/// Installs a config-file with these files, written now and at the first boot.
fn install(root: &Path, written: &str, booted: &str) -> Output {
    install_with(Path::new(""), root, written, booted)
}

/// The same with a program in the place of `mount`.
fn install_with(mount: &Path, root: &Path, written: &str, booted: &str) -> Output {
    let config = root.join("config-file");
    let text = format!(
        "operatingSystem:\n  users: [{{username: root, password: b3BlcmF0aW9uYWw=}}]\n  writeFiles: [{written}]\n\
         kubernetes:\n  kind: KThreesControlPlaneTemplate\n  apiVersion: controlplane.cluster.x-k8s.io/v1beta2\n  \
         spec: {{template: {{spec: {{files: [{booted}]}}}}}}\n"
    );
    fs::write(&config, text).expect("written");
    let program = command(&[]).get_program().to_owned();
    Command::new("unshare")
        .args([
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            WITH_USR,
            "sh",
        ])
        .args([root, mount])
        .arg(program)
        .args(["install", "--config-file"])
        .arg(&config)
        .arg("--root")
        .arg(root)
        .output()
        .expect("unshare")
}

/// The same with a `mount` that fails, as in a container that may not mount.
fn install_without_mounts(root: &Path, written: &str, booted: &str) -> Output {
    let broken = tempfile::tempdir().expect("temporary directory");
    let mount = broken.path().join("mount");
    fs::write(&mount, "#!/bin/sh\nexit 1\n").expect("written");
    fs::set_permissions(&mount, fs::Permissions::from_mode(0o755)).expect("mode");
    install_with(&mount, root, written, booted)
}

const SUDOERS: &str =
    "{path: /etc/sudoers.d/site, content: \"user ALL=(ALL) NOPASSWD /usr/bin/X\\n\"}";
const SSHD: &str =
    "{path: /etc/ssh/sshd_config.d/50-site.conf, content: \"PermitRootLogin sometimes\\n\"}";
const UNIT: &str =
    "{path: /etc/systemd/system/app.service, content: \"[Service]\\nExecStart=\\nTyp=simple\\n\"}";
const DROP_IN: &str = "{path: /etc/systemd/system/ssh.service.d/a.conf, content: \"[Service\\n\"}";

#[track_caller]
fn is_refused(output: &Output, key: &str, program: &str, says: &str) {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let line = said.lines().find(|line| line.starts_with("error: "));
    let line = line.unwrap_or_else(|| panic!("no error: {said}"));
    for part in [key, program, says] {
        assert!(line.contains(part), "{line}");
    }
}

#[test]
fn broken_sudoers_are_refused_in_visudos_words() {
    let Some(tree) = target(&["/usr/sbin/visudo"]) else {
        return;
    };
    let output = install(tree.path(), SUDOERS, "");
    let key = "operatingSystem.writeFiles[0]: /etc/sudoers.d/site: /usr/sbin/visudo refuses it";
    is_refused(&output, key, "visudo", "syntax error");
}

#[test]
fn broken_sudoers_of_the_first_boot_are_refused_before_it() {
    let Some(tree) = target(&["/usr/sbin/visudo"]) else {
        return;
    };
    let output = install(tree.path(), "", SUDOERS);
    is_refused(
        &output,
        "files[0]: /etc/sudoers.d/site",
        "visudo",
        "syntax error",
    );
    assert!(!tree.path().join("etc/sudoers.d/site").exists());
}

#[test]
fn a_broken_drop_in_of_sshd_is_refused() {
    let Some(tree) = target(&["/usr/sbin/sshd"]) else {
        return;
    };
    for (written, booted) in [(SSHD, ""), ("", SSHD)] {
        let output = install(tree.path(), written, booted);
        let file = "/etc/ssh/sshd_config.d/50-site.conf";
        is_refused(&output, file, "/usr/sbin/sshd", "unsupported option");
    }
}

#[test]
fn a_unit_that_does_not_load_is_refused() {
    let Some(tree) = target(&["/usr/bin/systemd-analyze"]) else {
        return;
    };
    for (written, booted) in [(UNIT, ""), ("", UNIT)] {
        let output = install(tree.path(), written, booted);
        is_refused(
            &output,
            "/etc/systemd/system/app.service",
            "systemd-analyze",
            "Unknown key",
        );
    }
}

#[test]
fn a_drop_in_that_does_not_load_is_told() {
    let Some(tree) = target(&[
        "/usr/bin/systemd-analyze",
        "/lib/systemd/system/ssh.service",
    ]) else {
        return;
    };
    let output = install(tree.path(), DROP_IN, "");
    let said = stderr(&output);
    assert!(
        said.contains("/etc/systemd/system/ssh.service.d/a.conf"),
        "{said}"
    );
}

#[test]
fn nothing_is_asked_about_a_drop_in_of_a_unit_that_comes_later() {
    let Some(tree) = target(&["/usr/bin/systemd-analyze"]) else {
        return;
    };
    let later = DROP_IN.replace("ssh.service", "later.service");
    let said = stderr(&install(tree.path(), &later, ""));
    assert!(!said.contains("later.service"), "{said}");
}

#[test]
fn sound_files_and_those_whose_programs_come_later_are_installed() {
    let Some(tree) = target(&[
        "/usr/sbin/visudo",
        "/usr/sbin/sshd",
        "/usr/bin/systemd-analyze",
    ]) else {
        return;
    };
    let written = "{path: /etc/sudoers.d/site, content: \"op ALL=(ALL) NOPASSWD: /usr/bin/id\\n\"}, \
        {path: /etc/ssh/sshd_config.d/50-site.conf, content: \"PermitRootLogin no\\n\"}, \
        {path: /etc/systemd/system/b.service, content: \"[Unit]\\nRequires=k3s.service\\n[Service]\\nExecStart=/opt/later/run\\n\"}, \
        {path: /etc/systemd/system/c.timer, content: \"[Timer]\\nOnBootSec=1h\\nUnit=b.service\\n\"}";
    let output = install(tree.path(), written, "");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn without_a_namespace_the_bare_tree_is_asked() {
    let Some(tree) = target(&["/usr/sbin/visudo"]) else {
        return;
    };
    let output = install_without_mounts(tree.path(), SUDOERS, "");
    is_refused(
        &output,
        "operatingSystem.writeFiles[0]",
        "visudo",
        "syntax error",
    );
}

#[test]
fn without_a_namespace_nothing_is_asked_about_files_of_the_first_boot() {
    let Some(tree) = target(&["/usr/sbin/visudo"]) else {
        return;
    };
    let output = install_without_mounts(tree.path(), "", SUDOERS);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn the_trees_own_ssh_keygen_makes_the_host_key() {
    let Some(tree) = target(&["/usr/bin/ssh-keygen"]) else {
        return;
    };
    let output = install(tree.path(), "", "");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let key = tree.path().join("etc/ssh/ssh_host_ed25519_key");
    let text = fs::read_to_string(key).expect("a key");
    assert!(text.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----\n"));
    for left in ["run", "proc", "dev"] {
        let count = fs::read_dir(tree.path().join(left)).expect("there").count();
        assert_eq!(count, 0, "something is left in {left}");
    }
}

#[test]
fn a_target_without_these_programs_is_installed_without_their_answer() {
    let Some(_) = target(&[]) else { return };
    let tree = tree();
    let output = {
        fs::create_dir(tree.path().join("usr")).expect("directory");
        let config = tree.path().join("config-file");
        let text = format!(
            "operatingSystem:\n  users: [{{username: root}}]\n  writeFiles: [{SUDOERS}]\n{}",
            crate::support::EMPTY
        );
        fs::write(&config, text).expect("written");
        let (config, root) = (
            config.display().to_string(),
            tree.path().display().to_string(),
        );
        crate::support::run(&["install", "--config-file", &config, "--root", &root])
    };
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}
