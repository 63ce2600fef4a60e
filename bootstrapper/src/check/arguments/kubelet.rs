//! What the kubelet's arguments must have beside each other, and what they do to the keys of the same node.

use super::list::{Argument, Arguments, Findings};
use crate::check::context::Context;
use crate::codes;
use crate::diagnostic::Severity;
use crate::distribution::joined::{Origin, Value};
use crate::values::{Complaint, NodeLabel, NodeTaint, TextValue as _};
use ipnet::IpNet;
use std::collections::HashSet;

pub(super) fn check<'a>(
    context: &'a Context<'_>,
    kubelet: &Arguments<'a>,
    manager: &Arguments<'a>,
    out: &mut Findings<'a>,
) {
    if !has_own_file(context, kubelet) {
        static_cpus(kubelet, out);
        static_memory(kubelet, out);
        soft_evictions(kubelet, out);
    }
    cloud_provider(kubelet, out);
    labels(context, kubelet, out);
    taints(context, kubelet, out);
    max_pods(context, kubelet, manager, out);
}

/// Whether the kubelet also reads a configuration of the user's, in which what is missing here may stand.
fn has_own_file(context: &Context<'_>, kubelet: &Arguments<'_>) -> bool {
    let named = ["config", "config-dir"].map(|name| kubelet.last(name).is_some());
    let mut files = context.files();
    named.contains(&true)
        || files.any(|file| file.path.parent().ends_with("/agent/etc/kubelet.conf.d"))
}

fn static_cpus<'a>(kubelet: &Arguments<'a>, out: &mut Findings<'a>) {
    let policy = kubelet.last("cpu-manager-policy");
    let Some(policy) = policy.filter(|policy| policy.value() == "static") else {
        return;
    };
    let listed = kubelet.last("reserved-cpus");
    let reserved = ["kube-reserved", "system-reserved"];
    let mut amounts = reserved.iter().flat_map(|name| kubelet.parts(name));
    let is_some = amounts.any(|part| match part.split_once('=') {
        Some((key, amount)) => key.trim() == "cpu" && amount.contains(|c| ('1'..='9').contains(&c)),
        None => false,
    });
    if !is_some && listed.is_none_or(|cpus| cpus.value().is_empty()) {
        out.add(Severity::Error, codes::ReservedCpu, policy.origin, || {
            let message =
                "cpu-manager-policy=static without reserved CPUs: the kubelet would not start";
            let help = "add reserved-cpus=0, or an amount such as kube-reserved=cpu=500m";
            (message.to_owned(), Some(help.to_owned()))
        });
    }
}

fn static_memory<'a>(kubelet: &Arguments<'a>, out: &mut Findings<'a>) {
    let policy = kubelet.last("memory-manager-policy");
    let policy = policy.filter(|policy| policy.value() == "Static");
    if let Some(policy) = policy
        && kubelet.last("reserved-memory").is_none()
    {
        out.add(Severity::Error, codes::ReservedMemory, policy.origin, || {
            let message = "memory-manager-policy=Static without reserved-memory: the kubelet would not start";
            let help = "add reserved-memory=0:memory=1100Mi, as much as kube-reserved, system-reserved and eviction-hard have";
            (message.to_owned(), Some(help.to_owned()))
        });
    }
}

fn soft_evictions<'a>(kubelet: &Arguments<'a>, out: &mut Findings<'a>) {
    let graced: Vec<&str> = kubelet
        .parts("eviction-soft-grace-period")
        .filter_map(|part| Some(part.split_once('=')?.0.trim()))
        .collect();
    for argument in kubelet.all("eviction-soft") {
        let signals = argument.value().split(',');
        let signals = signals.filter_map(|part| Some(part.split_once('<')?.0.trim()));
        for signal in signals.filter(|signal| !graced.contains(signal)) {
            out.add(Severity::Error, codes::EvictionGrace, argument.origin, || {
                                let message = format!(
                    "eviction-soft has {signal}, eviction-soft-grace-period has not: the kubelet would not start"
                );
                let help = format!("add eviction-soft-grace-period={signal}=1m30s");
                (message, Some(help))
            });
        }
    }
}

/// The kubelet has had no built-in cloud providers since 1.31.
fn cloud_provider<'a>(kubelet: &Arguments<'a>, out: &mut Findings<'a>) {
    let unknown = |argument: &&Argument<'a>| !["", "external"].contains(&argument.value());
    for argument in kubelet.all("cloud-provider").filter(unknown) {
        out.add(
            Severity::Error,
            codes::CloudProvider,
            argument.origin,
            || {
                let name = argument.value();
                let message =
                    format!("the kubelet would not start: it has no cloud provider `{name}`");
                let help = "write external and bring a cloud controller, or leave it out";
                (message, Some(help.to_owned()))
            },
        );
    }
}

