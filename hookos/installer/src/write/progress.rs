//! Lines for the consoles that say how far something is.

use std::io::Write as _;
use std::sync::Mutex;
use std::time::Instant;

/// Says every tenth of what is being done, with the rate since its begin.
pub struct Progress {
    /// What is being done.
    what: &'static str,
    total: u64,
    began: Instant,
    /// Bytes done, and the last tenth that was said.
    state: Mutex<(u64, u64)>,
}

impl Progress {
    /// Nothing of `total` bytes is done.
    pub fn new(what: &'static str, total: u64) -> Self {
        Self {
            what,
            total: total.max(1),
            began: Instant::now(),
            state: Mutex::new((0, 0)),
        }
    }

    /// So many bytes more are done.
    pub fn add(&self, bytes: u64) {
        if let Some(tenth) = self.next_tenth(bytes) {
            let rate = self.total * tenth / 10 / 1000 / self.milliseconds();
            say(&format!("{} {tenth}0 % ({rate} MB/s)", self.what));
        }
    }

    fn next_tenth(&self, bytes: u64) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(|error| error.into_inner());
        state.0 += bytes;
        let tenth = state.0 * 10 / self.total;
        let further = tenth > state.1;
        state.1 = state.1.max(tenth);
        further.then_some(tenth)
    }

    fn milliseconds(&self) -> u64 {
        (self.began.elapsed().as_millis() as u64).max(1)
    }

    /// Seconds since it began, with two places.
    pub fn seconds(&self) -> String {
        format!("{:.2}", self.began.elapsed().as_secs_f64())
    }
}

/// A line of progress. Nobody has to read it.
pub fn say(text: &str) {
    let mut output = std::io::stdout();
    let _ = writeln!(output, "EMTS progress: {text}").and_then(|()| output.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tenth_is_said_once_and_what_is_between_is_not() {
        let progress = Progress::new("writing", 200);
        let said: Vec<_> = [19, 1, 10, 50, 120, 0]
            .into_iter()
            .map(|bytes| progress.next_tenth(bytes))
            .collect();
        assert_eq!(said, [None, Some(1), None, Some(4), Some(10), None]);
    }

    #[test]
    fn nothing_is_no_division_by_zero() {
        assert_eq!(Progress::new("writing", 0).next_tenth(0), None);
    }
}
