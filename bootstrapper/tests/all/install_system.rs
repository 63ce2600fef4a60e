//! `install` of network, time, units and files on a small root tree; systemctl says whether the units are enabled.

use cluster_bootstrapper::install::{Owners, Root, install};
use cluster_bootstrapper::{ParseOptions, parse};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;
use std::process::Command;

const KUBERNETES: &str = "kubernetes:\n  kind: KThreesControlPlaneTemplate\n  apiVersion: \
     controlplane.cluster.x-k8s.io/v1beta2\n  spec: {template: {spec: {}}}\n";

fn tree() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("temporary folder");
    let files = [
        (
            "etc/passwd",
            "root:x:0:0::/root:/bin/sh\nlog:x:42:43::/:/bin/false\n",
        ),
        ("etc/shadow", "root:*:20000::::::\n"),
        ("etc/group", "root:x:0:\nadm:x:4:\n"),
        ("usr/lib/systemd/systemd-networkd", ""),
        ("usr/lib/systemd/systemd-resolved", ""),
        ("usr/lib/systemd/systemd-timesyncd", ""),
        (
            "usr/lib/systemd/system/systemd-networkd.service",
            "[Service]\nExecStart=/x\n[Install]\nWantedBy=multi-user.target\nAlso=systemd-networkd.socket\n",
        ),
        (
            "usr/lib/systemd/system/systemd-networkd.socket",
            "[Install]\nWantedBy=sockets.target\n",
        ),
        (
            "usr/lib/systemd/system/systemd-resolved.service",
            "[Install]\nWantedBy=multi-user.target\n",
        ),
        (
            "usr/lib/systemd/system/systemd-timesyncd.service",
            "[Install]\nWantedBy=sysinit.target\nAlias=dbus-org.freedesktop.timesync1.service\n",
        ),
        (
            "usr/lib/systemd/system/meter.service",
            "[Service]\nExecStart=/x\n# a comment\n[Install]\nWantedBy=multi-user.target \\\n  graphical.target\nRequiredBy=meters.target\nAlias=gauge.service\n",
        ),
        (
            "usr/lib/systemd/system/port@.service",
            "[Install]\nWantedBy=port-%i.target\n",
        ),
        (
            "usr/lib/systemd/system/static.service",
            "[Service]\nExecStart=/x\n",
        ),
        (
            "usr/lib/systemd/system/masked.service",
            "[Install]\nWantedBy=multi-user.target\n",
        ),
    ];
    for (path, text) in files {
        write(folder.path(), path, text);
    }
    let system = folder.path().join("etc/systemd/system");
    fs::create_dir_all(&system).expect("folder");
    symlink("/dev/null", system.join("masked.service")).expect("link");
    folder
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("a folder")).expect("folder");
    fs::write(path, text).expect("file");
}

fn run(root: &Path, os: &str) -> Result<(), String> {
    let text = format!(
        "operatingSystem:\n  users: [{{username: root, password: b3A=}}]\n{os}{KUBERNETES}"
    );
    let parsed = parse(&text, &ParseOptions::default());
    let config = parsed
        .config
        .ok_or_else(|| format!("{:?}", parsed.diagnostics))?;
    let owners = match rustix::process::geteuid().is_root() {
        true => Owners::Set,
        false => Owners::Keep,
    };
    let root = Root::open(root, owners).map_err(|error| error.to_string())?;
    install(&config, &root).map_err(|error| error.to_string())
}

fn text(root: &Path, path: &str) -> String {
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every link below /etc/systemd/system with its target, sorted.
fn links(root: &Path) -> Vec<(String, String)> {
    let system = root.join("etc/systemd/system");
    let mut found = vec![];
    let mut folders = vec![system.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_symlink() {
                let name = path
                    .strip_prefix(&system)
                    .expect("below")
                    .display()
                    .to_string();
                found.push((
                    name,
                    fs::read_link(&path).expect("a link").display().to_string(),
                ));
            } else if path.is_dir() {
                folders.push(path);
            }
        }
    }
    found.sort();
    found
}

