//! The first boot of a K3s node.

use super::settings::{settings, settings_yaml};
use crate::first_boot::{BootFile, FirstBoot, Plan, own};
use crate::model::{ConfigFile, ConfigSpec, ContentError};

const INSTALL: &str = include_str!("scripts/install-k3s.sh");

/// Plans the first boot of a K3s node.
///
/// # Errors
/// A file's content does not fit its encoding; [`crate::parse`] refuses such a config-file.
pub fn first_boot(config: &ConfigFile) -> Result<FirstBoot, ContentError> {
    config.first_boot()
}

/// The same of a node that has the user's files.
pub(super) fn plan(config: &ConfigFile, mut files: Vec<BootFile>) -> Plan<'_> {
    let spec = config.k3s();
    files.extend(registries(config));
    Plan {
        name: "K3s",
        unit: "k3s.service",
        family: family(spec),
        files,
        settings: (
            crate::values::GENERATED_CONFIG,
            settings_yaml(&settings(spec)),
        ),
        install: ("install-k3s.sh", INSTALL.to_owned()),
        before: vec![
            ("runCommands", &config.operating_system.run_commands),
            ("preK3sCommands", &spec.pre_k3s_commands),
        ],
        made: vec!["/etc/systemd/system/k3s.service"],
        after: ("postK3sCommands", &spec.post_k3s_commands),
    }
}

/// The cluster's (first) address family, as `ip` takes it: `4` or `6`. Without a network given, K3s takes IPv4.
fn family(spec: &ConfigSpec) -> &'static str {
    let networks = spec.server_config.cluster_cidr.as_ref();
    match networks.and_then(|list| list.networks().first()) {
        Some(cidr) if cidr.network().addr().is_ipv6() => "6",
        _ => "4",
    }
}

/// K3s' registries.yaml, for root alone: it may hold credentials.
fn registries(config: &ConfigFile) -> Option<BootFile> {
    let registries = config.registries();
    (!registries.is_empty()).then(|| {
        let text = registries.to_yaml();
        own(config.registries_path(), 0o600, &text)
    })
}
