//! Why a text is not YAML, and where that began.
//!
//! A parser stops where it can go no further, which is often lines behind the cause and named in its own terms. Here each
//! line from there upwards is looked through for what people mistype; what is suspected is tried out on the text, and
//! the cause is what lets the parser go furthest. A text is never quoted: it may be a secret.

mod layout;
mod line;
mod words;

use super::code::YamlCode;
use super::error::LoadError;
use granit_parser::{Parser, ScanError, options};
use line::Line;
use std::ops::Range;

/// Most bytes that are read again to try out what is suspected: few of them in a large text, hundreds in a usual one.
const MAX_TRIED: usize = 1 << 20;
/// Most lines above the parser's that are looked through.
const MAX_LINES: usize = 2000;

/// What may be wrong, with the ways to make it right.
#[derive(Debug)]
pub struct Suspect {
    message: String,
    help: String,
    span: Range<usize>,
    /// Ranges of the text and what to put there instead.
    repairs: Vec<(Range<usize>, String)>,
    /// What is surer comes first when two are as good.
    rank: u8,
}

impl Suspect {
    fn new(
        rank: u8,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            message: message.into(),
            help: help.into(),
            span,
            repairs: vec![],
            rank,
        }
    }

    fn repair(mut self, range: Range<usize>, text: impl Into<String>) -> Self {
        self.repairs.push((range, text.into()));
        self
    }

    fn into_error(self) -> LoadError {
        let error = LoadError::new(YamlCode::YamlSyntax, self.span, self.message);
        error.help(self.help)
    }
}

#[cfg(test)]
impl Suspect {
    /// A text with the suspect marked in it, and what its repairs make of the text.
    fn shown(&self, text: &str) -> Vec<String> {
        let (start, end) = (self.span.start, self.span.end);
        let marked = format!("\u{ab}{}\u{bb}", &text[start..end]);
        let changes = std::iter::once((&self.span, &marked));
        let changes = changes.chain(self.repairs.iter().map(|(range, new)| (range, new)));
        let made = changes.map(|(range, new)| [&text[..range.start], new, &text[range.end..]]);
        made.map(|parts| parts.concat()).collect()
    }
}

/// What keeps a text from being YAML.
pub fn of(source: &str, error: &ScanError) -> LoadError {
    let at = offset_of(source, error);
    let tab = indenting_tab(source, at).filter(|_| error.info().contains("tab"));
    if let Some(found) = tab.map(words::tab_at).or_else(|| words::conflict(source)) {
        return found.into_error();
    }
    let lines = Lines::up_to(source, at);
    match best(source, &lines) {
        Some(suspect) => suspect.into_error(),
        None => untried(source, error),
    }
}

/// What is mistyped in a text, which begins at an offset, that was meant to be a key and its value; where, and what to do.
pub fn of_text(source: &str, offset: usize) -> Option<(Range<usize>, String, String)> {
    let lines = Lines::up_to(source, offset);
    let line = lines.last().filter(|line| line.body.start == offset)?;
    let found = words::of_key(line)?;
    Some((found.span, found.message, found.help))
}

/// The first tab from an offset's line on that stands before the text of its line. The parser says where the value before
/// it begins.
fn indenting_tab(source: &str, offset: usize) -> Option<usize> {
    // The line break before the line counts as a line of its own.
    let mut at = source[..offset].rfind('\n').unwrap_or_default();
    for line in source[at..].split_inclusive('\n') {
        let text = line.trim_start_matches(' ');
        if text.starts_with('\t') {
            return Some(at + line.len() - text.len());
        }
        at += line.len();
    }
    None
}

fn offset_of(source: &str, error: &ScanError) -> usize {
    let mut at = error
        .marker()
        .byte_offset()
        .unwrap_or_default()
        .min(source.len());
    while !source.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The suspect whose repair lets the parser go furthest beyond the place where it stopped.
fn best(source: &str, lines: &Lines<'_>) -> Option<Suspect> {
    let stopped = lines.stopped;
    let mut left = MAX_TRIED / source.len().max(1) + 1;
    let mut best: Option<(usize, u8, Suspect)> = None;
    for suspect in lines.suspects() {
        if left == 0 {
            break;
        }
        for (range, text) in &suspect.repairs {
            if left == 0 {
                break;
            }
            left -= 1;
            let reached = reach(source, range, text);
            let better = match &best {
                Some((far, rank, _)) => (reached, *rank) > (*far, suspect.rank),
                None => reached > stopped,
            };
            if better {
                best = Some((reached, suspect.rank, suspect));
                break;
            }
        }
    }
    best.map(|(.., suspect)| suspect)
}

/// The line, from 0, at which the parser stops in a repaired text; the greatest number if nowhere.
fn reach(source: &str, range: &Range<usize>, text: &str) -> usize {
    let repaired = [&source[..range.start], text, &source[range.end..]].concat();
    let parse_options = options! { emit_comments: false };
    let mut parser = Parser::new_from_str_with_options(&repaired, parse_options);
    let error = parser.find_map(Result::err);
    error.map_or(usize::MAX, |error| {
        line_of(&repaired, offset_of(&repaired, &error))
    })
}

fn line_of(source: &str, offset: usize) -> usize {
    source[..offset].matches('\n').count()
}

/// The lines that are looked through.
struct Lines<'a> {
    source: &'a str,
    list: Vec<Line<'a>>,
    /// Number, from 0, of the line where the parser stopped.
    stopped: usize,
}

impl<'a> Lines<'a> {
    fn up_to(source: &'a str, offset: usize) -> Self {
        let end = source[offset..].find('\n');
        let end = end.map_or(source.len(), |at| offset + at);
        let mut list = vec![];
        let mut at = end;
        loop {
            let start = source[..at].rfind('\n').map_or(0, |found| found + 1);
            list.push(Line::new(source, start..at));
            if start == 0 || list.len() >= MAX_LINES {
                break;
            }
            at = start - 1;
        }
        list.reverse();
        Self {
            source,
            list,
            stopped: line_of(source, offset),
        }
    }

    fn last(&self) -> Option<&Line<'a>> {
        self.list.last()
    }

    /// All that is suspected, nearest to the place where the parser stopped first.
    fn suspects(&self) -> impl Iterator<Item = Suspect> {
        let numbers = (0..self.list.len()).rev();
        let near = numbers.flat_map(|at| {
            let mut found = match self.list[at].is_blank() {
                true => vec![],
                false => words::suspects(&self.list[at]),
            };
            found.extend(layout::suspects(&self.list, at));
            found
        });
        near.chain(layout::brackets(self.source))
    }
}

/// What the parser says, where nothing that is suspected lets it go on.
fn untried(source: &str, error: &ScanError) -> LoadError {
    let at = offset_of(source, error);
    let lines = Lines::up_to(source, at);
    let likely = lines.last().map(|line| words::suspects(line));
    let likely = likely
        .into_iter()
        .flatten()
        .min_by_key(|suspect| suspect.rank);
    if let Some(suspect) = likely {
        return suspect.into_error();
    }
    let message = format!("not valid YAML: {}", without_text(&error.info()));
    let error = LoadError::new(YamlCode::YamlSyntax, at..at, message);
    error.help("compare this line and those above it with ones that are right")
}

/// The parser's words up to what it quotes of the text.
fn without_text(info: &str) -> &str {
    let words = info.split(['`', '"']).next().unwrap_or_default();
    words.trim_end_matches([':', ' '])
}
