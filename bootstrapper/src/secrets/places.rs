//! What is shown of the line of a diagnostic in a document with a tree: known keys, values in places without secrets, and
//! the signs between them.

use super::lines::{key_part, rest};
use super::{is_host, is_place, is_plain, property, shown_key};
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::schema::SCHEMA;
use crate::schema::{alternatives, takes};
use crate::yaml::{Entry, Kind, NodeId, Pointer, Tree};
use diagnostics::render::line_around;
use serde_json::Value;
use std::ops::Range;

/// Hides what is not shown in the lines that the diagnostics have.
pub(super) fn hide(tree: &Tree, diagnostics: &mut [Diagnostic]) {
    let source = tree.source();
    let shown = |diagnostic: &Diagnostic| diagnostic.shown(source).into_iter().flatten();
    let mut walk = Walk {
        tree,
        windows: joined(diagnostics.iter().flat_map(shown).collect()),
        seen: vec![],
        files: vec![],
    };
    let choices = alternatives(&SCHEMA, &SCHEMA);
    walk.node(&choices, tree.root(), &Place::default());
    walk.seen = joined(std::mem::take(&mut walk.seen));
    for diagnostic in diagnostics {
        diagnostic.hidden = walk.hidden(diagnostic);
    }
}

/// Where the walk is.
#[derive(Debug, Clone, Default)]
struct Place {
    secret: bool,
    /// Within the text of a file, whose lines have keys.
    file: bool,
    pointer: String,
}

struct Walk<'t> {
    tree: &'t Tree,
    /// The parts of the source that are looked at.
    windows: Vec<Range<usize>>,
    /// What may be seen of them.
    seen: Vec<Range<usize>>,
    /// Contents of files.
    files: Vec<Range<usize>>,
}

impl Walk<'_> {
    fn is_looked_at(&self, span: &Range<usize>) -> bool {
        let first = self
            .windows
            .partition_point(|window| window.end <= span.start);
        self.windows
            .get(first)
            .is_some_and(|window| window.start < span.end)
    }

    fn node(&mut self, choices: &[&Value], id: NodeId, place: &Place) {
        let node = self.tree.node(id);
        if !self.is_looked_at(&node.span) || choices.is_empty() {
            return;
        }
        match &node.kind {
            Kind::Scalar { text, .. } => {
                let typed = choices.iter().any(|choice| {
                    !takes(choice, "array")
                        && !takes(choice, "object")
                        && choice
                            .get("type")
                            .or(choice.get("enum"))
                            .or(choice.get("const"))
                            .is_some()
                });
                if place.file {
                    self.files.push(node.span.clone());
                } else if typed && !place.secret && is_plain(text) {
                    self.seen.push(node.span.clone());
                }
            }
            Kind::Sequence(items) => {
                let of = choices.iter().filter_map(|choice| choice.get("items"));
                let of: Vec<&Value> = of.flat_map(|items| alternatives(&SCHEMA, items)).collect();
                for item in items {
                    self.node(&of, *item, place);
                }
            }
            Kind::Mapping(entries) => {
                for entry in entries {
                    self.entry(choices, entry, place);
                }
            }
        }
    }

    fn entry(&mut self, choices: &[&Value], entry: &Entry, place: &Place) {
        let value = &self.tree.node(entry.value).span;
        if !self.is_looked_at(&entry.key_span) && !self.is_looked_at(value) {
            return;
        }
        let inner = property(choices, &entry.key);
        let fixed = |choice: &&Value| {
            choice
                .get("properties")
                .is_some_and(|all| all.get(&entry.key).is_some())
        };
        let shown = match () {
            () if choices.iter().any(fixed) => true,
            () if inner.is_empty() => shown_key(&entry.key, &Pointer::from(place.pointer.as_str())),
            () => !place.secret || is_host(&entry.key),
        };
        if shown {
            self.seen.push(entry.key_span.clone());
        }
        let inside = Place {
            secret: place.secret || is_place(&entry.key),
            file: entry.key == "content",
            pointer: format!(
                "{}/{}",
                place.pointer,
                if is_place(&entry.key) { &entry.key } else { "" }
            ),
        };
        self.node(&inner, entry.value, &inside);
    }

    fn hidden(&self, diagnostic: &Diagnostic) -> Vec<Range<usize>> {
        let source = self.tree.source();
        let line = line_around(source, diagnostic.span.start);
        let Some((line, [before, _, after])) = line.zip(diagnostic.shown(source)) else {
            return vec![];
        };
        let window = before.start..after.end;
        if self
            .files
            .iter()
            .any(|file| file.start < line.start && line.start < file.end)
        {
            let shown = if window.start == line.start {
                key_part(&source[line.clone()])
            } else {
                0
            };
            return rest(source, line.start + shown, window);
        }
        let first = self.seen.partition_point(|seen| seen.end <= window.start);
        let mut hidden = vec![];
        let mut at = window.start;
        for seen in self.seen[first..]
            .iter()
            .take_while(|seen| seen.start < window.end)
        {
            hidden.extend(between(source, at..seen.start.max(at)));
            at = at.max(seen.end);
        }
        hidden.extend(between(source, at.min(window.end)..window.end));
        // What an argument that nobody knows is set to.
        let span = &diagnostic.span;
        if diagnostic.code == codes::UnknownArgument
            && let Some(sign) = source[span.clone()].find('=')
        {
            let value = span.start + sign + 1..span.end.min(window.end);
            hidden.extend(rest(source, value.start, value));
        }
        joined(hidden)
    }
}

/// What is hidden between two parts that are shown: all but the signs of YAML at both ends.
fn between(source: &str, gap: Range<usize>) -> Option<Range<usize>> {
    let text = source.get(gap.clone())?;
    // Behind a key, the colon and the space; a value that is all signs is one.
    let is_sign =
        |c: char| c.is_whitespace() || matches!(c, ':' | '-' | ',' | '{' | '[' | '}' | ']' | '?');
    let start = text.len() - text.trim_start_matches(is_sign).len();
    let end = text.trim_end_matches(is_sign).len();
    let is_block = |text: &str| matches!(text, "|" | ">" | "|-" | ">-" | "|+" | ">+");
    let core = text
        .get(start..end)
        .filter(|core| !core.is_empty() && !is_block(core));
    core.map(|_| gap.start + start..gap.start + end)
}

/// Ranges in order, those that touch joined.
fn joined(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| range.start);
    let mut out: Vec<Range<usize>> = vec![];
    for range in ranges {
        match out.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => out.push(range),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{between, joined};

    #[test]
    fn ranges_that_touch_are_joined() {
        let ranges = vec![20..30, 5..7, 0..2, 2..3, 6..9, 21..22, 31..32];
        assert_eq!(joined(ranges), [0..3, 5..9, 20..30, 31..32]);
        assert!(joined(vec![]).is_empty());
    }

    #[test]
    fn signs_around_what_is_hidden_are_shown() {
        for (gap, hidden) in [
            (": x, ", "x"),
            (": 'a b'}", "'a b'"),
            (": {a: b}", "a: b"),
            (": [", ""),
            (": |", ""),
            (" # a comment", "# a comment"),
            ("", ""),
        ] {
            let found = between(gap, 0..gap.len()).map_or("", |range| &gap[range]);
            assert_eq!(found, hidden, "{gap}");
        }
    }
}
