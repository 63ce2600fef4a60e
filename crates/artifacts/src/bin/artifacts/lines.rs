//! Progress in a pipe or a file: a line at the start, one every ten seconds, one at the end.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use artifacts::fetch::{Event, Observer};

use crate::line::Line;
use crate::text;

/// Time between two lines of a download.
const PERIOD: Duration = Duration::from_secs(10);

/// Progress of all downloads, each with the time of its last line.
pub struct Lines(Mutex<Vec<(Line, Instant)>>);

impl Lines {
    pub fn new(names: impl Iterator<Item = String>) -> Self {
        let lines = names.map(|name| (Line::new(name), Instant::now()));
        Self(Mutex::new(lines.collect()))
    }
}

impl Observer for Lines {
    fn event(&self, download: usize, event: Event<'_>) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (line, said) = &mut lines[download];
        if let Some(text) = text_of(line, said, event) {
            eprintln!("{text}");
        }
    }
}

fn text_of(line: &mut Line, said: &mut Instant, event: Event<'_>) -> Option<String> {
    match event {
        Event::Started { url, from, size } => {
            line.start(from, size);
            *said = Instant::now();
            Some(line.beginning(url))
        }
        Event::Received(count) => {
            line.at += count;
            if said.elapsed() < PERIOD {
                return None;
            }
            *said = Instant::now();
            Some(format!("{}: {}", line.name, line.progress()))
        }
        Event::Note(note) => Some(format!("{}: {note}", line.name)),
        Event::Ended(outcome) => Some(text::ended(outcome)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_said_every_ten_seconds() {
        let (mut line, mut said) = (Line::new("k3s".into()), Instant::now() - PERIOD);
        assert!(text_of(&mut line, &mut said, Event::Received(1)).is_some());
        assert_eq!(text_of(&mut line, &mut said, Event::Received(1)), None);
    }
}
