//! Addresses, networks and proxy settings.

use super::{Complaint, TextValue, display_text, text_value};
use crate::codes;
use std::fmt;
use std::net::IpAddr;

/// One IPv4 or IPv6 network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cidr {
    network: ipnet::IpNet,
    text: String,
}

impl Cidr {
    /// The network, host bits cleared, as K3s uses it.
    pub fn network(&self) -> ipnet::IpNet {
        self.network.trunc()
    }
}

impl TextValue for Cidr {
    const FORMAT: &'static str = "cidr";
    const DESCRIPTION: &'static str = "An IPv4 or IPv6 network in CIDR notation.";
    const EXAMPLES: &'static [&'static str] = &["10.42.0.0/16"];
    const PATTERN: &'static str = r"^[0-9A-Fa-f.:]+/[0-9]{1,3}$";

    fn parse(text: &str) -> Result<Self, Complaint> {
        let network = text.parse().map_err(|_| {
            Complaint::new(
                codes::Cidr,
                format!("`{text}` is not a network in CIDR notation"),
            )
            .help("write address/prefix length, such as 10.42.0.0/16")
        })?;
        Ok(Self {
            network,
            text: text.to_owned(),
        })
    }

    fn as_str(&self) -> &str {
        &self.text
    }
}

/// One network, or an IPv4 and an IPv6 network with a comma between (dual stack).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CidrList {
    networks: Vec<Cidr>,
    text: String,
}

impl CidrList {
    /// The networks, in the order given; at least one.
    pub fn networks(&self) -> &[Cidr] {
        &self.networks
    }
}

impl TextValue for CidrList {
    const FORMAT: &'static str = "cidr-list";
    const DESCRIPTION: &'static str =
        "A network in CIDR notation; two with a comma between for a dual-stack cluster.";
    const EXAMPLES: &'static [&'static str] = &["10.42.0.0/16", "10.42.0.0/16,fd00:42::/56"];
    const PATTERN: &'static str = r"^[0-9A-Fa-f.:]+/[0-9]{1,3}( *, *[0-9A-Fa-f.:]+/[0-9]{1,3})?$";

    fn parse(text: &str) -> Result<Self, Complaint> {
        let networks = text
            .split(',')
            .map(|part| Cidr::parse(part.trim()))
            .collect::<Result<Vec<_>, _>>()?;
        let is_v4 = |cidr: &Cidr| cidr.network().addr().is_ipv4();
        if networks.len() > 2 || (networks.len() == 2 && is_v4(&networks[0]) == is_v4(&networks[1]))
        {
            return Err(Complaint::new(
                codes::CidrList,
                format!("`{text}` is not one network, nor one IPv4 and one IPv6 network"),
            ));
        }
        let text = networks
            .iter()
            .map(Cidr::as_str)
            .collect::<Vec<_>>()
            .join(",");
        Ok(Self { networks, text })
    }

    fn as_str(&self) -> &str {
        &self.text
    }
}

/// One IP address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpAddress {
    address: IpAddr,
    text: String,
}

impl IpAddress {
    /// The address.
    pub fn address(&self) -> IpAddr {
        self.address
    }
}

impl TextValue for IpAddress {
    const FORMAT: &'static str = "ip-address";
    const DESCRIPTION: &'static str = "An IPv4 or IPv6 address.";
    const EXAMPLES: &'static [&'static str] = &["192.168.1.24"];
    const PATTERN: &'static str = r"^[0-9A-Fa-f.:]+$";

    fn parse(text: &str) -> Result<Self, Complaint> {
        let address = text.parse().map_err(|_| {
            Complaint::new(codes::IpAddress, format!("`{text}` is not an IP address"))
                .help("write an address without prefix length, such as 192.168.1.24")
        })?;
        Ok(Self {
            address,
            text: text.to_owned(),
        })
    }

    fn as_str(&self) -> &str {
        &self.text
    }
}

/// One IP address, or several with commas between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpList {
    addresses: Vec<IpAddress>,
    text: String,
}

impl IpList {
    /// The addresses, in the order given; at least one.
    pub fn addresses(&self) -> &[IpAddress] {
        &self.addresses
    }
}

impl TextValue for IpList {
    const FORMAT: &'static str = "ip-list";
    const DESCRIPTION: &'static str =
        "An IP address; an IPv4 and an IPv6 address with a comma between for dual stack.";
    const EXAMPLES: &'static [&'static str] = &["10.43.0.10"];
    const PATTERN: &'static str = r"^[0-9A-Fa-f.:]+( *, *[0-9A-Fa-f.:]+)*$";

    fn parse(text: &str) -> Result<Self, Complaint> {
        let addresses = text
            .split(',')
            .map(|part| IpAddress::parse(part.trim()))
            .collect::<Result<Vec<_>, _>>()?;
        let text = addresses
            .iter()
            .map(IpAddress::as_str)
            .collect::<Vec<_>>()
            .join(",");
        Ok(Self { addresses, text })
    }

    fn as_str(&self) -> &str {
        &self.text
    }
}

/// URL of a proxy, which may have a password in it.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl(String);

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProxyUrl(hidden)")
    }
}

