//! The first boot of an RKE2 node.

use super::{CONFIG, REGISTRIES, settings};
use crate::first_boot::{BootFile, Plan, own};
use crate::k3s::settings_yaml;
use crate::model::{ConfigFile, Registries, Rke2AgentConfig, Rke2ControlPlaneTemplate};

const INSTALL: &str = include_str!("scripts/install-rke2.sh");
/// Kernel parameters of a CIS profile.
const SYSCTL: &str = "/etc/sysctl.d/90-rke2-cis.conf";

pub(super) fn plan<'a>(
    config: &'a ConfigFile,
    template: &'a Rke2ControlPlaneTemplate,
    mut files: Vec<BootFile>,
) -> Plan<'a> {
    let spec = &template.spec.template.spec;
    let registries = match spec.private_registries_config.is_empty() {
        true => config.registries(),
        false => &Registries::from(&spec.private_registries_config),
    };
    if !registries.is_empty() {
        files.push(own(REGISTRIES, 0o600, &registries.to_yaml()));
    }
    Plan {
        name: "RKE2",
        unit: "rke2-server.service",
        family: "4",
        files,
        settings: (CONFIG, settings_yaml(&settings(spec))),
        install: ("install-rke2.sh", install_script(&spec.agent_config)),
        before: vec![
            ("runCommands", &config.operating_system.run_commands),
            ("preRKE2Commands", &spec.pre_rke2_commands),
        ],
        made: spec
            .agent_config
            .cis_profile
            .iter()
            .map(|_| SYSCTL)
            .collect(),
        after: ("postRKE2Commands", &spec.post_rke2_commands),
    }
}

fn install_script(agent: &Rke2AgentConfig) -> String {
    let checksum = &agent.air_gapped_checksum;
    let cis = if agent.cis_profile.is_some() {
        "yes"
    } else {
        "no"
    };
    INSTALL
        .replace(
            "@CHECKSUM@",
            checksum.as_ref().map_or("", |sum| sum.as_str()),
        )
        .replace("@CIS@", cis)
        .replace("@SYSCTL@", SYSCTL)
}
