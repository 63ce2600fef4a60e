//! Checks of the cluster's networks, and of addresses that lie in them or must not.

use super::context::Context;
use crate::codes;
use crate::diagnostic::Draft;
use crate::distribution::joined::Origin;
use crate::report::Report;
use diagnostics::code::Code;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network of the cluster and where it was given; `None` for the distribution's own.
type Given = (IpNet, Option<Origin>);

impl Report<'_> {
    pub(super) fn cluster_networks(&mut self, context: &Context<'_>) {
        let pods = networks(context, "cluster-cidr", &context.inside.pods);
        let services = networks(context, "service-cidr", &context.inside.services);
        self.families(context, &pods, &services);
        for (a, _) in &pods {
            for (b, _) in &services {
                if a.contains(b) || b.contains(a) {
                    let message = format!("clusterCidr {a} and serviceCidr {b} overlap");
                    self.network_error(codes::CidrOverlap, context, [&services, &pods], message)
                        .help("choose networks that have no address in common");
                }
            }
        }
        for (network, origin) in &pods {
            let smallest = mask_size(context, network);
            self.network_size(context, network, &PODS, smallest, origin);
        }
        let has_dns = !context.joined.list("cluster-dns").is_empty();
        for (network, origin) in &services {
            // The DNS is the tenth address unless another one is given.
            let smallest = has_dns.then_some(network.max_prefix_len() - 2);
            self.network_size(context, network, &SERVICES, smallest, origin);
        }
        self.advertised(context, &services);
        self.cluster_dns(context, &services);
    }

    fn families(&mut self, context: &Context<'_>, pods: &[Given], services: &[Given]) {
        let families = |list: &[Given]| -> Vec<bool> {
            list.iter()
                .map(|(network, _)| network.addr().is_ipv4())
                .collect()
        };
        if families(pods) == families(services) {
            return;
        }
        let (shown_pods, shown) = (shown(pods), shown(services));
        let message = format!("clusterCidr {shown_pods} and serviceCidr {shown} differ in family");
        self.network_error(codes::CidrFamily, context, [services, pods], message)
            .help("give both as IPv4, both as IPv6, or both as dual stack in the same order");
    }

    /// Reports at the first network of the lists that was given.
    fn network_error(
        &mut self,
        code: impl Into<Code>,
        context: &Context<'_>,
        lists: [&[Given]; 2],
        message: String,
    ) -> Draft<'_> {
        let given = lists
            .into_iter()
            .flatten()
            .find_map(|(_, origin)| origin.as_ref());
        let own = Origin::Key(String::new());
        self.error_of(code, context, given.unwrap_or(&own), message)
    }

    fn network_size(
        &mut self,
        context: &Context<'_>,
        network: &IpNet,
        limits: &Limits,
        given_smallest: Option<u8>,
        origin: &Option<Origin>,
    ) {
        let Some(origin) = origin else { return };
        let (largest, smallest) = match network.addr().is_ipv4() {
            true => limits.v4,
            false => limits.v6,
        };
        let smallest = given_smallest.unwrap_or(smallest);
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
        self.error_of(codes::CidrSize, context, origin, message);
    }

    /// The API server does not start with an address of another family than its services', and other nodes' pods do not
    /// reach it at one that is no machine's.
    fn advertised(&mut self, context: &Context<'_>, services: &[Given]) {
        let given = context.joined.last("advertise-address");
        let Some((given, address)) = given.and_then(|v| Some((v, v.text.parse::<IpAddr>().ok()?)))
        else {
            return;
        };
        let name = context.facts.name;
        if address.is_unspecified() || address.is_loopback() || address.is_multicast() {
            let message = format!("{address} is not an address at which the node can be reached");
            self.error_of(codes::AdvertiseAddress, context, &given.origin, message)
                .help(format!("leave it out: {name} takes the node's address"));
            return;
        }
        let first = services.first();
        if first.is_some_and(|(network, _)| network.addr().is_ipv4() != address.is_ipv4()) {
            let shown = shown(services);
            let message =
                format!("{address} is of another address family than serviceCidr {shown}");
            self.error_of(codes::AdvertiseAddress, context, &given.origin, message)
                .help(format!(
                    "leave it out: {name} takes the node's address of the right family"
                ));
        }
    }

    fn cluster_dns(&mut self, context: &Context<'_>, services: &[Given]) {
        let help = format!(
            "leave it out: {} takes the tenth address of serviceCidr",
            context.facts.name
        );
        for given in context.joined.parts("cluster-dns") {
            let Ok(address) = given.text.parse::<IpAddr>() else {
                continue;
            };
            let message = if !services
                .iter()
                .any(|(network, _)| network.contains(&address))
            {
                format!(
                    "clusterDNS {address} is not inside serviceCidr {}",
                    shown(services)
                )
            } else if services
                .iter()
                .any(|(network, _)| is_reserved(network, address))
            {
                format!(
                    "clusterDNS {address} is taken: the first addresses of a network and its last are no service's to choose"
                )
            } else {
                continue;
            };
            self.error_of(codes::ClusterDns, context, &given.origin, message)
                .help(help.clone());
        }
    }
}

/// The length of a node's own prefix, where an argument of the controller manager sets it.
fn mask_size(context: &Context<'_>, network: &IpNet) -> Option<u8> {
    let of_family = match network.addr().is_ipv4() {
        true => "node-cidr-mask-size-ipv4",
        false => "node-cidr-mask-size-ipv6",
    };
    let arguments = context
        .joined
        .list("kube-controller-manager-arg")
        .iter()
        .rev();
    let mut sizes = arguments.filter_map(|value| {
        let bare = value.text.strip_prefix("--").unwrap_or(&value.text);
        let (key, size) = bare.split_once('=')?;
        let is_size = key == of_family || key == "node-cidr-mask-size";
        is_size.then(|| size.parse::<u8>().ok()).flatten()
    });
    sizes
        .next()
        .filter(|size| *size <= network.max_prefix_len())
}

fn shown(networks: &[Given]) -> String {
    let shown: Vec<String> = networks
        .iter()
        .map(|(network, _)| network.to_string())
        .collect();
    shown.join(",")
}

/// The networks of a setting, the distribution's own where none is given.
fn networks(context: &Context<'_>, name: &str, own: &[String]) -> Vec<Given> {
    let parts = context.joined.parts(name).into_iter();
    let given: Vec<Given> = parts
        .filter_map(|part| Some((part.text.parse::<IpNet>().ok()?.trunc(), Some(part.origin))))
        .collect();
    match given.is_empty() {
        true => own
            .iter()
            .filter_map(|text| Some((text.parse().ok()?, None)))
            .collect(),
        false => given,
    }
}

/// Whether an address is the network's own, its last, or the first one, which the API server has as a service.
fn is_reserved(network: &IpNet, address: IpAddr) -> bool {
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
