//! Tokens: words, operators and line breaks.

use super::{Parse, Parser, What};
use std::borrow::Cow;

/// A word as far as it was read: `None` once an expansion was in it.
pub(super) type Text<'a> = Option<Cow<'a, str>>;

/// A token, and the byte offset of its beginning.
#[derive(Debug)]
pub(super) struct Token<'a> {
    pub(super) at: usize,
    pub(super) kind: Kind,
    /// A word without its quotes; `None` where an expansion makes it.
    pub(super) text: Text<'a>,
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Word,
    /// A word that is reserved where a command begins.
    Reserved(&'static str),
    Operator(&'static str),
    /// The digits before a redirection.
    Number,
    LineBreak,
    End,
}

/// Longer ones before those that they begin with.
const OPERATORS: &[&str] = &[
    ";;&", "<<<", "<<-", "&&", "||", "|&", ";;", ";&", "<<", "<&", "<>", ">>", ">&", ">|", "&",
    "|", ";", "<", ">", "(", ")",
];
const RESERVED: &[&str] = &[
    "!", "[[", "case", "do", "done", "elif", "else", "esac", "fi", "for", "function", "if", "in",
    "select", "then", "until", "while", "{", "}",
];

/// Length of `function`.
const LONGEST_RESERVED: usize = 8;

impl<'a> Parser<'a> {
    /// What the next token is.
    pub(super) fn peek(&mut self) -> Parse<Kind> {
        if let Some(token) = &self.next {
            return Ok(token.kind);
        }
        let token = self.token()?;
        let kind = token.kind;
        self.next = Some(token);
        Ok(kind)
    }

    pub(super) fn take(&mut self) -> Parse<Token<'a>> {
        match self.next.take() {
            Some(token) => Ok(token),
            None => self.token(),
        }
    }

    /// Takes the next token if it is of that kind.
    pub(super) fn takes(&mut self, kind: Kind) -> Parse<bool> {
        let is = self.peek()? == kind;
        if is {
            self.take()?;
        }
        Ok(is)
    }

    fn token(&mut self) -> Parse<Token<'a>> {
        self.blanks();
        let at = self.at;
        let rest = &self.text[at..];
        let of = |kind| Token {
            at,
            kind,
            text: None,
        };
        if rest.is_empty() {
            return Ok(of(Kind::End));
        }
        if rest.starts_with('\n') {
            self.at += 1;
            self.heredoc_texts()?;
            return Ok(of(Kind::LineBreak));
        }
        if rest.starts_with("<(") || rest.starts_with(">(") {
            return self.word();
        }
        if !rest.starts_with(['&', ';', '<', '>', '(', ')', '|']) {
            return self.word();
        }
        let Some(operator) = first_of(OPERATORS, rest, |text| rest.starts_with(text)) else {
            return self.word();
        };
        self.at += operator.len();
        if matches!(operator, ";;&" | ";&" | "|&" | "<<<") {
            self.note(at, What::Bash(operator));
        }
        Ok(of(Kind::Operator(operator)))
    }

    /// Skips blanks, joined lines and a comment.
    fn blanks(&mut self) {
        let text = self.text.as_bytes();
        loop {
            match text.get(self.at) {
                Some(b' ' | b'\t') => self.at += 1,
                Some(b'\\') if text.get(self.at + 1) == Some(&b'\n') => self.at += 2,
                Some(b'#') => {
                    let line = self.text[self.at..].find('\n');
                    self.at = line.map_or(self.text.len(), |length| self.at + length);
                }
                _ => return,
            }
        }
    }

    fn word(&mut self) -> Parse<Token<'a>> {
        let at = self.at;
        let word = self.word_text()?;
        let plain = self.text.get(at..self.at).unwrap_or_default();
        let digits = !plain.is_empty() && plain.bytes().all(|c| c.is_ascii_digit());
        let redirects = self.text[self.at..].starts_with(['<', '>']);
        let reserved = match plain.len() <= LONGEST_RESERVED {
            true => first_of(RESERVED, plain, |name| name == plain),
            false => None,
        };
        let kind = match reserved {
            _ if digits && redirects => Kind::Number,
            Some(name) => Kind::Reserved(name),
            None => Kind::Word,
        };
        Ok(Token {
            at,
            kind,
            text: word,
        })
    }
}

/// The first of some texts that fits another one; those that begin otherwise are not asked for, as there are many words.
pub(super) fn first_of(
    texts: &[&'static str],
    other: &str,
    fits: impl Fn(&str) -> bool,
) -> Option<&'static str> {
    let first = other.as_bytes().first()?;
    let mut texts = texts
        .iter()
        .filter(|text| text.as_bytes().first() == Some(first));
    texts.find(|text| fits(text)).copied()
}
