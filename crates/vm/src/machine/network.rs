//! The machine's network: what its card reaches from power-on, and what connects it later.

use schemars::JsonSchema;
use serde::Deserialize;

/// What the machine's network card reaches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// An address and SSH from the host, no way out and no gateway.
    #[default]
    Restricted,
    /// The host's network behind address translation.
    Open,
    /// No network card. One can be plugged in while the machine runs.
    None,
}

/// QEMU's name of the network that the card is on.
const NETWORK: &str = "net0";
/// QEMU's name of the port that takes a card while the machine runs: the root bus takes none.
const PORT: &str = "card-port";

impl Network {
    /// True when the guest's SSH can be reached from power-on.
    #[must_use]
    pub fn reaches_ssh(self) -> bool {
        matches!(self, Self::Restricted | Self::Open)
    }

    /// Options of QEMU's command line with their values.
    pub(super) fn arguments(self) -> Vec<(&'static str, String)> {
        let network = match self {
            Self::None => {
                let port = format!("pcie-root-port,id={PORT},chassis=1");
                return vec![("-device", port)];
            }
            Self::Restricted => user(NETWORK, "on"),
            Self::Open => user(NETWORK, "off"),
        };
        vec![("-netdev", network), ("-device", card())]
    }

    /// What connects a running machine that has no network to a restricted one: commands of QEMU's monitor, in order.
    /// None when it has one.
    #[must_use]
    pub fn connecting(self) -> Vec<String> {
        match self {
            Self::None => vec![
                format!("netdev_add {}", user(NETWORK, "on")),
                format!("device_add {},bus={PORT}", card()),
            ],
            Self::Restricted | Self::Open => Vec::new(),
        }
    }
}

/// The command of QEMU's monitor that forwards a free port of the host's loopback to a port of the guest.
pub(super) fn forwarding(port: u16) -> String {
    format!("hostfwd_add {NETWORK} tcp:127.0.0.1:0-:{port}")
}

/// The host's port in the answer to `info usernet` that leads to a port of the guest: the line of a forward has protocol
/// and state, descriptor, source address and port, destination address and port, ...
pub(super) fn forwarded(text: &str, port: u16) -> Option<u16> {
    let forwards = text
        .lines()
        .filter(|line| line.contains("TCP[HOST_FORWARD]"));
    let words = forwards.map(|line| line.split_whitespace().collect::<Vec<_>>());
    words
        .filter(|words| words.get(5).and_then(|word| word.parse().ok()) == Some(port))
        .find_map(|words| words.get(3)?.parse().ok())
}

/// The network that QEMU makes, with SSH of the guest forwarded. Port 0: QEMU binds a free port itself, so no port is
/// chosen and lost before it is bound.
fn user(id: &str, restrict: &str) -> String {
    format!("user,id={id},restrict={restrict},hostfwd=tcp:127.0.0.1:0-:22")
}

/// Without an option ROM: the firmware's own driver is enough, and iPXE writes to the consoles.
fn card() -> String {
    format!("virtio-net-pci,netdev={NETWORK},romfile=")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_that_is_plugged_in_goes_into_the_port_that_the_machine_has() {
        let port = &Network::None.arguments()[0];
        assert!(port.1.starts_with("pcie-root-port,id=card-port,"));
        let commands = Network::None.connecting();
        assert!(commands[0].contains("restrict=on,hostfwd"), "{commands:?}");
        assert!(commands[1].ends_with("bus=card-port"), "{commands:?}");
        assert!(!Network::None.reaches_ssh());
    }

    #[test]
    fn finds_the_forwarded_port_in_the_monitors_table() {
        let text = "Hub -1 (n0):\r\n  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r\n  TCP[HOST_FORWARD]  11       127.0.0.1 40123       10.0.2.15  6443     0     0\r\n  TCP[HOST_FORWARD]  10       127.0.0.1 45643       10.0.2.15    22     0     0\r\n";
        assert_eq!(forwarded(text, 22), Some(45643));
        assert_eq!(forwarded(text, 6443), Some(40123));
        assert_eq!(forwarded(text, 7443), None);
    }

    #[test]
    fn a_machine_with_a_network_is_not_connected_again() {
        for network in [Network::Restricted, Network::Open] {
            assert!(network.connecting().is_empty() && network.reaches_ssh());
        }
    }
}
