//! K3s: its control plane template (cluster-api-k3s, v1beta2), checked and converted to K3s' own settings.

mod check;
mod containerd;
mod go_template;
mod known_settings;
mod normalise;
mod settings;
mod template;
mod values;

pub(super) use known_settings::{CONFLICTS, SETTINGS};
pub use template::{
    AgentConfig, ConfigSpec, KThreesApiVersion, KThreesControlPlaneTemplate, KThreesKind,
    KThreesSpec, KThreesTemplate, ServerConfig, TemplateSpec,
};
pub use values::{ComponentName, InstallScriptPath, K3sVersion};

use super::{Commands, Distribution, Entry, Facts, Setting, TEMPLATE_SPEC, Template};
use crate::model::{File, Registries};
use crate::report::Report;
use crate::values::{Complaint, FilePath};
use crate::yaml::{Kind, Pointer, Tree};
use std::collections::BTreeMap;

const FACTS: Facts = Facts {
    name: "K3s",
    unit: "k3s.service",
    config: "/etc/rancher/k3s/config.yaml",
    data_dir: "/var/lib/rancher/k3s",
    registries: REGISTRIES,
    packaged: &[
        // K3s, pkg/deploy.
        "ccm",
        "coredns",
        "local-storage",
        "metrics-server",
        "rolebindings",
        "runtimes",
        "traefik",
    ],
    other_components: &["servicelb"],
    settings: &[SETTINGS],
    dropped: &[],
    knows_arguments: true,
    conflicts: CONFLICTS,
    inside: [CLUSTER_CIDR, SERVICE_CIDR, CLUSTER_DOMAIN],
    // K3s, pkg/cli/server, GetDefaultAddresses.
    inside_v6: ["fd00:42::/56", "fd00:43::/112"],
};

/// Where K3s looks for its registries unless `agentConfig.privateRegistry` names another file.
pub const REGISTRIES: &str = "/etc/rancher/k3s/registries.yaml";
/// The networks of pods and services, and the DNS domain, that K3s takes where none is given.
const CLUSTER_CIDR: &str = "10.42.0.0/16";
const SERVICE_CIDR: &str = "10.43.0.0/16";
const CLUSTER_DOMAIN: &str = "cluster.local";

/// The final settings of K3s by key, as they are written to /etc/rancher/k3s/config.yaml.
pub fn settings(spec: &ConfigSpec) -> BTreeMap<String, Setting> {
    super::settings::by_key(settings::entries(spec))
}

/// Pointer of the K3s configuration in a document: `spec.template.spec` or `kthreesConfigSpec` in it.
pub(crate) fn spec_pointer(tree: &Tree) -> Pointer {
    let direct = Pointer::from(TEMPLATE_SPEC);
    let nested = direct.join("kthreesConfigSpec");
    match tree.find(&nested).map(|id| &tree.node(id).kind) {
        Some(Kind::Mapping(_)) => nested,
        _ => direct,
    }
}

impl Template for KThreesControlPlaneTemplate {
    const KIND: &'static str = "KThreesControlPlaneTemplate";
    const FACTS: &'static Facts = &FACTS;

    fn check_value(format: &str, text: &str) -> Option<Result<(), Complaint>> {
        values::check(format, text)
    }
}

impl Distribution for KThreesControlPlaneTemplate {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn spec_pointer(&self, tree: &Tree) -> Pointer {
        spec_pointer(tree)
    }

    fn normalise(&mut self, report: &mut Report<'_>) {
        normalise::template(self, report);
    }

    fn normalise_file(&self, file: &mut File, at: &Pointer, report: &mut Report<'_>) {
        normalise::containerd_template(file, at, report);
    }

    fn check(&self, report: &mut Report<'_>) {
        report.k3s(self.spec());
    }

    fn check_file(&self, file: &File, at: &Pointer, report: &mut Report<'_>) {
        report.containerd_template(file, at);
    }

    fn files(&self) -> &[File] {
        self.spec().files.as_slice()
    }

    fn registries(&self) -> &Registries {
        &self.registries
    }

    fn registries_path(&self) -> &str {
        let given = self.spec().agent_config.private_registry.as_ref();
        given.map_or(REGISTRIES, FilePath::as_str)
    }

    fn entries(&self) -> Vec<Entry> {
        settings::entries(self.spec())
    }

    fn commands(&self) -> [Commands<'_>; 2] {
        let spec = self.spec();
        [
            ("preK3sCommands", &spec.pre_k3s_commands),
            ("postK3sCommands", &spec.post_k3s_commands),
        ]
    }

    fn install_script(&self) -> (&'static str, String) {
        let text = include_str!("scripts/install-k3s.sh");
        ("install-k3s.sh", text.to_owned())
    }

    fn made(&self) -> Vec<&'static str> {
        vec!["/etc/systemd/system/k3s.service"]
    }
}

impl KThreesControlPlaneTemplate {
    /// The K3s configuration, brought into one place by [`Distribution::normalise`].
    fn spec(&self) -> &ConfigSpec {
        &self.spec.template.spec.direct
    }
}
