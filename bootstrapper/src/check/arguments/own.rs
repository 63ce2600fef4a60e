//! Arguments that the distribution gives a component itself, from a setting that other parts of it read as well: given as an
//! argument the parts of the node no longer agree.

use super::list::{Argument, Arguments, Findings};
use crate::check::context::Context;
use crate::codes;
use crate::diagnostic::Severity;

/// The setting of a component (the joined configuration's name), its flag, and the setting that it is made of (K3s,
/// pkg/daemons/control/server.go, pkg/daemons/agent/agent_linux.go).
const OWN: &[(&str, &str, &str)] = &[
    ("kube-apiserver-arg", "bind-address", "bind-address"),
    ("kube-apiserver-arg", "etcd-servers", "datastore-endpoint"),
    ("kube-apiserver-arg", "secure-port", "https-listen-port"),
    (
        "kube-apiserver-arg",
        "service-cluster-ip-range",
        "service-cidr",
    ),
    (
        "kube-apiserver-arg",
        "service-node-port-range",
        "service-node-port-range",
    ),
    (
        "kube-controller-manager-arg",
        "cluster-cidr",
        "cluster-cidr",
    ),
    (
        "kube-controller-manager-arg",
        "service-cluster-ip-range",
        "service-cidr",
    ),
    ("kube-proxy-arg", "cluster-cidr", "cluster-cidr"),
    ("kube-proxy-arg", "hostname-override", "node-name"),
    ("kubelet-arg", "hostname-override", "node-name"),
];

pub(super) fn check<'a>(
    context: &Context<'_>,
    arguments: &Arguments<'a>,
    argument: &Argument<'a>,
    out: &mut Findings<'a>,
) {
    let component = arguments.component;
    let found = OWN
        .iter()
        .find(|(of, flag, _)| *of == component.setting && *flag == argument.name);
    let Some((_, flag, setting)) = found else {
        return;
    };
    out.add(Severity::Warning, codes::ArgumentOwn, argument.origin, || {
        let name = context.facts.name;
        let who = component.shown;
        let message = format!(
            "{name} gives {who} `{flag}` itself, from `{setting}`: here it holds for {who} alone"
        );
        let help = format!(
            "give `{setting}` by its key, or in a file below {}.d",
            context.facts.config
        );
        (message, Some(help))
    });
}
