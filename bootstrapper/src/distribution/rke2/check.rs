//! Checks of what RKE2's template alone has: no RKE2 is in the OS images, its own registries, its cloud controller.

use super::{FACTS, KubernetesComponent, Rke2ControlPlaneTemplate, Rke2ServerConfig};
use crate::codes;
use crate::distribution::Distribution as _;
use crate::report::Report;
use crate::yaml::Pointer;

impl Report<'_> {
    pub(super) fn rke2(&mut self, template: &Rke2ControlPlaneTemplate) {
        let spec = template.spec();
        if let Some(embedded) = &self.options.k3s_version {
            let message = format!("the OS image has K3s {embedded}, and no RKE2");
            self.error(codes::OtherDistribution, &Pointer::from("/kubernetes/kind"), message)
                .help("write a KThreesControlPlaneTemplate: RKE2 templates can be converted and validated only");
        }
        if spec.agent_config.air_gapped == Some(false) {
            self.error(
                codes::AirGapped,
                &self.below_spec("agentConfig/airGapped"),
                "a standalone node is always air-gapped: RKE2 is installed from /opt/rke2-artifacts",
            )
            .help("leave airGapped out, or write true");
        }
        self.rke2_registries(template);
        self.rke2_cloud_controller(&spec.server_config);
    }

    fn rke2_registries(&mut self, template: &Rke2ControlPlaneTemplate) {
        let path = FACTS.registries;
        let files = template.files().iter();
        let twice = !template.registries().is_empty()
            || files
                .map(|file| file.path.as_str())
                .any(|file| file == path);
        if twice && !template.spec().private_registries_config.is_empty() {
            let at = self.below_spec("privateRegistriesConfig");
            let message = format!("the registries are given more than once, and all become {path}");
            self.error(codes::RegistriesTwice, &at, message)
                .help("keep one of kubernetes.registries, privateRegistriesConfig and the file");
        }
    }

    fn rke2_cloud_controller(&mut self, server: &Rke2ServerConfig) {
        let disabled = &server.disable_components.kubernetes_components;
        if server.cloud_provider_name.as_deref() == Some("external")
            && disabled.contains(&KubernetesComponent::CloudController)
        {
            self.error(
                codes::NoCloudController,
                &self.below_spec("serverConfig/cloudProviderName"),
                "an external cloud provider without a cloud controller: the node keeps the taint \
                 node.cloudprovider.kubernetes.io/uninitialized and no pod is scheduled",
            )
            .help("leave the cloud provider out, or do not disable the cloud controller");
        }
    }
}
