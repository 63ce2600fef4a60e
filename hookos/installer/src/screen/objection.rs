//! What another system loses, shown before it does: for some seconds a key stops it.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::termios::{OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcsetattr};

use super::consoles;
use super::facts::size;
use crate::error::{Error, Kind, Result, escaped};
use crate::state::{State, Target};

/// How long a person has.
const TIME: Duration = Duration::from_secs(15);
/// Ctrl-C, where the terminal does not make a signal of it.
const CTRL_C: u8 = 3;

/// Says what the target disk loses, by `say`, and waits for a key that stops it.
///
/// It does neither where the disk is empty, or where the config-file selects it.
///
/// # Errors
/// The key was pressed; or no disk was chosen.
pub fn wait_for_it(state: &State, say: impl FnMut(&str)) -> Result<()> {
    let target = state.read::<Target>()?;
    let keyboards = || Keyboard::all(Path::new("/sys"), Path::new("/dev"));
    wait(&target, keyboards, TIME, say)
}

fn wait(
    target: &Target,
    keyboards: impl FnOnce() -> Vec<Keyboard>,
    time: Duration,
    mut say: impl FnMut(&str),
) -> Result<()> {
    if target.selected || target.loses.is_empty() {
        return Ok(());
    }
    for loss in &target.loses {
        let text = format!(
            "{} ({}, {}) will be lost",
            loss.label,
            loss.kind,
            size(loss.size)
        );
        say(&format!("warning: {}", escaped(&text)));
    }
    let seconds = time.as_secs();
    say(&format!(
        "Press S within {seconds} s to keep it all and stop the installation."
    ));
    match pressed(&mut keyboards(), time) {
        None => Ok(()),
        Some(console) => {
            let reason = format!("somebody stopped it by a key on {console}");
            let advice = "Remove the stick to start what is on the disk. To install on another disk, name it by \
                          operatingSystem.installDisk in the config-file; named there, this one is overwritten without a question.";
            Err(Error::new(Kind::User, reason).advice(advice))
        }
    }
}

/// A console whose keys are read one by one, as long as it is there.
struct Keyboard {
    name: String,
    file: File,
    before: Termios,
}

impl Keyboard {
    fn all(sysfs: &Path, dev: &Path) -> Vec<Self> {
        let names = consoles::names(sysfs).into_iter();
        names
            .filter_map(|name| Self::open(&dev.join(&name), name).ok())
            .collect()
    }

    /// What was typed before the question is no answer to it.
    fn open(path: &Path, name: String) -> std::io::Result<Self> {
        let flags = OFlags::NOCTTY | OFlags::NONBLOCK;
        let mut options = OpenOptions::new();
        let options = options
            .read(true)
            .write(true)
            .custom_flags(flags.bits().cast_signed());
        let file = options.open(path)?;
        let before = tcgetattr(&file)?;
        let mut settings = before.clone();
        settings.make_raw();
        tcsetattr(&file, OptionalActions::Now, &settings)?;
        tcflush(&file, QueueSelector::IFlush)?;
        Ok(Self { name, file, before })
    }

    /// Whether one of its keys stops the installation; `Err` where it has no more.
    fn stops(&mut self) -> std::io::Result<bool> {
        let mut keys = [0; 64];
        match self.file.read(&mut keys) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => Ok(keys[..count]
                .iter()
                .any(|key| matches!(*key, b's' | b'S' | CTRL_C))),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        // Nobody reads it afterwards in another way than before.
        let _ = tcsetattr(&self.file, OptionalActions::Now, &self.before);
    }
}

/// The name of the console whose key came in time.
fn pressed(keyboards: &mut Vec<Keyboard>, time: Duration) -> Option<String> {
    let until = Instant::now() + time;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        let mut watched: Vec<_> = keyboards
            .iter()
            .map(|keyboard| PollFd::new(&keyboard.file, PollFlags::IN))
            .collect();
        // An interrupted poll is looked into like any other end of it.
        let _ = poll(&mut watched, Timespec::try_from(left).ok().as_ref());
        let mut stopped = None;
        keyboards.retain_mut(|keyboard| match keyboard.stops() {
            Ok(true) => {
                stopped = Some(keyboard.name.clone());
                true
            }
            Ok(false) => true,
            Err(_) => false,
        });
        if stopped.is_some() {
            return stopped;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    use super::*;
    use crate::state::Loss;

    const SHORT: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(600);

    /// What a person types on, and the console that is read.
    fn console() -> (File, Keyboard) {
        let keys = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("the host has them");
        grantpt(&keys).expect("it is ours");
        unlockpt(&keys).expect("it is ours");
        let name = ptsname(&keys, Vec::new()).expect("it has a name");
        let path = Path::new(name.to_str().expect("it is ASCII"));
        (
            keys.into(),
            Keyboard::open(path, "tty1".into()).expect("it opens"),
        )
    }

    fn target(selected: bool) -> Target {
        Target {
            partitions: Vec::new(),
            path: "/dev/sda".into(),
            name: "sda".into(),
            size: 1_000_000_000,
            sector_size: 512,
            transport: "sata".into(),
            model: String::new(),
            serial: String::new(),
            wwn: String::new(),
            mounts: Vec::new(),
            swaps: Vec::new(),
            loses: vec![Loss {
                label: "/dev/sda3 Windows".into(),
                size: 200_000_000_000,
                kind: "ntfs".into(),
            }],
            selected,
        }
    }

    #[test]
    fn says_what_is_lost_and_goes_on_when_nobody_objects() {
        let (_keys, keyboard) = console();
        let mut said = Vec::new();
        let ended = wait(
            &target(false),
            || vec![keyboard],
            SHORT,
            |line| said.push(line.to_owned()),
        );
        assert_eq!(ended, Ok(()));
        assert_eq!(
            said[0],
            "warning: /dev/sda3 Windows (ntfs, 200.0 GB) will be lost"
        );
        assert!(said[1].starts_with("Press S within 0 s"), "{said:?}");
    }

    #[test]
    fn a_disk_that_was_named_or_is_empty_is_not_asked_for() {
        let unasked = || -> Vec<Keyboard> { panic!("nobody is asked") };
        let silent = |line: &str| panic!("{line}");
        assert_eq!(wait(&target(true), unasked, LONG, silent), Ok(()));
        let mut empty = target(false);
        empty.loses.clear();
        assert_eq!(wait(&empty, unasked, LONG, silent), Ok(()));
    }

    #[test]
    fn a_key_stops_it_and_names_the_console() {
        for key in ["s", "S", "\u{3}", "xs"] {
            let (mut keys, keyboard) = console();
            keys.write_all(key.as_bytes()).expect("it takes keys");
            let error =
                wait(&target(false), || vec![keyboard], LONG, |_| {}).expect_err("it is stopped");
            assert_eq!(error.reason, "somebody stopped it by a key on tty1");
            assert_eq!(error.kind, Kind::User);
        }
    }

    #[test]
    fn other_keys_do_not_stop_it() {
        let (mut keys, keyboard) = console();
        keys.write_all(b"abc\r\x13\x1b[A").expect("it takes keys");
        assert_eq!(pressed(&mut vec![keyboard], SHORT), None);
    }

    #[test]
    fn a_console_that_goes_away_is_left_alone() {
        let (keys, keyboard) = console();
        drop(keys);
        let mut keyboards = vec![keyboard];
        assert_eq!(pressed(&mut keyboards, SHORT), None);
        assert!(keyboards.is_empty());
    }
}
