//! What PID 1 says: one line per fact, on every console of the machine. A console that is held does not hold it up.

use std::io::Write as _;
use std::sync::Mutex;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use terminal::Terminal;

/// Where the kernel lists the consoles that are in use, separated by blanks.
const ACTIVE: &str = "/sys/class/tty/console/active";

static CONSOLES: Mutex<Vec<Terminal>> = Mutex::new(Vec::new());

/// Opens the active consoles. Before this is called, and when none can be
/// opened, lines go to standard error, which the kernel made /dev/console.
pub fn open() {
    let names = std::fs::read_to_string(ACTIVE).unwrap_or_default();
    let terminals = names
        .split_whitespace()
        .filter_map(|name| Terminal::open(format!("/dev/{name}")).ok())
        .collect();
    if let Ok(mut consoles) = CONSOLES.lock() {
        *consoles = terminals;
    }
}

/// Writes one line, with the time since the kernel started, to every console.
pub fn write_line(text: &str) {
    let uptime = uptime();
    let line = format!(
        "hookos-init [{:4}.{:03}] {text}",
        uptime.as_secs(),
        uptime.subsec_millis()
    );
    let Ok(mut consoles) = CONSOLES.lock() else {
        return;
    };
    if consoles.is_empty() {
        write_early(&line);
    }
    for console in consoles.iter_mut() {
        console.line(&line);
    }
}

/// Writes what is left for consoles that were held. True if nothing is left.
pub fn flush() -> bool {
    CONSOLES.lock().map_or(true, |mut consoles| {
        // All of them, not only up to the first that is held.
        let held = consoles
            .iter_mut()
            .filter_map(|console| (!console.flush()).then_some(()));
        held.count() == 0
    })
}

/// A line for standard error, if it takes one at once. Nobody is left to be told of a failure to write.
fn write_early(line: &str) {
    let mut stderr = std::io::stderr();
    let ready = poll(
        &mut [PollFd::new(&stderr, PollFlags::OUT)],
        Some(&Timespec::default()),
    );
    if ready == Ok(1) {
        let _ = stderr.write_all(format!("{line}\r\n").as_bytes());
    }
}

/// `write_line` with format arguments.
macro_rules! say {
    ($($argument:tt)*) => { $crate::console::write_line(&format!($($argument)*)) };
}
pub(crate) use say;

/// Time since the kernel started.
pub fn uptime() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or(0),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    )
}