fn systemctl(root: &Path, args: &[&str]) -> (bool, String) {
    let run = Command::new("systemctl")
        .arg("--root")
        .arg(root)
        .args(args)
        .output()
        .expect("systemctl is not installed (Debian package systemd)");
    let said = String::from_utf8_lossy(&run.stdout).trim().to_owned();
    (run.status.success(), said)
}

#[test]
fn an_interface_gets_a_network_file_of_its_own() {
    let tree = tree();
    let os = "  network:
    - {interface: enp1s0, addresses: [192.168.7.2/24, \"fd00:7::2/64\"], gateway: \"192.168.7.1,fd00:7::1\", dns: [192.168.7.1, 9.9.9.9]}
    - {macAddress: 52-54-00-AA-BB-CC, addresses: [\"fd00:8::2/64\"]}
";
    run(tree.path(), os).expect("installed");
    assert_eq!(
        text(tree.path(), "etc/systemd/network/10-emts-00.network"),
        "# Generated by cluster-bootstrapper from the config-file.\n[Match]\nName=enp1s0\n\n[Link]\n\
         RequiredForOnline=routable\nRequiredFamilyForOnline=ipv4\n\n[Network]\nLinkLocalAddressing=ipv6\n\
         ConfigureWithoutCarrier=yes\nAddress=192.168.7.2/24\nAddress=fd00:7::2/64\nGateway=192.168.7.1\n\
         Gateway=fd00:7::1\nDNS=192.168.7.1\nDNS=9.9.9.9\n"
    );
    assert_eq!(
        text(tree.path(), "etc/systemd/network/10-emts-01.network"),
        "# Generated by cluster-bootstrapper from the config-file.\n[Match]\nMACAddress=52:54:00:aa:bb:cc\n\
         Type=ether\nKind=!*\n\n[Link]\nRequiredForOnline=routable\nRequiredFamilyForOnline=ipv6\n\n[Network]\n\
         LinkLocalAddressing=ipv6\nConfigureWithoutCarrier=yes\nAddress=fd00:8::2/64\n"
    );
    let (enabled, _) = systemctl(
        tree.path(),
        &[
            "is-enabled",
            "systemd-networkd.service",
            "systemd-resolved.service",
        ],
    );
    assert!(enabled, "{:?}", links(tree.path()));
}

#[test]
fn an_image_without_what_a_key_needs_is_refused_by_name() {
    for (program, os, key) in [
        (
            "systemd-networkd",
            "  network: [{interface: e0, addresses: [10.0.0.2/24]}]\n",
            "operatingSystem.network:",
        ),
        (
            "systemd-resolved",
            "  network: [{interface: e0, addresses: [10.0.0.2/24], dns: [10.0.0.1]}]\n",
            "operatingSystem.network[].dns",
        ),
        (
            "systemd-timesyncd",
            "  ntpServers: [ntp.example.com]\n",
            "operatingSystem.ntpServers",
        ),
    ] {
        let tree = tree();
        fs::remove_file(tree.path().join("usr/lib/systemd").join(program)).expect("removed");
        let error = run(tree.path(), os).expect_err("refused");
        assert!(error.contains(program) && error.contains(key), "{error}");
    }
}

#[test]
fn time_comes_from_these_servers_only() {
    let tree = tree();
    run(
        tree.path(),
        "  ntpServers: [ntp.example.com, 192.168.7.1]\n",
    )
    .expect("installed");
    assert_eq!(
        text(tree.path(), "etc/systemd/timesyncd.conf.d/zz-emts.conf"),
        "# Generated by cluster-bootstrapper from the config-file.\n[Time]\nNTP=\n\
         NTP=ntp.example.com 192.168.7.1\nFallbackNTP=\n"
    );
    let (enabled, _) = systemctl(tree.path(), &["is-enabled", "systemd-timesyncd.service"]);
    assert!(enabled, "{:?}", links(tree.path()));
}

#[test]
fn units_are_enabled_as_systemctl_does_it() {
    let tree = tree();
    let units = [
        "meter.service",
        "port@7.service",
        "systemd-networkd.service",
    ];
    run(
        tree.path(),
        &format!("  services: {{enable: [{}]}}\n", units.join(", ")),
    )
    .expect("installed");
    let ours = links(tree.path());
    let other = self::tree();
    let (done, said) = systemctl(other.path(), &[&["enable"][..], &units[..]].concat());
    assert!(done, "{said}");
    assert_eq!(ours, links(other.path()));
    let preset = text(tree.path(), "etc/systemd/system-preset/00-emts.preset");
    assert!(preset.contains("\nenable meter.service\n"), "{preset}");
}

#[test]
fn units_are_disabled_as_systemctl_does_it() {
    let (ours, other) = (tree(), tree());
    for root in [ours.path(), other.path()] {
        let (done, said) = systemctl(
            root,
            &[
                "enable",
                "meter.service",
                "systemd-networkd.service",
                "systemd-resolved.service",
            ],
        );
        assert!(done, "{said}");
    }
    run(
        ours.path(),
        "  services: {disable: [meter, systemd-networkd, absent]}\n",
    )
    .expect("installed");
    let (done, said) = systemctl(
        other.path(),
        &["disable", "meter.service", "systemd-networkd.service"],
    );
    assert!(done, "{said}");
    assert_eq!(links(ours.path()), links(other.path()));
}

#[test]
fn a_unit_that_cannot_be_enabled_is_named() {
    for (unit, reason) in [
        ("absent", "the OS image has no such unit"),
        ("static", "it has no [Install] section"),
        ("masked", "the OS image masks it"),
    ] {
        let error = run(
            tree().path(),
            &format!("  services: {{enable: [{unit}]}}\n"),
        )
        .expect_err("refused");
        assert!(
            error.contains(&format!("{unit}.service")) && error.contains(reason),
            "{error}"
        );
    }
}

#[test]
fn files_are_written_with_owner_and_mode_and_may_be_units() {
    let tree = tree();
    let os = "  services: {enable: [own]}
  writeFiles:
    - {path: /etc/meter/a.bin, owner: 'log:adm', permissions: 0640, encoding: base64, content: AP8=}
    - {path: /etc/meter/b, owner: log, content: \"b\\n\"}
    - {path: /etc/systemd/system/own.service, content: \"[Install]\\nWantedBy=multi-user.target\\n\"}
";
    run(tree.path(), os).expect("installed");
    let root = tree.path();
    assert_eq!(
        fs::read(root.join("etc/meter/a.bin")).expect("there"),
        [0, 255]
    );
    let stat = |path: &str| fs::metadata(root.join(path)).expect("there");
    assert_eq!(stat("etc/meter/a.bin").mode() & 0o7777, 0o640);
    assert_eq!(stat("etc/meter/b").mode() & 0o7777, 0o644);
    if rustix::process::geteuid().is_root() {
        let ids = |path: &str| (stat(path).uid(), stat(path).gid());
        assert_eq!(
            (ids("etc/meter/a.bin"), ids("etc/meter/b")),
            ((42, 4), (42, 0))
        );
    }
    let wants = root.join("etc/systemd/system/multi-user.target.wants/own.service");
    assert_eq!(
        fs::read_link(wants).expect("a link"),
        Path::new("/etc/systemd/system/own.service")
    );
}

#[test]
fn a_file_of_an_unknown_owner_is_refused() {
    let os = "  writeFiles: [{path: /etc/a, owner: 'nobody-here'}]\n";
    let error = run(tree().path(), os).expect_err("refused");
    assert!(
        error.contains("/etc/a") && error.contains("the user `nobody-here`"),
        "{error}"
    );
}

#[test]
fn changes_nothing_when_run_twice() {
    let tree = tree();
    let os = "  network: [{interface: e0, addresses: [10.0.0.2/24]}]\n  ntpServers: [a]\n  services: {enable: [meter], disable: [port@1]}\n  writeFiles: [{path: /etc/a, content: x}]\n";
    run(tree.path(), os).expect("installed");
    let before = links(tree.path());
    run(tree.path(), os).expect("installed again");
    assert_eq!(links(tree.path()), before);
    assert_eq!(text(tree.path(), "etc/a"), "x");
}
