//! Checks of static network settings, of services and of the time zone.

use crate::codes;
use crate::distribution::{self, Inside};
use crate::model::{NetworkInterface, OperatingSystem};
use crate::report::Report;
use crate::values::{InterfaceAddress, IpAddress, TimeZone, UnitName};
use crate::yaml::Pointer;
use std::collections::HashSet;
use std::net::IpAddr;

/// Units that the first boot is made of. It sets up those of the distributions itself.
const FIRST_BOOT_UNITS: &[&str] = &[
    "cloud-config.service",
    "cloud-final.service",
    "cloud-init-local.service",
    "cloud-init.service",
    "cloud-init.target",
];

/// What the interfaces before have.
#[derive(Default)]
struct Seen {
    /// Names and hardware addresses.
    names: HashSet<String>,
    addresses: HashSet<IpAddr>,
    /// Whether they are IPv4, of the default gateways.
    families: HashSet<bool>,
}

impl Report<'_> {
    /// `inside` is what a cluster on the node has inside.
    pub(super) fn system(&mut self, os: &OperatingSystem, inside: Option<&Inside>) {
        let section = Pointer::from("/operatingSystem");
        let network = section.join("network");
        let mut seen = Seen::default();
        for (index, interface) in os.network.iter().enumerate() {
            let at = network.join(index);
            self.interface(interface, &at);
            self.gateways(interface, &at);
            if let Some(inside) = inside {
                self.overlaps(interface, inside, &at);
            }
            self.repeated(interface, &mut seen, &at);
        }
        self.services(os, &section.join("services"));
        if let Some(zone) = &os.timezone {
            self.time_zone(zone, &section.join("timezone"));
        }
    }

    /// A warning alone: the OS image's database may be a newer one than this program's.
    fn time_zone(&mut self, zone: &TimeZone, at: &Pointer) {
        if zone.is_known() {
            return;
        }
        let message = format!(
            "the time zone database has no `{zone}`; the installer refuses a zone that the OS image lacks"
        );
        self.warning(codes::TimeZoneUnknown, at, message).help =
            TimeZone::nearest(zone.as_str()).map(|near| format!("did you mean `{near}`?"));
    }

    fn interface(&mut self, interface: &NetworkInterface, at: &Pointer) {
        match (&interface.interface, &interface.mac_address) {
            // A name or address that was refused is no second fault.
            (None, None) if self.given(&at.join("interface")) => {}
            (None, None) if self.given(&at.join("macAddress")) => {}
            (None, None) => {
                self.error(
                    codes::NetworkInterface,
                    at,
                    "it is not said which interface gets these addresses",
                )
                .help("add `interface: <name>` or `macAddress: <address>`");
            }
            (Some(name), None) if name.is_pattern() => {
                self.note(
                    codes::NetworkPattern,
                    &at.join("interface"),
                    format!("every Ethernet interface that `{name}` fits gets these addresses"),
                )
                .help("name one interface, or its macAddress, on a machine that has several");
            }
            _ => {}
        }
        if interface.addresses.is_empty() {
            self.error(
                codes::NetworkAddresses,
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
        let mut families = HashSet::new();
        // Two are one too many of a family at the latest with the third.
        for gateway in gateways.iter().map(IpAddress::address).take(3) {
            if !families.insert(gateway.is_ipv4()) {
                self.error(
                    codes::NetworkGatewayTwice,
                    &at,
                    "two default gateways of one address family",
                )
                .help("give one IPv4 gateway, one IPv6 gateway, or one of each");
            }
            let single = |own: &InterfaceAddress| {
                let network = own.network();
                network.prefix_len() == network.max_prefix_len()
            };
            let of_family = |own: &&InterfaceAddress| own.address().is_ipv4() == gateway.is_ipv4();
            // An address without a network of its own has its router on the link.
            let mut own = interface.addresses.iter().filter(of_family);
            if interface.is_outside(gateway) && !own.all(single) {
                let message = format!(
                    "the gateway {gateway} is in no network of this interface, so it is taken to be on the link"
                );
                self.warning(codes::NetworkGatewayOnLink, &at, message)
                    .help("check the gateway and the prefix lengths of `addresses`");
            } else if interface.is_outside(gateway)
                && !interface.addresses.iter().any(|own| of_family(&own))
            {
                let message =
                    format!("the gateway {gateway} is of a family of which there is no address");
                self.error(codes::NetworkGateway, &at, message)
                    .help("add an address of its family, or leave it out");
            }
            if interface
                .addresses
                .iter()
                .any(|own| own.address() == gateway)
            {
                let message = format!("the gateway {gateway} is this interface's own address");
                self.error(codes::NetworkGateway, &at, message);
            }
        }
    }

    /// Inside the cluster's networks the node's own network could not be reached.
    fn overlaps(&mut self, interface: &NetworkInterface, inside: &Inside, at: &Pointer) {
        let inside = inside.pods.iter().chain(&inside.services);
        let inside: Vec<ipnet::IpNet> = inside.filter_map(|n| n.parse().ok()).collect();
        for (index, own) in interface.addresses.iter().enumerate() {
            let own = own.network();
            for network in &inside {
                if own.contains(network) || network.contains(&own) {
                    let message =
                        format!("the network {own} and the cluster's network {network} overlap");
                    self.error(
                        codes::CidrOverlap,
                        &at.join("addresses").join(index),
                        message,
                    )
                    .help("choose other networks for the cluster's pods and services");
                }
            }
        }
    }

    fn repeated(&mut self, this: &NetworkInterface, seen: &mut Seen, at: &Pointer) {
        let name = this.interface.as_ref().map(ToString::to_string);
        let mac = this.mac_address.as_ref().map(ToString::to_string);
        let mut twice = false;
        for name in [name, mac].into_iter().flatten() {
            twice |= !seen.names.insert(name);
        }
        if twice {
            self.error(codes::NetworkTwice, at, "this interface occurs twice")
                .help("join the two entries: an interface may have several addresses");
        }
        for (index, address) in this.addresses.iter().enumerate() {
            if !seen.addresses.insert(address.address()) {
                let message = format!("the address {} occurs twice", address.address());
                let at = at.join("addresses").join(index);
                self.error(codes::NetworkAddressTwice, &at, message);
            }
        }
        let gateways = this.gateway.as_ref();
        let gateways = gateways.map_or(&[][..], |list| list.addresses());
        let own: HashSet<bool> = gateways.iter().map(|g| g.address().is_ipv4()).collect();
        if own.iter().any(|family| seen.families.contains(family)) {
            self.error(
                codes::NetworkGatewayTwice,
                &at.join("gateway"),
                "another interface has a default gateway of this address family",
            )
            .help("one default gateway is enough: Kubernetes takes the node's address from its interface");
        }
        seen.families.extend(own);
    }

    fn services(&mut self, os: &OperatingSystem, at: &Pointer) {
        let services = &os.services;
        let reserved = distribution::units();
        let mut seen: HashSet<&UnitName> = HashSet::new();
        for (key, units) in [("enable", &services.enable), ("disable", &services.disable)] {
            for (index, unit) in units.iter().enumerate() {
                let at = || at.join(key).join(index);
                if FIRST_BOOT_UNITS.contains(&unit.as_str()) || reserved.contains(&unit.as_str()) {
                    let message =
                        format!("{unit} is part of the first boot, which sets it up itself");
                    self.error(codes::ServiceReserved, &at(), message)
                        .help("leave it out");
                }
                if let Some(needed) = needed_for(os, unit).filter(|_| key == "disable") {
                    let message = format!("{unit} is what `{needed}` needs");
                    self.error(codes::ServiceNeeded, &at(), message)
                        .help(format!("leave it out, or leave `{needed}` out"));
                }
                if !seen.insert(unit) {
                    let message = format!("{unit} occurs twice in `services`");
                    self.error(codes::ServiceTwice, &at(), message)
                        .help("enable or disable it, and once");
                }
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
