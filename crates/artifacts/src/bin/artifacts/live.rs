//! Progress on a terminal: one live area with a line for each download that runs.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use artifacts::fetch::{Event, Observer};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::line::Line;
use crate::text;

/// Time between two changes of a line.
const PERIOD: Duration = Duration::from_millis(200);

/// Progress of all downloads.
pub struct Live {
    area: MultiProgress,
    downloads: Mutex<Vec<Shown>>,
}

/// One download and its line in the area, which it has while it runs.
struct Shown {
    line: Line,
    bar: Option<ProgressBar>,
    changed: Instant,
}

impl Live {
    pub fn new(names: impl Iterator<Item = String>) -> Self {
        let downloads = names.map(|name| Shown {
            line: Line::new(name),
            bar: None,
            changed: Instant::now(),
        });
        Self {
            area: MultiProgress::new(),
            downloads: Mutex::new(downloads.collect()),
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

    fn bar(&self, line: &Line) -> ProgressBar {
        let (bar, template) = match line.size {
            Some(size) => (ProgressBar::new(size), "{prefix} [{bar:24}] {msg}"),
            None => (ProgressBar::no_length(), "{prefix} {spinner} {msg}"),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(line.name.clone());
        self.area.add(bar.with_position(line.at))
    }
}

impl Shown {
    fn received(&mut self, count: u64) {
        self.line.at += count;
        if self.changed.elapsed() < PERIOD {
            return;
        }
        self.changed = Instant::now();
        if let Some(bar) = &self.bar {
            bar.set_message(self.line.progress());
            bar.set_position(self.line.at);
        }
    }

    fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Observer for Live {
    fn event(&self, download: usize, event: Event<'_>) {
        let mut downloads = self
            .downloads
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let shown = &mut downloads[download];
        match event {
            Event::Started { from, size, .. } => {
                shown.end();
                shown.line.start(from, size);
                shown.bar = Some(self.bar(&shown.line));
            }
            Event::Received(count) => shown.received(count),
            Event::Note(note) => self.say(&format!("{}: {note}", shown.line.name)),
            Event::Ended(outcome) => {
                shown.end();
                self.say(&text::ended(outcome));
            }
        }
    }
}
