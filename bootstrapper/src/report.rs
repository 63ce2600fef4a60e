//! Where a check reports what it found: the document with its positions, and the diagnostics collected so far.

use crate::diagnostic::{Diagnostics, Draft, Severity};
use crate::yaml::{Kind, Pointer, Tree};

/// What a config-file is compared with.
#[derive(Debug, Clone, Default)]
pub struct ParseOptions {
    /// The K3s version in the OS image; a `version` that differs is an error. Without it nothing is compared.
    pub k3s_version: Option<String>,
}

/// A pass over a config-file that reports findings.
pub(crate) struct Report<'a> {
    pub(crate) tree: &'a Tree,
    pub(crate) found: &'a mut Diagnostics,
    pub(crate) options: &'a ParseOptions,
    /// Pointer of the distribution's configuration.
    pub(crate) spec: Pointer,
}

impl Report<'_> {
    pub(crate) fn error(
        &mut self,
        code: &'static str,
        at: &Pointer,
        message: impl Into<String>,
    ) -> Draft<'_> {
        self.found.error(self.tree, code, at, message)
    }

    pub(crate) fn warning(
        &mut self,
        code: &'static str,
        at: &Pointer,
        message: impl Into<String>,
    ) -> Draft<'_> {
        self.found
            .add(self.tree, Severity::Warning, code, at, message)
    }

    pub(crate) fn note(
        &mut self,
        code: &'static str,
        at: &Pointer,
        message: impl Into<String>,
    ) -> Draft<'_> {
        self.found.note(self.tree, code, at, message)
    }

    /// Whether the document has a value at a pointer, even one that was refused.
    pub(crate) fn given(&self, at: &Pointer) -> bool {
        self.tree.find(at).is_some_and(|id| !self.tree.is_null(id))
    }

    /// Pointer of keys, with `/` between, below the distribution's configuration.
    pub(crate) fn below_spec(&self, keys: &str) -> Pointer {
        Pointer::from(format!("{}/{keys}", self.spec).as_str())
    }

    /// Pointer of a file of a list, which may be written as a single mapping instead.
    pub(crate) fn file_at(&self, section: &Pointer, index: usize) -> Pointer {
        match self.tree.find(section).map(|id| &self.tree.node(id).kind) {
            Some(Kind::Mapping(_)) => section.clone(),
            _ => section.join(index),
        }
    }
}
