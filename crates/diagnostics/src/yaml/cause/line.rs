//! One line of a text that is meant to be YAML, cut into indentation, dashes, key and value without a parser's rules.

use std::ops::Range;

/// A line's parts as byte ranges of the whole text.
#[derive(Debug, Clone)]
pub struct Line<'a> {
    pub source: &'a str,
    /// Without the line break.
    pub whole: Range<usize>,
    /// Behind the indentation and all `- `.
    pub body: Range<usize>,
    pub key: Option<Range<usize>>,
    /// Behind the key or, without one, the body; without a comment behind it.
    pub value: Range<usize>,
}

impl<'a> Line<'a> {
    /// The line in a range of the text.
    pub fn new(source: &'a str, whole: Range<usize>) -> Self {
        let text = &source[whole.clone()];
        let end = whole.start + text.trim_end().len();
        let start = whole.start + text.len() - text.trim_start().len();
        let body = behind_dashes(source, start.min(end)..end);
        let key_end = key_end(&source[body.clone()]).map(|at| body.start + at);
        let value = match key_end {
            Some(at) => behind_space(source, at + 1..body.end),
            None => body.clone(),
        };
        Self {
            source,
            whole,
            key: key_end.map(|at| body.start..at),
            value: without_comment(source, value),
            body,
        }
    }

    /// Width of the white space at the beginning.
    pub fn indent(&self) -> usize {
        let text = &self.source[self.whole.clone()];
        text.len() - text.trim_start().len()
    }

    /// The column, from 0, at which the body begins.
    pub fn body_column(&self) -> usize {
        self.body.start - self.whole.start
    }

    /// Whether there is nothing but a comment.
    pub fn is_blank(&self) -> bool {
        let body = self.body();
        body.is_empty() || body.starts_with('#')
    }

    pub fn body(&self) -> &'a str {
        &self.source[self.body.clone()]
    }

    pub fn value(&self) -> &'a str {
        &self.source[self.value.clone()]
    }

    pub fn has_dash(&self) -> bool {
        self.body_column() > self.indent()
    }

    /// Whether the text of a block begins on the next line.
    pub fn opens_block(&self) -> bool {
        let value = self.value();
        let signs = value.trim_start_matches(['|', '>']);
        signs.len() + 1 == value.len() && signs.chars().all(|c| matches!(c, '+' | '-' | '1'..='9'))
    }

    /// The line with another indentation.
    pub fn indented(&self, width: usize) -> String {
        let text = &self.source[self.whole.clone()];
        format!("{:width$}{}", "", text.trim_start())
    }
}

fn behind_dashes(source: &str, mut body: Range<usize>) -> Range<usize> {
    while source[body.clone()].starts_with("- ") {
        body = behind_space(source, body.start + 2..body.end);
    }
    body
}

fn behind_space(source: &str, range: Range<usize>) -> Range<usize> {
    let text = &source[range.clone()];
    range.end - text.trim_start().len()..range.end
}

fn without_comment(source: &str, range: Range<usize>) -> Range<usize> {
    let text = &source[range.clone()];
    if text.starts_with(['"', '\'']) {
        return range;
    }
    let comment = text.find(" #").map(|at| text[..at].trim_end().len());
    range.start..comment.map_or(range.end, |at| range.start + at)
}

/// Where the colon behind a key is: one at the end or before a space.
fn key_end(body: &str) -> Option<usize> {
    let quoted = body.chars().next().filter(|c| matches!(c, '"' | '\''));
    if let Some(quote) = quoted {
        let end = closing_quote(body, quote)?;
        let rest = body[end + 1..].trim_start();
        let colon = body.len() - rest.len();
        return (rest == ":" || rest.starts_with(": ")).then_some(colon);
    }
    let colons = body.match_indices(':').map(|(at, _)| at);
    let mut ends =
        colons.filter(|at| matches!(body.as_bytes().get(at + 1), None | Some(b' ' | b'\t')));
    let at = ends.next()?;
    let key = &body[..at];
    (!key.is_empty() && !key.contains(['{', '[', '#', '"'])).then_some(at)
}

/// Where the quote that a text begins with is closed.
pub fn closing_quote(text: &str, quote: char) -> Option<usize> {
    let mut rest = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = rest.next() {
        match c {
            '\\' if quote == '"' => drop(rest.next()),
            c if c == quote && quote == '\'' && rest.peek().is_some_and(|next| next.1 == '\'') => {
                rest.next();
            }
            c if c == quote => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Line, closing_quote};

    #[test]
    fn a_quote_is_closed_by_one_that_is_not_escaped() {
        for (text, quote, at) in [
            ("'a' b", '\'', Some(2)),
            ("'a''b' c", '\'', Some(5)),
            ("'a'", '\'', Some(2)),
            ("'a''", '\'', None),
            (r"'a\' b'", '\'', Some(3)),
            (r#""a\"b" c"#, '"', Some(5)),
            (r#""a'b" c"#, '"', Some(4)),
            (r#""a"" c"#, '"', Some(2)),
        ] {
            assert_eq!(closing_quote(text, quote), at, "{text}");
        }
    }

    fn parts(text: &str) -> (&str, &str, &str) {
        let line = Line::new(text, 0..text.len());
        let key = line.key.clone().map_or("", |key| &text[key]);
        (&text[..line.body_column()], key, line.value())
    }

    #[test]
    fn a_line_is_cut_into_dashes_key_and_value() {
        for (text, expected) in [
            ("  a: b", ("  ", "a", "b")),
            ("- - a:  'b' ", ("- - ", "a", "'b'")),
            ("a:", ("", "a", "")),
            ("a: b # c", ("", "a", "b")),
            ("a: \"b # c\"", ("", "a", "\"b # c\"")),
            ("\"a\": b", ("", "\"a\"", "b")),
            ("a b", ("", "", "a b")),
            ("http://a", ("", "", "http://a")),
            ("{a: b}", ("", "", "{a: b}")),
            ("", ("", "", "")),
            ("  ", ("", "", "")),
        ] {
            assert_eq!(parts(text), expected, "{text}");
        }
    }

    #[test]
    fn a_block_is_opened_by_its_sign_alone() {
        for (text, opens) in [
            ("a: |", true),
            ("- >-", true),
            ("a: |2+", true),
            ("a: | b", false),
            ("a: b|", false),
            ("a:", false),
        ] {
            assert_eq!(
                Line::new(text, 0..text.len()).opens_block(),
                opens,
                "{text}"
            );
        }
    }
}
