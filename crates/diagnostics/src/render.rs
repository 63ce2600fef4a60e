//! The rendering for people: the message, the line at fault with what is wrong underlined, and the help.
//!
//! annotate-snippets was tried: it shows tabs, control characters and long lines as well as this does, but counts the column
//! in what it shows. That is another column than the file's, and than that of the reports for programs, as soon as a secret
//! before the mark is hidden; so the hundred lines here stay.

use crate::diagnostic::Diagnostic;
use crate::severity::Severity;
use crate::yaml::{Position, YamlCode};
use std::fmt::Write as _;
use std::ops::Range;

impl Severity {
    fn colour(self) -> &'static str {
        match self {
            Self::Error => "\x1b[1;31m",
            Self::Warning => "\x1b[1;33m",
            Self::Note => "\x1b[1;36m",
        }
    }
}

/// The line of a position with a mark below its word, and the help; empty without a place.
pub fn snippet_at(source: &str, position: Position, help: Option<String>) -> String {
    let Position { line, column } = position;
    if line == 0 {
        return String::new();
    }
    let shown = Diagnostic {
        severity: Severity::Error,
        // The snippet does not show it.
        code: YamlCode::YamlSyntax.into(),
        pointer: String::new(),
        line,
        column,
        message: String::new(),
        help,
        span: word_at(source, position),
        hidden: vec![],
    };
    shown.snippet(source, false)
}

/// The word at a position, as a byte range.
fn word_at(source: &str, position: Position) -> Range<usize> {
    let lines = source.split_inclusive('\n');
    let start: usize = lines.take(position.line - 1).map(str::len).sum();
    let before = source[start..]
        .chars()
        .take(position.column.saturating_sub(1));
    let start = start + before.map(char::len_utf8).sum::<usize>();
    let is_end = |c: char| c.is_whitespace() || matches!(c, ':' | ',' | '}' | ']');
    let word = source[start..].find(is_end);
    start..word.map_or(source.len(), |end| start + end)
}

/// Escape sequences; empty without colour.
#[derive(Default)]
struct Colours {
    bold: &'static str,
    tint: &'static str,
    blue: &'static str,
    reset: &'static str,
}

impl Diagnostic {
    /// Renders the diagnostic with its source line, a caret and the help.
    pub fn render(&self, file: &str, source: &str, colour: bool) -> String {
        let Colours {
            bold,
            tint,
            blue,
            reset,
        } = self.colours(colour);
        let (severity, code, message) = (self.severity.as_str(), self.code, &self.message);
        let width = self.line.to_string().len();
        let (line, column) = (self.line, self.column);
        format!(
            "{tint}{severity}[{code}]{reset}{bold}: {message}{reset}\n\
             {:width$}{blue}-->{reset} {file}:{line}:{column}\n{}",
            "",
            self.snippet(source, colour)
        )
    }

    /// What stands below the message: the source line, a caret and the help.
    pub fn snippet(&self, source: &str, colour: bool) -> String {
        let Colours {
            bold,
            tint,
            blue,
            reset,
        } = self.colours(colour);
        let line = self.line;
        let width = line.to_string().len();
        let mut out = String::new();
        if let Some((before, marked, after)) = self.source_line(source) {
            let indent = before.chars().map(|c| if c == '\t' { '\t' } else { ' ' });
            let indent: String = indent.collect();
            let carets = "^".repeat(marked.chars().count().max(1));
            let bar = format!("{blue}{:width$} |{reset}", "");
            let _ = writeln!(out, "{bar}");
            let _ = writeln!(out, "{blue}{line} |{reset} {before}{marked}{after}");
            let _ = writeln!(out, "{bar} {indent}{tint}{carets}{reset}");
        }
        if let Some(help) = &self.help {
            let _ = writeln!(
                out,
                "{:width$} {blue}={reset} {bold}help{reset}: {help}",
                ""
            );
        }
        out
    }

    fn colours(&self, wanted: bool) -> Colours {
        let tint = self.severity.colour();
        match wanted {
            true => Colours {
                bold: "\x1b[1m",
                tint,
                blue: "\x1b[1;34m",
                reset: "\x1b[0m",
            },
            false => Colours::default(),
        }
    }

