//! Where a check reports what it found: the document with its positions, and the diagnostics collected so far.

use crate::diagnostic::{Diagnostics, Draft, Severity};
use crate::yaml::{Kind, Pointer, Tree, position_in};
use diagnostics::code::Code;
use std::ops::Range;

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
        code: impl Into<Code>,
        at: &Pointer,
        message: impl Into<String>,
    ) -> Draft<'_> {
        self.found.error(self.tree, code, at, message)
    }

    pub(crate) fn warning(
        &mut self,
        code: impl Into<Code>,
        at: &Pointer,
        message: impl Into<String>,
    ) -> Draft<'_> {
        self.found
            .add(self.tree, Severity::Warning, code, at, message)
    }

    pub(crate) fn note(
        &mut self,
        code: impl Into<Code>,
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

    /// Reports an error at a part of a file's content, where that is a block text; else at the content.
    pub(crate) fn error_inside(
        &mut self,
        code: impl Into<Code>,
        at: &Pointer,
        content: &str,
        part: &Range<usize>,
        message: impl Into<String>,
    ) -> Draft<'_> {
        match self.inside_of(at, content, part) {
            Some(span) => {
                let position = self.tree.position(span.start);
                self.found
                    .add_at(Severity::Error, code, at, span, position, message)
            }
            None => self.error(code, at, message),
        }
    }

    /// Reports a warning at a byte range, or at a pointer where there is none.
    pub(crate) fn warning_at(
        &mut self,
        code: impl Into<Code>,
        at: &Pointer,
        span: Option<Range<usize>>,
        message: impl Into<String>,
    ) -> Draft<'_> {
        match span {
            Some(span) => {
                let position = self.tree.position(span.start);
                let found = &mut self.found;
                found.add_at(Severity::Warning, code, at, span, position, message)
            }
            None => self.warning(code, at, message),
        }
    }

    /// The byte range in the document of a part of a block text, whose lines are those of the document but for their
    /// indentation; `None` for any other text.
    pub(crate) fn inside_of(
        &self,
        at: &Pointer,
        content: &str,
        part: &Range<usize>,
    ) -> Option<Range<usize>> {
        let source = self.tree.source();
        let key = self.tree.entry(at)?.key_span.end;
        let header = source.get(key..)?.lines().next()?;
        if !header.trim_start_matches([':', ' ']).starts_with('|') {
            return None;
        }
        let start = key + header.len() + 1;
        let place = position_in(content, part.start);
        let line = content.lines().nth(place.line - 1)?;
        let lines = source.get(start..)?.split_inclusive('\n');
        let before: usize = lines.clone().take(place.line - 1).map(str::len).sum();
        let shown = lines
            .skip(place.line - 1)
            .map(|line| line.trim_end_matches(['\n', '\r']))
            .next()?;
        let indent = shown.strip_suffix(line)?;
        let column = part.start - content[..part.start].rfind('\n').map_or(0, |at| at + 1);
        let first = start + before + indent.len() + column;
        let length = part.len().min(line.len().saturating_sub(column));
        Some(first..first + length)
    }
}
