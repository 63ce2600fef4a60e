//! Files that arguments and settings name, and that nobody writes.

use super::list::{Arguments, Findings};
use crate::check::context::Context;
use crate::codes;
use crate::diagnostic::Severity;
use crate::distribution::joined::Origin;
use crate::distribution::known::Kind;
use std::collections::HashSet;

/// Flags that name a file, or a directory of files, that is read at start.
const FILES: &[&str] = &[
    "admission-control-config-file",
    "allow-metric-labels-manifest",
    "audit-policy-file",
    "audit-webhook-config-file",
    "authentication-config",
    "authentication-kubeconfig",
    "authentication-token-webhook-config-file",
    "authorization-config",
    "authorization-kubeconfig",
    "authorization-policy-file",
    "authorization-webhook-config-file",
    "bootstrap-kubeconfig",
    "client-ca-file",
    "cloud-config",
    "cluster-signing-cert-file",
    "cluster-signing-key-file",
    "cluster-signing-kube-apiserver-client-cert-file",
    "cluster-signing-kube-apiserver-client-key-file",
    "cluster-signing-kubelet-client-cert-file",
    "cluster-signing-kubelet-client-key-file",
    "cluster-signing-kubelet-serving-cert-file",
    "cluster-signing-kubelet-serving-key-file",
    "cluster-signing-legacy-unknown-cert-file",
    "cluster-signing-legacy-unknown-key-file",
    "config",
    "config-dir",
    "egress-selector-config-file",
    "encryption-provider-config",
    "etcd-cafile",
    "etcd-certfile",
    "etcd-keyfile",
    "image-credential-provider-bin-dir",
    "image-credential-provider-config",
    "kubeconfig",
    "kubelet-certificate-authority",
    "kubelet-client-certificate",
    "kubelet-client-key",
    "leader-migration-config",
    "oidc-ca-file",
    "peer-ca-file",
    "proxy-client-cert-file",
    "proxy-client-key-file",
    "pv-recycler-pod-template-filepath-hostpath",
    "pv-recycler-pod-template-filepath-nfs",
    "requestheader-client-ca-file",
    "resolv-conf",
    "root-ca-file",
    "service-account-key-file",
    "service-account-private-key-file",
    "service-account-signing-key-file",
    "tls-cert-file",
    "tls-private-key-file",
    "token-auth-file",
    "tracing-config-file",
    "webhook-tls-cert-file",
    "webhook-tls-private-key-file",
];

/// What is there on every node.
const OF_THE_SYSTEM: &[&str] = &["/dev/", "/proc/", "/run/", "/sys/", "/etc/resolv.conf"];
/// What K3s writes below its data directory before it starts a component.
const OF_K3S: &[&str] = &["/server/cred/", "/server/tls/", "/server/token"];

/// What the config-file brings.
struct Written<'a> {
    files: HashSet<&'a str>,
    commands: Vec<&'a str>,
    data_dir: String,
}

impl<'a> Written<'a> {
    fn of(context: &'a Context<'_>) -> Self {
        let files = context.files().map(|file| file.path.as_str()).collect();
        let run = context.config.operating_system.run_commands.iter();
        let lists = context.distribution.commands().into_iter();
        let own = lists.flat_map(|(_, commands)| commands.iter());
        let given = context.joined.last("data-dir");
        Self {
            files,
            commands: run.chain(own).map(|command| command.as_str()).collect(),
            data_dir: given.map_or(context.facts.data_dir.to_owned(), |dir| dir.text.clone()),
        }
    }

    /// Whether a path is there when K3s starts, as far as it can be known.
    fn has(&self, path: &str) -> bool {
        let of_k3s = path.strip_prefix(self.data_dir.as_str());
        let of_agent = [".crt", ".key", ".kubeconfig"]
            .iter()
            .any(|end| path.ends_with(end));
        self.files.contains(path)
            || OF_THE_SYSTEM.iter().any(|start| path.starts_with(start))
            || of_k3s.is_some_and(|rest| {
                let known = OF_K3S.iter().any(|start| rest.starts_with(start));
                known || rest.starts_with("/agent/") && of_agent
            })
            || self.files.iter().any(|file| {
                file.strip_prefix(path)
                    .is_some_and(|rest| rest.starts_with('/'))
            })
            || self.commands.iter().any(|command| command.contains(path))
    }
}

