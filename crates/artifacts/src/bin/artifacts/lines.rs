//! Progress in a pipe or a file: a line at the start, one every ten seconds, one at the end.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use artifacts::fetch::{Event, Observer};

use crate::text;

/// Time between two lines of a download.
const PERIOD: Duration = Duration::from_secs(10);

/// Progress of all downloads.
pub struct Lines(Mutex<Vec<Line>>);

struct Line {
    name: String,
    at: u64,
    size: Option<u64>,
    /// Bytes that were there when it started.
    from: u64,
    started: Instant,
    said: Instant,
}

impl Lines {
    pub fn new(names: impl Iterator<Item = String>) -> Self {
        let now = Instant::now();
        let lines = names.map(|name| Line {
            name,
            at: 0,
            size: None,
            from: 0,
            started: now,
            said: now,
        });
        Self(Mutex::new(lines.collect()))
    }
}

impl Observer for Lines {
    fn event(&self, download: usize, event: Event<'_>) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = lines[download].event(event) {
            eprintln!("{text}");
        }
    }
}

impl Line {
    /// What is to be said of it.
    fn event(&mut self, event: Event<'_>) -> Option<String> {
        match event {
            Event::Started { url, from, size } => {
                (self.at, self.from, self.size) = (from, from, size);
                self.started = Instant::now();
                self.said = self.started;
                Some(self.start(url))
            }
            Event::Received(count) => {
                self.at += count;
                (self.said.elapsed() >= PERIOD).then(|| {
                    self.said = Instant::now();
                    self.progress(self.started.elapsed())
                })
            }
            Event::Note(note) => Some(format!("{}: {note}", self.name)),
            Event::Ended(outcome) => Some(text::ended(outcome)),
        }
    }

    fn start(&self, url: &str) -> String {
        let size = self.size.map_or("".into(), |size| text::bytes(size) + " ");
        let from = match self.from {
            0 => String::new(),
            from => format!(", continuing after {}", text::bytes(from)),
        };
        format!("{}: fetching {size}from {url}{from}", self.name)
    }

    fn progress(&self, time: Duration) -> String {
        let came = self.at - self.from;
        let (of, left) = match self.size {
            Some(size) => (
                format!(" of {}", text::bytes(size)),
                text::left(size.saturating_sub(self.at), came, time),
            ),
            None => (String::new(), String::new()),
        };
        format!(
            "{}: {}{of}, {}{left}",
            self.name,
            text::bytes(self.at),
            text::rate(came, time)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Line {
        let begun = Instant::now() - Duration::from_secs(20);
        Line {
            name: "k3s".into(),
            at: 3 << 20,
            size: Some(5 << 20),
            from: 1 << 20,
            started: begun,
            said: begun,
        }
    }

    #[test]
    fn progress_has_bytes_rate_and_time_left() {
        assert_eq!(
            line().progress(Duration::from_secs(20)),
            "k3s: 3.00 MiB of 5.00 MiB, 102.40 KiB/s, 20 seconds left"
        );
    }

    #[test]
    fn a_line_is_said_every_ten_seconds() {
        let mut line = line();
        assert!(line.event(Event::Received(1)).is_some());
        assert_eq!(line.event(Event::Received(1)), None);
    }

    #[test]
    fn a_continued_download_says_from_where() {
        assert_eq!(
            line().start("https://host/k3s"),
            "k3s: fetching 5.00 MiB from https://host/k3s, continuing after 1.00 MiB"
        );
    }
}
