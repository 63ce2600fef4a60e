//! The Kubernetes distributions: each is one folder, whose template answers what the rest of the crate asks.
//!
//! A new one is its folder and one line in [`distributions!`]: the template type with [`Template`] and [`Distribution`].

mod first_boot;
pub(crate) mod joined;
pub mod k3s;
pub(crate) mod known;
pub mod rke2;
mod settings;
#[cfg(test)]
mod test_only;
mod yaml_1_1;

pub use first_boot::{BootFile, FirstBoot};
pub use settings::Setting;

pub(crate) use first_boot::{claims, own, user_files};
pub(crate) use settings::Entry;

use crate::model::{ContentError, File, OperatingSystem, Registries};
use crate::report::Report;
use crate::values::{Command, Complaint, ComponentArg};
use crate::yaml::{Pointer, Tree};
use joined::Joined;
use known::{Conflict, Known};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Where Cluster API has the configuration in a control plane template.
const TEMPLATE_SPEC: &str = "/kubernetes/spec/template/spec";

/// What is the same for every node of a distribution.
#[derive(Debug)]
pub(crate) struct Facts {
    /// Its name in messages.
    pub(crate) name: &'static str,
    /// The systemd unit of a server.
    pub(crate) unit: &'static str,
    /// The file that the conversion makes of the template's settings; drop-ins are in a folder of its name and `.d`.
    pub(crate) config: &'static str,
    /// The folder of its state.
    pub(crate) data_dir: &'static str,
    /// Where it looks for its registries unless told otherwise.
    pub(crate) registries: &'static str,
    /// Names of the manifests that it brings, which a user's may not have.
    pub(crate) packaged: &'static [&'static str],
    /// What `disable` takes beside the names of manifests.
    pub(crate) other_components: &'static [&'static str],
    /// Settings that it knows, in tables; of two of a name the first counts.
    pub(crate) settings: &'static [&'static [Known]],
    /// Settings of the tables that it does not take.
    pub(crate) dropped: &'static [&'static str],
    /// Whether its components are those of the table of arguments.
    pub(crate) knows_arguments: bool,
    /// Settings that do not go together.
    pub(crate) conflicts: &'static [Conflict],
    /// The networks of pods and of services, and the DNS domain, that it takes where none is given.
    pub(crate) inside: [&'static str; 3],
    /// The networks that it takes on a node that has IPv6 addresses alone.
    pub(crate) inside_v6: [&'static str; 2],
}

impl Facts {
    /// All settings that it knows.
    pub(crate) fn settings(&self) -> impl Iterator<Item = &'static Known> {
        let known = self.settings.iter().copied().flatten();
        known.filter(|known| !self.dropped.contains(&known.name))
    }

    /// The setting that a key means.
    pub(crate) fn setting(&self, key: &str) -> Option<&'static Known> {
        self.settings().find(|known| known.is(key))
    }
}

/// Networks and names inside a cluster, which are never reached through a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inside {
    /// Networks of the pods: one, or one a family.
    pub(crate) pods: Vec<String>,
    /// Networks of the services.
    pub(crate) services: Vec<String>,
    /// The DNS domain.
    pub(crate) domain: String,
}

impl Inside {
    /// What the joined configuration has inside, whatever of it is a network.
    pub(crate) fn of(facts: &Facts, joined: &Joined, os: &OperatingSystem) -> Self {
        let networks = |name, default: &str| {
            let given = joined.parts(name).into_iter().map(|part| part.text);
            let given: Vec<String> = given.filter_map(|text| normal(&text)).collect();
            match given.is_empty() {
                true => vec![default.to_owned()],
                false => given,
            }
        };
        let [mut pods, mut services, domain] = facts.inside;
        if os.only_family() == Some(true) {
            [pods, services] = facts.inside_v6;
        }
        let given = joined
            .last("cluster-domain")
            .map(|value| value.text.clone());
        Self {
            pods: networks("cluster-cidr", pods),
            services: networks("service-cidr", services),
            domain: given.unwrap_or_else(|| domain.to_owned()),
        }
    }
}

/// A network with its host bits cleared, as the distribution uses it.
fn normal(network: &str) -> Option<String> {
    let network: ipnet::IpNet = network.parse().ok()?;
    Some(network.trunc().to_string())
}

/// A list of commands and the key that it stands under.
pub(crate) type Commands<'a> = (&'static str, &'a [Command]);

/// Arguments of a component and where they stand below the template's configuration.
#[derive(Debug)]
pub(crate) struct Arguments<'a> {
    /// The setting that they become, such as `kubelet-arg`.
    pub(crate) setting: String,
    /// Keys below the configuration, with `/` between.
    pub(crate) at: String,
    pub(crate) list: &'a [ComponentArg],
}

/// What the rest of the crate asks of a distribution; the template answers.
pub(crate) trait Distribution {
    fn facts(&self) -> &'static Facts;

    /// Where the configuration stands in the document.
    fn spec_pointer(&self, _tree: &Tree) -> Pointer {
        Pointer::from(TEMPLATE_SPEC)
    }

