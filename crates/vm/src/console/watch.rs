//! Follows the files that QEMU writes the serial ports to, and lets others wait
//! for what they show.

use std::collections::VecDeque;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arch::ARCH;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::badness::{Badness, Gravity, find_badness};
use super::marker::{Marker, MarkerState};
use crate::machine::SerialLog;

/// How often the files are looked at.
const POLL: Duration = Duration::from_millis(100);
/// How many lines of each console are kept at hand.
const KEPT_LINES: usize = 200;

/// What the consoles have shown so far.
#[derive(Debug, Default)]
pub struct ConsoleState {
    lines: VecDeque<(&'static str, String)>,
    /// The installer's markers, each once though several consoles show it.
    pub markers: Vec<Marker>,
    /// Signs of trouble.
    pub badness: Vec<Badness>,
    /// The names of the boot entries that the firmware has started, in order.
    pub boots: Vec<String>,
    /// The boot entries that the firmware could not load or start, in order.
    pub refused: Vec<RefusedEntry>,
    /// How many Linux kernels have said that they start with Secure Boot on.
    pub secure_starts: usize,
    /// When the last line came.
    pub last_line: Option<Instant>,
}

/// A boot entry that the firmware could not load or start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedEntry {
    /// Its number.
    pub number: u16,
    /// Its name.
    pub name: String,
    /// The firmware's reason, such as `Access Denied`.
    pub status: String,
}

impl ConsoleState {
    /// The last `count` lines of all consoles, each with its port.
    #[must_use]
    pub fn tail(&self, count: usize) -> Vec<String> {
        let from = self.lines.len().saturating_sub(count);
        self.lines
            .iter()
            .skip(from)
            .map(|(port, line)| format!("{port}: {line}"))
            .collect()
    }

    /// The first sign after which nothing good can follow, but for those of the name `expected`.
    #[must_use]
    pub fn fatal_but(&self, expected: Option<&str>) -> Option<&Badness> {
        self.badness
            .iter()
            .find(|badness| badness.gravity == Gravity::Fatal && Some(badness.name) != expected)
    }

    /// The installer's failure, if it told one.
    #[must_use]
    pub fn failure(&self) -> Option<&Marker> {
        self.markers
            .iter()
            .find(|marker| marker.state == MarkerState::Failed)
    }

    /// Takes in one line of a console.
    pub fn take(&mut self, port: &'static str, raw: &str) {
        let line = plain(raw);
        if line.trim().is_empty() {
            return;
        }
        if let Some(marker) = Marker::parse(&line)
            && !self.markers.contains(&marker)
        {
            self.markers.push(marker);
        }
        self.badness.extend(find_badness(port, &line));
        // The firmware writes to every serial port; one of them is enough.
        if port == ARCH.serial[0] {
            self.boots.extend(started_entry(&line));
            self.refused.extend(refused_entry(&line));
            self.secure_starts += usize::from(line.contains("UEFI Secure Boot is enabled"));
        }
        self.last_line = Some(Instant::now());
        self.lines.push_back((port, line));
        if self.lines.len() > KEPT_LINES {
            self.lines.pop_front();
        }
    }
}

/// The boot entry's name in the line that EDK II's boot device selection (BdsDxe) prints when it starts one:
/// `BdsDxe: starting Boot0003 "EMTS" from HD(1,GPT,...`.
fn started_entry(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("BdsDxe: starting Boot")?;
    let (_, name) = rest.split_once(" \"")?;
    let (name, _) = name.split_once("\" from ")?;
    Some(name.to_owned())
}

/// The entry in the line that BdsDxe prints when one does not start:
/// `BdsDxe: failed to load Boot0001 "UEFI QEMU USB" from PciRoot(0x0)/...: Access Denied`.
fn refused_entry(line: &str) -> Option<RefusedEntry> {
    let (_, rest) = line.split_once("BdsDxe: failed to ")?;
    let (_, rest) = rest.split_once(" Boot")?;
    let (number, rest) = rest.split_once(" \"")?;
    let (name, rest) = rest.split_once("\" from ")?;
    let (_, status) = rest.rsplit_once(": ")?;
    Some(RefusedEntry {
        number: u16::from_str_radix(number, 16).ok()?,
        name: name.to_owned(),
        status: status.trim().to_owned(),
    })
}

/// A line without terminal control sequences and carriage returns.
fn plain(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut chars = raw.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            // CSI: ESC [ parameters, then one letter. Other sequences: one character.
            if chars.next() == Some('[') {
                while chars
                    .next()
                    .is_some_and(|c| !c.is_ascii_alphabetic() && c != '@')
                {}
            }
        } else if !c.is_control() || c == '\t' {
            out.push(c);
        }
    }
    out
}

/// The consoles of a running machine. Dropped, it stops following them.
#[derive(Debug)]
pub struct Console {
    state: Arc<Mutex<ConsoleState>>,
    version: watch::Receiver<u64>,
    passes: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

impl Console {
    /// Follows the files of `logs`, which need not be there yet.
    #[must_use]
    pub fn follow(logs: &[SerialLog]) -> Self {
        Self::follow_into(logs, std::io::sink())
    }

