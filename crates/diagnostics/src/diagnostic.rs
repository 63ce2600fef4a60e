//! What is wrong with a document, where, and what to do about it.
//!
//! A diagnostic is built whole and then pushed; what holds for every one of them, as the longest message, is seen to when
//! it is pushed.

use crate::code::Code;
use crate::yaml::{Pointer, Position, Tree};
use serde::Serialize;
use std::ops::{Deref, DerefMut, Range};

pub use crate::severity::Severity;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Stable code, for programs and for looking it up.
    pub code: Code,
    /// JSON pointer of the value at fault; empty for the whole document.
    pub pointer: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Byte range to underline.
    #[serde(skip)]
    pub span: Range<usize>,
    /// Byte ranges of secrets in the source line, in order, which the rendering does not show.
    #[serde(skip)]
    pub hidden: Vec<Range<usize>>,
}

impl Diagnostic {
    /// Adds what to do about it.
    pub fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }
}

/// Most diagnostics of one severity that are kept: more help nobody, and finding their places takes time.
pub const MAX_FINDINGS: usize = 100;

/// Most characters of a message, and of a help.
pub const MAX_MESSAGE: usize = 300;

/// Most characters of a value that a message quotes.
const MAX_QUOTED: usize = 80;

/// Collects diagnostics of one document.
#[derive(Debug, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    /// Diagnostics kept by severity.
    counts: [usize; 3],
}

/// A diagnostic in the making; it is pushed when it goes out of scope.
#[derive(Debug)]
pub struct Draft<'d> {
    into: &'d mut Diagnostics,
    diagnostic: Option<Diagnostic>,
}

impl Deref for Draft<'_> {
    type Target = Diagnostic;

    fn deref(&self) -> &Diagnostic {
        let diagnostic = self.diagnostic.as_ref();
        diagnostic.expect("there until it is dropped")
    }
}

impl DerefMut for Draft<'_> {
    fn deref_mut(&mut self) -> &mut Diagnostic {
        let diagnostic = self.diagnostic.as_mut();
        diagnostic.expect("there until it is dropped")
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if let Some(diagnostic) = self.diagnostic.take() {
            self.into.push(diagnostic);
        }
    }
}

impl Diagnostics {
    /// Begins a diagnostic at a pointer, placed by the tree.
    pub fn add(
        &mut self,
        tree: &Tree,
        severity: Severity,
        code: impl Into<Code>,
        pointer: &Pointer,
        message: impl Into<String>,
    ) -> Draft<'_> {
        // One over the limit is not kept, and its place takes time.
        let span = match self.counts[severity as usize] < MAX_FINDINGS {
            true => tree.nearest_span(pointer),
            false => 0..0,
        };
        let position = tree.position(span.start);
        self.add_at(severity, code, pointer, span, position, message)
    }

    /// Begins an error at a pointer.
    pub fn error(
        &mut self,
        tree: &Tree,
        code: impl Into<Code>,
        pointer: &Pointer,
        message: impl Into<String>,
    ) -> Draft<'_> {
        self.add(tree, Severity::Error, code, pointer, message)
    }

    /// Begins a note at a pointer.
    pub fn note(
        &mut self,
        tree: &Tree,
        code: impl Into<Code>,
        pointer: &Pointer,
        message: impl Into<String>,
    ) -> Draft<'_> {
        self.add(tree, Severity::Note, code, pointer, message)
    }

    /// Begins a diagnostic at a byte range.
    pub fn add_at(
        &mut self,
        severity: Severity,
        code: impl Into<Code>,
        pointer: &Pointer,
        span: Range<usize>,
        position: Position,
        message: impl Into<String>,
    ) -> Draft<'_> {
        let code = code.into();
        debug_assert!(
            code.entry().severities.contains(&severity),
            "{code} is declared without {severity:?}"
        );
        let diagnostic = Some(Diagnostic {
            severity,
            code,
            pointer: pointer.to_string(),
            line: position.line,
            column: position.column,
            message: message.into(),
            help: None,
            span,
            hidden: vec![],
        });
        Draft {
            into: self,
            diagnostic,
        }
    }

    /// Keeps a diagnostic, its texts cut to what can be read; one over the limit is dropped.
    pub fn push(&mut self, mut diagnostic: Diagnostic) {
        let count = &mut self.counts[diagnostic.severity as usize];
        if *count >= MAX_FINDINGS {
            return;
        }
        *count += 1;
        diagnostic.message = shortened(&diagnostic.message);
        diagnostic.help = diagnostic.help.as_deref().map(shortened);
        self.list.push(diagnostic);
    }

    /// Whether so many errors were found that a search for more can stop.
    pub fn is_full(&self) -> bool {
        self.counts[Severity::Error as usize] >= MAX_FINDINGS
    }

    /// What was found so far, in the order in which it was found.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// Whether an error is among them.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|d| d.severity == Severity::Error)
    }

    /// Whether an error is at a pointer or below it.
    pub fn has_errors_below(&self, pointer: &Pointer) -> bool {
        let below = |d: &Diagnostic| {
            let rest = d.pointer.strip_prefix(pointer.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let mut errors = self.list.iter().filter(|d| d.severity == Severity::Error);
        errors.any(below)
    }

    /// All diagnostics in the order of the source.
    pub fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.list.sort_by_key(|d| (d.line, d.column, d.severity));
        self.list
    }
}

