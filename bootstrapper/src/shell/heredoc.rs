//! Here-documents: lines up to one that is the delimiter.

use super::{Parse, Parser};

/// A here-document whose lines are still to be read.
#[derive(Debug)]
pub(super) struct Heredoc {
    /// Where its operator stands.
    pub(super) at: usize,
    pub(super) delimiter: String,
    /// Whether tabs at the beginning of a line do not count (`<<-`).
    pub(super) tabs: bool,
    /// Whether the delimiter was quoted, so that nothing is expanded.
    pub(super) raw: bool,
}

impl Parser<'_> {
    /// Reads the here-documents that begin here, after a line break.
    pub(super) fn heredoc_texts(&mut self) -> Parse<()> {
        for heredoc in std::mem::take(&mut self.heredocs) {
            self.heredoc_text(&heredoc)?;
        }
        Ok(())
    }

    fn heredoc_text(&mut self, heredoc: &Heredoc) -> Parse<()> {
        let from = self.at;
        let mut joined = false;
        loop {
            let rest = &self.text[self.at..];
            let Some((line, _)) = rest.split_once('\n') else {
                let message = "the here-document has no line that ends it";
                return self.wrong(heredoc.at, message);
            };
            let start = self.at;
            self.at += line.len() + 1;
            let bare = match heredoc.tabs {
                true => line.trim_start_matches('\t'),
                false => line,
            };
            if !joined && bare == heredoc.delimiter {
                let text = &self.text[from..start];
                return match heredoc.raw {
                    true => Ok(()),
                    false => self.part(text, heredoc.at, |part| part.expansions()),
                };
            }
            let backslashes = line.len() - line.trim_end_matches('\\').len();
            joined = !heredoc.raw && backslashes % 2 == 1;
        }
    }
}
