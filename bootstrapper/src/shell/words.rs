//! Words: quotes, and the expansions in which commands may stand.

use super::tokens::{Kind, Text};
use super::{Parse, Parser, What};
use std::borrow::Cow;

impl<'a> Parser<'a> {
    /// Reads a word up to what ends it.
    pub(super) fn word_text(&mut self) -> Parse<Text<'a>> {
        let mut word = Some(Cow::Borrowed(""));
        while let Some(c) = self.byte(0) {
            match c {
                b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b')' => break,
                b'<' | b'>' if self.byte(1) == Some(b'(') && word.as_deref() == Some("") => {
                    self.process(&mut word)?;
                }
                b'(' if is_array(word.as_deref()) => self.array(&mut word)?,
                b'<' | b'>' | b'(' => break,
                b'\\' => self.escaped(&mut word),
                b'\'' => self.single_quoted(&mut word)?,
                b'"' => self.double_quoted(&mut word)?,
                b'$' => self.dollar(&mut word, false)?,
                b'`' => self.backquoted(&mut word, false)?,
                _ => self.plain(&mut word),
            }
        }
        Ok(word)
    }

    /// The byte some bytes ahead.
    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    fn plain(&mut self, word: &mut Text<'a>) {
        let rest = &self.text[self.at..];
        let special = |c: char| " \t\n;&|<>()\\'\"$`".contains(c);
        let length = rest.find(special).unwrap_or(rest.len());
        self.push(word, length.max(1));
    }

    /// Takes bytes as they are.
    fn push(&mut self, word: &mut Text<'a>, length: usize) {
        let text = self.text;
        let taken = &text[self.at..self.at + length];
        match word {
            Some(word) if word.is_empty() => *word = Cow::Borrowed(taken),
            Some(word) => word.to_mut().push_str(taken),
            None => {}
        }
        self.at += length;
    }

    /// A backslash and the character after it; with a line break after it, it is nothing.
    fn escaped(&mut self, word: &mut Text<'a>) {
        self.at += 1;
        match self.text[self.at..].chars().next() {
            Some('\n') => self.at += 1,
            Some(c) => self.push(word, c.len_utf8()),
            None => {}
        }
    }

    fn single_quoted(&mut self, word: &mut Text<'a>) -> Parse<()> {
        let at = self.at;
        self.at += 1;
        let Some(length) = self.text[self.at..].find('\'') else {
            return self.wrong(at, "the quote `'` is not closed");
        };
        self.push(word, length);
        self.at += 1;
        Ok(())
    }

    fn double_quoted(&mut self, word: &mut Text<'a>) -> Parse<()> {
        let at = self.at;
        self.at += 1;
        self.inside(("\"", "\""), at, |this| {
            loop {
                match this.byte(0) {
                    None => return this.wrong(at, "the quote `\"` is not closed"),
                    Some(b'"') => break,
                    Some(_) => this.quoted_part(word)?,
                }
            }
            this.at += 1;
            Ok(())
        })
    }

    /// What stands between double quotes or in a here-document: text, or an expansion.
    fn quoted_part(&mut self, word: &mut Text<'a>) -> Parse<()> {
        match self.byte(0) {
            Some(b'\\') => match self.byte(1) {
                Some(b'"' | b'\\' | b'$' | b'`' | b'\n') => self.escaped(word),
                _ => self.push(word, 1),
            },
            Some(b'$') => self.dollar(word, true)?,
            Some(b'`') => self.backquoted(word, true)?,
            _ => {
                let rest = &self.text[self.at..];
                let length = rest.find(['"', '\\', '$', '`']).unwrap_or(rest.len());
                self.push(word, length.max(1));
            }
        }
        Ok(())
    }

    /// The expansions of a text that is as between double quotes.
    pub(super) fn expansions(&mut self) -> Parse<()> {
        let mut word = None;
        while self.byte(0).is_some() {
            self.quoted_part(&mut word)?;
        }
        Ok(())
    }

    fn dollar(&mut self, word: &mut Text<'a>, quoted: bool) -> Parse<()> {
        let at = self.at;
        match (self.byte(1), self.byte(2)) {
            (Some(b'('), Some(b'(')) => {
                self.at += 3;
                self.inside(("$((", "))"), at, |this| this.arithmetic(at))?;
            }
            (Some(b'('), _) => {
                self.at += 2;
                self.inside(("$(", ")"), at, |this| this.substitution(at))?;
            }
            (Some(b'{'), _) => {
                self.at += 2;
                self.inside(("${", "}"), at, |this| this.braces(at, quoted))?;
            }
            (Some(b'\''), _) if !quoted => return self.escapes_quoted(word),
            (Some(c), _) if c.is_ascii_alphanumeric() || b"_@*#?-$!".contains(&c) => self.at += 2,
            _ => {
                self.push(word, 1);
                return Ok(());
            }
        }
        *word = None;
        Ok(())
    }

    /// `$'…'`, in which a backslash keeps a quote from ending it.
    fn escapes_quoted(&mut self, word: &mut Text<'a>) -> Parse<()> {
        let at = self.at;
        self.note(at, What::Bash("$'"));
        *word = None;
        self.at += 2;
        loop {
            match self.byte(0) {
                None => return self.wrong(at, "the quote `$'` is not closed"),
                Some(b'\'') => break,
                Some(b'\\') => self.escaped(word),
                Some(_) => self.at += 1,
            }
        }
        self.at += 1;
        Ok(())
    }

    /// The commands of `$(…)`.
    fn substitution(&mut self, at: usize) -> Parse<()> {
        let first = self.found.len();
        self.line_breaks()?;
        if self.peek()? != Kind::Operator(")") {
            self.list()?;
        }
        if !self.takes(Kind::Operator(")"))? {
            return self.unexpected();
        }
        debug_assert!(self.next.is_none() && self.at > at);
        self.ends_a_subshell(first);
        Ok(())
    }

    fn arithmetic(&mut self, at: usize) -> Parse<()> {
        let mut depth = 0_usize;
        loop {
            match self.byte(0) {
                None => return self.wrong(at, "the `$((` has no `))`"),
                Some(b'(') => depth += 1,
                Some(b')') if depth > 0 => depth -= 1,
                Some(b')') if self.byte(1) == Some(b')') => break,
                Some(b')') => {
                    let message =
                        "the `$((` has no `))`; a subshell in a substitution needs a space: `$( (`";
                    return self.wrong(at, message);
                }
                Some(b'\\' | b'$' | b'`') => {
                    self.quoted_part(&mut None)?;
                    continue;
                }
                Some(_) => {}
            }
            self.at += 1;
        }
        self.at += 2;
        Ok(())
    }

    /// The rest of `${…}`. Between double quotes a single quote in it is one only where a pattern stands.
    fn braces(&mut self, at: usize, quoted: bool) -> Parse<()> {
        let name = |c: char| c.is_ascii_alphanumeric() || "_@*?$!-:".contains(c);
        let rest = self.text[self.at..].trim_start_matches(['#', '!']);
        let operator = rest.trim_start_matches(name);
        let quotes = !quoted || operator.starts_with(['#', '%', '/', '^', ',']);
        loop {
            match self.byte(0) {
                None => return self.wrong(at, "the `${` has no `}`"),
                Some(b'}') => break,
                Some(b'\\') => self.escaped(&mut None),
                Some(b'\'') if quotes => self.single_quoted(&mut None)?,
                Some(b'"') => self.double_quoted(&mut None)?,
                Some(b'$') => self.dollar(&mut None, quoted)?,
                Some(b'`') => self.backquoted(&mut None, quoted)?,
                Some(_) => self.at += 1,
            }
        }
        self.at += 1;
        Ok(())
    }

    /// The commands between backquotes, of which one backslash is taken away.
    fn backquoted(&mut self, word: &mut Text<'a>, quoted: bool) -> Parse<()> {
        let at = self.at;
        let mut commands = String::new();
        let mut chars = self.text[at + 1..].char_indices();
        let length = loop {
            match chars.next() {
                None => return self.wrong(at, "the backquote is not closed"),
                Some((length, '`')) => break length,
                Some((_, '\\')) => match chars.next() {
                    Some((_, c @ ('$' | '`' | '\\'))) => commands.push(c),
                    Some((_, '"')) if quoted => commands.push('"'),
                    Some((_, c)) => commands.extend(['\\', c]),
                    None => {}
                },
                Some((_, c)) => commands.push(c),
            }
        };
        self.at = at + 1 + length + 1;
        *word = None;
        let first = self.found.len();
        self.part(&commands, at, |part| part.program())?;
        self.ends_a_subshell(first);
        Ok(())
    }

    /// `<(…)` and `>(…)`.
    fn process(&mut self, word: &mut Text<'a>) -> Parse<()> {
        let at = self.at;
        self.note(at, What::Bash("<("));
        self.at += 2;
        *word = None;
        self.inside(("<(", ")"), at, |this| this.substitution(at))
    }

    /// The elements of `name=(…)`.
    fn array(&mut self, word: &mut Text<'a>) -> Parse<()> {
        let at = self.at;
        self.note(at, What::Bash("=("));
        self.at += 1;
        *word = None;
        self.inside(("=(", ")"), at, |this| {
            loop {
                match this.peek()? {
                    Kind::Operator(")") => break,
                    Kind::Word | Kind::Reserved(_) | Kind::LineBreak => this.take()?,
                    _ => return this.unexpected(),
                };
            }
            this.take()?;
            Ok(())
        })
    }
}

/// Whether a word is the beginning of an assignment without a value.
fn is_array(word: Option<&str>) -> bool {
    let name = word.and_then(|word| word.strip_suffix('='));
    let name = name.map(|name| name.strip_suffix('+').unwrap_or(name));
    name.is_some_and(is_name)
}

/// Whether a text is the name of a variable.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
}
