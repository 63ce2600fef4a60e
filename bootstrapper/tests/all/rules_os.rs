//! One case a rule for the operating system's disk, network, time, services, files and commands: a config-file with one
//! fault, and the code, line and column of the finding.

use crate::support::{found, read, with};
use cluster_bootstrapper::diagnostic::Severity;

const USERS: &str = "  users: [{username: a, password: Zm9yIHRoaXMgdGVzdA==}]\n";

/// Line 3 of a config-file, without its indentation; the code and the column.
const ERRORS: &[(&str, &str, usize)] = &[
    // The disk to install on.
    ("installDisk: {minSize: big}", "disk-size", 26),
    ("installDisk: {minSize: 9100TB}", "disk-size", 26),
    (
        "installDisk: {minSize: 2TB, maxSize: 1TB}",
        "disk-size-range",
        26,
    ),
    ("installDisk: {byPath: /dev/sda}", "disk-by-path", 25),
    (
        "installDisk: {byPath: pci-0000:00:1f.2-ata-1-part2}",
        "disk-by-path",
        25,
    ),
    ("installDisk: {byPath: '../sda'}", "disk-by-path", 25),
    ("installDisk: {transport: usb}", "not-allowed", 28),
    ("installDisk: {serial: 'S*'}", "disk-id", 25),
    ("installDisk: {wwn: ' '}", "disk-id", 22),
    ("installDisk: {model: \u{e9}}", "disk-glob", 24),
    ("installDisk: {wipe: yes}", "wrong-type", 23),
    ("installDisk: {disk: sda}", "unknown-key", 17),
    // Static network.
    (
        "network: [{addresses: [10.0.0.2/24]}]",
        "network-interface",
        13,
    ),
    (
        "network: [{interface: lo, addresses: [10.0.0.2/24]}]",
        "interface-name",
        25,
    ),
    (
        "network: [{interface: a-name-that-is-too-long, addresses: [10.0.0.2/24]}]",
        "interface-name",
        25,
    ),
    (
        "network: [{interface: 'a b', addresses: [10.0.0.2/24]}]",
        "interface-name",
        25,
    ),
    (
        "network: [{macAddress: '52:54:00:12:34', addresses: [10.0.0.2/24]}]",
        "mac-address",
        26,
    ),
    (
        "network: [{macAddress: '53:54:00:12:34:56', addresses: [10.0.0.2/24]}]",
        "mac-address",
        26,
    ),
    (
        "network: [{macAddress: '00:00:00:00:00:00', addresses: [10.0.0.2/24]}]",
        "mac-address",
        26,
    ),
    ("network: [{interface: e0}]", "missing-key", 13),
    (
        "network: [{interface: e0, addresses: []}]",
        "network-addresses",
        29,
    ),
    (
        "network: [{interface: e0, addresses: [10.0.0.2]}]",
        "interface-address",
        41,
    ),
    (
        "network: [{interface: e0, addresses: [10.0.0.0/24]}]",
        "interface-address",
        41,
    ),
    (
        "network: [{interface: e0, addresses: [10.0.0.255/24]}]",
        "interface-address",
        41,
    ),
    (
        "network: [{interface: e0, addresses: [127.0.0.1/8]}]",
        "interface-address",
        41,
    ),
    (
        "network: [{interface: e0, addresses: [224.0.0.1/24]}]",
        "interface-address",
        41,
    ),
    (
        "network: [{interface: e0, addresses: [169.254.1.1/16]}]",
        "interface-address",
        41,
    ),
    (
        "network: [{interface: e0, addresses: ['fe80::1/64']}]",
        "interface-address",
        41,
    ),
    (
        "network: [{interface: e0, addresses: [10.0.0.2/0]}]",
        "interface-address",
        41,
    ),
    (
        "network: [{interface: e0, addresses: [10.42.3.2/24]}]",
        "cidr-overlap",
        41,
    ),
    (
        "network: [{interface: e0, addresses: [10.0.0.2/24, 10.0.0.2/16]}]",
        "network-address-twice",
        54,
    ),
    (
        "network: [{interface: e0, addresses: [10.0.0.2/24], gateway: 10.0.0.2}]",
        "network-gateway",
        64,
    ),
    (
        "network: [{interface: e0, addresses: [10.0.0.2/24], gateway: 'fd00::1'}]",
        "network-gateway",
        64,
    ),
    (
        "network: [{interface: e0, addresses: [10.0.0.2/24], gateway: '10.0.0.1,10.0.0.3'}]",
        "network-gateway-twice",
        64,
    ),
    (
        "network: [{interface: e0, addresses: [10.0.0.2/24], gateway: router}]",
        "ip-address",
        64,
    ),
    (
        "network: [{interface: e0, addresses: [10.0.0.2/24], dns: [router]}]",
        "ip-address",
        61,
    ),
    (
        "network: [{interface: e0, addresses: [10.0.0.2/24]}, {interface: e0, addresses: [10.0.0.3/24]}]",
        "network-twice",
        56,
    ),
    (
        "network: [{interface: e0, addresses: [10.0.0.2/24]}, {interface: e1, addresses: [10.0.0.2/16]}]",
        "network-address-twice",
        84,
    ),
    (
        "network: [{interface: e0, addresses: [10.0.0.2/24], gateway: 10.0.0.1}, {interface: e1, addresses: [10.1.0.2/24], gateway: 10.1.0.1}]",
        "network-gateway-twice",
        126,
    ),
    (
        "network: {interface: e0, addresses: [10.0.0.2/24]}",
        "wrong-type",
        3,
    ),
    // Time, services.
    ("ntpServers: ['http://ntp']", "ntp-server", 16),
    ("ntpServers: [1.2.3]", "ntp-server", 16),
    ("services: {enable: ['a b']}", "unit-name", 23),
    ("services: {enable: [getty@.service]}", "unit-name", 23),
    ("services: {enable: [dev-sda.device]}", "unit-name", 23),
    (
        "services: {enable: [a], disable: [a.service]}",
        "service-twice",
        37,
    ),
    (
        "services: {disable: [cloud-final.service]}",
        "service-reserved",
        24,
    ),
    ("services: {enable: [k3s]}", "service-reserved", 23),
    ("services: {start: [a]}", "unknown-key", 14),
    // Files and commands.
    ("writeFiles: [{path: /opt/x}]", "path-outside", 23),
    (
        "writeFiles: [{path: /etc/x}, {path: /etc/x}]",
        "duplicate-path",
        39,
    ),
    (
        "writeFiles: [{path: /etc/x, contentFrom: {secret: {name: a}}}]",
        "content-from",
        31,
    ),
    (
        "writeFiles: [{path: /etc/x, encoding: base64, content: '%'}]",
        "content-encoding",
        58,
    ),
    (
        "writeFiles: [{path: /etc/x, append: true}]",
        "unknown-key",
        31,
    ),
    ("writeFiles: [{path: /etc/passwd}]", "path-generated", 23),
    (
        "writeFiles: [{path: /etc/machine-id}]",
        "path-generated",
        23,
    ),
    (
        "writeFiles: [{path: /etc/sudoers.d/90-emts-a}]",
        "path-generated",
        23,
    ),
    (
        "writeFiles: [{path: /etc/systemd/network/10-emts-00.network}]",
        "path-generated",
        23,
    ),
    (
        "writeFiles: [{path: /etc/cloud/cloud.cfg.d/k8s.cfg}]",
        "path-generated",
        23,
    ),
    (
        "writeFiles: [{path: /etc/rancher/emts/x}]",
        "path-generated",
        23,
    ),
    (
        "writeFiles: [{path: /etc/rancher/k3s/config.yaml}]",
        "path-generated",
        23,
    ),
    (
        "writeFiles: [{path: /etc/cloud/cloud.cfg.d/99-x.cfg, content: 'runcmd: [reboot]'}]",
        "cloud-config-list",
        65,
    ),
    (
        "writeFiles: [{path: /etc/rancher/k3s/registries.yaml, content: 'mirror: {}'}]",
        "registries",
        66,
    ),
    (
        "writeFiles: [{path: /etc/rancher/k3s/config.yaml.d/a.yaml, content: 'a: ['}]",
        "k3s-file",
        71,
    ),
    ("runCommands: ['']", "empty-command", 17),
    ("runCommands: reboot", "wrong-type", 16),
];

