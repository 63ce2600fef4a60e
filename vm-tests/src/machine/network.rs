//! The machine's network: what its card reaches from power-on, and what connects it later.

use serde::Deserialize;

/// What the machine's network card reaches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
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
    fn a_machine_with_a_network_is_not_connected_again() {
        for network in [Network::Restricted, Network::Open] {
            assert!(network.connecting().is_empty() && network.reaches_ssh());
        }
    }
}
