//! Checks of what K3s' template alone has: values fixed by the OS image.

use super::ConfigSpec;
use crate::codes;
use crate::report::Report;

impl Report<'_> {
    pub(super) fn k3s(&mut self, spec: &ConfigSpec) {
        self.version(spec);
        self.air_gapped(spec);
    }

    fn version(&mut self, spec: &ConfigSpec) {
        let (Some(version), Some(embedded)) = (&spec.version, &self.options.k3s_version) else {
            return;
        };
        if !version.same_as(embedded) {
            let message = format!("the OS image has K3s {embedded}, not `{version}`");
            self.error(
                codes::K3sVersionDiffers,
                &self.spec.join("version"),
                message,
            )
            .help(format!(
                "leave `version` out, or write `version: {embedded}`"
            ));
        }
    }

    fn air_gapped(&mut self, spec: &ConfigSpec) {
        if spec.agent_config.air_gapped == Some(false) {
            let at = self.spec.join("agentConfig").join("airGapped");
            let message = "a standalone node is always air-gapped: K3s is part of the OS image";
            self.error(codes::AirGapped, &at, message)
                .help("leave airGapped out, or write true");
        }
    }
}
