//! Checks of static network settings and of services.

use super::Meaning;
use crate::model::{ConfigFile, NetworkInterface, OperatingSystem};
use crate::values::{IpAddress, UnitName};
use crate::yaml::Pointer;
use std::net::IpAddr;

/// Units that the first boot is made of, or that it sets up itself.
const FIRST_BOOT_UNITS: &[&str] = &[
    "cloud-config.service",
    "cloud-final.service",
    "cloud-init-local.service",
    "cloud-init.service",
    "cloud-init.target",
    "k3s.service",
    "rke2-server.service",
];

impl Meaning<'_> {
    pub(super) fn system(&mut self, config: &ConfigFile) {
        let section = Pointer::from("/operatingSystem");
        let os = &config.operating_system;
        let network = section.join("network");
        for (index, interface) in os.network.iter().enumerate() {
            let at = network.join(index);
            self.interface(interface, &at);
            self.gateways(interface, &at);
            self.overlaps(interface, config, &at);
            self.repeated(&os.network[..index], interface, &at);
        }
        self.services(os, &section.join("services"));
    }

    fn interface(&mut self, interface: &NetworkInterface, at: &Pointer) {
        match (&interface.interface, &interface.mac_address) {
            // A name or address that was refused is no second fault.
            (None, None) if self.given(&at.join("interface")) => {}
            (None, None) if self.given(&at.join("macAddress")) => {}
            (None, None) => {
                self.error(
                    "network-interface",
                    at,
                    "it is not said which interface gets these addresses",
                )
                .help("add `interface: <name>` or `macAddress: <address>`");
            }
            (Some(name), None) if name.is_pattern() => {
                self.note(
                    "network-pattern",
                    &at.join("interface"),
                    format!("every Ethernet interface that `{name}` fits gets these addresses"),
                )
                .help("name one interface, or its macAddress, on a machine that has several");
            }
            _ => {}
        }
        if interface.addresses.is_empty() {
            self.error(
                "network-addresses",
                &at.join("addresses"),
                "there is no address",
            )
            .help("leave the whole entry out for an interface that asks DHCP");
        }
    }

    /// A gateway that no address of the interface can reach leaves the node without a default route.
    fn gateways(&mut self, interface: &NetworkInterface, at: &Pointer) {
        let at = at.join("gateway");
        let given = interface.gateway.as_ref();
        let gateways = given.map_or(&[][..], |list| list.addresses());
        let mut families = vec![];
        for gateway in gateways.iter().map(IpAddress::address) {
            if families.contains(&gateway.is_ipv4()) {
                self.error(
                    "network-gateway",
                    &at,
                    "two default gateways of one address family",
                )
                .help("give one IPv4 gateway, one IPv6 gateway, or one of each");
            }
            families.push(gateway.is_ipv4());
            // An IPv6 router may be known by its link-local address alone.
            let link_local = matches!(gateway, IpAddr::V6(v6) if v6.is_unicast_link_local());
            let mut networks = interface.addresses.iter();
            if !link_local && !networks.any(|own| own.network().contains(&gateway)) {
                let message = format!("the gateway {gateway} is in no network of this interface");
                self.error("network-gateway", &at, message)
                    .help("check the gateway and the prefix lengths of `addresses`");
            }
            if interface
                .addresses
                .iter()
                .any(|own| own.address() == gateway)
            {
                let message = format!("the gateway {gateway} is this interface's own address");
                self.error("network-gateway", &at, message);
            }
        }
    }

    /// Inside the cluster's networks the node's own network could not be reached.
    fn overlaps(&mut self, interface: &NetworkInterface, config: &ConfigFile, at: &Pointer) {
        let inside = config.kubernetes.distribution().inside(config).networks;
        let inside: Vec<ipnet::IpNet> = inside.iter().filter_map(|n| n.parse().ok()).collect();
        for (index, own) in interface.addresses.iter().enumerate() {
            let own = own.network();
            for network in &inside {
                if own.contains(network) || network.contains(&own) {
                    let message =
                        format!("the network {own} and the cluster's network {network} overlap");
                    self.error("cidr-overlap", &at.join("addresses").join(index), message)
                        .help("choose other networks for the cluster's pods and services");
                }
            }
        }
    }

    fn repeated(&mut self, before: &[NetworkInterface], this: &NetworkInterface, at: &Pointer) {
        let same = |other: &&NetworkInterface| {
            let name = this.interface.is_some() && other.interface == this.interface;
            let mac = this.mac_address.is_some() && other.mac_address == this.mac_address;
            name || mac
        };
        if before.iter().any(|other| same(&other)) {
            self.error("network-twice", at, "this interface occurs twice")
                .help("join the two entries: an interface may have several addresses");
        }
        for (index, address) in this.addresses.iter().enumerate() {
            let own = this.addresses[..index].iter();
            let mut others = before.iter().flat_map(|other| &other.addresses).chain(own);
            if others.any(|other| other.address() == address.address()) {
                let message = format!("the address {} occurs twice", address.address());
                self.error(
                    "network-addresses",
                    &at.join("addresses").join(index),
                    message,
                );
            }
        }
        let families = |of: &NetworkInterface| -> Vec<bool> {
            let list = of.gateway.as_ref();
            let list = list.map_or(&[][..], |list| list.addresses());
            list.iter().map(|g| g.address().is_ipv4()).collect()
        };
        let own = families(this);
        if before
            .iter()
            .any(|other| families(other).iter().any(|family| own.contains(family)))
        {
            self.error(
                "network-gateway",
                &at.join("gateway"),
                "another interface has a default gateway of this address family",
            )
            .help("one default gateway is enough: Kubernetes takes the node's address from its interface");
        }
    }

    fn services(&mut self, os: &OperatingSystem, at: &Pointer) {
        let services = &os.services;
        let mut seen: Vec<&UnitName> = vec![];
        for (key, units) in [("enable", &services.enable), ("disable", &services.disable)] {
            for (index, unit) in units.iter().enumerate() {
                let at = at.join(key).join(index);
                if FIRST_BOOT_UNITS.contains(&unit.as_str()) {
                    let message =
                        format!("{unit} is part of the first boot, which sets it up itself");
                    self.error("service-reserved", &at, message)
                        .help("leave it out");
                }
                if let Some(needed) = needed_for(os, unit).filter(|_| key == "disable") {
                    let message = format!("{unit} is what `{needed}` needs");
                    self.error("service-needed", &at, message)
                        .help(format!("leave it out, or leave `{needed}` out"));
                }
                if seen.contains(&unit) {
                    let message = format!("{unit} occurs twice in `services`");
                    self.error("service-twice", &at, message)
                        .help("enable or disable it, and once");
                }
                seen.push(unit);
            }
        }
    }
}

/// The key that needs a unit.
fn needed_for(os: &OperatingSystem, unit: &UnitName) -> Option<&'static str> {
    let with_dns = os.network.iter().any(|interface| !interface.dns.is_empty());
    match unit.as_str() {
        "systemd-networkd.service" if !os.network.is_empty() => Some("network"),
        "systemd-resolved.service" if with_dns => Some("dns"),
        "systemd-timesyncd.service" if !os.ntp_servers.is_empty() => Some("ntpServers"),
        _ => None,
    }
}
