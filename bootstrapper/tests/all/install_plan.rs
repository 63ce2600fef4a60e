//! The plan of an installation: the first boot and the machine's identity are part of it, what it keeps for itself is
//! refused as a user's file, and what a file had besides its content stays.

use crate::install::tree;
use crate::support::{found, install_into as run, owners, text_in as text, with};
use cluster_bootstrapper::diagnostic::Severity;
use cluster_bootstrapper::install::{Action, Machine, Plan, Root, generated_paths, plan};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;

/// Every key that makes the installer write something.
const ALL: &str = "  hostname: edge-7
  users: [{username: root, password: b3BlcmF0aW9uYWw=}, {username: op, password: b3BlcmF0aW9uYWw=}]
  proxy: {httpProxy: 'http://p.example.com:1'}
  network: [{interface: e0, addresses: [10.0.0.2/24], dns: [10.0.0.1]}]
  ntpServers: [ntp.example.com]
  services: {enable: [meter]}
";

fn full_tree() -> tempfile::TempDir {
    let folder = tree();
    let services = ["networkd", "resolved", "timesyncd"].map(|name| format!("systemd-{name}"));
    let system = "usr/lib/systemd/system";
    fs::create_dir_all(folder.path().join(system)).expect("directory");
    let unit = "[Service]\nExecStart=/x\n[Install]\nWantedBy=multi-user.target\n";
    for name in services {
        fs::write(folder.path().join("usr/lib/systemd").join(&name), "").expect("file");
        fs::write(folder.path().join(format!("{system}/{name}.service")), unit).expect("file");
    }
    fs::write(folder.path().join(format!("{system}/meter.service")), unit).expect("file");
    folder
}

fn planned(root: &Path, os: &str) -> Plan {
    let config = with(os, "{}").config.expect("valid");
    let root = Root::open(root, owners()).expect("a tree");
    plan(&config, &Machine::new(None).expect("random"), &root).expect("planned")
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("a directory")).expect("directory");
    fs::write(path, text).expect("file");
}

#[test]
fn planning_changes_nothing() {
    let tree = full_tree();
    let before = fs::read_dir(tree.path().join("etc"))
        .expect("readable")
        .count();
    let passwd = text(tree.path(), "etc/passwd");
    let plan = planned(tree.path(), ALL);
    assert!(!plan.actions().is_empty());
    let after = fs::read_dir(tree.path().join("etc"))
        .expect("readable")
        .count();
    assert_eq!((after, text(tree.path(), "etc/passwd")), (before, passwd));
}

#[test]
fn a_plan_shows_no_content() {
    let tree = full_tree();
    let shown = format!("{:?}", planned(tree.path(), ALL));
    let shadow = fs::metadata(tree.path().join("etc/shadow")).expect("there");
    let written = format!("write /etc/shadow {}:{} 0640 ", shadow.uid(), shadow.gid());
    assert!(shown.contains(&written), "{shown}");
    assert!(!shown.contains("$6$"), "{shown}");
}

#[test]
fn the_first_boot_is_installed_for_root_alone() {
    let tree = tree();
    run(tree.path(), "  users: [{username: root}]\n").expect("installed");
    let cfg = "etc/cloud/cloud.cfg.d/k8s.cfg";
    let config = with("  users: [{username: root}]\n", "{}")
        .config
        .expect("valid");
    let expected = config.first_boot().expect("decoded").cloud_config();
    assert_eq!(text(tree.path(), cfg), expected);
    let mode = fs::metadata(tree.path().join(cfg)).expect("there").mode();
    assert_eq!(mode & 0o7777, 0o600);
}

#[test]
fn a_link_of_the_image_does_not_lead_the_first_boot_out_of_the_root() {
    let (tree, outside) = (tree(), tempfile::tempdir().expect("temporary directory"));
    symlink(outside.path(), tree.path().join("etc/cloud")).expect("link");
    let error = run(tree.path(), "  users: [{username: root}]\n").expect_err("refused");
    assert!(error.contains("/etc/cloud"), "{error}");
    assert_eq!(fs::read_dir(outside.path()).expect("readable").count(), 0);
}

