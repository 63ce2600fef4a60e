//! Why a document could not be read, and where.

use super::code::YamlCode;
use crate::code::Code;
use std::ops::Range;

/// Why a document could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LoadError {
    /// Stable code of the diagnostic.
    pub code: Code,
    /// What was seen.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Where, as a byte range.
    pub span: Range<usize>,
}

impl LoadError {
    pub(super) fn new(code: YamlCode, span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            help: None,
            span,
        }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