#[test]
fn every_fault_is_found_at_its_place() {
    for (os, code, column) in ERRORS {
        let parsed = with(&format!("{USERS}  {os}\n"), "{}");
        assert_eq!(
            found(&parsed, Severity::Error),
            [(*code, 3, *column)],
            "{os}: {:#?}",
            parsed.diagnostics
        );
        assert!(parsed.config.is_none(), "{os} was accepted");
    }
}

#[test]
fn a_disk_may_be_asked_for_by_its_very_size() {
    let os = format!("{USERS}  installDisk: {{minSize: 1000GB, maxSize: 1TB}}\n");
    let parsed = with(&os, "{}");
    assert!(parsed.diagnostics.is_empty(), "{:#?}", parsed.diagnostics);
}

#[test]
fn a_static_network_may_not_overlap_the_clusters_networks() {
    let os = format!("{USERS}  network: [{{interface: e0, addresses: [192.168.7.2/24]}}]\n");
    assert!(with(&os, "{}").config.is_some());
    for spec in [
        "{serverConfig: {clusterCidr: 192.168.0.0/16}}",
        "{serverConfig: {serviceCidr: 192.168.7.0/24}}",
    ] {
        let parsed = with(&os, spec);
        assert_eq!(
            found(&parsed, Severity::Error),
            [("cidr-overlap", 3, 41)],
            "{spec}"
        );
    }
}

