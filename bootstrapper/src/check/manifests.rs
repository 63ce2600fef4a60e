//! Manifests that the distribution applies at start: that they are objects in YAML, and what of a HelmChart does not work.

use super::context::Context;
use crate::codes;
use crate::model::File;
use crate::report::Report;
use crate::yaml::YamlCode;
use crate::yaml::{Kind, Pointer, Tree, load};
use std::ops::Range;

/// Most bytes of manifests that are read; more are left to the cluster.
const MAX_BYTES: usize = 1 << 20;

impl Report<'_> {
    /// Checks a file if the distribution applies it.
    pub(super) fn manifest_content(&mut self, file: &File, at: &Pointer, context: &Context<'_>) {
        if !is_manifest(file, context) {
            return;
        }
        let Ok(bytes) = file.bytes() else {
            return; // Reported with the file's content.
        };
        let text = String::from_utf8_lossy(&bytes);
        if text.len() > MAX_BYTES {
            return;
        }
        let at = at.join("content");
        for part in documents(&text) {
            let is_blank =
                |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
            let document = &text[part.clone()];
            if document.lines().all(is_blank) {
                continue;
            }
            match load(document) {
                Ok((tree, _)) => {
                    self.chart(&tree, &at, &text, &part);
                    if let Some(reason) = no_object(&tree) {
                        let name = context.facts.name;
                        let message = format!("{name} does not apply {}: {reason}", file.path);
                        let first = part.start..part.start;
                        let inside = self.inside_of(&at, &text, &first);
                        self.warning_at(codes::ManifestObject, &at, inside, message)
                            .help("an object has `apiVersion`, `kind` and `metadata.name`");
                    }
                }
                Err(error)
                    if [YamlCode::YamlSyntax, YamlCode::YamlKey]
                        .iter()
                        .any(|code| error.code == *code) =>
                {
                    let span = part.start + error.span.start..part.start + error.span.end;
                    let (name, path) = (context.facts.name, &file.path);
                    let message = format!("{name} cannot apply {path}: {}", error.message);
                    self.error_inside(codes::ManifestSyntax, &at, &text, &span, message)
                        .help = error.help;
                    return;
                }
                Err(_) => {}
            }
        }
    }

    /// With a repository, `chart` is the plain name of one there: the repository has no name in a HelmChart.
    fn chart(&mut self, tree: &Tree, at: &Pointer, text: &str, part: &Range<usize>) {
        let value = |pointer: &str| match tree.find(&Pointer::from(pointer)).map(|id| tree.node(id))
        {
            Some(node) => match &node.kind {
                Kind::Scalar { text, .. } => Some((text.as_str(), node.span.clone())),
                _ => None,
            },
            None => None,
        };
        let is_chart = value("/kind").is_some_and(|(kind, _)| kind == "HelmChart");
        let Some((chart, span)) = value("/spec/chart").filter(|_| is_chart) else {
            return;
        };
        let Some(name) = chart.rsplit('/').next().filter(|name| *name != chart) else {
            return;
        };
        if value("/spec/repo").is_none() || chart.contains("://") {
            return;
        }
        let span = part.start + span.start..part.start + span.end;
        let message =
            format!("with `repo` the chart is a plain name; `{chart}` is not found there");
        let inside = self.inside_of(at, text, &span);
        self.warning_at(codes::HelmChart, at, inside, message)
            .help(format!("write `chart: {name}`"));
    }
}

/// Why a document is not an object of Kubernetes.
fn no_object(tree: &Tree) -> Option<&'static str> {
    let value = |pointer: &str| match &tree.node(tree.find(&Pointer::from(pointer))?).kind {
        Kind::Scalar { text, .. } if !text.is_empty() => Some(text.as_str()),
        _ => None,
    };
    if !matches!(tree.node(tree.root()).kind, Kind::Mapping(_)) {
        return Some("a document in it is not a mapping");
    }
    if value("/apiVersion").is_none() {
        return Some("a document in it has no `apiVersion`");
    }
    let Some(kind) = value("/kind") else {
        return Some("a document in it has no `kind`");
    };
    let is_named = ["/metadata/name", "/metadata/generateName"]
        .iter()
        .any(|at| value(at).is_some());
    (!is_named && !kind.ends_with("List")).then_some("an object in it has no name")
}

/// Whether the distribution applies a file at start.
pub(super) fn is_manifest(file: &File, context: &Context<'_>) -> bool {
    let folder = format!("{}/server/manifests/", context.facts.data_dir);
    let path = file.path.as_str();
    let ends = [".yaml", ".yml", ".json"];
    path.starts_with(&folder) && ends.iter().any(|end| path.ends_with(end))
}

/// The documents of a stream of YAML: what is between lines that begin with `---`.
fn documents(text: &str) -> Vec<Range<usize>> {
    let mut found = vec![];
    let (mut start, mut at) = (0, 0);
    for line in text.split_inclusive('\n') {
        if line.trim_end() == "---" || line.starts_with("--- ") {
            found.push(start..at);
            start = at + line.len();
        }
        at += line.len();
    }
    found.push(start..text.len());
    found
}

/// Whether a manifest or a CNI's configuration may bring the network that flannel does not.
fn brings_a_network(context: &Context<'_>) -> bool {
    let written = context.config.operating_system.write_files.iter();
    let mut files = written.chain(context.config.files());
    files
        .any(|file| is_manifest(file, context) || file.path.as_str().starts_with("/etc/cni/net.d/"))
}

impl Report<'_> {
    /// Without flannel and without another plugin no pod gets an address, and the node never gets ready.
    pub(super) fn cni(&mut self, context: &Context<'_>) {
        let Some(given) = context.joined.last("flannel-backend") else {
            return;
        };
        if given.text != "none" || brings_a_network(context) {
            return;
        }
        let message =
            "no CNI plugin takes flannel's place: the node does not get ready without one";
        let severity = crate::diagnostic::Severity::Warning;
        self.report_of(severity, codes::NoCni, context, &given.origin, message)
            .help("give its manifests under `files`, below server/manifests; its images must be on the node");
    }
}
