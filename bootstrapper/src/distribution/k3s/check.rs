//! Checks of what K3s' template alone has: values fixed by the OS image, ports, the cloud controller.

use super::ConfigSpec;
use crate::codes;
use crate::report::Report;
use crate::yaml::Pointer;

impl Report<'_> {
    pub(super) fn k3s(&mut self, spec: &ConfigSpec) {
        let section = self.spec.join("serverConfig");
        self.version(spec);
        self.air_gapped(spec);
        self.cloud_provider(spec, &section);
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

    fn cloud_provider(&mut self, spec: &ConfigSpec, section: &Pointer) {
        let server = &spec.server_config;
        let known = ["", "external"];
        let name = server.cloud_provider_name.as_deref().unwrap_or_default();
        if !known.contains(&name) {
            self.unknown_provider(name, &section.join("cloudProviderName"));
        }
        let list = self.spec.join("agentConfig").join("kubeletArgs");
        for (index, arg) in spec.agent_config.kubelet_args.iter().enumerate() {
            let (key, value) = arg.key_value();
            if key == "cloud-provider" && !known.contains(&value) {
                self.unknown_provider(value, &list.join(index));
            }
        }
        let by_name = server.cloud_provider_name.as_deref() == Some("external");
        let by_arg = spec
            .agent_config
            .kubelet_args
            .iter()
            .position(|arg| arg.key_value() == ("cloud-provider", "external"));
        let is_external = by_name || by_arg.is_some();
        if server.disable_cloud_controller != Some(true) || !is_external || brings_one(spec) {
            return;
        }
        let at = match by_arg {
            Some(index) if !by_name => self
                .spec
                .join("agentConfig")
                .join("kubeletArgs")
                .join(index),
            _ => section.join("cloudProviderName"),
        };
        self.error(
            codes::NoCloudController,
            &at,
            "an external cloud provider without a cloud controller: the node keeps the taint \
             node.cloudprovider.kubernetes.io/uninitialized and no pod is scheduled",
        )
        .help("leave the cloud provider out, bring a cloud controller under `files`, or keep K3s' own");
    }

    /// The kubelet has had no built-in cloud providers since 1.31 and does not start with the name of one.
    fn unknown_provider(&mut self, name: &str, at: &Pointer) {
        let message = format!("the kubelet would not start: it has no cloud provider `{name}`");
        self.error(codes::CloudProvider, at, message)
            .help("write external and bring a cloud controller, or leave it out");
    }
}

/// Whether a manifest of the template's files looks like a cloud controller's.
fn brings_one(spec: &ConfigSpec) -> bool {
    let folder = format!("{}/server/manifests/", super::FACTS.data_dir);
    let files = spec.files.as_slice().iter();
    let mut manifests = files.filter(|file| file.path.as_str().starts_with(&folder));
    manifests.any(|file| {
        let text = file.bytes().unwrap_or_default();
        let text = format!("{} {}", file.path, String::from_utf8_lossy(&text)).to_lowercase();
        // A chart's content is not known here.
        let words = ["cloud-controller", "cloud-provider", "ccm", "helmchart"];
        words.iter().any(|word| text.contains(word))
    })
}
