//! Static addresses as the real systemd-networkd takes them, in namespaces of its own, and the fallback route after it.

use crate::support::owners;
use cluster_bootstrapper::install::{Machine, Root, plan};
use cluster_bootstrapper::{ParseOptions, parse};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Starts systemd-networkd over the files of `$1` with an interface e0 whose cable is `$2` (up or down), waits until it
/// has configured e0, runs the script `$3`, and shows e0's addresses and the default routes.
const SCRIPT: &str = r#"set -eu
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp
chown -R systemd-network: /run/systemd/netif
mount --bind "$1" /etc/systemd/network
# Read-only, as in a container: networkd then does not wait for udev. Since systemd 255 it also asks which container.
mount -t sysfs -o ro sysfs /sys
echo lxc > /run/systemd/container
ip link set lo up
ip link add e0 address 52:54:00:12:34:56 type veth peer name e1
ip link set e1 "$2"
link=/run/systemd/netif/links/$(cut -d: -f1 < /sys/class/net/e0/ifindex)
for folder in /usr/lib/systemd /lib/systemd; do
    if [ -x "$folder/systemd-networkd" ]; then networkd=$folder/systemd-networkd; fi
done
"${networkd:?the Debian package systemd is not installed}" 2> /run/log &
tenths=0
until grep -qs '^ADMIN_STATE=configured' "$link"; do
    if ! kill -0 $! || [ $tenths -ge 300 ]; then
        echo "networkd has not configured e0 within 30 s:" >&2
        cat /run/log "$link" >&2
        exit 1
    fi
    tenths=$((tenths + 1))
    sleep 0.1
done
sh "$3"
ip -oneline address show dev e0 scope global
ip route show default
grep '^DNS=' "$link" || true
"#;

/// What the script shows for a section `network` of one interface.
fn shown(interface: &str, cable: &str) -> String {
    let folder = tempfile::tempdir().expect("temporary folder");
    let root = folder.path();
    let write = |path: &str, text: &str| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("folder");
        fs::write(path, text).expect("written");
    };
    write("etc/passwd", "root:x:0:0::/root:/bin/sh\n");
    for program in ["systemd-networkd", "systemd-resolved"] {
        write(&format!("usr/lib/systemd/{program}"), "");
        write(
            &format!("usr/lib/systemd/system/{program}.service"),
            "[Install]\nWantedBy=multi-user.target\n",
        );
    }
    let text = format!(
        "operatingSystem:\n  users: [{{username: root, password: b3A=}}]\n  network: [{interface}]\nkubernetes:\n  \
         kind: KThreesControlPlaneTemplate\n  apiVersion: controlplane.cluster.x-k8s.io/v1beta2\n  spec: {{template: {{}}}}\n"
    );
    let parsed = parse(&text, &ParseOptions::default());
    let config = parsed
        .config
        .unwrap_or_else(|| panic!("{:#?}", parsed.diagnostics));
    let tree = Root::open(root, owners()).expect("a tree");
    let machine = Machine::new(None).expect("random numbers");
    let plan = plan(&config, &machine, &tree).expect("planned");
    plan.carry_out(&tree).expect("installed");
    let boot = config.first_boot().expect("decoded");
    let fallback = boot
        .files
        .iter()
        .find(|file| file.path.ends_with("/default-route.sh"));
    fs::write(
        root.join("default-route.sh"),
        &fallback.expect("written").bytes,
    )
    .expect("written");
    run(root, cable)
}

fn run(root: &Path, cable: &str) -> String {
    let as_root: &[&str] = match rustix::process::geteuid().is_root() {
        true => &[],
        false => &["sudo", "-n"],
    };
    let unshare = [
        "unshare",
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ];
    let words = [as_root, &unshare, &["sh", "-c", SCRIPT, "sh"]].concat();
    let output = Command::new(words[0])
        .args(&words[1..])
        .arg(root.join("etc/systemd/network"))
        .arg(cable)
        .arg(root.join("default-route.sh"))
        .output()
        .expect("unshare (as root, or with sudo without a password)");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn networkd_gives_the_interface_its_address_gateway_and_name_server() {
    let found = shown(
        "{interface: e0, addresses: [192.168.7.2/24], gateway: 192.168.7.1, dns: [192.168.7.1]}",
        "up",
    );
    assert!(found.contains("inet 192.168.7.2/24"), "{found}");
    assert!(
        found.contains("default via 192.168.7.1 dev e0 proto static"),
        "{found}"
    );
    assert!(!found.contains("metric 20000"), "{found}");
    assert!(found.contains("DNS=192.168.7.1"), "{found}");
}

#[test]
fn without_a_gateway_the_fallback_route_keeps_the_nodes_address() {
    let found = shown(
        "{interface: e0, macAddress: 52-54-00-12-34-56, addresses: [192.168.7.2/24]}",
        "up",
    );
    assert!(
        found.contains("default dev e0 scope link src 192.168.7.2 metric 20000"),
        "{found}"
    );
}

#[test]
fn an_unplugged_cable_leaves_the_address_in_place() {
    let found = shown(
        "{interface: e0, addresses: [192.168.7.2/24], gateway: 192.168.7.1}",
        "down",
    );
    assert!(found.contains("inet 192.168.7.2/24"), "{found}");
    assert!(found.contains("default via 192.168.7.1 dev e0"), "{found}");
}
