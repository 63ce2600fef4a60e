//! The machine's networks: what its cards reach from power-on, what connects and disturbs them later.

use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::shell::escape;

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

/// The machine's place on the network that it shares with other machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LanPort {
    /// The socket of the [`Hub`](super::Hub).
    pub hub: PathBuf,
    /// The machine's number there, by which its MAC addresses differ from those of the others.
    pub number: u8,
}

/// QEMU's name of the network that the card is on.
const NETWORK: &str = "net0";
/// QEMU's name of the network that machines share.
const LAN: &str = "lan0";
/// QEMU's name of the port that takes a card while the machine runs: the root bus takes none.
const PORT: &str = "card-port";

impl Network {
    /// True when the guest's SSH can be reached from power-on.
    #[must_use]
    pub fn reaches_ssh(self) -> bool {
        matches!(self, Self::Restricted | Self::Open)
    }

    /// Options of QEMU's command line with their values, for this card and the one on the network of the machines. By
    /// DHCP the guest is told `domain`.
    pub(super) fn arguments(
        self,
        lan: Option<&LanPort>,
        domain: Option<&str>,
    ) -> Vec<(&'static str, String)> {
        let number = lan.map_or(0, |port| port.number);
        let mut all = match self {
            Self::Restricted => cable(user("on", domain), card(NETWORK, number)),
            Self::Open => cable(user("off", domain), card(NETWORK, number)),
            Self::None => Vec::new(),
        };
        if !self.reaches_ssh() {
            all.push(("-device", format!("pcie-root-port,id={PORT},chassis=1")));
        }
        if let Some(port) = lan {
            all.extend(cable(stream(&port.hub), card(LAN, number)));
        }
        all
    }

    /// What connects a running machine that has no network to a restricted one: commands of QEMU's monitor, in order.
    /// None when it has one.
    #[must_use]
    pub fn connecting(self) -> Vec<String> {
        if self.reaches_ssh() {
            return Vec::new();
        }
        vec![
            format!("netdev_add {}", user("on", None)),
            format!("device_add {},bus={PORT}", card(NETWORK, 0)),
        ]
    }

    /// QEMU's names of the networks that the machine's cables lead to.
    fn cables(self, lan: bool) -> impl Iterator<Item = &'static str> {
        let own = match self {
            Self::Restricted | Self::Open => Some(NETWORK),
            Self::None => None,
        };
        own.into_iter().chain(lan.then_some(LAN))
    }

    /// What pulls every cable of a running machine, or plugs it in again: commands of QEMU's monitor. The guest sees
    /// that a card has no carrier.
    pub(super) fn linking(self, lan: bool, plugged: bool) -> Vec<String> {
        let state = if plugged { "on" } else { "off" };
        let cables = self.cables(lan);
        cables
            .map(|cable| format!("set_link {cable} {state}"))
            .collect()
    }

    /// What holds every frame of a running machine back for up to `delay`, or what ends that: commands of QEMU's
    /// monitor.
    pub(super) fn delaying(self, lan: bool, delay: Option<Duration>) -> Vec<String> {
        let cables = self.cables(lan);
        cables
            .map(|cable| match delay {
                Some(delay) => format!(
                    "object_add filter-buffer,id=slow-{cable},netdev={cable},interval={}",
                    delay.as_micros()
                ),
                None => format!("object_del slow-{cable}"),
            })
            .collect()
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
fn user(restrict: &str, domain: Option<&str>) -> String {
    let domain = domain.map_or_else(String::new, |name| format!(",domainname={name}"));
    format!("user,id={NETWORK},restrict={restrict},hostfwd=tcp:127.0.0.1:0-:22{domain}")
}

/// The network that machines share.
fn stream(hub: &Path) -> String {
    let path = escape(hub);
    format!("stream,id={LAN},server=off,addr.type=unix,addr.path={path}")
}

fn cable(network: String, card: String) -> Vec<(&'static str, String)> {
    vec![("-netdev", network), ("-device", card)]
}

/// Without an option ROM: the firmware's own driver is enough, and iPXE writes to the consoles. The addresses are of
/// the block that QEMU takes its own from; on the network of the machines they differ.
fn card(network: &str, number: u8) -> String {
    let kind = if network == LAN { "e0:00" } else { "12:34" };
    let last = if network == LAN {
        number
    } else {
        0x56 + number
    };
    format!("virtio-net-pci,netdev={network},mac=52:54:00:{kind}:{last:02x},romfile=")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_that_is_plugged_in_goes_into_the_port_that_the_machine_has() {
        let port = &Network::None.arguments(None, None)[0];
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

    #[test]
    fn machines_on_one_network_have_addresses_of_their_own() {
        let port = |number| LanPort {
            hub: "/run/a,b/lan".into(),
            number,
        };
        let cards = |number| {
            let all = Network::Restricted.arguments(Some(&port(number)), None);
            all.into_iter()
                .filter(|(option, _)| *option == "-device")
                .map(|(_, card)| card)
                .collect::<Vec<_>>()
        };
        assert_eq!(cards(1).len(), 2);
        assert!(cards(1)[1].contains("netdev=lan0,mac=52:54:00:e0:00:01,"));
        for card in cards(1) {
            assert!(!cards(2).contains(&card), "{card}");
        }
        let network = &Network::None.arguments(Some(&port(1)), None)[1].1;
        assert!(network.ends_with("addr.path=/run/a,,b/lan"), "{network}");
    }

    #[test]
    fn every_cable_is_pulled_and_slowed() {
        let restricted = Network::Restricted;
        assert_eq!(restricted.linking(false, false), ["set_link net0 off"]);
        assert_eq!(
            restricted.linking(true, true),
            ["set_link net0 on", "set_link lan0 on"]
        );
        let slow = restricted.delaying(false, Some(Duration::from_millis(300)));
        assert_eq!(
            slow,
            ["object_add filter-buffer,id=slow-net0,netdev=net0,interval=300000"]
        );
        assert_eq!(Network::None.delaying(true, None), ["object_del slow-lan0"]);
    }
}