    /// The source line cut into what is before, under and after the span, control characters removed.
    fn source_line(&self, source: &str) -> Option<(String, String, String)> {
        let line = line_around(source, self.span.start)?;
        let [before, marked, after] = self.shown(source)?;
        let start = if before.start > line.start { CUT } else { "" };
        let middle = if marked.end < after.start { CUT } else { "" };
        let end = if after.end < line.end { CUT } else { "" };
        let part = |range| Some(printable(&self.without_secrets(source, range)?));
        Some((
            format!("{start}{}", part(before)?),
            format!("{}{middle}", part(marked)?),
            format!("{}{end}", part(after)?),
        ))
    }

    /// The parts of the source that are shown: before, under and after the span.
    pub fn shown(&self, source: &str) -> Option<[Range<usize>; 3]> {
        let line = line_around(source, self.span.start)?;
        let end = self.span.end.clamp(self.span.start, line.end);
        let cut = |range: Range<usize>| {
            let text = source.get(range.clone())?;
            let stop = text.char_indices().nth(SHOWN).map(|(at, _)| at);
            Some(range.start..stop.map_or(range.end, |at| range.start + at))
        };
        let before = source.get(line.start..self.span.start)?;
        let start = before.char_indices().rev().nth(SHOWN - 1);
        let start = line.start + start.map_or(0, |(at, _)| at);
        let marked = cut(self.span.start..end)?;
        Some([start..self.span.start, marked, cut(end..line.end)?])
    }

    fn without_secrets(&self, source: &str, range: Range<usize>) -> Option<String> {
        let mut out = String::new();
        let mut at = range.start;
        for hidden in &self.hidden {
            let (start, end) = (hidden.start.max(at), hidden.end.min(range.end));
            if start >= end {
                continue;
            }
            out.push_str(source.get(at..start)?);
            // One that began in the part before is hidden there already.
            if hidden.start >= range.start || range.start < self.span.start {
                out.push_str("(hidden)");
            }
            at = end;
        }
        out.push_str(source.get(at..range.end)?);
        Some(out)
    }
}

/// The line, without its break, that a byte offset is in.
pub fn line_around(source: &str, offset: usize) -> Option<Range<usize>> {
    let start = source.get(..offset)?.rfind('\n').map_or(0, |at| at + 1);
    let end = source[offset..].find('\n');
    Some(start..end.map_or(source.len(), |at| offset + at))
}

/// Most characters of each part of a source line that are shown, and what stands for the rest.
const SHOWN: usize = 120;
const CUT: &str = "\u{2026}";

