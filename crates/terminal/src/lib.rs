//! Terminals that are written to without waiting for them: one that is held (Scroll Lock, Ctrl-S, a serial line that
//! nobody reads) stops nobody. What it does not take is kept, up to a limit; beyond that the oldest lines are left out,
//! and their number is shown in their place.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::termios::{OptionalActions, tcgetattr, tcgetwinsize, tcsetattr};

/// How much a terminal that takes nothing is behind at most, in bytes.
const KEPT: usize = 64 * 1024;

/// A terminal, and what it has not taken yet.
#[derive(Debug)]
pub struct Terminal {
    path: PathBuf,
    /// None after an error, until it is opened again.
    file: Option<File>,
    /// The rest of what it has taken a part of.
    begun: Vec<u8>,
    waiting: VecDeque<Vec<u8>>,
    left_out: usize,
}

impl Terminal {
    /// Opens a terminal, which does not become the process's own.
    ///
    /// # Errors
    /// It is not there or has no hardware.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        Ok(Self {
            file: Some(open(&path)?),
            path,
            begun: Vec::new(),
            waiting: VecDeque::new(),
            left_out: 0,
        })
    }

    /// Its columns and rows; none for a line that does not know them, such as a serial one.
    #[must_use]
    pub fn size(&self) -> Option<(usize, usize)> {
        let size = tcgetwinsize(self.file.as_ref()?).ok()?;
        (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col.into(), size.ws_row.into()))
    }

    /// Sets a serial line to this speed, in bits per second, 8 bits without parity, and has it not send back what comes
    /// in.
    ///
    /// # Errors
    /// It is no serial line, or has no such speed.
    pub fn set_speed(&self, speed: u32) -> io::Result<()> {
        let file = self.file.as_ref().ok_or(ErrorKind::NotConnected)?;
        let mut settings = tcgetattr(file)?;
        settings.make_raw();
        settings.set_speed(speed)?;
        Ok(tcsetattr(file, OptionalActions::Now, &settings)?)
    }

    /// Writes a line, with its end, behind what is waiting.
    pub fn line(&mut self, line: &str) {
        self.waiting.push_back(format!("{line}\r\n").into_bytes());
        let mut bytes: usize = self.waiting.iter().map(Vec::len).sum();
        while bytes > KEPT {
            bytes -= self.waiting.pop_front().map_or(0, |line| line.len());
            self.left_out += 1;
        }
        self.flush();
    }

    /// Writes bytes in place of all that is waiting, such as a whole screen.
    pub fn replace(&mut self, bytes: Vec<u8>) {
        self.waiting.clear();
        self.left_out = 0;
        self.waiting.push_back(bytes);
        self.flush();
    }

    /// Tries again to write what is waiting. True if nothing is left of it.
    ///
    /// A terminal that was hung up is opened again.
    pub fn flush(&mut self) -> bool {
        if self.write().is_err() {
            self.file = open(&self.path).ok();
        }
        self.begun.is_empty() && self.waiting.is_empty() && self.left_out == 0
    }

    fn write(&mut self) -> io::Result<()> {
        loop {
            if self.begun.is_empty() {
                let Some(next) = self.next() else {
                    return Ok(());
                };
                self.begun = next;
            }
            let file = self.file.as_mut().ok_or(ErrorKind::NotConnected)?;
            match file.write(&self.begun) {
                Ok(0) => return Ok(()),
                Ok(count) => drop(self.begun.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn next(&mut self) -> Option<Vec<u8>> {
        match std::mem::take(&mut self.left_out) {
            0 => self.waiting.pop_front(),
            1 => Some("... 1 line not shown\r\n".into()),
            count => Some(format!("... {count} lines not shown\r\n").into_bytes()),
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOCTTY | OFlags::NONBLOCK;
    OpenOptions::new()
        .write(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{Action, tcflow};

    use super::*;

    /// Both ends of a pseudo-terminal: what a person sees of it, and what programs write to.
    fn pair() -> (File, Terminal) {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
        let screen = openpt(flags).expect("the host has pseudo-terminals");
        grantpt(&screen).expect("it is ours");
        unlockpt(&screen).expect("it is ours");
        let name = ptsname(&screen, Vec::new()).expect("it has a name");
        let terminal = Terminal::open(name.to_str().expect("it is ASCII")).expect("it opens");
        (File::from(screen), terminal)
    }

    /// What the screen shows once all that was written has come: up to the line that ends with `last`.
    fn shown(screen: &mut File, terminal: &mut Terminal, last: &str) -> String {
        let mut text = Vec::new();
        let mut buffer = [0; 4096];
        while !text.trim_ascii_end().ends_with(last.as_bytes()) {
            terminal.flush();
            let count = screen.read(&mut buffer).expect("it can be read");
            text.extend(&buffer[..count]);
        }
        String::from_utf8(text)
            .expect("lines are whole")
            .replace("\r", "")
    }

    #[test]
    fn a_line_is_shown_with_its_end() {
        let (mut screen, mut terminal) = pair();
        terminal.line("find-media");
        assert!(terminal.flush());
        assert_eq!(shown(&mut screen, &mut terminal, "media"), "find-media\n");
    }

    #[test]
    fn a_terminal_that_is_held_gets_its_lines_later() {
        let (mut screen, mut terminal) = pair();
        let keys = terminal.file.as_ref().expect("it is open");
        tcflow(keys, Action::OOff).expect("it is a terminal");
        terminal.line("one");
        terminal.line("two");
        assert!(!terminal.flush());
        let keys = terminal.file.as_ref().expect("it is open");
        tcflow(keys, Action::OOn).expect("it is a terminal");
        assert_eq!(shown(&mut screen, &mut terminal, "two"), "one\ntwo\n");
    }

    #[test]
    fn the_oldest_lines_are_left_out_and_counted() {
        let (mut screen, mut terminal) = pair();
        let line = "x".repeat(1022);
        // The kernel takes some of it; the lines that are left out come after that.
        for _ in 0..200 {
            terminal.line(&line);
        }
        assert!(terminal.waiting.len() == KEPT / 1024 && terminal.left_out > 0);
        let left_out = terminal.left_out;
        terminal.line("last");
        let text = shown(&mut screen, &mut terminal, "last");
        let notice = format!("... {} lines not shown", left_out + 1);
        let at = text
            .lines()
            .position(|line| line == notice)
            .expect("it is said");
        assert_eq!(text.lines().count() - at - 1, KEPT / 1024);
        assert_eq!(
            text.lines().filter(|l| **l == line).count(),
            200 - left_out - 1
        );
    }

    #[test]
    fn a_speed_is_set_and_nothing_is_sent_back() {
        let (_screen, terminal) = pair();
        terminal.set_speed(115_200).expect("it has this speed");
        let settings = tcgetattr(terminal.file.as_ref().expect("it is open")).expect("it is one");
        assert_eq!(settings.output_speed(), 115_200);
        assert!(
            !settings
                .local_modes
                .contains(rustix::termios::LocalModes::ECHO)
        );
    }

    #[test]
    fn a_terminal_without_a_size_has_none() {
        let (screen, terminal) = pair();
        assert_eq!(terminal.size(), None);
        let mut size = tcgetwinsize(&screen).expect("it is a terminal");
        (size.ws_col, size.ws_row) = (160, 50);
        rustix::termios::tcsetwinsize(&screen, size).expect("it is a terminal");
        assert_eq!(terminal.size(), Some((160, 50)));
    }

    #[test]
    fn one_line_is_counted_as_one() {
        let (_screen, mut terminal) = pair();
        terminal.left_out = 1;
        assert_eq!(
            terminal.next().as_deref(),
            Some("... 1 line not shown\r\n".as_bytes())
        );
    }

    #[test]
    fn a_screen_takes_the_place_of_one_that_was_not_shown() {
        let (mut screen, mut terminal) = pair();
        let keys = terminal.file.as_ref().expect("it is open");
        tcflow(keys, Action::OOff).expect("it is a terminal");
        terminal.line("a line");
        terminal.replace(b"first".to_vec());
        terminal.replace(b"second".to_vec());
        let keys = terminal.file.as_ref().expect("it is open");
        tcflow(keys, Action::OOn).expect("it is a terminal");
        let text = shown(&mut screen, &mut terminal, "second");
        assert!(
            text.ends_with("second") && !text.contains("first"),
            "{text}"
        );
    }

    #[test]
    fn a_terminal_that_went_away_is_opened_again() {
        let path = std::env::temp_dir().join(format!("terminal-{}", std::process::id()));
        File::create(&path).expect("it can be made");
        let mut terminal = Terminal::open(&path).expect("it opens");
        terminal.file = None;
        terminal.line("one");
        assert!(terminal.file.is_some());
        terminal.line("two");
        let text = std::fs::read_to_string(&path).expect("it can be read");
        std::fs::remove_file(&path).expect("it is there");
        assert_eq!(text, "one\r\ntwo\r\n");
    }
}