impl ProxyUrl {
    /// Whether it has a user name or a password.
    pub fn has_credentials(&self) -> bool {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        authority.contains('@')
    }
}

impl TextValue for ProxyUrl {
    const FORMAT: &'static str = "proxy-url";
    const DESCRIPTION: &'static str =
        "URL of a proxy: scheme, host and, when it is not the scheme's, the port.";
    const EXAMPLES: &'static [&'static str] = &["http://proxy.example.com:911"];
    const PATTERN: &'static str = r"^(http|https|socks5|socks5h)://[^\s]+$";

    fn parse(text: &str) -> Result<Self, Complaint> {
        let bad = |reason: &str| {
            Complaint::new(codes::ProxyUrl, format!("not a proxy URL: {reason}"))
                .help("write scheme://host:port, such as http://proxy.example.com:911")
        };
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| bad("there is no scheme"))?;
        if !["http", "https", "socks5", "socks5h"].contains(&scheme) {
            return Err(bad("the scheme is not http, https, socks5 or socks5h"));
        }
        if let Some(c) = text
            .chars()
            .find(|c| !c.is_ascii_graphic() || "\"'`\\$#".contains(*c))
        {
            return Err(bad(&format!(
                "it has the character {c:?}; write it percent-encoded"
            )));
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host_port = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        // Where an `@` is missing, the host is a part of the password.
        let quiet = |reason: String| match reason.contains('`') {
            true => bad("its host is neither a name nor an address"),
            false => bad(&reason),
        };
        check_host_port(host_port).map_err(quiet)?;
        Ok(Self(text.to_owned()))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

/// Checks `host`, `host:port` or `[v6]:port`.
pub(super) fn check_host_port(text: &str) -> Result<(), String> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or("a `[` is not closed")?;
            host.parse::<std::net::Ipv6Addr>()
                .map_err(|_| format!("`{host}` is not an IPv6 address"))?;
            (
                None,
                rest.strip_prefix(':').or(rest.is_empty().then_some("")),
            )
        }
        None => match text.rsplit_once(':') {
            Some((host, port)) => (Some(host), Some(port)),
            None => (Some(text), Some("")),
        },
    };
    let has_colon = text.ends_with(':');
    match port {
        Some("") if !has_colon => {}
        Some(port) if port.parse::<u16>().is_ok_and(|port| port != 0) => {}
        _ => return Err("the port is not a number from 1 to 65535".to_owned()),
    }
    match host {
        Some(host) if !is_host(host) => Err(format!("`{host}` is not a host name")),
        _ => Ok(()),
    }
}

/// Whether a text is a DNS name (or an IPv4 address), any case, underscores allowed.
pub(super) fn is_host(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    !text.is_empty()
        && text.len() <= 253
        && text.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        })
}

/// Hosts, domains and networks that are reached without the proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoProxy {
    entries: Vec<String>,
    text: String,
}

impl NoProxy {
    /// The entries without blanks.
    pub fn entries(&self) -> &[String] {
        &self.entries
    }
}

impl TextValue for NoProxy {
    const FORMAT: &'static str = "no-proxy";
    const DESCRIPTION: &'static str =
        "Hosts, .domains, addresses and networks reached without the proxy, with commas between.";
    const EXAMPLES: &'static [&'static str] =
        &["localhost,127.0.0.1,10.0.0.0/8,192.168.0.0/16,.example.com"];
    const PATTERN: &'static str = r#"^[^\s"'`\\$;]+( *, *[^\s"'`\\$;]+)*$"#;

    fn parse(text: &str) -> Result<Self, Complaint> {
        let entries: Vec<String> = text
            .split(',')
            .map(|part| part.trim().to_owned())
            .filter(|part| !part.is_empty())
            .collect();
        if let Some(bad) = entries.iter().find(|entry| !is_no_proxy_entry(entry)) {
            // Behind an @ there would be a password before it.
            let shown = bad.rsplit('@').next().unwrap_or_default();
            return Err(Complaint::new(
                codes::NoProxy,
                format!("`{shown}` is neither a host, a .domain, an address nor a network"),
            )
            .help(
                "entries have commas between, without schemes: localhost,10.0.0.0/8,.example.com",
            ));
        }
        let text = entries.join(",");
        Ok(Self { entries, text })
    }

    fn as_str(&self) -> &str {
        &self.text
    }
}

fn is_no_proxy_entry(entry: &str) -> bool {
    if entry == "*" || entry.parse::<IpAddr>().is_ok() || entry.parse::<ipnet::IpNet>().is_ok() {
        return true;
    }
    let looks_numeric =
        entry.contains('/') || entry.chars().all(|c| c.is_ascii_digit() || c == '.');
    let host = entry
        .strip_prefix("*.")
        .or(entry.strip_prefix('.'))
        .unwrap_or(entry);
    !looks_numeric && check_host_port(host).is_ok()
}

text_value!(Cidr, CidrList, IpAddress, IpList, ProxyUrl, NoProxy);
display_text!(Cidr, CidrList, IpAddress, IpList, ProxyUrl, NoProxy);
