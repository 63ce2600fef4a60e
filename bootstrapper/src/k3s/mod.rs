//! Conversion of the K3s configuration: to K3s' own settings, and to the cloud-init configuration of the first boot.

mod first_boot;
mod settings;

pub use crate::first_boot::{BootFile, FirstBoot};
pub use first_boot::first_boot;
pub use settings::{Setting, settings};

pub(crate) use settings::settings_yaml;

use crate::check::Meaning;
use crate::distribution::{Distribution, Inside};
use crate::first_boot::Plan;
use crate::model::ConfigFile;
use crate::values::CidrList;

pub(crate) struct K3s;

impl Distribution for K3s {
    fn check(&self, config: &mut ConfigFile, meaning: &mut Meaning<'_>) {
        meaning.k3s(config);
    }

    fn plan<'a>(&self, config: &'a ConfigFile, files: Vec<BootFile>) -> Option<Plan<'a>> {
        Some(first_boot::plan(config, files))
    }

    fn inside(&self, config: &ConfigFile) -> Inside {
        let server = &config.k3s().server_config;
        let networks = |list: &Option<CidrList>, default: &str| -> Vec<String> {
            match list {
                Some(list) => list
                    .networks()
                    .iter()
                    .map(|n| n.network().to_string())
                    .collect(),
                None => vec![default.to_owned()],
            }
        };
        let domain = server.cluster_domain.as_ref();
        Inside {
            networks: [
                networks(&server.cluster_cidr, "10.42.0.0/16"),
                networks(&server.service_cidr, "10.43.0.0/16"),
            ]
            .concat(),
            domain: domain
                .map_or("cluster.local", |domain| domain.as_str())
                .to_owned(),
        }
    }
}
