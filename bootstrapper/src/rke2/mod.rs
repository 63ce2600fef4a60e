//! Conversion of an RKE2 control plane template (cluster-api-provider-rke2, v1beta1): to RKE2's own settings, and to the
//! cloud-init configuration of the first boot. The OS images have K3s; this converts and validates only.

mod first_boot;
mod settings;

pub use settings::settings;

use crate::check::Meaning;
use crate::distribution::{Distribution, Inside};
use crate::first_boot::{BootFile, Plan};
use crate::model::{ConfigFile, Kubernetes, Rke2ControlPlaneTemplate};

/// Where RKE2 looks for its registries.
pub(crate) const REGISTRIES: &str = "/etc/rancher/rke2/registries.yaml";
/// RKE2's settings, which the conversion writes.
pub(crate) const CONFIG: &str = "/etc/rancher/rke2/config.yaml";
/// Networks of pods and services, which the template cannot change: Cluster API has them in the Cluster object.
pub(crate) const NETWORKS: [&str; 2] = ["10.42.0.0/16", "10.43.0.0/16"];

pub(crate) struct Rke2;

impl Distribution for Rke2 {
    fn check(&self, config: &mut ConfigFile, meaning: &mut Meaning<'_>) {
        meaning.rke2(config);
    }

    fn plan<'a>(&self, config: &'a ConfigFile, files: Vec<BootFile>) -> Option<Plan<'a>> {
        template(config).map(|template| first_boot::plan(config, template, files))
    }

    fn inside(&self, config: &ConfigFile) -> Inside {
        let server = template(config).map(|template| &template.spec.template.spec.server_config);
        let domain = server.and_then(|server| server.cluster_domain.as_ref());
        Inside {
            networks: NETWORKS.map(str::to_owned).to_vec(),
            domain: domain
                .map_or("cluster.local", |domain| domain.as_str())
                .to_owned(),
        }
    }
}

/// The template of an RKE2 config-file.
pub(crate) fn template(config: &ConfigFile) -> Option<&Rke2ControlPlaneTemplate> {
    match &config.kubernetes {
        Kubernetes::Rke2(template) => Some(template),
        Kubernetes::KThrees(_) => None,
    }
}
