//! Network interfaces and units of the operating system.

use crate::values::{InterfaceAddress, InterfaceName, IpAddress, IpList, MacAddress, UnitName};
use schemars::JsonSchema;
use serde::Deserialize;
use std::net::IpAddr;

/// Static addresses of a network interface, which is told by its name, its hardware address, or both.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkInterface {
    /// Name of the interface.
    #[serde(default)]
    pub interface: Option<InterfaceName>,
    /// Hardware address of the interface, which no other card changes.
    #[serde(default)]
    pub mac_address: Option<MacAddress>,
    /// Its addresses, each with the length of the network's prefix.
    pub addresses: Vec<InterfaceAddress>,
    /// The default gateway; an IPv4 and an IPv6 one with a comma between. One outside the interface's networks is taken to
    /// be on the link. Without one the node still gets the default route that K3s needs, which leads nowhere.
    #[serde(default)]
    #[schemars(extend("examples" = ["192.168.1.1"]))]
    pub gateway: Option<IpList>,
    /// Name servers.
    #[serde(default)]
    #[schemars(extend("examples" = [["192.168.1.1"]]))]
    pub dns: Vec<IpAddress>,
}

/// systemd units of the OS image, or of `writeFiles`, that are started at boot or not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Services {
    /// Units that are started at boot.
    #[serde(default)]
    pub enable: Vec<UnitName>,
    /// Units that are not started at boot.
    #[serde(default)]
    pub disable: Vec<UnitName>,
}

impl NetworkInterface {
    /// Whether a gateway is in none of the interface's networks, so that it must be said to be on the link. A link-local
    /// one always is.
    pub(crate) fn is_outside(&self, gateway: IpAddr) -> bool {
        let link_local = matches!(gateway, IpAddr::V6(v6) if v6.is_unicast_link_local());
        let mut networks = self.addresses.iter();
        !link_local && !networks.any(|own| own.network().contains(&gateway))
    }
}
