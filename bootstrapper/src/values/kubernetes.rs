//! Names of Kubernetes and K3s, by the rules of the API server, the kubelet and K3s' own flags.

use super::network::{check_host_port, is_host};
use super::{Complaint, TextValue, display_text, text_value};
use crate::codes;

/// Declares a newtype over its own text.
macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name(String);
    )+
        text_value!($($name),+);
        display_text!($($name),+);
    };
}

texts!(
    /// Version of the config-file's format.
    ConfigVersion,
    /// A DNS domain in lower case.
    DomainName,
    /// `key=value` of a node label.
    NodeLabel,
    /// Name of the node.
    NodeName,
    /// `key=value:Effect` of a node taint.
    NodeTaint,
    /// A TCP port.
    Port,
    /// Registry that the system images come from, without scheme.
    RegistryPrefix,
    /// A host name or address for the API server's certificate.
    SubjectAltName,
);

impl TextValue for ConfigVersion {
    const FORMAT: &'static str = "config-version";
    const DESCRIPTION: &'static str = "Version of the config-file's format: 1.0.";
    const EXAMPLES: &'static [&'static str] = &["1.0"];
    const PATTERN: &'static str = r"^1(\.0)?$";
    const NUMERIC: bool = true;

    fn parse(text: &str) -> Result<Self, Complaint> {
        if !["1.0", "1"].contains(&text) {
            return Err(Complaint::new(
                codes::ConfigVersion,
                format!("the config-file has format version `{text}`; this tool reads 1.0"),
            )
            .help("write `version: 1.0`"));
        }
        Ok(Self(text.to_owned()))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

impl TextValue for DomainName {
    const FORMAT: &'static str = "domain-name";
    const DESCRIPTION: &'static str = "A DNS domain in lower case.";
    const EXAMPLES: &'static [&'static str] = &["cluster.local"];
    const PATTERN: &'static str = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$";

    fn parse(text: &str) -> Result<Self, Complaint> {
        if !is_subdomain(text) {
            return Err(Complaint::new(
                codes::DomainName,
                format!("`{text}` is not a DNS domain in lower case"),
            ));
        }
        Ok(Self(text.to_owned()))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

impl NodeLabel {
    /// Key and value.
    pub fn key_value(&self) -> (&str, &str) {
        self.0.split_once('=').unwrap_or((&self.0, ""))
    }
}

impl TextValue for NodeLabel {
    const FORMAT: &'static str = "node-label";
    const DESCRIPTION: &'static str = "A node label as key=value.";
    const EXAMPLES: &'static [&'static str] = &["site.example.com/zone=plant-7"];
    const PATTERN: &'static str = r"^[A-Za-z0-9./_-]+=[A-Za-z0-9._-]*$";

    fn parse(text: &str) -> Result<Self, Complaint> {
        let bad = |reason: String| {
            Complaint::new(
                codes::NodeLabel,
                format!("`{text}` is not a node label: {reason}"),
            )
            .help("write key=value, such as site.example.com/zone=plant-7")
        };
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| bad("there is no `=`".to_owned()))?;
        check_qualified_name(key).map_err(bad)?;
        check_label_value(value).map_err(bad)?;
        if let Some((prefix, _)) = key.split_once('/')
            && is_reserved_prefix(prefix)
            && !KUBELET_LABELS.contains(&key)
            && !is_kubelet_prefix(prefix)
        {
            return Err(bad(format!(
                "the kubelet may not set labels of `{prefix}` and would refuse to start"
            )));
        }
        Ok(Self(text.to_owned()))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

/// Labels below kubernetes.io and k8s.io that a kubelet may set on itself (kubelet's own list).
const KUBELET_LABELS: &[&str] = &[
    "kubernetes.io/hostname",
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/instance-type",
    "node.kubernetes.io/instance-type",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.kubernetes.io/zone",
    "failure-domain.kubernetes.io/region",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
];

fn is_reserved_prefix(prefix: &str) -> bool {
    ["kubernetes.io", "k8s.io"]
        .iter()
        .any(|domain| prefix == *domain || prefix.ends_with(&format!(".{domain}")))
}

fn is_kubelet_prefix(prefix: &str) -> bool {
    ["kubelet.kubernetes.io", "node.kubernetes.io"]
        .iter()
        .any(|domain| prefix == *domain || prefix.ends_with(&format!(".{domain}")))
}

/// Longest name of a node: the kubelet labels the node with it, and a label's value ends there.
pub const MAX_NODE_NAME: usize = 63;

impl TextValue for NodeName {
    const FORMAT: &'static str = "node-name";
    const DESCRIPTION: &'static str =
        "Name of the node: a DNS name of at most 63 characters, which is lowered.";
    const EXAMPLES: &'static [&'static str] = &["edge-node-1"];
    const PATTERN: &'static str = r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$";

    fn parse(text: &str) -> Result<Self, Complaint> {
        let lower = text.to_ascii_lowercase();
        if !is_subdomain(&lower) || lower.len() > MAX_NODE_NAME {
            return Err(
                Complaint::new(codes::NodeName, format!("`{text}` is not a node name")).help(
                    format!("use letters, digits, `-` and `.`, at most {MAX_NODE_NAME} characters"),
                ),
            );
        }
        Ok(Self(lower))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

impl TextValue for NodeTaint {
    const FORMAT: &'static str = "node-taint";
    const DESCRIPTION: &'static str = "A node taint as key=value:Effect or key:Effect.";
    const EXAMPLES: &'static [&'static str] = &["dedicated=vision:NoSchedule"];
    const PATTERN: &'static str =
        r"^[A-Za-z0-9./_-]+(=[A-Za-z0-9._-]*)?:(NoSchedule|PreferNoSchedule|NoExecute)$";

    fn parse(text: &str) -> Result<Self, Complaint> {
        let bad = |reason: String| {
            Complaint::new(
                codes::NodeTaint,
                format!("`{text}` is not a node taint: {reason}"),
            )
            .help("write key=value:Effect; Effect is NoSchedule, PreferNoSchedule or NoExecute")
        };
        let (rest, effect) = text
            .rsplit_once(':')
            .ok_or_else(|| bad("there is no `:`".to_owned()))?;
        if !["NoSchedule", "PreferNoSchedule", "NoExecute"].contains(&effect) {
            return Err(bad(format!("`{effect}` is not an effect")));
        }
        let (key, value) = rest.split_once('=').unwrap_or((rest, ""));
        check_qualified_name(key).map_err(bad)?;
        check_label_value(value).map_err(bad)?;
        Ok(Self(text.to_owned()))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

impl Port {
    /// The number, 1 to 65535.
    pub fn number(&self) -> u16 {
        self.0.parse().unwrap_or_default()
    }
}

impl TextValue for Port {
    const FORMAT: &'static str = "port";
    const DESCRIPTION: &'static str = "A TCP port, 1 to 65535; quotes are not needed.";
    const EXAMPLES: &'static [&'static str] = &["6443"];
    const PATTERN: &'static str = r"^[1-9][0-9]{0,4}$";
    const NUMERIC: bool = true;

    fn parse(text: &str) -> Result<Self, Complaint> {
        let fine = text
            .parse::<u16>()
            .is_ok_and(|port| port.to_string() == text && port > 0);
        if !fine {
            return Err(Complaint::new(
                codes::Port,
                format!("`{text}` is not a port from 1 to 65535"),
            )
            .help("write a whole number, such as 6443"));
        }
        Ok(Self(text.to_owned()))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

impl TextValue for RegistryPrefix {
    const FORMAT: &'static str = "registry-prefix";
    const DESCRIPTION: &'static str =
        "Registry for the system images: host[:port][/path], no scheme.";
    const EXAMPLES: &'static [&'static str] = &["registry.example.com:5000"];
    const PATTERN: &'static str = r"^[A-Za-z0-9][A-Za-z0-9._:/\[\]-]*[A-Za-z0-9]$";

    fn parse(text: &str) -> Result<Self, Complaint> {
        let bad = |reason: &str| {
            Complaint::new(
                codes::RegistryPrefix,
                format!("`{text}` is not a registry: {reason}"),
            )
            .help("write host[:port][/path], such as registry.example.com:5000")
        };
        if text.contains("://") {
            return Err(bad("it has a scheme"));
        }
        let (host, path) = text.split_once('/').unwrap_or((text, "x"));
        check_host_port(host).map_err(|reason| bad(&reason))?;
        let path_fine = path.split('/').all(|part| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c))
        });
        if !path_fine {
            return Err(bad(
                "its path is not lower-case names with `/` between, or it ends in `/`",
            ));
        }
        Ok(Self(text.to_owned()))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

impl TextValue for SubjectAltName {
    const FORMAT: &'static str = "subject-alt-name";
    const DESCRIPTION: &'static str = "A host name or address for the API server's certificate.";
    const EXAMPLES: &'static [&'static str] = &["k3s.example.com"];
    const PATTERN: &'static str = r"^[A-Za-z0-9*._:-]+$";

    fn parse(text: &str) -> Result<Self, Complaint> {
        let name = text.strip_prefix("*.").unwrap_or(text);
        if text.parse::<std::net::IpAddr>().is_err() && !is_host(name) {
            return Err(Complaint::new(
                codes::SubjectAltName,
                format!("`{text}` is neither a host name nor an IP address"),
            )
            .help("one name or address per list element"));
        }
        Ok(Self(text.to_owned()))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

/// RFC 1123 subdomain as Kubernetes checks it.
fn is_subdomain(text: &str) -> bool {
    text.len() <= 253
        && is_host(text)
        && !text.ends_with('.')
        && !text.contains('_')
        && !text.chars().any(|c| c.is_ascii_uppercase())
}

fn check_qualified_name(key: &str) -> Result<(), String> {
    let name = match key.split_once('/') {
        Some((prefix, _)) if !is_subdomain(prefix) => {
            return Err(format!("the prefix `{prefix}` is not a DNS domain"));
        }
        Some((_, name)) => name,
        None => key,
    };
    if name.is_empty() || name.len() > 63 || !is_label_text(name) {
        return Err(format!("the key `{key}` is not valid"));
    }
    Ok(())
}

fn check_label_value(value: &str) -> Result<(), String> {
    if value.len() > 63 || !(value.is_empty() || is_label_text(value)) {
        return Err(format!("the value `{value}` is not valid"));
    }
    Ok(())
}

fn is_label_text(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}