fn labels<'a>(context: &'a Context<'_>, kubelet: &Arguments<'a>, out: &mut Findings<'a>) {
    for argument in kubelet.all("node-labels") {
        for part in argument.value().split(',').map(str::trim) {
            // For the kubelet a label may do without a value.
            let label = match part.contains('=') {
                true => part.to_owned(),
                false => format!("{part}="),
            };
            if let (false, Err(complaint)) = (part.is_empty(), NodeLabel::parse(&label)) {
                complain(complaint, argument, out);
            }
        }
        replaced(context, argument, ["node-label", "nodeLabels"], out);
    }
}

fn taints<'a>(context: &'a Context<'_>, kubelet: &Arguments<'a>, out: &mut Findings<'a>) {
    let given = context.joined.list("node-taint");
    let mut seen = HashSet::new();
    for taint in given {
        only_node(context, &taint.text, &taint.origin, out);
        let (pair, effect) = taint.text.rsplit_once(':').unwrap_or_default();
        let key = pair.split('=').next().unwrap_or_default();
        if !key.is_empty() && !seen.insert((key, effect)) {
            out.add(Severity::Error, codes::NodeTaintTwice, &taint.origin, || {
                let message = format!("a second taint with the key `{key}` and the effect {effect}: the kubelet would not start");
                (message, Some("keep one of them".to_owned()))
            });
        }
    }
    for argument in kubelet.all("register-with-taints") {
        let parts = argument.value().split(',').map(str::trim);
        for part in parts.filter(|part| !part.is_empty()) {
            match NodeTaint::parse(part) {
                Ok(_) => only_node(context, part, argument.origin, out),
                Err(complaint) => complain(complaint, argument, out),
            }
        }
        replaced(context, argument, ["node-taint", "nodeTaints"], out);
    }
}

fn complain<'a>(complaint: Complaint, argument: &Argument<'a>, out: &mut Findings<'a>) {
    out.add(Severity::Error, complaint.code, argument.origin, || {
        (complaint.message, complaint.help)
    });
}

/// An argument takes the place of what K3s makes of a key.
fn replaced<'a>(
    context: &Context<'_>,
    argument: &Argument<'a>,
    [setting, key]: [&str; 2],
    out: &mut Findings<'a>,
) {
    if argument.adds() || context.joined.list(setting).is_empty() {
        return;
    }
    out.add(
        Severity::Warning,
        codes::ArgumentReplaces,
        argument.origin,
        || {
            let name = &argument.name;
            let message = format!("`{name}` replaces {key}: the node would have none of those");
            (message, Some(format!("move what it has to {key}")))
        },
    );
}

/// A taint that keeps pods away does so from the whole cluster, as long as there is one node.
fn only_node<'a>(context: &Context<'_>, taint: &str, origin: &'a Origin, out: &mut Findings<'a>) {
    let effects = [":NoSchedule", ":NoExecute"];
    let keeps_away = effects.iter().any(|effect| taint.ends_with(effect));
    let joins = context.joined.last("server").is_some();
    if keeps_away && !joins {
        out.add(Severity::Note, codes::TaintOnlyNode, origin, || {
            let message = format!(
                "`{taint}` is on the only node of the cluster: pods that do not tolerate it run nowhere"
            );
            let help = "give the pods a toleration, or leave the taint out";
            (message, Some(help.to_owned()))
        });
    }
}

/// More pods than the node's pod network has addresses wait for one without end.
fn max_pods<'a>(
    context: &Context<'_>,
    kubelet: &Arguments<'a>,
    manager: &Arguments<'a>,
    out: &mut Findings<'a>,
) {
    let none = |value: &Value| value.text == "none";
    if context.joined.last("flannel-backend").is_some_and(none) {
        return; // Another network gives the addresses.
    }
    let networks = context.inside.pods.iter();
    let mut networks = networks.filter_map(|network| network.parse::<IpNet>().ok());
    if networks.all(|network| network.addr().is_ipv6()) {
        return;
    }
    let sizes = ["node-cidr-mask-size", "node-cidr-mask-size-ipv4"];
    let size = sizes
        .iter()
        .filter_map(|name| manager.last(name))
        .next_back();
    let size = size.and_then(|size| size.value().parse::<u32>().ok());
    let length = size
        .filter(|length| (8..=30).contains(length))
        .unwrap_or(24);
    let addresses = (1_i64 << (32 - length)) - 2;
    let Some(pods) = kubelet.last("max-pods") else {
        return;
    };
    let many = |pods: i32| i64::from(pods) > addresses;
    if pods.value().parse().is_ok_and(many) {
        out.add(Severity::Warning, codes::MaxPods, pods.origin, || {
            let given = pods.value();
            let message = format!(
                "max-pods={given}, but the node's pod network, a /{length}, has {addresses} addresses"
            );
            let help = format!(
                "write at most max-pods={addresses}, or give node-cidr-mask-size={} to the controller manager",
                length - 1
            );
            (message, Some(help))
        });
    }
}