#[test]
fn the_networks_of_another_distribution_count_as_well() {
    let text = format!(
        "operatingSystem:\n{USERS}  network: [{{interface: e0, addresses: [10.43.0.9/24]}}]\nkubernetes:\n  kind: \
         RKE2ControlPlaneTemplate\n  apiVersion: controlplane.cluster.x-k8s.io/v1beta1\n  spec: {{template: {{spec: {{}}}}}}\n"
    );
    let parsed = read(&text);
    let found = parsed
        .diagnostics
        .iter()
        .any(|d| d.code.as_str() == "cidr-overlap" && d.line == 3);
    assert!(found, "{:#?}", parsed.diagnostics);
}

#[test]
fn a_service_that_another_key_needs_cannot_be_disabled() {
    for (key, unit) in [
        (
            "network: [{interface: e0, addresses: [10.0.0.2/24]}]",
            "systemd-networkd",
        ),
        (
            "network: [{interface: e0, addresses: [10.0.0.2/24], dns: [10.0.0.1]}]",
            "systemd-resolved.service",
        ),
        ("ntpServers: [a]", "systemd-timesyncd"),
    ] {
        let alone = format!("{USERS}  services: {{disable: [{unit}]}}\n");
        assert!(with(&alone, "{}").config.is_some(), "{unit}");
        let parsed = with(&format!("{alone}  {key}\n"), "{}");
        assert_eq!(
            found(&parsed, Severity::Error),
            [("service-needed", 3, 24)],
            "{unit}"
        );
    }
}

#[test]
fn notes_that_a_pattern_may_mean_several_interfaces() {
    let os = format!("{USERS}  network: [{{interface: e*, addresses: [10.0.0.2/24]}}]\n");
    let parsed = with(&os, "{}");
    assert_eq!(found(&parsed, Severity::Note), [("network-pattern", 3, 25)]);
    assert!(parsed.config.is_some());
    let parsed = with(&os.replace("e*", "eno1"), "{}");
    assert_eq!(found(&parsed, Severity::Note), []);
    assert!(parsed.config.is_some());
}

