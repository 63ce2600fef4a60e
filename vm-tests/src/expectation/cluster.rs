//! The cluster's networks, names and ports.

use std::net::IpAddr;

use cluster_bootstrapper::k3s::ServerConfig;
use ipnet::IpNet;

use super::judge::{Verdict, equals, failed, node, objects};
use super::kubelet::kubelet_setting;
use super::{Expectation, Source};
use crate::kube::KUBECONFIG;
use crate::node::Probe;
use crate::ssh::GuestOutput;

/// Port of the API when the config-file names none.
const DEFAULT_PORT: u16 = 6443;

/// The API's port.
pub(super) fn api_port(server: &ServerConfig) -> u16 {
    server
        .https_listen_port
        .as_ref()
        .map_or(DEFAULT_PORT, |port| port.number())
}

pub(super) fn expectations(source: &Source) -> Vec<Expectation> {
    let server = &source.config.k3s().server_config;
    let key = |name: &str| format!("{}/serverConfig/{name}", source.k3s);
    let mut all = networks(server, &key);
    all.extend(dns(server, &key));
    all.extend(addresses(server, &key));
    all
}

fn networks(server: &ServerConfig, key: &impl Fn(&str) -> String) -> Vec<Expectation> {
    let mut all = Vec::new();
    if let Some(list) = &server.cluster_cidr {
        let networks: Vec<IpNet> = list.networks().iter().map(|cidr| cidr.network()).collect();
        all.push(Expectation::new(
            key("clusterCidr"),
            "contains node.spec.podCIDR",
            list.to_string(),
            Probe::Objects,
            node(move |node| {
                let cidrs = node["spec"]["podCIDRs"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|cidr| cidr.as_str());
                let cidrs: Vec<&str> = cidrs.collect();
                let inside = cidrs.iter().all(|cidr| {
                    cidr.parse::<IpNet>()
                        .is_ok_and(|cidr| networks.iter().any(|network| network.contains(&cidr)))
                });
                Verdict::when(inside && cidrs.len() == networks.len(), cidrs.join(","))
            }),
        ));
    }
    if let Some(list) = &server.service_cidr
        && let Some(first) = list
            .networks()
            .first()
            .and_then(|cidr| first_address(&cidr.network()))
    {
        let check = "the Service kubernetes has its first address";
        all.push(Expectation::new(
            key("serviceCidr"),
            check,
            first.to_string(),
            Probe::Objects,
            objects(move |objects| {
                let service = objects
                    .find("Service", "default", "kubernetes")
                    .ok_or("there is no Service default/kubernetes")?;
                let address = service["spec"]["clusterIP"].as_str().unwrap_or_default();
                Ok(Verdict::when(
                    address.parse::<IpAddr>() == Ok(first),
                    address,
                ))
            }),
        ));
    }
    all
}

/// The first usable address: the one after the network's own.
fn first_address(network: &IpNet) -> Option<IpAddr> {
    match network {
        IpNet::V4(network) => u32::from(network.network())
            .checked_add(1)
            .map(|address| IpAddr::V4(address.into())),
        IpNet::V6(network) => u128::from(network.network())
            .checked_add(1)
            .map(|address| IpAddr::V6(address.into())),
    }
}

/// What pods get to resolve names with is the kubelet's setting.
fn dns(server: &ServerConfig, key: &impl Fn(&str) -> String) -> Vec<Expectation> {
    let mut all = Vec::new();
    if let Some(list) = &server.cluster_dns {
        let wanted: Vec<String> = list
            .addresses()
            .iter()
            .map(|address| address.address().to_string())
            .collect();
        all.push(kubelet_setting(
            &key("clusterDNS"),
            "clusterDNS",
            serde_json::json!(wanted),
        ));
    }
    if let Some(domain) = &server.cluster_domain {
        all.push(kubelet_setting(
            &key("clusterDomain"),
            "clusterDomain",
            serde_json::json!(domain.as_str()),
        ));
    }
    all
}

