//! What the shape cannot say: rules between values, values fixed by the OS image, and the proposal's slips.

use crate::ParseOptions;
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::install::{PathRule, generated_paths};
use crate::model::{ConfigFile, Kubernetes};
use crate::yaml::{Kind, Pointer, Tree};

/// Where the K3s configuration stands, as a prefix of pointers.
const TEMPLATE_SPEC: &str = "/kubernetes/spec/template/spec";

/// A pass over a decoded config-file that reports findings and mends what the proposal's examples write wrongly.
pub(crate) struct Meaning<'a> {
    pub(super) tree: &'a Tree,
    pub(super) found: &'a mut Diagnostics,
    pub(super) options: &'a ParseOptions,
    /// Pointer of the K3s configuration.
    pub(super) spec: Pointer,
    /// Paths that the installer and the first boot keep for themselves.
    pub(super) generated: Vec<PathRule>,
}

/// Pointer of the K3s configuration in a document: `spec.template.spec` or `kthreesConfigSpec` in it.
pub(crate) fn spec_pointer(tree: &Tree) -> Pointer {
    let direct = Pointer::from(TEMPLATE_SPEC);
    let nested = direct.join("kthreesConfigSpec");
    match tree.find(&nested).map(|id| &tree.node(id).kind) {
        Some(Kind::Mapping(_)) => nested,
        _ => direct,
    }
}

impl<'a> Meaning<'a> {
    /// A pass over the document of `tree`.
    pub(crate) fn new(
        tree: &'a Tree,
        found: &'a mut Diagnostics,
        options: &'a ParseOptions,
    ) -> Self {
        Self {
            spec: spec_pointer(tree),
            tree,
            found,
            options,
            generated: vec![],
        }
    }

    /// Checks and mends the whole config-file.
    pub(crate) fn check(&mut self, config: &mut ConfigFile) {
        self.operating_system(&config.operating_system);
        config.kubernetes.distribution().check(config, self);
        self.registries(config);
        self.system(config);
        self.folded_commands();
    }

    /// Notes a line break inside the quotes of a command, which YAML reads as a space. Where a `\\` ends the line, that is
    /// what was meant.
    fn folded_commands(&mut self) {
        let lists = [
            "preK3sCommands",
            "postK3sCommands",
            "preRKE2Commands",
            "postRKE2Commands",
        ];
        let lists = lists.map(|list| self.spec.join(list));
        let first = Pointer::from("/operatingSystem/runCommands");
        for list in std::iter::once(first).chain(lists) {
            let Some(Kind::Sequence(items)) =
                self.tree.find(&list).map(|id| &self.tree.node(id).kind)
            else {
                continue;
            };
            for (index, item) in items.iter().enumerate() {
                let text = &self.tree.source()[self.tree.node(*item).span.clone()];
                let lines: Vec<&str> = text.lines().collect();
                let folded = lines.windows(2).any(|pair| {
                    let blank = pair.iter().any(|line| line.trim().is_empty());
                    !blank && !pair[0].ends_with('\\')
                });
                if text.starts_with(['"', '\'']) && folded {
                    self.note(
                        "folded-lines",
                        &list.join(index),
                        "a line break inside quotes is a space for YAML, not a line break of the command",
                    )
                    .help("write a block, `- |` and the lines below it; or `\\n` inside double quotes");
                }
            }
        }
    }

    /// Checks and mends what stands in a K3s template.
    pub(crate) fn k3s(&mut self, config: &mut ConfigFile) {
        self.place(config);
        self.without_effect();
        self.generated = generated_paths(config);
        let Kubernetes::KThrees(template) = &mut config.kubernetes else {
            return;
        };
        let spec = &mut template.spec.template.spec.direct;
        self.version(spec);
        self.files(&mut config.operating_system, spec);
        self.agent(spec);
        self.server(spec);
        self.networks(spec);
    }

    pub(super) fn error(
        &mut self,
        code: &'static str,
        at: &Pointer,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.found.error(self.tree, code, at, message)
    }

    pub(super) fn warning(
        &mut self,
        code: &'static str,
        at: &Pointer,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.found
            .add(self.tree, Severity::Warning, code, at, message)
    }

    pub(super) fn note(
        &mut self,
        code: &'static str,
        at: &Pointer,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.found.note(self.tree, code, at, message)
    }

    /// Whether the document has a value at a pointer, even one that was refused.
    pub(super) fn given(&self, at: &Pointer) -> bool {
        self.tree.find(at).is_some_and(|id| !self.tree.is_null(id))
    }

    /// Brings the K3s configuration into one place, refusing a mixture of both.
    fn place(&mut self, config: &mut ConfigFile) {
        let Kubernetes::KThrees(template) = &mut config.kubernetes else {
            return;
        };
        let spec = &mut template.spec.template.spec;
        let Some(nested) = spec.kthrees_config_spec.take() else {
            return;
        };
        let outer = Pointer::from(TEMPLATE_SPEC);
        let fields = [
            "version",
            "files",
            "preK3sCommands",
            "postK3sCommands",
            "agentConfig",
            "serverConfig",
        ];
        for field in fields {
            let at = outer.join(field);
            if self.tree.find(&at).is_some() {
                self.error(
                    "mixed-spec",
                    &at,
                    format!("`{field}` stands beside kthreesConfigSpec"),
                )
                .help("put all of it under kthreesConfigSpec, or all of it directly under spec");
            }
        }
        spec.direct = *nested;
    }

    /// Notes the fields that Cluster API uses and a standalone node does not.
    fn without_effect(&mut self) {
        let template = Pointer::from("/kubernetes/spec/template");
        let outer = Pointer::from(TEMPLATE_SPEC);
        let server = self.spec.join("serverConfig");
        let places = [
            template.join("metadata"),
            outer.join("rolloutAfter"),
            outer.join("machineTemplate"),
            outer.join("remediationStrategy"),
            server.join("disableExternalCloudProvider"),
            server.join("etcdProxyImage"),
        ];
        for at in places {
            if let Some(entry) = self.tree.entry(&at)
                && !self.tree.is_null(entry.value)
            {
                let message = format!("`{}` has no effect on a standalone node", entry.key);
                self.note("no-effect", &at, message)
                    .help("it can be left out; Cluster API alone uses it");
            }
        }
    }
}