#[test]
fn a_file_is_written_once_whichever_list_has_it() {
    let os = format!("{USERS}  writeFiles: [{{path: /etc/a}}]\n");
    let parsed = with(&os, "{files: [{path: /etc/a}]}");
    assert_eq!(found(&parsed, Severity::Error), [("duplicate-path", 7, 43)]);
}

#[test]
fn what_other_keys_write_is_no_file_of_the_users() {
    for (key, path) in [
        ("proxy: {httpProxy: \"http://p:1\"}", "/etc/environment"),
        ("hostname: a", "/etc/hostname"),
        ("hostname: a", "/etc/hosts"),
    ] {
        let spec = format!("{{files: [{{path: {path}}}]}}");
        assert!(with(USERS, &spec).config.is_some(), "{path} without {key}");
        let parsed = with(&format!("{USERS}  {key}\n"), &spec);
        assert_eq!(
            found(&parsed, Severity::Error),
            [("path-generated", 7, 43)],
            "{key}"
        );
    }
}

#[test]
fn no_file_of_cloud_init_may_replace_the_first_boots_lists() {
    for key in ["bootcmd", "runcmd", "write_files"] {
        let spec =
            format!("{{files: [{{path: /etc/cloud/cloud.cfg.d/z.cfg, content: '{key}: []'}}]}}");
        let parsed = with(USERS, &spec);
        assert_eq!(
            found(&parsed, Severity::Error),
            [("cloud-config-list", 6, 82)],
            "{key}"
        );
    }
    let spec = "{files: [{path: /etc/cloud/cloud.cfg.d/z.cfg, content: 'timezone: UTC'}]}";
    assert!(with(USERS, spec).config.is_some());
}

#[test]
fn a_complete_section_is_accepted() {
    let os = format!(
        "{USERS}  network:
    - interface: enp1s0
      macAddress: 52-54-00-AA-BB-CC
      addresses: [192.168.7.2/24, \"fd00:7::2/64\"]
      gateway: 192.168.7.1,fe80::1
      dns: [192.168.7.1, \"fd00:7::1\"]
  ntpServers: [ntp.example.com, 192.168.7.1]
  services: {{enable: [ssh, fstrim.timer], disable: [getty@tty1.service]}}
  writeFiles: [{{path: /etc/a, content: x}}]
  runCommands: [echo a]
"
    );
    let parsed = with(&os, "{}");
    assert!(parsed.diagnostics.is_empty(), "{:#?}", parsed.diagnostics);
    let os = parsed.config.expect("valid").operating_system;
    let interface = &os.network[0];
    let mac = interface.mac_address.as_ref().map(ToString::to_string);
    assert_eq!(mac.as_deref(), Some("52:54:00:aa:bb:cc"));
    assert_eq!(os.services.enable[0].as_str(), "ssh.service");
}

#[test]
fn a_mistyped_time_zone_is_reported_with_the_one_that_was_meant() {
    for (zone, help) in [
        ("Europe/Berln", "did you mean `Europe/Berlin`?"),
        ("europe/berlin", "did you mean `Europe/Berlin`?"),
        ("America/New York", "did you mean `America/New_York`?"),
        (
            "+02:00",
            "write a name that `timedatectl list-timezones` shows, such as Europe/Berlin or UTC",
        ),
    ] {
        let parsed = with(&format!("{USERS}  timezone: {zone}\n"), "{}");
        let helps: Vec<_> = parsed
            .diagnostics
            .iter()
            .map(|d| d.help.as_deref())
            .collect();
        assert_eq!(helps, [Some(help)], "{zone}");
    }
}

#[test]
fn a_time_zone_that_is_like_none_is_reported_without_another() {
    let parsed = with(&format!("{USERS}  timezone: Mars/Olympus_Mons\n"), "{}");
    let found: Vec<_> = parsed
        .diagnostics
        .iter()
        .map(|d| (d.code.as_str(), &d.help))
        .collect();
    assert_eq!(found, [("time-zone-unknown", &None)]);
    assert!(parsed.config.is_some(), "the OS image may have it");
}
