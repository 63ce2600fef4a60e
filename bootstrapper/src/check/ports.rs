//! The port of the API and the next one, which no other part of a node may have.

use super::context::Context;
use crate::codes;
use crate::report::Report;

/// Settings that are a port of their own, beside the API's.
const OTHER_PORTS: [&str; 3] = ["supervisor-port", "apiserver-port", "lb-server-port"];

impl Report<'_> {
    /// Other ports of the distribution itself.
    pub(super) fn other_ports(&mut self, context: &Context<'_>) {
        for name in OTHER_PORTS {
            let Some(given) = context.joined.last(name) else {
                continue;
            };
            let taken = |(number, _): &&(u16, &str)| given.text.parse() == Ok(*number);
            if let Some((number, owner)) = PORTS_IN_USE.iter().find(taken) {
                let message = format!("port {number} is that of {owner} on the same node");
                self.error_of(codes::PortTaken, context, &given.origin, message)
                    .help(format!("leave `{name}` out, or choose another port"));
            }
        }
    }

    /// K3s listens on the port and, inside the node, on the next one.
    pub(super) fn api_port(&mut self, context: &Context<'_>) {
        let Some(given) = context.joined.last("https-listen-port") else {
            return;
        };
        let Ok(port) = given.text.parse::<u16>() else {
            return;
        };
        let Some(next) = port.checked_add(1) else {
            let message = "the API server inside the node would listen on port 65536";
            self.error_of(codes::PortTaken, context, &given.origin, message)
                .help("choose a port below 65535");
            return;
        };
        let taken = |(number, _): &&(u16, &str)| [port, next].contains(number);
        if let Some((number, owner)) = PORTS_IN_USE.iter().find(taken) {
            let message = if *number == next {
                format!(
                    "the API server inside the node would listen on port {number}, which {owner} has"
                )
            } else {
                format!("port {number} is that of {owner} on the same node")
            };
            self.error_of(codes::PortTaken, context, &given.origin, message)
                .help("leave it out: K3s takes 6443");
        }
    }
}

/// Ports of other parts of a node with K3s, and whose they are (K3s, "Networking", and the defaults of its components).
const PORTS_IN_USE: &[(u16, &str)] = &[
    (22, "the SSH server"),
    (2379, "etcd"),
    (2380, "etcd"),
    (2381, "etcd"),
    (2382, "etcd"),
    (10010, "containerd"),
    (10248, "the kubelet"),
    (10249, "kube-proxy"),
    (10250, "the kubelet"),
    (10256, "kube-proxy"),
    (10257, "the controller manager"),
    (10258, "the cloud controller"),
    (10259, "the scheduler"),
];
