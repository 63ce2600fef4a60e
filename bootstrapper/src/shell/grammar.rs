//! The grammar: lists of pipelines of commands, and compound commands.

use super::tokens::{Kind, Token};
use super::{Parse, Parser, What};

/// Where a command begins, these end the list before it instead.
const CLOSING: &[&str] = &["do", "done", "elif", "else", "esac", "fi", "then", "}"];

impl<'a> Parser<'a> {
    /// A whole program.
    pub(super) fn program(&mut self) -> Parse<()> {
        loop {
            match self.peek()? {
                Kind::End => return Ok(()),
                Kind::LineBreak => {
                    self.take()?;
                    // Of a line with here-documents it is the break after the last of them.
                    self.complete.push(self.at - 1);
                }
                _ => self.complete_command()?,
            }
        }
    }

    /// Commands up to the line break, which stays.
    fn complete_command(&mut self) -> Parse<()> {
        loop {
            self.and_or()?;
            match self.peek()? {
                Kind::LineBreak | Kind::End => return Ok(()),
                Kind::Operator(";" | "&") => self.take()?,
                _ => return self.unexpected(),
            };
            if matches!(self.peek()?, Kind::LineBreak | Kind::End) {
                return Ok(());
            }
        }
    }

    /// Commands up to a word or operator that closes what they stand in.
    pub(super) fn list(&mut self) -> Parse<()> {
        self.line_breaks()?;
        loop {
            self.and_or()?;
            match self.peek()? {
                Kind::Operator(";" | "&") => {
                    self.take()?;
                    self.line_breaks()?;
                }
                Kind::LineBreak => self.line_breaks()?,
                _ => return Ok(()),
            }
            match self.peek()? {
                Kind::Operator(")" | ";;" | ";&" | ";;&") | Kind::End => return Ok(()),
                Kind::Reserved(word) if CLOSING.contains(&word) => return Ok(()),
                _ => {}
            }
        }
    }

    pub(super) fn line_breaks(&mut self) -> Parse<()> {
        while self.takes(Kind::LineBreak)? {}
        Ok(())
    }

    /// Pipelines with `&&` and `||` between them; followed by `&`, they are a subshell.
    fn and_or(&mut self) -> Parse<()> {
        let first = self.found.len();
        self.pipeline()?;
        while let Kind::Operator(operator @ ("&&" | "||")) = self.peek()? {
            self.goes_on(operator)?;
            self.pipeline()?;
        }
        if self.peek()? == Kind::Operator("&") {
            self.ends_a_subshell(first);
        }
        Ok(())
    }

    fn pipeline(&mut self) -> Parse<()> {
        let first = self.found.len();
        while self.takes(Kind::Reserved("!"))? {}
        self.command()?;
        let mut several = false;
        while let Kind::Operator(operator @ ("|" | "|&")) = self.peek()? {
            self.goes_on(operator)?;
            self.command()?;
            several = true;
        }
        if several {
            self.ends_a_subshell(first);
        }
        Ok(())
    }

    /// Takes an operator after which a command has to follow, on a later line if need be.
    fn goes_on(&mut self, operator: &str) -> Parse<()> {
        let at = self.take()?.at;
        self.line_breaks()?;
        match self.peek()? {
            Kind::End => self.wrong(at, format!("nothing follows the `{operator}` at its end")),
            _ => Ok(()),
        }
    }

    /// What ends a subshell does not end the shell.
    pub(super) fn ends_a_subshell(&mut self, first: usize) {
        self.keep_since(first, |what| !matches!(what, What::Ends(_)));
    }

    pub(super) fn keep_since(&mut self, first: usize, keep: fn(&What) -> bool) {
        let since = self.found.split_off(first);
        let kept = since.into_iter().filter(|(_, what)| keep(what));
        self.found.extend(kept);
    }

    pub(super) fn command(&mut self) -> Parse<()> {
        let kind = self.peek()?;
        match kind {
            Kind::Word | Kind::Number => return self.simple(vec![]),
            Kind::Operator("(") => self.parentheses()?,
            Kind::Operator(operator) if operator.contains(['<', '>']) => {
                return self.simple(vec![]);
            }
            Kind::Reserved("function") => return self.function_word(),
            Kind::Reserved("[[") => self.double_brackets()?,
            Kind::Reserved(word) if !CLOSING.contains(&word) && word != "!" => {
                self.compound(word)?
            }
            _ => return self.unexpected(),
        }
        while self.redirection()? {}
        Ok(())
    }

    fn compound(&mut self, word: &'static str) -> Parse<()> {
        let at = self.take()?.at;
        match word {
            "if" => self.inside(("if", "fi"), at, Self::if_clause),
            "while" | "until" => self.inside((word, "done"), at, |this| {
                this.list()?;
                this.do_group()
            }),
            "case" => self.inside(("case", "esac"), at, Self::case_clause),
            "{" => self.inside(("{", "}"), at, |this| {
                this.list()?;
                this.expect("}")
            }),
            word => {
                if word == "select" {
                    self.note(at, What::Bash("select"));
                }
                self.inside((word, "done"), at, Self::for_clause)
            }
        }
    }

    /// A subshell, or bash's arithmetic, which is the same to a reader that runs nothing where it closes in its line.
    fn parentheses(&mut self) -> Parse<()> {
        let at = self.take()?.at;
        let inner = self.text[self.at..].strip_prefix('(');
        if let Some(length) = inner.and_then(arithmetic_length)
            && self.next.is_none()
        {
            self.note(at, What::Bash("(("));
            self.at += 1 + length;
            return Ok(());
        }
        let first = self.found.len();
        self.inside(("(", ")"), at, |this| {
            this.list()?;
            match this.takes(Kind::Operator(")"))? {
                true => Ok(()),
                false => this.unexpected(),
            }
        })?;
        self.ends_a_subshell(first);
        Ok(())
    }

