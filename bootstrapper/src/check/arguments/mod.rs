//! Checks of the arguments of Kubernetes' components, as the distribution hands them on: of the joined configuration.

mod flags;
mod kubelet;
mod list;
mod named_files;
mod own;
mod types;

use super::context::Context;
use crate::codes;
use crate::diagnostic::{MAX_FINDINGS, Severity};
use crate::report::Report;
use crate::text::closest;
use flags::{Flag, KUBERNETES};
use list::{Argument, Arguments, Component, Findings};

/// The first two are looked at beside each other, too.
const COMPONENTS: [Component; 8] = [
    component("kubelet-arg", "kubelet", "the kubelet"),
    component(
        "kube-controller-manager-arg",
        "kube-controller-manager",
        "the controller manager",
    ),
    component("kube-apiserver-arg", "kube-apiserver", "the API server"),
    component("kube-proxy-arg", "kube-proxy", "kube-proxy"),
    component("kube-scheduler-arg", "kube-scheduler", "the scheduler"),
    component(
        "kube-cloud-controller-manager-arg",
        "cloud-controller-manager",
        "the cloud controller",
    ),
    // RKE2's name for it in cluster-api-provider-rke2.
    component(
        "cloud-controller-manager-arg",
        "cloud-controller-manager",
        "the cloud controller",
    ),
    component("etcd-arg", "etcd", "etcd"),
];

const fn component(setting: &'static str, name: &'static str, shown: &'static str) -> Component {
    Component {
        setting,
        name,
        shown,
    }
}

impl Report<'_> {
    /// Checks the arguments of all components.
    pub(super) fn component_arguments(&mut self, context: &Context<'_>) {
        let is_exact = context.facts.knows_arguments && self.has_the_tables_version();
        let mut findings = Findings::default();
        let components = COMPONENTS.each_ref();
        let components = components.map(|component| Arguments::of(component, &context.joined));
        for arguments in &components {
            for argument in &arguments.list {
                one(context, arguments, argument, is_exact, &mut findings);
            }
        }
        let [kubelet, manager, ..] = &components;
        kubelet::check(context, kubelet, manager, &mut findings);
        named_files::check(context, &components, &mut findings);
        for finding in findings.list {
            let (severity, code, origin) = (finding.severity, finding.code, finding.origin);
            self.report_of(severity, code, context, origin, finding.message)
                .help = finding.help;
        }
    }

    /// Whether the node's Kubernetes is that of the table of flags.
    fn has_the_tables_version(&self) -> bool {
        let version = self.options.k3s_version.as_deref();
        let version = version.map(|version| version.trim_start_matches('v'));
        version.is_none_or(|version| version.starts_with(&format!("{KUBERNETES}.")))
    }
}

/// Checks one argument by itself.
fn one<'a>(
    context: &Context<'_>,
    arguments: &Arguments<'a>,
    argument: &Argument<'a>,
    is_exact: bool,
    out: &mut Findings<'a>,
) {
    if argument.is_template() {
        template(argument, out);
        return;
    }
    own::check(context, arguments, argument, out);
    let component = arguments.component;
    let flag = flags::find(component.name, &argument.name);
    if without_value(context, component, argument, flag, out) {
        return;
    }
    let of_version = match is_exact {
        true => Severity::Error,
        false => Severity::Warning,
    };
    let Some(flag) = flag else {
        if flags::of(component.name).is_empty() {
            return;
        }
        return unknown(component, argument, of_version, out);
    };
    given_again(arguments, argument, flag, out);
    for fault in types::faults(flag, argument.value()).take(MAX_FINDINGS) {
        let severity = match fault.of_version {
            true => of_version,
            false => Severity::Error,
        };
        out.add(severity, fault.code, argument.origin, || {
            let who = component.shown;
            let message = match fault.code == codes::TlsName {
                true => fault.message,
                false => format!("{}: {who} would not start", fault.message),
            };
            (message, fault.help)
        });
    }
}

/// Of a flag that takes one value the last one holds.
fn given_again<'a>(
    arguments: &Arguments<'a>,
    argument: &Argument<'a>,
    flag: &Flag,
    out: &mut Findings<'a>,
) {
    let last = arguments.last(&argument.name);
    let Some(last) = last.filter(|last| last.origin != argument.origin) else {
        return;
    };
    if !flag.takes_one() || argument.adds() || last.adds() || last.value() == argument.value() {
        return;
    }
    out.add(
        Severity::Warning,
        codes::ArgumentTwice,
        argument.origin,
        || {
            let name = &argument.name;
            let message = format!(
                "`{name}` is given again behind it as `{}`, which holds",
                last.value()
            );
            (message, Some("keep one of them".to_owned()))
        },
    );
}

fn template<'a>(argument: &Argument<'a>, out: &mut Findings<'a>) {
    out.add(Severity::Warning, codes::ArgumentTemplate, argument.origin, || {
        let name = &argument.name;
        let message = format!(
            "`{name}` has a template of cloud-init, which is not rendered here: it arrives as it is written"
        );
        let help = "write the value itself, or set it by a command in preK3sCommands";
        (message, Some(help.to_owned()))
    });
}

/// Whether an argument lacks the value that it, or the argument after it, needs.
fn without_value<'a>(
    context: &Context<'_>,
    component: &Component,
    argument: &Argument<'a>,
    flag: Option<&Flag>,
    out: &mut Findings<'a>,
) -> bool {
    if argument.has_value() {
        return false;
    }
    let (of, text) = (context.facts.name, argument.text());
    // K3s itself reads these and panics where they have no value.
    let is_read = ["tls-cipher-suites", "tls-min-version"].contains(&argument.name.as_str());
    let needs = is_read || flag.is_some_and(|flag| !flag.is_switch());
    let message = match argument.next {
        _ if is_read => format!("it needs a value, and {of} would not start"),
        _ if needs => format!("{of} would pass on `true` as its value"),
        // The element after one of the kubelet's without `=` is dropped, whatever it is.
        Some(next) if component.name == "kubelet" => {
            let is_provider = next.trim_start_matches('-').starts_with("cloud-provider=");
            let lost = if is_provider {
                "cloud provider"
            } else {
                "argument"
            };
            format!("{of} would drop the {lost} after it")
        }
        _ => return false,
    };
    out.add(
        Severity::Error,
        codes::ArgumentWithoutValue,
        argument.origin,
        || {
            let value = if needs { "<value>" } else { "true" };
            let message = format!("`{text}` has no `=`: {message}");
            (message, Some(format!("write {text}={value}")))
        },
    );
    true
}

fn unknown<'a>(
    component: &Component,
    argument: &Argument<'a>,
    severity: Severity,
    out: &mut Findings<'a>,
) {
    out.add(severity, codes::UnknownArgument, argument.origin, || {
        let (who, name) = (component.shown, &argument.name);
        let message =
            format!("{who} of Kubernetes {KUBERNETES} has no flag `{name}` and would not start");
        let flags = flags::of(component.name).iter().map(|flag| flag.name);
        let near = closest(&argument.name, flags);
        let elsewhere = flags::others_with(&argument.name).next();
        let help = match (near, elsewhere) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, Some(other)) => format!("it is a flag of {other}"),
            (None, None) => "leave it out, or look for its successor".to_owned(),
        };
        (message, Some(help))
    });
}