    /// As [`Console::follow`]; every line is also written to `timeline`, behind the seconds since now.
    #[must_use]
    pub fn follow_into(logs: &[SerialLog], mut timeline: impl Write + Send + 'static) -> Self {
        let begun = Instant::now();
        let state = Arc::new(Mutex::new(ConsoleState::default()));
        let (sender, version) = watch::channel(0);
        let (passed, passes) = watch::channel(0);
        let mut tails: Vec<Tail> = logs.iter().map(Tail::new).collect();
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            let mut poll = tokio::time::interval(POLL);
            loop {
                poll.tick().await;
                let mut changed = false;
                for tail in &mut tails {
                    for line in tail.read_lines() {
                        // What cannot be written here is in the port's own file.
                        let seconds = begun.elapsed().as_secs_f64();
                        let _ = writeln!(timeline, "{seconds:8.2} {} {}", tail.port, plain(&line));
                        lock(&shared).take(tail.port, &line);
                        changed = true;
                    }
                }
                if changed {
                    sender.send_modify(|version| *version += 1);
                }
                passed.send_modify(|passes| *passes += 1);
            }
        });
        Self {
            state,
            version,
            passes,
            task,
        }
    }

    /// Looks at the state as it is now.
    pub fn look<T>(&self, look: impl FnOnce(&ConsoleState) -> T) -> T {
        look(&lock(&self.state))
    }

    /// Waits until all that is in the files now has been looked at: the pass
    /// that is under way may be past it, the next one is not.
    pub async fn caught_up(&self) {
        let mut passes = self.passes.clone();
        let wanted = *passes.borrow() + 2;
        let _ = passes.wait_for(|passes| *passes >= wanted).await;
    }

    /// Waits until `look` finds something. Has no deadline of its own.
    pub async fn wait_for<T>(&self, look: impl Fn(&ConsoleState) -> Option<T>) -> T {
        let mut version = self.version.clone();
        loop {
            version.mark_unchanged();
            if let Some(found) = self.look(&look) {
                return found;
            }
            if version.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(state: &Mutex<ConsoleState>) -> std::sync::MutexGuard<'_, ConsoleState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One growing file, read line by line.
struct Tail {
    port: &'static str,
    path: PathBuf,
    offset: u64,
    partial: Vec<u8>,
}

impl Tail {
    fn new(log: &SerialLog) -> Self {
        Self {
            port: log.port,
            path: log.path.clone(),
            offset: 0,
            partial: Vec::new(),
        }
    }

    /// The lines that are complete since the last call. A file that is not
    /// there, or cannot be read now, has none.
    fn read_lines(&mut self) -> Vec<String> {
        let mut bytes = Vec::new();
        let read = fs_err::File::open(&self.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.offset))?;
            file.read_to_end(&mut bytes)
        });
        self.offset += read.unwrap_or_default() as u64;
        self.partial.append(&mut bytes);
        let Some(end) = self.partial.iter().rposition(|byte| *byte == b'\n') else {
            return Vec::new();
        };
        let rest = self.partial.split_off(end + 1);
        let complete = std::mem::replace(&mut self.partial, rest);
        String::from_utf8_lossy(&complete)
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_which_boot_entries_the_firmware_starts() {
        let mut state = ConsoleState::default();
        for line in [
            "BdsDxe: loading Boot0001 \"UEFI QEMU USB HARDDRIVE 1-0\" from PciRoot(0x0)/Pci(0x2,0x0)",
            "BdsDxe: starting Boot0001 \"UEFI QEMU USB HARDDRIVE 1-0\" from PciRoot(0x0)/Pci(0x2,0x0)",
            "BdsDxe: starting Boot0005 \"EMTS\" from HD(1,GPT,5A9B7E31,0x800,0x40000)/\\EFI",
        ] {
            state.take("ttyS0", line);
        }
        assert_eq!(state.boots, ["UEFI QEMU USB HARDDRIVE 1-0", "EMTS"]);
    }

    #[test]
    fn notes_which_boot_entries_the_firmware_refuses_and_why() {
        let mut state = ConsoleState::default();
        state.take(
            "ttyS0",
            "BdsDxe: failed to load Boot0001 \"UEFI QEMU USB 1-0000:00:03.0-1\" from PciRoot(0x0)/USB(0x0,0x0): Access Denied",
        );
        state.take("ttyS0", "BdsDxe: No bootable option or device was found.");
        assert_eq!(
            state.refused,
            [RefusedEntry {
                number: 1,
                name: "UEFI QEMU USB 1-0000:00:03.0-1".into(),
                status: "Access Denied".into(),
            }]
        );
    }

    #[test]
    fn a_marker_on_two_consoles_counts_once() {
        let mut state = ConsoleState::default();
        for port in ["ttyS0", "ttyS1"] {
            state.take(port, "EMTS step=find-media state=begin t=0\r");
        }
        assert_eq!(state.markers.len(), 1);
    }

    #[test]
    fn strips_terminal_control_sequences() {
        assert_eq!(
            plain("\u{1b}[2J\u{1b}[01;01H\u{1b}[1mBdsDxe: loading\r"),
            "BdsDxe: loading"
        );
    }

    #[test]
    fn the_tail_names_each_lines_port() {
        let mut state = ConsoleState::default();
        state.take("ttyS0", "one");
        state.take("ttyS1", "two");
        assert_eq!(state.tail(5), ["ttyS0: one", "ttyS1: two"]);
        assert_eq!(state.tail(1), ["ttyS1: two"]);
    }

    #[tokio::test]
    async fn waits_for_a_line_written_in_pieces() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("serial.log");
        let console = Console::follow(&[SerialLog {
            port: "ttyS1",
            path: path.clone(),
        }]);
        let writer = async {
            let mut file = fs_err::File::create(&path).unwrap();
            for piece in ["EMTS step=rebo", "ot state=done t=5", "\r\n"] {
                file.write_all(piece.as_bytes()).unwrap();
                tokio::task::yield_now().await;
            }
        };
        let wait = console.wait_for(|state| {
            state
                .markers
                .iter()
                .find(|marker| marker.ends_installation())
                .cloned()
        });
        let both = async { tokio::join!(wait, writer).0 };
        let marker = tokio::time::timeout(Duration::from_secs(10), both)
            .await
            .unwrap();
        assert_eq!(marker.t, "5");
    }
}