#[test]
fn every_machine_gets_an_identity_of_its_own() {
    let tree = tree();
    let root = tree.path();
    write(root, "etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    write(root, "var/lib/dbus/machine-id", "old");
    write(root, "var/lib/systemd/random-seed", "old");
    write(root, "etc/ssh/ssh_host_rsa_key", "old");
    write(root, "etc/ssh/ssh_host_rsa_key.pub", "old");
    write(root, "etc/ssh/ssh_config", "kept");
    let mut seen = vec![];
    for _ in 0..2 {
        run(root, "  users: [{username: root}]\n").expect("installed");
        let id = text(root, "etc/machine-id");
        let digits = id.strip_suffix('\n').expect("a line");
        assert!(
            digits.len() == 32 && digits.chars().all(|c| c.is_ascii_hexdigit()),
            "{id}"
        );
        assert_eq!(text(root, "etc/hostname"), format!("node-{}\n", &id[..8]));
        seen.push(id);
    }
    assert_ne!(seen[0], seen[1]);
    for gone in [
        "var/lib/dbus/machine-id",
        "var/lib/systemd/random-seed",
        "etc/ssh/ssh_host_rsa_key",
        "etc/ssh/ssh_host_rsa_key.pub",
    ] {
        assert!(!root.join(gone).exists(), "{gone}");
    }
    assert_eq!(text(root, "etc/ssh/ssh_config"), "kept");
}

#[test]
fn all_that_is_planned_is_kept_from_the_users_files() {
    let tree = full_tree();
    let config = with(ALL, "{}").config.expect("valid");
    let rules = generated_paths(&config);
    for action in planned(tree.path(), ALL).actions() {
        let path = action.path();
        let below = path.starts_with("/etc/") || path.starts_with("/var/");
        // A unit's links are where its own [Install] section wants them.
        if below && !matches!(action, Action::Link { .. }) {
            assert!(rules.iter().any(|rule| rule.covers(path)), "{action:?}");
        }
    }
}

#[test]
fn every_file_of_the_first_boot_is_kept_from_the_users_files() {
    let config = with("", "{}").config.expect("valid");
    let rules = generated_paths(&config);
    for file in config.first_boot().expect("decoded").files {
        assert!(
            rules.iter().any(|rule| rule.covers(&file.path)),
            "{}",
            file.path
        );
    }
}

/// Paths that are never a user's, written out: the rules themselves cannot say that one is missing.
const NEVER: &[&str] = &[
    "/etc/cloud/cloud.cfg.d/10-emts-hostname.cfg",
    "/etc/cloud/cloud.cfg.d/k8s.cfg",
    "/etc/group",
    "/etc/gshadow",
    "/etc/machine-id",
    "/etc/passwd",
    "/etc/rancher/emts",
    "/etc/rancher/emts/installed",
    "/etc/rancher/emts/x/y",
    "/etc/shadow",
    "/etc/ssh/ssh_host_ecdsa_key.pub",
    "/etc/ssh/ssh_host_ed25519_key",
    "/etc/ssh/ssh_host_ed25519_key-cert.pub",
    "/etc/ssh/ssh_host_rsa_key",
    "/etc/subgid",
    "/etc/subuid",
    "/etc/sudoers.d/90-emts-op",
    "/etc/systemd",
    "/etc/systemd/network/10-emts-07.network",
    "/etc/systemd/system-preset/00-emts.preset",
    "/etc/systemd/system/k3s.service",
    "/etc/systemd/system/k3s.service.d/10-emts.conf",
    "/etc/systemd/system/multi-user.target.wants/k3s.service",
    "/etc/systemd/timesyncd.conf.d/zz-emts.conf",
    "/var/lib/cloud/instance/sem/config_runcmd",
    "/var/lib/dbus/machine-id",
    "/var/lib/emts",
    "/var/lib/emts/first-boot-complete",
    "/var/lib/systemd/random-seed",
];

#[test]
fn a_path_of_the_installer_or_the_first_boot_is_refused_wherever_it_is_given() {
    for path in NEVER {
        let os = format!(
            "  users: [{{username: root, password: b3BlcmF0aW9uYWw=}}]\n  writeFiles: [{{path: {path}}}]\n"
        );
        let written = found(&with(&os, "{}"), Severity::Error);
        assert_eq!(written, [("path-generated", 3, 23)], "writeFiles: {path}");
        let booted = with("  sshKey:\n", &format!("{{files: [{{path: {path}}}]}}"));
        let codes: Vec<_> = found(&booted, Severity::Error)
            .iter()
            .map(|f| f.0)
            .collect();
        assert_eq!(codes, ["path-generated"], "files: {path}");
    }
}

#[test]
fn a_path_beside_those_is_the_users() {
    for path in [
        "/etc/environment",
        "/etc/hostname",
        "/etc/hosts",
        "/etc/ssh/sshd_config.d/50-site.conf",
        "/etc/sudoers.d/site",
        "/etc/systemd/network/10-emts-00.network.d/mtu.conf",
        "/etc/systemd/system/k3s.service.d/20-site.conf",
        "/var/lib/cloud/scripts/per-boot/x.sh",
        "/var/lib/emts-site/x",
    ] {
        let os = format!(
            "  users: [{{username: root, password: b3BlcmF0aW9uYWw=}}]\n  writeFiles: [{{path: {path}}}]\n"
        );
        assert_eq!(found(&with(&os, "{}"), Severity::Error), [], "{path}");
    }
}

#[test]
fn a_file_that_a_key_makes_is_refused_beside_that_key() {
    for (key, path) in [
        ("hostname: a", "/etc/hostname"),
        ("hostname: a", "/etc/hosts"),
        ("proxy: {noProxy: a}", "/etc/environment"),
        (
            "services: {enable: [a]}",
            "/etc/systemd/system/x.target.wants/a.service",
        ),
    ] {
        let os = format!(
            "  {key}\n  users: [{{username: root, password: b3BlcmF0aW9uYWw=}}]\n  writeFiles: [{{path: {path}}}]\n"
        );
        let codes = found(&with(&os, "{}"), Severity::Error);
        assert_eq!(codes, [("path-generated", 4, 23)], "{path}");
    }
}

#[test]
fn a_users_hosts_and_environment_stay_as_they_are() {
    let tree = tree();
    let os = "  users: [{username: root}]
  writeFiles:
    - {path: /etc/hosts, content: \"127.0.1.1 mine\\n\"}
    - {path: /etc/hostname, content: \"mine\\n\"}
    - {path: /etc/environment, content: \"A=b\\n\", permissions: 0640}
";
    run(tree.path(), os).expect("installed");
    assert_eq!(text(tree.path(), "etc/hosts"), "127.0.1.1 mine\n");
    assert_eq!(text(tree.path(), "etc/hostname"), "mine\n");
    assert_eq!(text(tree.path(), "etc/environment"), "A=b\n");
}

#[test]
fn a_file_that_only_the_tree_shows_to_be_the_installers_is_refused() {
    let tree = tree();
    let passwd = text(tree.path(), "etc/passwd") + "op:x:1000:1000::/var/op:/bin/sh\n";
    write(tree.path(), "etc/passwd", &passwd);
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f a";
    let os = format!(
        "  sshKey: {key}\n  users: [{{username: op}}]\n  writeFiles: [{{path: /var/op/.ssh/authorized_keys}}]\n"
    );
    let error = run(tree.path(), &os).expect_err("refused");
    assert!(
        error.contains("/var/op/.ssh/authorized_keys is written by the installer"),
        "{error}"
    );
    assert!(
        !tree.path().join("var/op").exists(),
        "something was written"
    );
}

#[test]
fn every_mode_of_a_file_is_what_it_says_also_with_an_owner() {
    let tree = tree();
    for mode in ["0000", "0400", "4755", "2755", "1755", "6711", "7777"] {
        let os = format!(
            "  users: [{{username: root}}]\n  writeFiles: [{{path: /etc/x, permissions: '{mode}', owner: svc}}]\n"
        );
        if owners() == cluster_bootstrapper::install::Owners::Set {
            run(tree.path(), &os).expect("installed");
            let found = fs::metadata(tree.path().join("etc/x")).expect("there");
            assert_eq!(format!("{:04o}", found.mode() & 0o7777), mode);
            assert_eq!(found.uid(), 200);
        }
    }
}

#[test]
fn what_is_below_etc_rancher_is_roots_alone_unless_it_says_otherwise() {
    let tree = tree();
    let os = "  users: [{username: root}]
  writeFiles:
    - {path: /etc/rancher/k3s/config.yaml.d/a.yaml, content: \"token: x\\n\"}
    - {path: /etc/rancher/k3s/config.yaml.d/b.yaml, permissions: 0644}
    - {path: /etc/rancherx}
";
    run(tree.path(), os).expect("installed");
    let mode = |path: &str| fs::metadata(tree.path().join(path)).expect("there").mode() & 0o7777;
    assert_eq!(mode("etc/rancher/k3s/config.yaml.d/a.yaml"), 0o600);
    assert_eq!(mode("etc/rancher/k3s/config.yaml.d/b.yaml"), 0o644);
    assert_eq!(mode("etc/rancherx"), 0o644);
    let spec = "{files: [{path: /etc/rancher/a}, {path: /etc/a}, {path: /etc/rancher/b, permissions: 0644}]}";
    let boot = crate::support::boot(spec, "");
    let modes: Vec<u32> = boot.files[..3].iter().map(|file| file.mode).collect();
    assert_eq!(modes, [0o600, 0o644, 0o644]);
}

#[test]
fn a_mode_that_cloud_init_loses_is_refused_for_files_of_the_first_boot() {
    for (mode, refused) in [
        ("'0000'", true),
        ("4755", true),
        ("2755", true),
        ("6755", true),
        ("1755", false),
        ("0400", false),
    ] {
        let parsed = with(
            "  sshKey:\n",
            &format!("{{files: [{{path: /etc/x, permissions: {mode}}}]}}"),
        );
        let codes: Vec<_> = found(&parsed, Severity::Error)
            .iter()
            .map(|f| f.0)
            .collect();
        let expected: &[&str] = if refused { &["file-mode-lost"] } else { &[] };
        assert_eq!(codes, expected, "{mode}");
    }
}

#[test]
fn attributes_of_a_replaced_file_are_kept() {
    let tree = tree();
    let path = tree.path().join("etc/group");
    let set = |name: &str, value: &[u8]| {
        rustix::fs::setxattr(&path, name, value, rustix::fs::XattrFlags::empty())
    };
    if set("user.site", b"a label").is_err() {
        eprintln!("not run: the file system has no user attributes");
        return;
    }
    // An ACL: user 1234 may read, the mask is r--.
    let acl: &[u8] = &[
        2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 210, 4, 0, 0, 4, 0, 4, 0, 255, 255,
        255, 255, 16, 0, 4, 0, 255, 255, 255, 255, 32, 0, 4, 0, 255, 255, 255, 255,
    ];
    let with_acl = set("system.posix_acl_access", acl).is_ok();
    let with_label = set(
        "security.capability",
        b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    )
    .is_ok();
    let mode = fs::metadata(&path).expect("there").mode();
    run(
        tree.path(),
        "  users: [{username: op, password: b3BlcmF0aW9uYWw=}]\n",
    )
    .expect("installed");
    assert!(text(tree.path(), "etc/group").contains("\nop:x:1000:"));
    let get = |name: &str| {
        let mut value = [0; 256];
        let len = rustix::fs::getxattr(&path, name, &mut value[..])?;
        Ok::<_, rustix::io::Errno>(value[..len].to_vec())
    };
    assert_eq!(get("user.site").expect("kept"), b"a label");
    assert_eq!(fs::metadata(&path).expect("there").mode(), mode);
    if with_acl {
        assert_eq!(get("system.posix_acl_access").expect("kept"), acl);
    }
    if with_label {
        assert_eq!(get("security.capability").expect("kept").len(), 20);
    }
}

#[test]
fn a_pipe_in_the_place_of_a_file_is_replaced_without_a_wait() {
    let tree = tree();
    let path = tree.path().join("etc/f.conf");
    let (file_type, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
    rustix::fs::mknodat(rustix::fs::CWD, &path, file_type, mode, 0).expect("a pipe");
    run(
        tree.path(),
        "  writeFiles: [{path: /etc/f.conf, content: abc}]\n",
    )
    .expect("installed");
    assert_eq!(text(tree.path(), "etc/f.conf"), "abc");
}

#[test]
fn a_signature_of_the_old_content_is_not_kept() {
    let tree = tree();
    let path = tree.path().join("etc/group");
    let set = rustix::fs::setxattr(
        &path,
        "security.ima",
        b"\x03x",
        rustix::fs::XattrFlags::empty(),
    );
    if set.is_err() {
        eprintln!("not run: only root can sign");
        return;
    }
    run(
        tree.path(),
        "  users: [{username: op, password: b3BlcmF0aW9uYWw=}]\n",
    )
    .expect("installed");
    let mut value = [0; 16];
    let found = rustix::fs::getxattr(&path, "security.ima", &mut value[..]);
    assert_eq!(found, Err(rustix::io::Errno::NODATA));
}
