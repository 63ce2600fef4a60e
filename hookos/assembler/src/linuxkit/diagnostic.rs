//! Errors and warnings with their place in the YAML file.

use diagnostics::render::snippet_at;
use diagnostics::yaml;
use std::fmt;

/// A place in a YAML file; line and column count from 1, and are 0 where there is no place (an
/// image's label).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Which of the files that are read together, from 0.
    pub file: usize,
    /// Line.
    pub line: u64,
    /// Column, in characters.
    pub column: u64,
}

/// What is wrong, or doubtful, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Where.
    pub position: Position,
    /// What and why.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// One without help.
    pub fn new(position: Position, message: impl Into<String>) -> Self {
        Self {
            position,
            message: message.into(),
            help: None,
        }
    }

    /// The line of the file with a mark below the place, and the help; empty without a place.
    pub(crate) fn snippet(&self, source: &str) -> String {
        let position = yaml::Position {
            line: usize::try_from(self.position.line).unwrap_or_default(),
            column: usize::try_from(self.position.column).unwrap_or_default(),
        };
        snippet_at(source, position, self.help.clone())
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position { line, column, .. } = self.position;
        if line > 0 {
            write!(f, "{line}:{column}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// Collects errors and warnings while a definition is read.
#[derive(Debug, Default)]
pub struct Diagnostics {
    /// What makes the definition unusable.
    pub errors: Vec<Diagnostic>,
    /// What LinuxKit accepts and few authors want.
    pub warnings: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Notes an error.
    pub fn error(&mut self, position: Position, message: impl Into<String>) {
        self.errors.push(Diagnostic::new(position, message));
    }

    /// Notes an error with what to do about it.
    pub fn error_with_help(
        &mut self,
        position: Position,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.errors.push(Diagnostic {
            help: Some(help.into()),
            ..Diagnostic::new(position, message)
        });
    }

    /// Notes a warning.
    pub fn warn(&mut self, position: Position, message: impl Into<String>) {
        self.warnings.push(Diagnostic::new(position, message));
    }
}
