//! Ctrl-C, SIGTERM, and the end of the parent process: this one ends at once.
//!
//! Nothing has to be cleaned up: the bytes that came are in the partial files.

use anyhow::{Context, Result};
use rustix::process::{Signal, set_parent_process_death_signal};

/// As shells have it for a program that SIGINT ended.
const INTERRUPTED: i32 = 130;

/// From now on an interruption ends the process; `clear` tidies the terminal before.
pub fn handle(clear: impl Fn() + Send + 'static) -> Result<()> {
    ctrlc::set_handler(move || {
        clear();
        eprintln!(
            "artifacts: interrupted; what has come is kept, and the same command continues there"
        );
        std::process::exit(INTERRUPTED);
    })
    .context("taking over Ctrl-C")?;
    set_parent_process_death_signal(Some(Signal::TERM))
        .context("asking to be told of the end of the parent process")
}
