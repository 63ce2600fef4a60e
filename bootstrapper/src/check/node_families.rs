//! The address families of the cluster and of the node's static addresses.

use super::context::Context;
use crate::codes;
use crate::diagnostic::Severity;
use crate::report::Report;
use crate::yaml::Pointer;

impl Report<'_> {
    /// K3s does not start where the cluster has a family of which the node has no address.
    pub(super) fn node_families(&mut self, context: &Context<'_>) {
        let Some(node_is_v6) = context.config.operating_system.only_family() else {
            return;
        };
        let name = context.facts.name;
        let (own, other) = match node_is_v6 {
            true => ("IPv6", "IPv4"),
            false => ("IPv4", "IPv6"),
        };
        let given = context.joined.parts("cluster-cidr");
        let lacks = |text: &str| text.contains(':') != node_is_v6;
        if let Some(part) = given.iter().find(|part| lacks(&part.text)) {
            let message = format!(
                "{} is {other}, and the static addresses of the node are {own} alone: {name} does not start without \
                 an address of each family",
                part.text
            );
            self.report_of(
                Severity::Warning,
                codes::NodeFamily,
                context,
                &part.origin,
                message,
            )
            .help(format!(
                "add an {other} address under `network`, unless the network's router gives one"
            ));
        } else if node_is_v6 && given.is_empty() {
            let (pods, services) = (&context.inside.pods, &context.inside.services);
            let message = format!(
                "the node has IPv6 addresses alone, so {name} takes the networks {} and {}",
                pods.join(","),
                services.join(",")
            );
            self.note(
                codes::NodeFamilyDefault,
                &Pointer::from("/operatingSystem/network"),
                message,
            );
        }
    }
}
