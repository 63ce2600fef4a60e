//! The grammar of the shell, as far as it says whether pieces of text are a whole program, where between them it is
//! complete, and which programs it calls. Nothing is run and nothing is expanded. What bash adds to the POSIX shell is read
//! as well: /bin/sh is one or the other, depending on the OS image.

mod grammar;
mod heredoc;
mod restarts;
mod simple;
#[cfg(test)]
mod tests;
mod tokens;
mod words;

use tokens::Token;

/// Deepest nesting of compound commands and expansions.
const MAX_DEPTH: usize = 100;

/// What is known of a list of pieces, joined by line breaks, as one program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Program {
    /// Of each piece, whether the program is complete at its end, so that another command may stand there.
    pub(crate) complete: Vec<bool>,
    /// Why it is no whole program.
    pub(crate) fault: Option<Fault>,
    /// What is worth telling in it.
    pub(crate) found: Vec<Found>,
}

/// Why pieces are no whole program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Index of the piece.
    pub(crate) piece: usize,
    /// Line in the piece, from 1.
    pub(crate) line: usize,
    /// What is wrong; of the program's own words it has reserved words and operators only.
    pub(crate) message: String,
}

/// Something in a program, and the piece that it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Index of the piece.
    pub(crate) piece: usize,
    /// What.
    pub(crate) what: What,
}

/// What is told of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// A command that restarts the machine or switches it off.
    Restart(&'static str),
    /// A command that ends the shell itself.
    Ends(&'static str),
    /// Syntax that the POSIX shell does not have.
    Bash(&'static str),
}

/// Reads pieces that are joined by line breaks.
pub(crate) fn read(pieces: &[&str]) -> Program {
    let text = pieces.join("\n") + "\n";
    let mut ends = vec![];
    let mut at = 0;
    for piece in pieces {
        at += piece.len();
        ends.push(at);
        at += 1;
    }
    let mut parser = Parser::new(&text, 0, 0);
    let mut wrong = parser.program().err();
    let known = parser.alias.unwrap_or(usize::MAX);
    let is_complete = |end: &usize| *end < known && parser.complete.binary_search(end).is_ok();
    let complete: Vec<bool> = ends.iter().map(is_complete).collect();
    if wrong.is_none() && complete.last() == Some(&false) {
        let message = "the `\\` at its end goes on with a line that is not there";
        wrong = Some(Wrong::new(text.len() - 1, message));
    }
    let piece_of = |offset: usize| ends.partition_point(|end| *end < offset);
    let fault = wrong.filter(|_| parser.alias.is_none()).map(|wrong| {
        let piece = piece_of(wrong.at).min(pieces.len().saturating_sub(1));
        let start = ends[piece] - pieces[piece].len();
        let before = text.get(start..wrong.at).unwrap_or_default();
        Fault {
            piece,
            line: before.matches('\n').count() + 1,
            message: wrong.message,
        }
    });
    let found = parser.found.iter().map(|(at, what)| Found {
        piece: piece_of(*at),
        what: *what,
    });
    Program {
        complete,
        fault,
        found: found.collect(),
    }
}

/// What is wrong at a byte offset.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wrong {
    at: usize,
    message: String,
}

impl Wrong {
    fn new(at: usize, message: impl Into<String>) -> Self {
        Self {
            at,
            message: message.into(),
        }
    }
}

type Parse<T> = Result<T, Wrong>;

/// A parser at a place in a text.
#[derive(Debug)]
struct Parser<'a> {
    text: &'a str,
    at: usize,
    /// Offset of the text in the program: that of a part of a word is not 0.
    base: usize,
    depth: usize,
    /// The token after those that were taken.
    next: Option<Token<'a>>,
    /// Here-documents whose text begins after the next line break.
    heredocs: Vec<heredoc::Heredoc>,
    /// What was opened and not closed yet: where, and what closes it.
    open: Vec<(usize, &'static str, &'static str)>,
    /// Offsets of the line breaks at which the program is complete, in order.
    complete: Vec<usize>,
    /// Where an alias is first made: what follows may read otherwise.
    alias: Option<usize>,
    found: Vec<(usize, What)>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, base: usize, depth: usize) -> Self {
        Self {
            text,
            at: 0,
            base,
            depth,
            next: None,
            heredocs: vec![],
            open: vec![],
            complete: vec![],
            alias: None,
            found: vec![],
        }
    }

    fn wrong<T>(&self, at: usize, message: impl Into<String>) -> Parse<T> {
        Err(Wrong::new(self.base + at, message))
    }

    /// Notes what is at an offset.
    fn note(&mut self, at: usize, what: What) {
        self.found.push((self.base + at, what));
    }

    /// Reads what is one level deeper and is closed by a word.
    fn inside<T>(
        &mut self,
        (opens, closes): (&'static str, &'static str),
        at: usize,
        read: impl FnOnce(&mut Self) -> Parse<T>,
    ) -> Parse<T> {
        if self.depth >= MAX_DEPTH {
            return self.wrong(
                at,
                format!("it is nested more than {MAX_DEPTH} levels deep"),
            );
        }
        self.depth += 1;
        self.open.push((at, opens, closes));
        let done = read(self)?;
        self.open.pop();
        self.depth -= 1;
        Ok(done)
    }

    /// Reads a text of its own inside this one; all of it counts as standing at one offset.
    fn part(
        &mut self,
        text: &str,
        at: usize,
        read: impl FnOnce(&mut Parser<'_>) -> Parse<()>,
    ) -> Parse<()> {
        if self.depth >= MAX_DEPTH {
            return self.wrong(
                at,
                format!("it is nested more than {MAX_DEPTH} levels deep"),
            );
        }
        let mut part = Parser::new(text, self.base + at, self.depth + 1);
        let done = read(&mut part);
        self.found.extend(
            part.found
                .into_iter()
                .map(|(_, what)| (self.base + at, what)),
        );
        done.map_err(|wrong| Wrong {
            at: self.base + at,
            ..wrong
        })
    }
}
