//! The operating system section: users, proxy, SSH keys, host name, network, files, commands.

use super::{File, InstallDisk, NetworkInterface, Services};
use crate::values::{
    Command, HostName, NoProxy, NtpServer, Password, ProxyUrl, SshKey, SshKeyLines, TimeZone,
    UserName,
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::HashSet;

/// Settings of the node's operating system.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OperatingSystem {
    /// Host name of the node; when left out, the installer gives each machine one, `node-` and eight hexadecimal digits.
    #[serde(default)]
    pub hostname: Option<HostName>,
    /// Time zone of the node, which the OS image must have; when left out, that of the image holds.
    #[serde(default)]
    pub timezone: Option<TimeZone>,
    /// The disk to install on; without it the smallest internal disk that is large enough.
    #[serde(default)]
    pub install_disk: Option<InstallDisk>,
    /// Users who can log in. Those other than root may use sudo without a password.
    #[serde(default)]
    pub users: Vec<User>,
    /// Proxy settings of the node; they also hold for K3s and its image pulls.
    #[serde(default)]
    pub proxy: Proxy,
    /// Public SSH keys of every user in `users`, or of root when there are none: one key, several lines, or a list.
    #[serde(default)]
    pub ssh_key: Option<SshKeySource>,
    /// Interfaces with static addresses. For all others the OS image's own settings hold, which is DHCP as a rule.
    #[serde(default)]
    pub network: Vec<NetworkInterface>,
    /// Time servers, asked instead of the OS image's own.
    #[serde(default)]
    pub ntp_servers: Vec<NtpServer>,
    /// systemd units that are started at boot or not.
    #[serde(default)]
    pub services: Services,
    /// Files that the installer writes, so that they are there before anything starts.
    #[serde(default)]
    pub write_files: Vec<File>,
    /// Commands run at first boot by cloud-init, before preK3sCommands, if any, and in the same shell. An OS image that keeps no
    /// state of cloud-init runs them at every boot.
    #[serde(default)]
    #[schemars(extend("examples" = [["modprobe gpio-dev"]]))]
    pub run_commands: Vec<Command>,
}

impl OperatingSystem {
    /// Whether all static addresses are of one family, and whether that is IPv6; `None` without static addresses, or with
    /// those of both.
    pub(crate) fn only_family(&self) -> Option<bool> {
        let addresses = self
            .network
            .iter()
            .flat_map(|interface| &interface.addresses);
        let mut families = addresses.map(|own| own.address().is_ipv6());
        let first = families.next()?;
        families.all(|other| other == first).then_some(first)
    }

    /// The SSH keys in order, each once.
    pub fn ssh_keys(&self) -> Vec<&SshKey> {
        let all = match &self.ssh_key {
            None => &[],
            Some(SshKeySource::Lines(lines)) => lines.keys(),
            Some(SshKeySource::List(keys)) => keys.as_slice(),
        };
        let mut seen = HashSet::new();
        all.iter().filter(|key| seen.insert(*key)).collect()
    }
}

/// SSH keys as one text or as a list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum SshKeySource {
    /// One key, or several with a line each.
    Lines(SshKeyLines),
    /// A list of keys.
    List(Vec<SshKey>),
}

/// A login user.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// Login name.
    pub username: UserName,
    /// Password in base64, or its hash. Without one the user logs in with an SSH key only.
    #[serde(default)]
    pub password: Option<Password>,
}

/// Proxy settings, written to /etc/environment in lower and upper case, for logins, K3s and units that name the file. With
/// a user name or password in them only root can read it. Commands of the first boot get them by
/// `set -a; . /etc/environment; set +a`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Proxy {
    /// Proxy for http URLs.
    #[serde(default)]
    pub http_proxy: Option<ProxyUrl>,
    /// Proxy for https URLs.
    #[serde(default)]
    pub https_proxy: Option<ProxyUrl>,
    /// What is reached without the proxy. With Kubernetes, the cluster's networks, `.svc` and its domain are added.
    #[serde(default)]
    pub no_proxy: Option<NoProxy>,
}

impl Proxy {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
