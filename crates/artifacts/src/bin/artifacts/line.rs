//! What is said of one download while it runs.

use std::time::{Duration, Instant};

use crate::text;

/// The state of one download.
#[derive(Debug)]
pub struct Line {
    pub name: String,
    /// Bytes that are there.
    pub at: u64,
    pub size: Option<u64>,
    /// Bytes that were there when it started, which say nothing of the rate.
    from: u64,
    started: Instant,
}

impl Line {
    pub fn new(name: String) -> Self {
        Self {
            name,
            at: 0,
            size: None,
            from: 0,
            started: Instant::now(),
        }
    }

    /// Bytes begin to come.
    pub fn start(&mut self, from: u64, size: Option<u64>) {
        (self.at, self.from, self.size) = (from, from, size);
        self.started = Instant::now();
    }

    /// `k3s: fetching 77 MiB from URL, continuing after 12 MiB`.
    pub fn beginning(&self, url: &str) -> String {
        let size = self.size.map_or("".into(), |size| text::bytes(size) + " ");
        let from = match self.from {
            0 => String::new(),
            from => format!(", continuing after {}", text::bytes(from)),
        };
        format!("{}: fetching {size}from {url}{from}", self.name)
    }

    /// `12 MiB of 77 MiB, 1 MiB/s, 65 seconds left`.
    pub fn progress(&self) -> String {
        self.progress_after(self.started.elapsed())
    }

    fn progress_after(&self, time: Duration) -> String {
        let came = self.at - self.from;
        let (of, left) = match self.size {
            Some(size) => (
                format!(" of {}", text::bytes(size)),
                text::left(size.saturating_sub(self.at), came, time),
            ),
            None => (String::new(), String::new()),
        };
        let (at, rate) = (text::bytes(self.at), text::rate(came, time));
        format!("{at}{of}, {rate}{left}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn continued() -> Line {
        let mut line = Line::new("k3s".into());
        line.start(1 << 20, Some(5 << 20));
        line
    }

    #[test]
    fn the_rate_is_that_of_the_bytes_that_came_now() {
        let mut line = continued();
        line.at = 3 << 20;
        assert_eq!(
            line.progress_after(Duration::from_secs(20)),
            "3.00 MiB of 5.00 MiB, 102.40 KiB/s, 20 seconds left"
        );
    }

    #[test]
    fn without_a_size_no_time_is_left() {
        let mut line = Line::new("k3s".into());
        line.at = 1 << 20;
        assert_eq!(
            line.progress_after(Duration::from_secs(1)),
            "1.00 MiB, 1.00 MiB/s"
        );
    }

    #[test]
    fn a_continued_download_says_from_where() {
        assert_eq!(
            continued().beginning("https://host/k3s"),
            "k3s: fetching 5.00 MiB from https://host/k3s, continuing after 1.00 MiB"
        );
    }
}
