//! What a person sees while commands work: a live line for each on a terminal, plain lines elsewhere.

use std::collections::BTreeSet;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// The live lines.
static LINES: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Prints a line that this process has not printed before.
pub fn say_once(line: &str) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    if said.insert(line.to_owned()) {
        say(line);
    }
}

/// Prints a line above the live ones.
pub fn say(line: &str) {
    LINES.suspend(|| println!("{line}"));
}

/// One running piece of work.
#[derive(Debug)]
pub struct Progress {
    name: String,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Announces `name`; `usual` is its median time so far, in seconds.
    pub fn begin(name: &str, usual: Option<f64>) -> Self {
        let usual = usual.map_or(String::new(), |seconds| {
            format!(" (usually {})", short(seconds))
        });
        if LINES.is_hidden() {
            say(&format!("{name}: running{usual}"));
            return Self {
                name: name.into(),
                bar: None,
            };
        }
        let bar = LINES.add(ProgressBar::new_spinner());
        let style = ProgressStyle::with_template("{spinner} {prefix}: {elapsed} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        bar.set_style(style);
        bar.set_prefix(name.to_owned());
        bar.set_message(usual);
        Self {
            name: name.into(),
            bar: Some(bar),
        }
    }

    /// Redraws the live line.
    pub fn tick(&self) {
        if let Some(bar) = &self.bar {
            bar.tick();
        }
    }

    /// Replaces the live line by its outcome, and what there is to say behind it.
    pub fn end(self, outcome: &str, took: Duration, more: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        say(&format!(
            "{}: {outcome} in {}{more}",
            self.name,
            short(took.as_secs_f64())
        ));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Seconds for people: `4.2 s`, `3 min 10 s`.
pub fn short(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    let whole = Duration::from_secs_f64(seconds).as_secs();
    format!("{} min {} s", whole / 60, whole % 60)
}

/// Seconds for people who wait: `20 s`, `3 min`.
pub fn rough(seconds: f64) -> String {
    match seconds {
        ..55.0 => format!("{:.0} s", (seconds / 5.0).ceil() * 5.0),
        _ => format!("{:.0} min", (seconds / 60.0).ceil()),
    }
}

/// Bytes for people: `0 B`, `12 MiB`.
pub fn bytes(count: u64) -> String {
    indicatif::BinaryBytes(count).to_string()
}
