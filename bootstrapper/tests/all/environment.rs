//! /etc/environment as its readers take it: a shell, systemd's parser of such files, pam_env.

use crate::install::tree;
use crate::support::{install_into, text_in};
use cluster_bootstrapper::values::ProxyUrl;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

/// The file that an installation makes for this proxy.
fn environment(proxy: &str) -> String {
    let tree = tree();
    let os = format!("  users: [{{username: root}}]\n  proxy:\n    httpsProxy: '{proxy}'\n");
    install_into(tree.path(), &os).unwrap_or_else(|error| panic!("{proxy}: {error}"));
    text_in(tree.path(), "etc/environment")
}

/// What a shell that reads the file has then.
fn by_shell(shell: &str, file: &Path) -> String {
    let run = Command::new(shell)
        .args(["-c", ". \"$1\" && printf %s \"$https_proxy\"", "sh"])
        .arg(file)
        .env("HOME", "/a-home")
        .output()
        .unwrap_or_else(|error| panic!("{shell}: {error}"));
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && said.is_empty(), "{said}");
    String::from_utf8_lossy(&run.stdout).into_owned()
}

/// What systemd reads: os-release has the format of EnvironmentFile= and one parser with it (systemd, env-file.c), and
/// systemd-tmpfiles writes the value of its VERSION_ID to a file.
fn by_systemd(text: &str) -> String {
    let root = tempfile::tempdir().expect("temporary directory");
    let etc = root.path().join("etc");
    fs::create_dir(&etc).expect("directory");
    let release = text.replace("https_proxy=", "VERSION_ID=");
    fs::write(etc.join("os-release"), release).expect("written");
    fs::write(root.path().join("rules.conf"), "f /value - - - - %w\n").expect("written");
    let run = Command::new("systemd-tmpfiles")
        .arg("--create")
        .arg(format!("--root={}", root.path().display()))
        .arg(root.path().join("rules.conf"))
        .output()
        .expect("systemd-tmpfiles is not installed (Debian package systemd)");
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{said}");
    text_in(root.path(), "value")
}

/// What pam_env sets, in a namespace whose /etc/pam.d has a service of the test's alone; `None` where that cannot be had.
fn by_pam(file: &Path) -> Option<String> {
    let folder = tempfile::tempdir().expect("temporary directory");
    let (services, out) = (folder.path().join("pam.d"), folder.path().join("out"));
    let show = folder.path().join("show");
    fs::create_dir(&services).expect("directory");
    let script = format!("#!/bin/sh\nprintf %s \"$https_proxy\" >{}\n", out.display());
    fs::write(&show, script).expect("written");
    fs::set_permissions(&show, fs::Permissions::from_mode(0o755)).expect("mode");
    let service = format!(
        "auth required pam_permit.so\naccount required pam_permit.so\n\
         session required pam_env.so conffile=/dev/null readenv=1 envfile={}\n\
         session required pam_exec.so {}\n",
        file.display(),
        show.display()
    );
    fs::write(services.join("emts"), service).expect("written");
    let script = "mount --bind \"$1\" /etc/pam.d && exec pamtester emts root open_session";
    let run = Command::new("unshare")
        .args([
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            script,
            "sh",
        ])
        .arg(&services)
        .output()
        .expect("unshare");
    if !run.status.success() {
        let said = String::from_utf8_lossy(&run.stderr);
        eprintln!("not run with pam_env (needs root and the Debian package pamtester): {said}");
        return None;
    }
    Some(text_in(folder.path(), "out"))
}

fn written(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("temporary file");
    fs::write(file.path(), text).expect("written");
    file
}

fn is_accepted(proxy: &str) -> bool {
    proxy.parse::<ProxyUrl>().is_ok()
}

/// A proxy with every character that one may have, in its password and behind it.
fn with_all() -> String {
    let fits = |c: &char| is_accepted(&format!("http://u:p{c}w@h.example.com:1/{c}"));
    let in_password: String = ('!'..='~').filter(fits).collect();
    format!("http://u:{in_password}@h.example.com:8080/{in_password}?{in_password}")
}

#[test]
fn a_password_with_shell_operators_is_read_by_a_shell_as_it_is() {
    let proxy = "http://user:pa&ss;w@proxy.example.com:8080";
    let file = written(&environment(proxy));
    assert_eq!(by_shell("sh", file.path()), proxy);
}

#[test]
fn every_character_of_a_proxy_is_read_by_shells_as_it_is() {
    for c in ('!'..='~').filter(char::is_ascii_punctuation) {
        let whole = format!("http://u:{c}w{c}@h.example.com:1/{c}root:{c}");
        let path_alone = format!("http://h.example.com:1/{c}root:{c}");
        let accepted = [whole, path_alone]
            .into_iter()
            .find(|proxy| is_accepted(proxy));
        if let Some(proxy) = accepted {
            let file = written(&environment(&proxy));
            assert_eq!(by_shell("sh", file.path()), proxy);
        }
    }
    for shell in ["sh", "bash"] {
        let file = written(&environment(&with_all()));
        assert_eq!(by_shell(shell, file.path()), with_all(), "{shell}");
    }
}

#[test]
fn every_character_of_a_proxy_is_read_by_systemd_as_it_is() {
    assert_eq!(by_systemd(&environment(&with_all())), with_all());
}

#[test]
fn every_character_of_a_proxy_is_read_by_pam_env_as_it_is() {
    let file = written(&environment(&with_all()));
    if let Some(found) = by_pam(file.path()) {
        assert_eq!(found, with_all());
    }
}

#[test]
fn a_value_that_needs_no_quotes_has_none() {
    let text = environment("http://user:p%40ss@proxy.example.com:8080/");
    assert!(text.contains("\nhttps_proxy=http://user:p%40ss@proxy.example.com:8080/\n"));
}

#[test]
fn a_file_with_credentials_is_roots_alone() {
    for (proxy, mode) in [
        ("http://user:pass@p.example.com:1", 0o600),
        ("http://user@p.example.com:1", 0o600),
        ("http://p.example.com:1/@", 0o644),
    ] {
        let tree = tree();
        let os = format!("  users: [{{username: root}}]\n  proxy: {{httpProxy: '{proxy}'}}\n");
        install_into(tree.path(), &os).expect("installed");
        let found = fs::metadata(tree.path().join("etc/environment")).expect("there");
        assert_eq!(found.permissions().mode() & 0o7777, mode, "{proxy}");
    }
}
