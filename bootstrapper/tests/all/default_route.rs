//! The fallback for a default route, run in a network namespace of its own.

use crate::support::{boot, boot_file};
use std::process::Command;

/// The script as the first boot writes it.
fn script(spec: &str) -> String {
    boot_file(&boot(&format!("{{{spec}}}"), ""), "/default-route.sh")
}

/// A command that begins a new network namespace, with whatever rights this machine gives.
fn namespace() -> Command {
    let ways: [&[&str]; 3] = [
        &["unshare", "--net"],
        &["unshare", "--map-root-user", "--net"],
        &["sudo", "-n", "unshare", "--net"],
    ];
    for way in ways {
        let mut command = Command::new(way[0]);
        command.args(&way[1..]);
        let mut probe = Command::new(way[0]);
        probe
            .args(&way[1..])
            .args(["ip", "link", "add", "probe", "type", "veth"]);
        if probe.output().is_ok_and(|output| output.status.success()) {
            return command;
        }
    }
    panic!(
        "cannot make a network namespace with an interface in it: root, sudo without a password or user namespaces are needed"
    );
}

/// The default routes after the script was run where `setup` was done to an interface that is up, `e0`.
fn routes(setup: &str, family: &str, spec: &str) -> String {
    let folder = tempfile::tempdir().expect("temporary directory");
    let path = folder.path().join("default-route.sh");
    std::fs::write(&path, script(spec)).expect("written");
    let steps = format!(
        "set -e; ip link set lo up; ip link add e0 type veth peer name e1; ip link set e0 up; ip link set e1 up; \
         {setup}; sh {0}; sh {0}; ip {family} route show default",
        path.display()
    );
    let output = namespace().args(["sh", "-c", &steps]).output().expect("sh");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let routes = text.lines().filter(|line| line.starts_with("default "));
    routes.map(|line| format!("{}\n", line.trim())).collect()
}

#[test]
fn a_static_address_without_a_gateway_gets_a_route_and_stays_the_nodes() {
    let found = routes("ip address add 192.168.7.2/24 dev e0", "-4", "");
    assert_eq!(
        found,
        "default dev e0 scope link src 192.168.7.2 metric 20000\n"
    );
}

#[test]
fn a_gateway_is_left_alone() {
    let setup = "ip address add 192.168.7.2/24 dev e0; ip route add default via 192.168.7.1";
    assert_eq!(routes(setup, "-4", ""), "default via 192.168.7.1 dev e0\n");
}

#[test]
fn an_address_without_a_cable_counts() {
    let setup = "ip link set e1 down; ip address add 192.168.7.2/24 dev e0";
    let found = routes(setup, "-4", "");
    assert!(
        found.starts_with("default dev e0 scope link src 192.168.7.2 metric 20000"),
        "{found}"
    );
}

#[test]
fn a_cluster_of_ipv6_gets_a_route_of_its_family() {
    let setup = "ip address add 192.168.7.2/24 dev e0; ip route add default via 192.168.7.1; \
         ip -6 address add fd00:7::2/64 dev e0 nodad";
    let spec = "serverConfig: {clusterCidr: 'fd00:42::/56', serviceCidr: 'fd00:43::/112'}";
    let found = routes(setup, "-6", spec);
    assert!(
        found.starts_with("default dev e0 src fd00:7::2 metric 20000"),
        "{found}"
    );
}

#[test]
fn an_address_that_the_node_is_given_decides_over_a_route_of_the_other_family() {
    let setup = "ip address add 192.168.7.2/24 dev e0; ip address add 10.77.0.1/24 dev e1; \
         ip -6 address add fd00:7::2/64 dev e0 nodad; ip -6 route add default via fd00:7::1";
    let spec =
        "files: [{path: /etc/rancher/k3s/config.yaml.d/50-ip.yaml, content: 'node-ip: 10.77.0.1'}]";
    let found = routes(setup, "-4", spec);
    assert_eq!(
        found,
        "default dev e1 scope link src 10.77.0.1 metric 20000\n"
    );
    assert_eq!(routes(setup, "-4", ""), "");
}