/// Text safe for a terminal: control characters other than a tab are replaced.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{SHOWN, snippet_at};
    use crate::code::Sample;
    use crate::diagnostic::Diagnostic;
    use crate::severity::Severity;
    use crate::yaml::Position;
    use std::ops::Range;

    #[test]
    fn a_position_is_shown_with_its_word() {
        let source = "a: 1\nkey: [one, two]\nlast";
        for (line, column, marks) in [(2, 1, 3), (2, 7, 3), (2, 12, 3), (3, 1, 4)] {
            let position = Position { line, column };
            let shown = snippet_at(source, position, None);
            let found = shown.matches('^').count();
            assert_eq!(found, marks, "{line}:{column}\n{shown}");
        }
        assert_eq!(snippet_at(source, Position::default(), None), "");
    }

    const SOURCE: &str = "first\n\tkey: v\u{e4}lue # \u{1b}[0m\nlast";

    fn finding(severity: Severity, line: usize, span: Range<usize>) -> Diagnostic {
        Diagnostic {
            severity,
            code: Sample::ACode.into(),
            pointer: "/key".to_owned(),
            line,
            column: 7,
            message: "it is wrong".to_owned(),
            help: None,
            span,
            hidden: vec![],
        }
    }

    /// The rendering without its first two lines.
    fn shown(finding: &Diagnostic, source: &str) -> String {
        let text = finding.render("f", source, false);
        text.splitn(3, '\n').nth(2).unwrap_or_default().to_owned()
    }

    #[test]
    fn a_finding_is_shown_with_its_line_carets_and_help() {
        let mut error = finding(Severity::Error, 2, 12..18);
        error.help("mend it");
        assert_eq!(
            error.render("a/file", SOURCE, false),
            "error[a-code]: it is wrong\n --> a/file:2:7\n  |\n2 | \tkey: v\u{e4}lue # \u{fffd}[0m\n  | \t     \
             ^^^^^\n  = help: mend it\n"
        );
        let warning = finding(Severity::Warning, 10, 0..0);
        assert_eq!(
            warning.render("f", SOURCE, false),
            "warning[a-code]: it is wrong\n  --> f:10:7\n   |\n10 | first\n   | ^\n"
        );
    }

    #[test]
    fn colours_are_those_of_the_severity() {
        for (severity, name, tint) in [
            (Severity::Error, "error", "\x1b[1;31m"),
            (Severity::Warning, "warning", "\x1b[1;33m"),
            (Severity::Note, "note", "\x1b[1;36m"),
        ] {
            let text = finding(severity, 3, 26..30).render("f", SOURCE, true);
            let head = format!("{tint}{name}[a-code]\x1b[0m\x1b[1m: it is wrong\x1b[0m\n");
            assert!(text.starts_with(&head), "{text:?}");
            assert!(text.ends_with(&format!("{tint}^^^^\x1b[0m\n")), "{text:?}");
        }
    }

    #[test]
    fn only_what_is_in_the_line_is_marked() {
        let over = finding(Severity::Error, 2, 7..28);
        assert_eq!(
            shown(&over, SOURCE).lines().nth(2),
            Some("  | \t^^^^^^^^^^^^^^^^^")
        );
        let last = finding(Severity::Error, 3, 26..30);
        assert_eq!(shown(&last, SOURCE), "  |\n3 | last\n  | ^^^^\n");
        let behind = finding(Severity::Error, 3, 99..100);
        assert_eq!(shown(&behind, SOURCE), "");
    }

    #[test]
    fn secrets_are_hidden_wherever_they_are_in_the_line() {
        let source = "above\na: one, b: two, c: three\nbelow";
        for (hidden, line, carets) in [
            (vec![], "a: one, b: two, c: three", "           ^^^"),
            (
                vec![(17, 20)],
                "a: one, b: (hidden), c: three",
                "           ^^^^^^^^",
            ),
            (
                vec![(9, 12)],
                "a: (hidden), b: two, c: three",
                "                ^^^",
            ),
            (
                vec![(25, 99)],
                "a: one, b: two, c: (hidden)",
                "           ^^^",
            ),
            (vec![(0, 5)], "a: one, b: two, c: three", "           ^^^"),
            (
                vec![(0, 9)],
                "(hidden)one, b: two, c: three",
                "                ^^^",
            ),
            (
                vec![(9, 12), (17, 20), (25, 30)],
                "a: (hidden), b: (hidden), c: (hidden)",
                "                ^^^^^^^^",
            ),
            (
                vec![(17, 25)],
                "a: one, b: (hidden)three",
                "           ^^^^^^^^",
            ),
            (vec![(9, 18)], "a: (hidden)wo, c: three", "           ^^"),
        ] {
            let mut found = finding(Severity::Error, 2, 17..20);
            found.hidden = hidden.iter().map(|(start, end)| *start..*end).collect();
            assert_eq!(
                shown(&found, source),
                format!("  |\n2 | {line}\n  | {carets}\n"),
                "{hidden:?}"
            );
        }
    }

    #[test]
    fn long_lines_are_cut_on_both_sides() {
        let line = |length| {
            let part = |c: &str| c.repeat(length);
            let source = format!("{}{}{}", part("a"), part("b"), part("c"));
            let found = finding(Severity::Error, 1, length..2 * length);
            let text = shown(&found, &source);
            text.lines().nth(1).unwrap_or_default()[4..].to_owned()
        };
        let most = |c: &str| c.repeat(SHOWN);
        let (a, b, c) = (most("a"), most("b"), most("c"));
        assert_eq!(line(SHOWN), format!("{a}{b}{c}"));
        assert_eq!(
            line(SHOWN + 1),
            format!("\u{2026}{a}{b}\u{2026}{c}\u{2026}")
        );
    }
}
