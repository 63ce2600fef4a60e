//! Simple commands: their words, redirections and what they call; and the heads of functions, which begin alike.

use super::heredoc::Heredoc;
use super::restarts::{SYSRQ, base_name, called, restart};
use super::tokens::Kind;
use super::tokens::Text;
use super::words::is_name;
use super::{Parse, Parser, What};

impl<'a> Parser<'a> {
    /// Words, assignments and redirections; or the head of a function.
    pub(super) fn simple(&mut self, mut words: Vec<Text<'a>>) -> Parse<()> {
        let mut at = None;
        let mut target = None;
        // A name with nothing before it is a function's when a parenthesis follows.
        let mut alone = true;
        loop {
            match self.peek()? {
                Kind::Word | Kind::Reserved(_) => {
                    let word = self.take()?;
                    at = at.or(Some(word.at));
                    match words.is_empty() && is_assignment(&self.text[word.at..]) {
                        true => alone = false,
                        false => words.push(word.text),
                    }
                }
                Kind::Operator("(") if words.len() == 1 && alone => {
                    self.take()?;
                    return self.body();
                }
                _ => match self.redirect_target()? {
                    Some(word) => {
                        target = word;
                        alone = false;
                    }
                    None => break,
                },
            }
        }
        let at = at.unwrap_or(self.at);
        self.simple_command(at, &words, target.as_deref());
        Ok(())
    }

    /// The rest of a function after its `(`.
    pub(super) fn body(&mut self) -> Parse<()> {
        if !self.takes(Kind::Operator(")"))? {
            return self.unexpected();
        }
        self.line_breaks()?;
        self.inside_function()
    }

    fn inside_function(&mut self) -> Parse<()> {
        match self.peek()? {
            Kind::End => self.wrong(self.at.saturating_sub(1), "the function has no body"),
            _ => self.inside(("function", "body"), self.at, Self::command),
        }
    }

    pub(super) fn redirection(&mut self) -> Parse<bool> {
        Ok(self.redirect_target()?.is_some())
    }

    /// The word of a redirection, if one is next.
    fn redirect_target(&mut self) -> Parse<Option<Text<'a>>> {
        self.takes(Kind::Number)?;
        let Kind::Operator(operator) = self.peek()? else {
            return Ok(None);
        };
        if !operator.contains(['<', '>']) {
            return Ok(None);
        }
        let at = self.take()?.at;
        let word = self.word_or_wrong()?;
        if matches!(operator, "<<" | "<<-") {
            let plain = &self.text[word.at..self.at];
            self.heredocs.push(Heredoc {
                at,
                delimiter: word.text.unwrap_or(plain.into()).into_owned(),
                tabs: operator == "<<-",
                raw: plain.contains(['\'', '"', '\\']),
            });
            return Ok(Some(None));
        }
        Ok(Some(word.text))
    }

    /// Notes what is to be told of a simple command.
    fn simple_command(&mut self, at: usize, words: &[Text<'_>], target: Option<&str>) {
        if target == Some(SYSRQ) {
            self.note(at, What::Restart(SYSRQ));
        }
        let words: Vec<&str> = words
            .iter()
            .map(|word| word.as_deref().unwrap_or_default())
            .collect();
        match words.first() {
            Some(&"alias") if words.len() > 1 => {
                let here = self.base + at;
                self.alias = self.alias.or(Some(here));
            }
            Some(&"exit") => self.note(at, What::Ends("exit")),
            Some(&"exec") if words.len() > 1 => self.note(at, What::Ends("exec")),
            _ => {}
        }
        let words = called(&words);
        if let Some(name) = restart(words) {
            self.note(at, What::Restart(name));
        }
        if let Some(script) = script_of(words) {
            self.script(script, at);
        }
    }

    /// Looks for restarts in a text that a command takes as a program; whether it is one shows when it is run.
    fn script(&mut self, script: &str, at: usize) {
        let first = self.found.len();
        let _ = self.part(script, at, |part| part.program());
        self.keep_since(first, |what| matches!(what, What::Restart(_)));
    }
}

/// The program that a command has among its words.
fn script_of<'a>(words: &[&'a str]) -> Option<&'a str> {
    let (name, arguments) = words.split_first()?;
    let is_option = |word: &&str| {
        let options = word.strip_prefix('-');
        options.is_some_and(|options| !options.starts_with('-') && options.ends_with('c'))
    };
    match base_name(name) {
        "eval" | "trap" => arguments.first().copied(),
        "sh" | "bash" | "dash" | "ash" | "su" => {
            let option = arguments.iter().position(is_option)?;
            arguments.get(option + 1).copied()
        }
        _ => None,
    }
}

/// Whether a word that begins a text is an assignment.
fn is_assignment(text: &str) -> bool {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let (name, rest) = text.split_at(end.unwrap_or(text.len()));
    is_name(name) && (rest.starts_with('=') || rest.starts_with("+="))
}
