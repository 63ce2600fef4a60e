//! Values that K3s' template alone has: its version, its packaged components, its install script.

use crate::codes;
use crate::values::{Complaint, TextValue, display_text, text_value};

/// A K3s release, such as `v1.33.5+k3s1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct K3sVersion(String);

impl K3sVersion {
    /// Whether two texts name the same release, with or without the leading `v`.
    pub fn same_as(&self, other: &str) -> bool {
        let bare = |text: &str| text.strip_prefix('v').unwrap_or(text).to_owned();
        bare(&self.0) == bare(other)
    }
}

impl TextValue for K3sVersion {
    const FORMAT: &'static str = "k3s-version";
    const DESCRIPTION: &'static str =
        "A K3s release. It is fixed by the OS image, so it is best left out.";
    const EXAMPLES: &'static [&'static str] = &["v1.33.5+k3s1"];
    const PATTERN: &'static str = r"^v?[0-9]+\.[0-9]+(\.[0-9]+)?([-+][0-9A-Za-z.+-]+)?$";
    const NUMERIC: bool = true;

    fn parse(text: &str) -> Result<Self, Complaint> {
        let bare = text.strip_prefix('v').unwrap_or(text);
        let core = bare.split(['-', '+']).next().unwrap_or_default();
        let numbers: Vec<_> = core.split('.').collect();
        let all_numbers = numbers.iter().all(|part| part.parse::<u32>().is_ok());
        let rest_fine = bare[core.len()..]
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ".+-".contains(c));
        if !(2..=3).contains(&numbers.len()) || !all_numbers || !rest_fine {
            return Err(Complaint::new(
                codes::K3sVersion,
                format!("`{text}` is not a K3s version"),
            )
            .help("leave `version` out: the OS image fixes it"));
        }
        Ok(Self(text.to_owned()))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

/// A packaged component of K3s that can be left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentName(String);

impl ComponentName {
    /// The proposal's name for the embedded cloud controller; K3s has a switch of its own for it.
    pub const CLOUD_CONTROLLER: &'static str = "cloudController";
    /// What cluster-api-k3s adds to every control plane, and a standalone node has not.
    pub const ETCD_PROXY: &'static str = "etcd-proxy";
}

impl TextValue for ComponentName {
    const FORMAT: &'static str = "component-name";
    const DESCRIPTION: &'static str =
        "A packaged component of K3s that is left out, or several with commas between.";
    const EXAMPLES: &'static [&'static str] = &["traefik", "servicelb"];
    const PATTERN: &'static str = r"^[^\s]+$";

    fn parse(text: &str) -> Result<Self, Complaint> {
        if text.is_empty() || text.contains(char::is_whitespace) || text.contains(char::is_control)
        {
            return Err(Complaint::new(
                codes::ComponentName,
                format!("`{text}` is not the name of a component"),
            )
            .help("write one component per list element"));
        }
        Ok(Self(text.to_owned()))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

/// Path of the K3s install script; the OS image fixes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallScriptPath(String);

impl InstallScriptPath {
    /// Where the OS image has the install script.
    pub const FIXED: &'static str = "/opt/install.sh";
}

impl TextValue for InstallScriptPath {
    const FORMAT: &'static str = "install-script-path";
    const DESCRIPTION: &'static str = "Always /opt/install.sh, where the OS image has it.";
    const EXAMPLES: &'static [&'static str] = &[Self::FIXED];
    const PATTERN: &'static str = r"^/opt/install\.sh$";

    fn parse(text: &str) -> Result<Self, Complaint> {
        if text != Self::FIXED {
            return Err(Complaint::new(
                codes::InstallScriptPath,
                format!("the install script is always {}, not `{text}`", Self::FIXED),
            )
            .help("leave airGappedInstallScriptPath out: the OS image fixes it"));
        }
        Ok(Self(text.to_owned()))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

text_value!(K3sVersion, ComponentName, InstallScriptPath);
display_text!(K3sVersion, ComponentName, InstallScriptPath);