    fn if_clause(&mut self) -> Parse<()> {
        self.list()?;
        self.expect("then")?;
        self.list()?;
        while self.takes(Kind::Reserved("elif"))? {
            self.list()?;
            self.expect("then")?;
            self.list()?;
        }
        if self.takes(Kind::Reserved("else"))? {
            self.list()?;
        }
        self.expect("fi")
    }

    fn for_clause(&mut self) -> Parse<()> {
        if self.next.is_none()
            && self.text[self.at..]
                .trim_start_matches(' ')
                .starts_with("((")
        {
            self.at += self.text[self.at..].find("((").unwrap_or_default();
            self.note(self.at, What::Bash("for (("));
            match arithmetic_length(&self.text[self.at + 2..]) {
                Some(length) => self.at += 2 + length,
                None => return self.wrong(self.at, "the `((` has no `))`"),
            }
        } else {
            self.word_or_wrong()?;
            self.line_breaks()?;
            if self.takes(Kind::Reserved("in"))? {
                while matches!(self.peek()?, Kind::Word | Kind::Reserved(_) | Kind::Number) {
                    self.take()?;
                }
                if !matches!(self.peek()?, Kind::Operator(";") | Kind::LineBreak) {
                    return self.unexpected();
                }
            }
        }
        self.takes(Kind::Operator(";"))?;
        self.line_breaks()?;
        self.do_group()
    }

    fn do_group(&mut self) -> Parse<()> {
        self.expect("do")?;
        self.list()?;
        self.expect("done")
    }

    fn case_clause(&mut self) -> Parse<()> {
        self.word_or_wrong()?;
        self.line_breaks()?;
        self.expect("in")?;
        self.line_breaks()?;
        while !self.takes(Kind::Reserved("esac"))? {
            self.takes(Kind::Operator("("))?;
            self.word_or_wrong()?;
            while self.takes(Kind::Operator("|"))? {
                self.word_or_wrong()?;
            }
            if !self.takes(Kind::Operator(")"))? {
                return self.unexpected();
            }
            self.line_breaks()?;
            let ends = |kind| matches!(kind, Kind::Operator(";;" | ";&" | ";;&"));
            let kind = self.peek()?;
            if !ends(kind) && kind != Kind::Reserved("esac") {
                self.list()?;
            }
            if ends(self.peek()?) {
                self.take()?;
                self.line_breaks()?;
            } else if self.peek()? != Kind::Reserved("esac") {
                return self.unexpected();
            }
        }
        Ok(())
    }

    /// `function name`, which only where a body follows is a function.
    fn function_word(&mut self) -> Parse<()> {
        let word = self.take()?;
        let at = word.at;
        let mut words = vec![word.text];
        if self.peek()? == Kind::Word {
            words.push(self.take()?.text);
            let body = match self.peek()? {
                Kind::Operator("(") => true,
                kind => kind == Kind::Reserved("{"),
            };
            if body {
                self.note(at, What::Bash("function"));
                return match self.takes(Kind::Operator("("))? {
                    true => self.body(),
                    false => self.command(),
                };
            }
        }
        self.simple(words)
    }

    fn double_brackets(&mut self) -> Parse<()> {
        let at = self.take()?.at;
        self.note(at, What::Bash("[["));
        self.inside(("[[", "]]"), at, |this| {
            loop {
                match this.peek()? {
                    Kind::Operator(";" | "&" | ";;") | Kind::End => return this.unexpected(),
                    _ if this.take()?.text.as_deref() == Some("]]") => return Ok(()),
                    _ => {}
                }
            }
        })
    }

    pub(super) fn word_or_wrong(&mut self) -> Parse<Token<'a>> {
        match self.peek()? {
            Kind::Word | Kind::Reserved(_) | Kind::Number => self.take(),
            _ => self.unexpected(),
        }
    }

    fn expect(&mut self, word: &'static str) -> Parse<()> {
        match self.takes(Kind::Reserved(word))? {
            true => Ok(()),
            false => self.unexpected(),
        }
    }

    /// What is told of the next token, which is not one that can stand here.
    pub(super) fn unexpected<T>(&mut self) -> Parse<T> {
        let kind = self.peek()?;
        let at = self.next.as_ref().map_or(self.at, |token| token.at);
        let inside = self.open.last().copied();
        match (kind, inside) {
            (Kind::End, Some((at, opens, closes))) => {
                self.wrong(at, format!("the `{opens}` has no `{closes}`"))
            }
            (Kind::End, None) => self.wrong(at.saturating_sub(1), "it ends too early"),
            (kind, inside) => {
                let what = match kind {
                    Kind::Operator(text) | Kind::Reserved(text) => format!("`{text}`"),
                    Kind::LineBreak => "the end of the line".to_owned(),
                    _ => "a word".to_owned(),
                };
                let place = inside.map(|(_, opens, _)| format!(" inside the `{opens}`"));
                let place = place.unwrap_or_default();
                self.wrong(at, format!("{what} cannot stand here{place}"))
            }
        }
    }
}

/// Most characters of bash's arithmetic that are looked through.
const ARITHMETIC: usize = 1000;

/// Length up to behind the `))` that closes arithmetic, in one line.
fn arithmetic_length(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let bytes = text.as_bytes();
    for (at, c) in bytes.iter().enumerate().take(ARITHMETIC) {
        match c {
            b'\n' | b'\'' | b'"' | b'`' => return None,
            b'(' => depth += 1,
            b')' if depth > 0 => depth -= 1,
            b')' => return (bytes.get(at + 1) == Some(&b')')).then_some(at + 2),
            _ => {}
        }
    }
    None
}
