//! What PID 1 says: one line per fact, on every console of the machine.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::sync::Mutex;
use std::time::Duration;

/// Where the kernel lists the consoles that are in use, separated by blanks.
const ACTIVE: &str = "/sys/class/tty/console/active";

static CONSOLES: Mutex<Vec<std::fs::File>> = Mutex::new(Vec::new());

/// Opens the active consoles. Before this is called, and when none can be
/// opened, lines go to standard error, which the kernel made /dev/console.
pub fn open() {
    let names = std::fs::read_to_string(ACTIVE).unwrap_or_default();
    let files = names
        .split_whitespace()
        .filter_map(|name| {
            use std::os::unix::fs::OpenOptionsExt as _;
            OpenOptions::new()
                .write(true)
                .custom_flags(rustix::fs::OFlags::NOCTTY.bits().cast_signed())
                .open(format!("/dev/{name}"))
                .ok()
        })
        .collect();
    if let Ok(mut consoles) = CONSOLES.lock() {
        *consoles = files;
    }
}

/// Writes one line, with the time since the kernel started, to every console.
pub fn write_line(text: &str) {
    let uptime = uptime();
    let line = format!(
        "hookos-init [{:4}.{:03}] {text}\r\n",
        uptime.as_secs(),
        uptime.subsec_millis()
    );
    let Ok(consoles) = CONSOLES.lock() else {
        return;
    };
    if consoles.is_empty() {
        // Nobody is left to be told of a failure to write.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
    for mut console in consoles.iter() {
        let _ = console.write_all(line.as_bytes());
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