    /// Brings what is written in another way than meant, or in one of several places, into one form, and reports it.
    fn normalise(&mut self, _report: &mut Report<'_>) {}

    /// The same for a file that the installer writes.
    fn normalise_file(&self, _file: &mut File, _at: &Pointer, _report: &mut Report<'_>) {}

    /// Checks what this distribution alone has. What all have is checked by the answers below.
    fn check(&self, report: &mut Report<'_>);

    /// Checks a file as this distribution reads it; `at` is its place in the document.
    fn check_file(&self, _file: &File, _at: &Pointer, _report: &mut Report<'_>) {}

    /// The files of the template.
    fn files(&self) -> &[File];

    /// `kubernetes.registries`.
    fn registries(&self) -> &Registries;

    /// All private registries, those of the template's own keys included.
    fn all_registries(&self) -> Cow<'_, Registries> {
        Cow::Borrowed(self.registries())
    }

    /// The file that the registries are read from.
    fn registries_path(&self) -> &str {
        self.facts().registries
    }

    /// Its settings and the keys that they come from.
    fn entries(&self) -> Vec<Entry>;

    /// Commands before the installation and after it.
    fn commands(&self) -> [Commands<'_>; 2];

    /// File name and text of the script that installs it.
    fn install_script(&self) -> (&'static str, String);

    /// What its own installer, and the script, write where the files of a user may be.
    fn made(&self) -> Vec<&'static str> {
        vec![]
    }

    /// The settings as the configuration file has them.
    fn settings(&self) -> BTreeMap<String, Setting> {
        settings::by_key(self.entries())
    }
}

/// A distribution's control plane template.
pub(crate) trait Template: Distribution + DeserializeOwned + JsonSchema {
    /// `kind` in the config-file.
    const KIND: &'static str;
    const FACTS: &'static Facts;

    /// Checks a text against a format of the template's own; `None` for any other format.
    fn check_value(_format: &str, _text: &str) -> Option<Result<(), Complaint>> {
        None
    }
}

/// Declares the distributions: one line each.
macro_rules! distributions {
    ($($(#[doc = $doc:literal])* $(#[cfg($cfg:meta)])? $name:ident($template:ty),)+) => {
        /// A control plane template of Cluster API.
        #[derive(Debug, Clone)]
        pub enum Kubernetes {
            $($(#[doc = $doc])* $(#[cfg($cfg)])? $name(Box<$template>),)+
        }

        impl Kubernetes {
            pub(crate) fn distribution(&self) -> &dyn Distribution {
                match self {
                    $($(#[cfg($cfg)])? Self::$name(template) => template.as_ref(),)+
                }
            }

            pub(crate) fn distribution_mut(&mut self) -> &mut dyn Distribution {
                match self {
                    $($(#[cfg($cfg)])? Self::$name(template) => template.as_mut(),)+
                }
            }

            /// Reads the template that `kind` names; without a known one the first, whose schema tells the kind.
            fn of_kind(kind: &str, value: serde_json::Value) -> serde_json::Result<Self> {
                $($(#[cfg($cfg)])?
                if kind == <$template as Template>::KIND {
                    return Box::deserialize(value).map(Self::$name);
                })+
                Err(serde_json::Error::custom(format!("`{kind}` is not a kind that can be converted")))
            }
        }

        /// The systemd units of all distributions.
        pub(crate) fn units() -> Vec<&'static str> {
            vec![$($(#[cfg($cfg)])? <$template as Template>::FACTS.unit,)+]
        }

        fn schemas(generator: &mut SchemaGenerator) -> Vec<Schema> {
            vec![$($(#[cfg($cfg)])? generator.subschema_for::<$template>(),)+]
        }

        /// Checks a text against a format that a distribution alone has; any other has no complaint.
        pub(crate) fn check_value(format: &str, text: &str) -> Result<(), Complaint> {
            $($(#[cfg($cfg)])?
            if let Some(checked) = <$template as Template>::check_value(format, text) {
                return checked;
            })+
            Ok(())
        }
    };
}

distributions! {
    /// K3s.
    KThrees(k3s::KThreesControlPlaneTemplate),
    /// RKE2.
    Rke2(rke2::Rke2ControlPlaneTemplate),
    /// The least one, in tests.
    #[cfg(test)]
    TestOnly(test_only::MiniTemplate),
}

/// By hand: serde's own way for untagged enums copies every text in it.
impl<'de> Deserialize<'de> for Kubernetes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(from)?;
        let kind = value.get("kind").and_then(serde_json::Value::as_str);
        let kind = kind.unwrap_or_default().to_owned();
        Self::of_kind(&kind, value).map_err(D::Error::custom)
    }
}

impl JsonSchema for Kubernetes {
    fn schema_name() -> Cow<'static, str> {
        "Kubernetes".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A control plane template of Cluster API; `kind` chooses the distribution.",
            "oneOf": schemas(generator),
        })
    }
}

/// Where the configuration of a distribution stands in the document; without one, where that would be.
pub(crate) fn spec_pointer(distribution: Option<&dyn Distribution>, tree: &Tree) -> Pointer {
    distribution.map_or(Pointer::from(TEMPLATE_SPEC), |distribution| {
        distribution.spec_pointer(tree)
    })
}

/// Plans the first boot of a node, without a distribution of one without Kubernetes.
///
/// # Errors
/// A file's content does not fit its encoding.
pub(crate) fn first_boot(
    distribution: Option<&dyn Distribution>,
    os: &OperatingSystem,
) -> Result<FirstBoot, ContentError> {
    first_boot::Plan::of(distribution, os).map(first_boot::Plan::first_boot)
}
