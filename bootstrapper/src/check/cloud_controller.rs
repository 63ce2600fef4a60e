//! A cloud provider outside of the kubelet needs a cloud controller: of the joined configuration.

use super::context::Context;
use crate::codes;
use crate::distribution::joined::{Joined, Origin};
use crate::report::Report;
use crate::values::{ComponentArg, TextValue as _};

impl Report<'_> {
    /// Without a cloud controller the node keeps its taint, and no pod is scheduled.
    pub(super) fn cloud_controller(&mut self, context: &Context<'_>) {
        let joined = &context.joined;
        let is_off = joined
            .last("disable-cloud-controller")
            .is_some_and(|value| value.text == "true");
        let Some(origin) = external(joined) else {
            return;
        };
        if !is_off || brings_one(context) {
            return;
        }
        let message = "an external cloud provider without a cloud controller: the node keeps the taint \
             node.cloudprovider.kubernetes.io/uninitialized and no pod is scheduled";
        self.error_of(codes::NoCloudController, context, origin, message)
            .help(format!(
                "leave the cloud provider out, bring a cloud controller under `files`, or keep {}' own",
                context.facts.name
            ));
    }
}

/// Where the external provider is chosen: RKE2 has a setting for it, K3s the kubelet's argument.
fn external(joined: &Joined) -> Option<&Origin> {
    if let Some(named) = joined.last("cloud-provider-name") {
        return (named.text == "external").then_some(&named.origin);
    }
    let mut arguments = joined.list("kubelet-arg").iter().rev();
    arguments.find_map(|value| {
        let argument = ComponentArg::parse(&value.text).ok()?;
        (argument.key_value() == ("cloud-provider", "external")).then_some(&value.origin)
    })
}

/// Whether a manifest of the config-file looks like a cloud controller's.
fn brings_one(context: &Context<'_>) -> bool {
    let directory = format!("{}/server/manifests/", context.facts.data_dir);
    let mut manifests = context
        .files()
        .filter(|file| file.path.as_str().starts_with(&directory));
    manifests.any(|file| {
        let text = file.bytes().unwrap_or_default();
        let text = format!("{} {}", file.path, String::from_utf8_lossy(&text)).to_lowercase();
        // A chart's content is not known here.
        let words = ["cloud-controller", "cloud-provider", "ccm", "helmchart"];
        words.iter().any(|word| text.contains(word))
    })
}
