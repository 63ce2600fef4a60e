//! Configuration files of Kubernetes' components that the config-file brings: those that arguments and settings name, and the
//! kubelet's drop-ins. A component reads them at start and ends where one is not YAML, or is of another kind.

use super::context::Context;
use crate::codes;
use crate::distribution::joined::FileId;
use crate::report::Report;
use crate::values::{ComponentArg, TextValue as _};
use crate::yaml::{Kind, Pointer, Tree, load};

/// Setting, flag, and the kind of object that the file has (Kubernetes, the configuration APIs of its components).
const NAMED: &[(&str, &str, &str)] = &[
    (
        "kube-apiserver-arg",
        "admission-control-config-file",
        "AdmissionConfiguration",
    ),
    ("kube-apiserver-arg", "audit-policy-file", "Policy"),
    (
        "kube-apiserver-arg",
        "authentication-config",
        "AuthenticationConfiguration",
    ),
    (
        "kube-apiserver-arg",
        "authorization-config",
        "AuthorizationConfiguration",
    ),
    (
        "kube-apiserver-arg",
        "egress-selector-config-file",
        "EgressSelectorConfiguration",
    ),
    (
        "kube-apiserver-arg",
        "encryption-provider-config",
        "EncryptionConfiguration",
    ),
    (
        "kube-apiserver-arg",
        "tracing-config-file",
        "TracingConfiguration",
    ),
    ("kube-proxy-arg", "config", "KubeProxyConfiguration"),
    ("kube-scheduler-arg", "config", "KubeSchedulerConfiguration"),
    ("kubelet-arg", "config", KUBELET),
    (
        "kubelet-arg",
        "image-credential-provider-config",
        "CredentialProviderConfig",
    ),
];
const KUBELET: &str = "KubeletConfiguration";

impl Report<'_> {
    pub(super) fn configurations(&mut self, context: &Context<'_>) {
        for (setting, flag, kind) in NAMED {
            let arguments = context.joined.list(setting).iter().rev();
            let mut arguments = arguments.filter_map(|value| ComponentArg::parse(&value.text).ok());
            // Of several the last one holds.
            let last = arguments.find(|argument| argument.key_value().0 == *flag);
            let path = last.as_ref().map(|argument| argument.key_value().1);
            if let Some(id) = path.and_then(|path| file_at(context, path)) {
                self.configuration(context, id, flag, kind);
            }
        }
        let directory = format!("{}/agent/etc/kubelet.conf.d", context.facts.data_dir);
        for id in ids(context) {
            let path = &context.file(id).path;
            if path.parent() == directory && path.as_str().ends_with(".conf") {
                self.configuration(context, id, "the kubelet", KUBELET);
            }
        }
    }

    /// Checks a file that `reader`, a component or its flag, reads as an object of a kind.
    fn configuration(&mut self, context: &Context<'_>, id: FileId, reader: &str, kind: &str) {
        let file = context.file(id);
        let Ok(bytes) = file.bytes() else {
            return; // Reported with the file's content.
        };
        let text = String::from_utf8_lossy(&bytes);
        let at = self.content_of(id);
        let path = &file.path;
        match load(&text) {
            Err(error) => {
                let message =
                    format!("`{reader}` reads {path} at start, and it is not YAML: {error}");
                self.error_inside(codes::ConfigurationFile, &at, &text, &error.span, message)
                    .help = error.help;
            }
            Ok((tree, _)) => {
                let found = scalar(&tree, "/kind");
                if found == Some(kind) && scalar(&tree, "/apiVersion").is_some() {
                    return;
                }
                let has = match found {
                    Some(found) if found != kind => format!("is a {found}"),
                    Some(_) => "has no `apiVersion`".to_owned(),
                    None => "has no `kind`".to_owned(),
                };
                let message = format!(
                    "`{reader}` reads a {kind} in {path}, and that {has}: its component would not start"
                );
                let code = codes::ConfigurationFile;
                // A part of one may be made whole by a command.
                let mut draft = match found {
                    Some(found) if found != kind => self.error(code, &at, message),
                    _ => self.warning(code, &at, message),
                };
                draft.help(format!(
                    "start the file with `apiVersion` and `kind: {kind}`"
                ));
            }
        }
    }
}

fn scalar<'t>(tree: &'t Tree, pointer: &str) -> Option<&'t str> {
    match &tree.node(tree.find(&Pointer::from(pointer))?).kind {
        Kind::Scalar { text, .. } if !text.is_empty() => Some(text),
        _ => None,
    }
}

fn ids(context: &Context<'_>) -> impl Iterator<Item = FileId> {
    let written = 0..context.config.operating_system.write_files.len();
    let own = 0..context.config.files().len();
    written
        .map(FileId::Written)
        .chain(own.map(FileId::Template))
}

/// The file that the config-file brings at a path; the template's are written last.
fn file_at(context: &Context<'_>, path: &str) -> Option<FileId> {
    let at_path = |id: &FileId| context.file(*id).path.as_str() == path;
    ids(context).filter(at_path).last()
}
