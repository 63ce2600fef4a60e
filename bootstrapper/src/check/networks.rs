//! Checks of the cluster's networks, and of addresses that lie in them or must not.

use super::Meaning;
use crate::model::ConfigSpec;
use crate::values::{Cidr, CidrList, TextValue as _};
use crate::yaml::Pointer;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

impl Meaning<'_> {
    pub(super) fn networks(&mut self, spec: &ConfigSpec) {
        let section = self.spec.join("serverConfig");
        let server = &spec.server_config;
        let Some((cluster, service)) = cluster_networks(spec) else {
            return;
        };
        let cluster_at = section.join("clusterCidr");
        let service_at = section.join("serviceCidr");
        let at = if server.service_cidr.is_some() {
            &service_at
        } else {
            &cluster_at
        };
        let families = |list: &CidrList| -> Vec<bool> {
            let networks = list.networks().iter();
            networks.map(|n| n.network().addr().is_ipv4()).collect()
        };
        if families(&cluster) != families(&service) {
            let message =
                format!("clusterCidr {cluster} and serviceCidr {service} differ in family");
            self.error("cidr-family", at, message)
                .help("give both as IPv4, both as IPv6, or both as dual stack in the same order");
        }
        for a in cluster.networks() {
            for b in service.networks() {
                let (a, b) = (a.network(), b.network());
                if a.contains(&b) || b.contains(&a) {
                    let message = format!("clusterCidr {a} and serviceCidr {b} overlap");
                    self.error("cidr-overlap", at, message)
                        .help("choose networks that have no address in common");
                }
            }
        }
        for cidr in cluster.networks() {
            self.network_size(cidr, &PODS, &cluster_at);
        }
        for cidr in service.networks() {
            self.network_size(cidr, &SERVICES, &service_at);
        }
        self.advertised(spec, &service, &section.join("advertiseAddress"));
        self.cluster_dns(spec, &service, &section.join("clusterDNS"));
    }

    fn network_size(&mut self, cidr: &Cidr, limits: &Limits, at: &Pointer) {
        let network = cidr.network();
        let (largest, smallest) = match network.addr().is_ipv4() {
            true => limits.v4,
            false => limits.v6,
        };
        let length = network.prefix_len();
        let message = if length > smallest {
            let why = limits.why_not_smaller;
            format!("{network} is too small, it must have at least a /{smallest}: {why}")
        } else if length < largest {
            let who = limits.who_refuses_larger;
            format!("{network} is too large: {who} takes a /{largest} at most and would not start")
        } else {
            return;
        };
        self.error("cidr-size", at, message);
    }

    /// The API server does not start with an address of another family than its services', and other nodes' pods do not
    /// reach it at one that is no machine's.
    fn advertised(&mut self, spec: &ConfigSpec, service: &CidrList, at: &Pointer) {
        let Some(given) = &spec.server_config.advertise_address else {
            return;
        };
        let address = given.address();
        if address.is_unspecified() || address.is_loopback() || address.is_multicast() {
            let message = format!("{given} is no address at which the node can be reached");
            self.error("advertise-address", at, message)
                .help("leave it out: K3s takes the node's address");
            return;
        }
        let first = service.networks().first();
        if first.is_some_and(|cidr| cidr.network().addr().is_ipv4() != address.is_ipv4()) {
            let message =
                format!("{given} is of another address family than serviceCidr {service}");
            self.error("advertise-address", at, message)
                .help("leave it out: K3s takes the node's address of the right family");
        }
    }

    fn cluster_dns(&mut self, spec: &ConfigSpec, service: &CidrList, at: &Pointer) {
        let Some(dns) = &spec.server_config.cluster_dns else {
            return;
        };
        for address in dns.addresses() {
            let inside = |cidr: &Cidr| cidr.network().contains(&address.address());
            if !service.networks().iter().any(inside) {
                self.error(
                    "cluster-dns",
                    at,
                    format!("clusterDNS {address} is not inside serviceCidr {service}"),
                )
                .help("leave it out: K3s takes the tenth address of serviceCidr");
            } else if service
                .networks()
                .iter()
                .any(|cidr| is_reserved(cidr, address.address()))
            {
                let message = format!(
                    "clusterDNS {address} is taken: the first addresses of a network and its last are no service's to choose"
                );
                self.error("cluster-dns", at, message)
                    .help("leave it out: K3s takes the tenth address of serviceCidr");
            }
        }
    }
}

/// Whether an address is the network's own, its last, or the first one, which the API server has as a service.
fn is_reserved(cidr: &Cidr, address: IpAddr) -> bool {
    let network = cidr.network();
    let first = match network.network() {
        IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() | 1)),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() | 1)),
    };
    [network.network(), first, network.broadcast()].contains(&address)
}

/// Shortest and longest prefix of a network that Kubernetes starts with.
struct Limits {
    v4: (u8, u8),
    v6: (u8, u8),
    why_not_smaller: &'static str,
    who_refuses_larger: &'static str,
}

/// A node gets a /24 or a /64; the controller manager divides an IPv6 network into 2^16 of them at most
/// (kubernetes pkg/controller/nodeipam/ipam/cidrset).
const PODS: Limits = Limits {
    v4: (1, 24),
    v6: (48, 64),
    why_not_smaller: "a node's pods need a network of their own",
    who_refuses_larger: "the controller manager",
};

/// The API server takes 20 bits of addresses at most (kubernetes cmd/kube-apiserver/app/options/validation.go).
const SERVICES: Limits = Limits {
    v4: (12, 28),
    v6: (108, 124),
    why_not_smaller: "the cluster's DNS is its tenth address",
    who_refuses_larger: "the API server",
};

/// clusterCidr and serviceCidr, K3s' own where they were left out.
fn cluster_networks(spec: &ConfigSpec) -> Option<(CidrList, CidrList)> {
    let server = &spec.server_config;
    let list = |given: &Option<CidrList>, default: &str| {
        let given = given.clone();
        given.or_else(|| CidrList::parse(default).ok())
    };
    list(&server.cluster_cidr, "10.42.0.0/16").zip(list(&server.service_cidr, "10.43.0.0/16"))
}
