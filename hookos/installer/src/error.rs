//! What ends a step: the reason, who can do something about it, and what.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// Who or what is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// What a person wrote: the config-file, or the machine that it was meant for.
    User,
    /// The machine: its disks, its firmware, its memory.
    Environment,
    /// The installation medium: what it holds or how it is made.
    Medium,
    /// The installer itself.
    Bug,
}

/// Why a step ended. Its text is for a console: no control characters, one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{reason}")]
pub struct Error {
    /// Who or what is to blame.
    pub kind: Kind,
    /// What was done, to what, and what was seen.
    pub reason: String,
    /// What a person can do, where it is more than the step's own advice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// Whether the machine restarts by itself when the medium is pulled, as nothing is left to be done with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restarts: bool,
}

/// What a step gives.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error with this reason, which may quote hardware: it is [`escaped`] here.
    pub fn new(kind: Kind, reason: impl AsRef<str>) -> Self {
        Self {
            kind,
            reason: escaped(reason.as_ref()),
            advice: None,
            restarts: false,
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn advice(mut self, advice: impl AsRef<str>) -> Self {
        self.advice = Some(escaped(advice.as_ref()));
        self
    }

    /// The same, and the machine restarts by itself when the medium is pulled.
    #[must_use]
    pub fn restarting(self) -> Self {
        Self {
            restarts: true,
            ..self
        }
    }

    /// The same with what was being done before the reason.
    #[must_use]
    pub fn while_doing(mut self, what: impl AsRef<str>) -> Self {
        self.reason = format!("{}: {}", escaped(what.as_ref()), self.reason);
        self
    }
}

/// Text from outside as it may be shown on a console: what is not printable as `\xNN`, one for each byte.
///
/// Not printable are control characters, and those that turn the direction of a line or take no place in it.
pub fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_printable(character) {
            shown.push(character);
            continue;
        }
        for byte in character.encode_utf8(&mut [0; 4]).bytes() {
            // Writing to a string does not fail.
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
    shown
}

fn is_printable(character: char) -> bool {
    let invisible = matches!(character,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    !character.is_control() && !invisible
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_would_control_a_console_as_bytes() {
        assert_eq!(
            escaped("a\u{1b}[2J\u{9b}b\n\u{202e}é \\"),
            r"a\x1b[2J\xc2\x9bb\x0a\xe2\x80\xaeé \"
        );
    }

    #[test]
    fn an_error_is_one_line_whatever_it_quotes() {
        let error = Error::new(Kind::Environment, "disk\n2")
            .while_doing("reading\t")
            .advice("\u{7f}");
        assert_eq!(error.to_string(), r"reading\x09: disk\x0a2");
        assert_eq!(error.advice.as_deref(), Some(r"\x7f"));
    }
}