pub(super) fn check<'a>(
    context: &'a Context<'_>,
    components: &[Arguments<'a>],
    out: &mut Findings<'a>,
) {
    let written = Written::of(context);
    for arguments in components {
        for argument in &arguments.list {
            if FILES.binary_search(&argument.name.as_str()).is_ok() && !argument.is_template() {
                let who = arguments.component.shown;
                file(
                    &written,
                    &argument.name,
                    argument.value(),
                    who,
                    argument.origin,
                    out,
                );
            }
        }
    }
    for (name, values) in context.joined.all() {
        let known = context.facts.setting(name);
        if known.is_some_and(|known| known.kind == Kind::File) {
            for value in values
                .iter()
                .filter(|value| !may_be_absent(context, name, &value.text))
            {
                file(
                    &written,
                    name,
                    &value.text,
                    context.facts.name,
                    &value.origin,
                    out,
                );
            }
        }
    }
}

/// Registries are what the section `registries` writes, or a file of the OS image; without them there are none.
fn may_be_absent(context: &Context<'_>, name: &str, path: &str) -> bool {
    let can_be_written = ["/etc/", "/var/"]
        .iter()
        .any(|start| path.starts_with(start));
    let is_made = path == context.distribution.registries_path()
        && !context.distribution.registries().is_empty();
    name == "private-registry" && (!can_be_written || is_made || path == context.facts.registries)
}

fn file<'a>(
    written: &Written<'_>,
    name: &str,
    path: &str,
    who: &str,
    origin: &'a Origin,
    out: &mut Findings<'a>,
) {
    if !path.starts_with('/') || out.is_full(Severity::Warning) || written.has(path) {
        return;
    }
    out.add(Severity::Warning, codes::ArgumentFile, origin, || {
        let without = match name {
            "private-registry" => "has no registries",
            _ => "does not start",
        };
        let message = format!("`{name}` names `{path}`, which nothing in the config-file writes: without it {who} {without}");
        let help = "add it to `files`, or make sure that the OS image has it";
        (message, Some(help.to_owned()))
    });
}

#[cfg(test)]
mod tests {
    use super::super::flags;
    use super::FILES;

    /// Flags that sound like a file but are a component's own, made where it is not there.
    const NOT_READ: &[&str] = &[
        "audit-log-path",
        "authorization-always-allow-paths",
        "boot-id-file",
        "cert-dir",
        "debug-socket-path",
        "experimental-mounter-path",
        "flex-volume-plugin-dir",
        "lock-file",
        "machine-id-file",
        "manifest-url",
        "pod-manifest-path",
        "root-dir",
        "strict-transport-security-directives",
        "volume-plugin-dir",
        "webhook-cert-dir",
        "write-config-to",
    ];

    #[test]
    fn of_every_flag_that_sounds_like_a_file_it_is_known_whether_it_is_read() {
        let sounds = [
            "file", "config", "path", "dir", "cert", "key", "conf", "manifest",
        ];
        let texts = ["string", "stringArray", "stringSlice"];
        let components = ["kubelet", "kube-apiserver", "kube-controller-manager"];
        let more = ["kube-scheduler", "kube-proxy", "cloud-controller-manager"];
        let flags = components
            .iter()
            .chain(&more)
            .flat_map(|name| flags::of(name));
        let flags = flags.filter(|flag| texts.contains(&flag.kind));
        for flag in flags.filter(|flag| sounds.iter().any(|part| flag.name.contains(part))) {
            let (read, other) = (FILES.contains(&flag.name), NOT_READ.contains(&flag.name));
            assert!(read != other, "{}: in one of the two lists", flag.name);
        }
    }

    #[test]
    fn the_list_is_in_the_order_in_which_it_is_searched() {
        assert!(FILES.is_sorted());
    }
}
