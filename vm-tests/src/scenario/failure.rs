//! Why a run ended early: what was being done, what was seen, where to look.

use std::fmt;

use vm::console::ConsoleState;

/// How many of the consoles' last lines a failure quotes.
const QUOTED_LINES: usize = 15;

/// What was last seen of the machine.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The installer's last marker.
    pub marker: Option<String>,
    /// What the wait itself saw last, such as the last SSH error.
    pub note: Option<String>,
    /// The consoles' last lines.
    pub console: Vec<String>,
}

impl Seen {
    /// What a console shows now.
    #[must_use]
    pub fn of(state: &ConsoleState, note: Option<String>) -> Self {
        Self {
            marker: state.markers.last().map(ToString::to_string),
            note,
            console: state.tail(QUOTED_LINES),
        }
    }
}

/// A run's early end.
#[derive(Debug)]
pub struct Failure {
    /// What was being done.
    pub doing: String,
    /// What ended it.
    pub cause: String,
    /// What was seen last.
    pub seen: Seen,
}

impl std::error::Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "while {}: {}", self.doing, self.cause)?;
        if let Some(note) = &self.seen.note {
            write!(f, "\n  last seen: {note}")?;
        }
        if let Some(marker) = &self.seen.marker {
            write!(f, "\n  installer's last marker: {marker}")?;
        }
        if !self.seen.console.is_empty() {
            write!(f, "\n  last lines of the consoles:")?;
            self.seen
                .console
                .iter()
                .try_for_each(|line| write!(f, "\n    {line}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_was_done_seen_and_shown() {
        let mut state = ConsoleState::default();
        state.take("ttyS1", "EMTS step=write-image state=begin t=3");
        state.take(
            "ttyS0",
            "[   12.0] Kernel panic - not syncing: Attempted to kill init!",
        );
        let seen = Seen::of(&state, Some("connection refused".into()));
        let text = Failure {
            doing: "installing from the stick".into(),
            cause: "kernel panic".into(),
            seen,
        }
        .to_string();
        for part in [
            "while installing from the stick: kernel panic",
            "last seen: connection refused",
            "step=write-image state=begin",
            "Attempted to kill init!",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }
}
