//! Checks of what RKE2's template alone has: no RKE2 is in the OS images, its own registries.

use super::{FACTS, Rke2ControlPlaneTemplate};
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
}