fn addresses(server: &ServerConfig, key: &impl Fn(&str) -> String) -> Vec<Expectation> {
    let port = api_port(server);
    let mut all = Vec::new();
    for (index, name) in server.tls_san.iter().enumerate() {
        let name = name.to_string();
        let check = format!("the API's certificate is for tlsSan[{index}]");
        all.push(Expectation::new(
            key("tlsSan"),
            check,
            name.clone(),
            Probe::Certificate { port },
            move |answer| certificate_names(answer, &name),
        ));
    }
    // The node's administrator has no other tool: the one kubectl that is started on the node.
    let port_key = match server.https_listen_port {
        Some(_) => key("httpsListenPort"),
        None => "/kubernetes/kind".to_owned(),
    };
    all.push(Expectation::new(
        port_key,
        "the node's own kubectl reaches the API at the port",
        port.to_string(),
        Probe::shell(format!(
            "k3s kubectl get --raw=/readyz >/dev/null && sed -n 's/^ *server: .*:\\([0-9]*\\)$/\\1/p' {KUBECONFIG}"
        )),
        equals(port),
    ));
    if let Some(address) = &server.bind_address {
        let address = address.address();
        all.push(Expectation::new(
            key("bindAddress"),
            "the API listens on the address",
            format!("{address}:{port}"),
            Probe::shell("ss -Hltn | awk '{print $4}'"),
            move |answer| listens(answer, address, port),
        ));
        all.push(Expectation::new(
            key("bindAddress"),
            "the API answers",
            "ok",
            Probe::Api("/readyz".into()),
            equals("ok"),
        ));
    }
    let endpoint = || Probe::Api("/api/v1/namespaces/default/endpoints/kubernetes".into());
    if let Some(address) = &server.advertise_address {
        let address = address.address().to_string();
        all.push(Expectation::new(
            key("advertiseAddress"),
            "the endpoint of the Service kubernetes",
            &address,
            endpoint(),
            endpoint_has("addresses", "ip", address.clone()),
        ));
    }
    if let Some(port) = &server.advertise_port {
        let port = port.to_string();
        all.push(Expectation::new(
            key("advertisePort"),
            "the port of the endpoint of the Service kubernetes",
            &port,
            endpoint(),
            endpoint_has("ports", "port", port.clone()),
        ));
    }
    all
}

fn certificate_names(answer: &GuestOutput, name: &str) -> Verdict {
    if answer.status != 0 {
        return failed(answer);
    }
    let text = answer.text();
    let names: Vec<&str> = text.lines().skip(1).collect();
    Verdict::when(
        names.iter().any(|other| other.eq_ignore_ascii_case(name)),
        names.join(", "),
    )
}

fn listens(answer: &GuestOutput, address: IpAddr, port: u16) -> Verdict {
    let text = answer.text();
    let found: Vec<&str> = text
        .lines()
        .filter(|line| line.ends_with(&format!(":{port}")))
        .collect();
    let wanted = std::net::SocketAddr::new(address, port).to_string();
    let any = address.is_unspecified()
        && found.iter().any(|line| {
            line.starts_with("*:") || line.starts_with("0.0.0.0:") || line.starts_with("[::]:")
        });
    Verdict::when(any || found.contains(&wanted.as_str()), found.join(", "))
}

/// An Endpoints object whose first subset has a value in a list.
fn endpoint_has(
    list: &'static str,
    field: &'static str,
    wanted: String,
) -> impl Fn(&GuestOutput) -> Verdict + Send + Sync + 'static {
    move |answer| {
        let Ok(object) = serde_json::from_str::<serde_json::Value>(&answer.text()) else {
            return failed(answer);
        };
        let values = object["subsets"][0][list].as_array().into_iter().flatten();
        let values: Vec<String> = values
            .map(|item| {
                item[field]
                    .as_str()
                    .map_or_else(|| item[field].to_string(), str::to_owned)
            })
            .collect();
        Verdict::when(values.contains(&wanted), values.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::super::judge::said;
    use super::*;

    #[test]
    fn the_first_address_is_the_one_after_the_network() {
        assert_eq!(
            first_address(&"10.43.0.0/16".parse().unwrap())
                .unwrap()
                .to_string(),
            "10.43.0.1"
        );
        assert_eq!(
            first_address(&"10.43.7.9/16".parse().unwrap())
                .unwrap()
                .to_string(),
            "10.43.0.1"
        );
        assert_eq!(
            first_address(&"fd00:43::/112".parse().unwrap())
                .unwrap()
                .to_string(),
            "fd00:43::1"
        );
    }

    #[test]
    fn a_certificates_names_are_compared_as_a_whole() {
        assert!(
            certificate_names(&said("EC\nlocalhost\nedge.example.com"), "edge.example.com").passed
        );
        assert!(!certificate_names(&said("EC\nedge.example.com.evil"), "edge.example.com").passed);
    }

    #[test]
    fn an_address_for_all_counts_as_any_wildcard() {
        assert!(listens(&said("*:6443\n"), "0.0.0.0".parse().unwrap(), 6443).passed);
        assert!(
            !listens(
                &said("127.0.0.1:6443\n"),
                "10.0.2.15".parse().unwrap(),
                6443
            )
            .passed
        );
    }
}