/// A text of which long values in backquotes are cut, and then the whole.
fn shortened(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let parts =
        parts.map(|(at, part)| cut(part, if at % 2 == 1 { MAX_QUOTED } else { usize::MAX }));
    let parts: Vec<String> = parts.collect();
    cut(&parts.join("`"), MAX_MESSAGE)
}

/// The first characters of a text, and a sign that there were more.
fn cut(text: &str, most: usize) -> String {
    if text.len() <= most || text.chars().nth(most).is_none() {
        return text.to_owned();
    }
    let kept = text.chars().take(most.saturating_sub(1));
    kept.chain(['\u{2026}']).collect()
}

#[cfg(test)]
mod tests {
    use super::{Diagnostics, MAX_FINDINGS, MAX_MESSAGE, MAX_QUOTED, Severity, shortened};
    use crate::code::Sample;
    use crate::yaml::{Pointer, Position};

    #[test]
    fn diagnostics_are_sorted_and_of_each_severity_only_so_many_are_kept() {
        let mut found = Diagnostics::default();
        let mut add = |severity, line| {
            let position = Position { line, column: 1 };
            let at = Pointer::root();
            drop(found.add_at(
                severity,
                Sample::ACode,
                &at,
                0..0,
                position,
                line.to_string(),
            ));
            (found.has_errors(), found.is_full())
        };
        assert_eq!(add(Severity::Note, 900), (false, false));
        for line in (1..MAX_FINDINGS).rev() {
            assert_eq!(add(Severity::Error, line), (true, false));
        }
        assert_eq!(add(Severity::Error, 800), (true, true));
        assert_eq!(add(Severity::Error, 801), (true, true));
        assert_eq!(add(Severity::Warning, 850), (true, true));
        let lines: Vec<usize> = found.into_sorted().iter().map(|d| d.line).collect();
        let expected: Vec<usize> = (1..MAX_FINDINGS).chain([800, 850, 900]).collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_long_value_in_a_message_is_cut_and_what_follows_it_stays() {
        let text = format!("`{}` is not a name", "\u{e4}".repeat(500));
        let kept = "\u{e4}".repeat(MAX_QUOTED - 1);
        assert_eq!(shortened(&text), format!("`{kept}\u{2026}` is not a name"));
    }

    #[test]
    fn no_message_is_longer_than_the_limit() {
        let exact = "a".repeat(MAX_MESSAGE);
        assert_eq!(shortened(&exact), exact);
        let longer = shortened(&"known, ".repeat(100));
        assert_eq!(longer.chars().count(), MAX_MESSAGE);
        assert!(longer.ends_with('\u{2026}'));
    }
}
