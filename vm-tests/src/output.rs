//! What a person sees while a run goes on: one live line on a terminal, plain
//! lines elsewhere.

use std::io::{IsTerminal, Write, stderr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

/// How often the live line is drawn anew.
const REDRAW: Duration = Duration::from_millis(500);

#[derive(Debug)]
struct State {
    doing: String,
    since: Instant,
}

/// The output of one run. Dropped, its live line is gone.
#[derive(Debug)]
pub struct Output {
    state: Arc<Mutex<State>>,
    redraw: Option<JoinHandle<()>>,
}

impl Output {
    /// Output on standard error, live when that is a terminal.
    #[must_use]
    pub fn new() -> Self {
        let state = Arc::new(Mutex::new(State {
            doing: String::new(),
            since: Instant::now(),
        }));
        let live = stderr().is_terminal() && std::env::var_os("CI").is_none();
        let redraw = live.then(|| tokio::spawn(draw(Arc::clone(&state))));
        Self { state, redraw }
    }

    /// Something begins.
    pub fn doing(&self, what: &str) {
        let mut state = lock(&self.state);
        state.doing = what.to_owned();
        state.since = Instant::now();
        drop(state);
        if self.redraw.is_none() {
            self.line(&format!("{what} ..."));
        }
    }

    /// Something ended, or is worth a line of its own.
    pub fn line(&self, text: &str) {
        if self.redraw.is_some() {
            let _ = write!(stderr(), "\r\u{1b}[K");
        }
        let _ = writeln!(stderr(), "{text}");
    }
}

impl Default for Output {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some(redraw) = self.redraw.take() {
            redraw.abort();
            let _ = write!(stderr(), "\r\u{1b}[K");
        }
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn draw(state: Arc<Mutex<State>>) {
    let mut tick = tokio::time::interval(REDRAW);
    loop {
        tick.tick().await;
        let state = lock(&state);
        if !state.doing.is_empty() {
            let _ = write!(
                stderr(),
                "\r\u{1b}[K{} {} s",
                state.doing,
                state.since.elapsed().as_secs()
            );
            let _ = stderr().flush();
        }
    }
}
