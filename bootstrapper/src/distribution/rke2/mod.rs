//! RKE2: its control plane template (cluster-api-provider-rke2, v1beta1), checked and converted to RKE2's own settings.
//! The OS images have K3s; this converts and validates only.

mod agent;
mod check;
mod known_settings;
mod registries;
mod settings;
mod template;
mod values;

pub use agent::{CisProfile, ComponentConfig, KubeletConfig, Rke2AgentConfig, Rke2Format};
pub use registries::{Rke2Mirror, Rke2Registries, Rke2RegistryConfig, Rke2RegistryTls};
pub use template::{
    Cni, EncryptionProvider, EtcdBackupConfig, EtcdConfig, KubernetesComponent, PluginComponent,
    Rke2ApiVersion, Rke2ConfigSpec, Rke2ControlPlaneTemplate, Rke2DisableComponents, Rke2Kind,
    Rke2ServerConfig, Rke2Spec, Rke2Template, SecretsEncryption,
};
pub use values::{PortRange, Rke2Version, Sha256Sum};

use super::{Commands, Distribution, Entry, Facts, Setting, Template};
use crate::model::{File, Registries};
use crate::report::Report;
use crate::values::Complaint;
use std::borrow::Cow;
use std::collections::BTreeMap;

const FACTS: Facts = Facts {
    name: "RKE2",
    unit: "rke2-server.service",
    config: "/etc/rancher/rke2/config.yaml",
    data_dir: DATA_DIR,
    registries: "/etc/rancher/rke2/registries.yaml",
    packaged: &[],
    other_components: &[],
    settings: &[known_settings::SETTINGS, super::k3s::SETTINGS],
    dropped: known_settings::DROPPED,
    knows_arguments: false,
    conflicts: &[],
    inside: [PODS, SERVICES, CLUSTER_DOMAIN],
    // K3s, pkg/cli/server, GetDefaultAddresses.
    inside_v6: ["fd00:42::/56", "fd00:43::/112"],
};

const DATA_DIR: &str = "/var/lib/rancher/rke2";
const CLUSTER_DOMAIN: &str = "cluster.local";
/// Kernel parameters of a CIS profile.
const SYSCTL: &str = "/etc/sysctl.d/90-rke2-cis.conf";
/// Networks of pods and services, which the template cannot change: Cluster API has them in the Cluster object.
const PODS: &str = "10.42.0.0/16";
const SERVICES: &str = "10.43.0.0/16";

/// The final settings of RKE2 by key, as they are written to /etc/rancher/rke2/config.yaml.
pub fn settings(spec: &Rke2ConfigSpec) -> BTreeMap<String, Setting> {
    super::settings::by_key(settings::entries(spec))
}

impl Template for Rke2ControlPlaneTemplate {
    const KIND: &'static str = "RKE2ControlPlaneTemplate";
    const FACTS: &'static Facts = &FACTS;

    fn check_value(format: &str, text: &str) -> Option<Result<(), Complaint>> {
        values::check(format, text)
    }
}

impl Distribution for Rke2ControlPlaneTemplate {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn check(&self, report: &mut Report<'_>) {
        report.rke2(self);
    }

    fn files(&self) -> &[File] {
        &self.spec().files
    }

    fn registries(&self) -> &Registries {
        &self.registries
    }

    fn all_registries(&self) -> Cow<'_, Registries> {
        let own = &self.spec().private_registries_config;
        match own.is_empty() {
            true => Cow::Borrowed(&self.registries),
            false => Cow::Owned(Registries::from(own)),
        }
    }

    fn entries(&self) -> Vec<Entry> {
        settings::entries(self.spec())
    }

    fn commands(&self) -> [Commands<'_>; 2] {
        let spec = self.spec();
        [
            ("preRKE2Commands", &spec.pre_rke2_commands),
            ("postRKE2Commands", &spec.post_rke2_commands),
        ]
    }

    fn install_script(&self) -> (&'static str, String) {
        let agent = &self.spec().agent_config;
        let checksum = agent.air_gapped_checksum.as_ref();
        let cis = if agent.cis_profile.is_some() {
            "yes"
        } else {
            "no"
        };
        let text = include_str!("scripts/install-rke2.sh")
            .replace("@CHECKSUM@", checksum.map_or("", |sum| sum.as_str()))
            .replace("@CIS@", cis)
            .replace("@SYSCTL@", SYSCTL);
        ("install-rke2.sh", text)
    }

    fn made(&self) -> Vec<&'static str> {
        let profile = &self.spec().agent_config.cis_profile;
        profile.iter().map(|_| SYSCTL).collect()
    }
}

impl Rke2ControlPlaneTemplate {
    fn spec(&self) -> &Rke2ConfigSpec {
        &self.spec.template.spec
    }
}
