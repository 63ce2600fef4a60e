//! Progress on a terminal: one live area with a line for each download that runs.

use std::sync::{Mutex, PoisonError};

use artifacts::fetch::{Event, Observer};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::text;

const KNOWN: &str =
    "{prefix} [{bar:24}] {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta} left";
const UNKNOWN: &str = "{prefix} {spinner} {binary_bytes} {binary_bytes_per_sec}";

/// Progress of all downloads.
pub struct Live {
    area: MultiProgress,
    names: Vec<String>,
    bars: Mutex<Vec<Option<ProgressBar>>>,
}

impl Live {
    pub fn new(names: impl Iterator<Item = String>) -> Self {
        let names: Vec<_> = names.collect();
        Self {
            area: MultiProgress::new(),
            bars: Mutex::new(vec![None; names.len()]),
            names,
        }
    }

    /// Removes the live area.
    pub fn clear(&self) {
        // A terminal that is gone needs no tidying.
        let _ = self.area.clear();
    }

    fn say(&self, text: &str) {
        if self.area.println(text).is_err() {
            eprintln!("{text}");
        }
    }

    fn bar(&self, name: &str, from: u64, size: Option<u64>) -> ProgressBar {
        let bar = match size {
            Some(size) => ProgressBar::new(size),
            None => ProgressBar::no_length(),
        };
        let template = if size.is_some() { KNOWN } else { UNKNOWN };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(name.to_owned());
        let bar = self.area.add(bar.with_position(from));
        // The rate is that of this run.
        bar.reset_eta();
        bar
    }
}

impl Observer for Live {
    fn event(&self, download: usize, event: Event<'_>) {
        let name = &self.names[download];
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = &mut bars[download];
        match event {
            Event::Started { from, size, .. } => {
                let earlier = bar.replace(self.bar(name, from, size));
                earlier.inspect(ProgressBar::finish_and_clear);
            }
            Event::Received(count) => {
                bar.as_ref().inspect(|bar| bar.inc(count));
            }
            Event::Note(note) => self.say(&format!("{name}: {note}")),
            Event::Ended(outcome) => {
                bar.take().inspect(ProgressBar::finish_and_clear);
                self.say(&text::ended(outcome));
            }
        }
    }
}
