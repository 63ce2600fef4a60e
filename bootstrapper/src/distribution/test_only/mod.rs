//! A distribution of the tests alone: the least that one has to bring. Nothing else of the crate has its name but its line in
//! `distributions!`.

mod tests;

use super::known::{Kind, Known};
use super::{Commands, Distribution, Entry, Facts, Setting, Template};
use crate::codes;
use crate::model::{File, Registries};
use crate::report::Report;
use crate::values::{CidrList, Command};
use crate::yaml::{Pointer, Tree};
use schemars::JsonSchema;
use serde::Deserialize;

const FACTS: Facts = Facts {
    name: "Mini",
    unit: "mini.service",
    config: "/etc/mini/config.yaml",
    data_dir: "/var/lib/mini",
    registries: "/etc/mini/registries.yaml",
    packaged: &["router"],
    other_components: &[],
    settings: &[&[
        Known::new("cluster-cidr", Kind::Commas).format("cidr-list"),
        Known::new("level", Kind::Text),
    ]],
    dropped: &[],
    knows_arguments: true,
    conflicts: &[],
    inside: ["10.62.0.0/16", "10.63.0.0/16", "mini.local"],
    inside_v6: ["fd00:62::/56", "fd00:63::/112"],
};

/// Its template, whose configuration stands directly under `spec`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MiniTemplate {
    /// Chooses it.
    pub kind: MiniKind,
    /// Private registries.
    #[serde(default)]
    pub registries: Registries,
    /// The configuration.
    #[serde(default)]
    pub spec: MiniSpec,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub enum MiniKind {
    MiniTemplate,
}

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MiniSpec {
    /// How much it says.
    #[serde(default)]
    pub verbosity: Option<String>,
    /// Networks of the pods.
    #[serde(default)]
    pub pod_networks: Option<CidrList>,
    /// Files of the first boot.
    #[serde(default)]
    pub files: Vec<File>,
    /// Commands after the installation.
    #[serde(default)]
    pub then: Vec<Command>,
}

impl Template for MiniTemplate {
    const KIND: &'static str = "MiniTemplate";
    const FACTS: &'static Facts = &FACTS;
}

impl Distribution for MiniTemplate {
    fn facts(&self) -> &'static Facts {
        Self::FACTS
    }

    fn spec_pointer(&self, _tree: &Tree) -> Pointer {
        Pointer::from("/kubernetes/spec")
    }

    fn check(&self, report: &mut Report<'_>) {
        if self.spec.verbosity.as_deref() == Some("") {
            let at = report.below_spec("verbosity");
            report.error(
                codes::NotAllowed,
                &at,
                "Mini does not start without a level",
            );
        }
    }

    fn files(&self) -> &[File] {
        &self.spec.files
    }

    fn registries(&self) -> &Registries {
        &self.registries
    }

    fn entries(&self) -> Vec<Entry> {
        let spec = &self.spec;
        let level = Entry::text("level", "verbosity", &spec.verbosity);
        let networks = spec.pod_networks.iter();
        let networks = networks.map(|list| {
            let texts = list.as_str().split(',').map(str::to_owned);
            Entry::new(
                "cluster-cidr",
                "podNetworks",
                Setting::List(texts.collect()),
            )
        });
        level.into_iter().chain(networks).collect()
    }

    fn commands(&self) -> [Commands<'_>; 2] {
        [("first", &[]), ("then", &self.spec.then)]
    }

    fn install_script(&self) -> (&'static str, String) {
        (
            "install-mini.sh",
            "systemctl enable --now mini # @DIGEST@\n".to_owned(),
        )
    }
}
