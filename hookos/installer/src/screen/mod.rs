//! What a person sees of the installation, drawn by a process of its own from the lines of `install-os.sh`.
//!
//! [`event`] is what a line says, [`model`] what is known by it, [`facts`] what is installed where; [`picture`] draws a
//! screen of that, [`lines`] lines for a serial console, [`panel`] the end. [`consoles`] has them all, [`medium`] the
//! stick that is pulled at the end, [`objection`] the key that stops an installation before another system is lost.

pub mod consoles;
pub mod event;
pub mod facts;
pub mod lines;
pub mod medium;
pub mod model;
pub mod objection;
pub mod panel;
pub mod picture;

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use consoles::Consoles;
use event::Event;
use medium::Medium;
use model::{End, Model};
use panel::Panel;

use crate::state::State;

const SYSFS: &str = "/sys";
const DEV: &str = "/dev";
/// How often consoles that were held are tried again, and the medium is looked at.
const TURN: Duration = Duration::from_secs(1);
/// How long the last screen of a complete installation may take to be shown.
const LAST: Duration = Duration::from_secs(2);

/// Shows the installation until its lines, on standard input, end; then how it ended.
///
/// Returns when the machine can be restarted: after a complete installation at once, after a failure that a pulled
/// medium ends when it has been pulled. After any other failure it shows it for ever.
///
/// # Errors
/// The lines cannot be read.
pub fn from_standard_input(state: &State) -> std::io::Result<()> {
    // Without the buffer of Rust's standard input, which poll(2) does not know of.
    let input = File::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    let mut consoles = Consoles::open(Path::new(SYSFS), Path::new(DEV));
    let mut model = Model::default();
    follow(input, state, &mut model, &mut consoles)?;
    let end = model.end(state);
    let panel = end.as_ref().map(|end| Panel::of(end, &model));
    panel.iter().for_each(|panel| consoles.show_panel(panel));
    let Some(End::Failed(failure)) = end else {
        let until = Instant::now() + LAST;
        while !consoles.draw(&model, panel.as_ref()) && Instant::now() < until {
            wait(LAST / 20);
        }
        return Ok(());
    };
    let medium = failure
        .until_without
        .map(|node| Medium::of(&node, Path::new(SYSFS)));
    while !medium.as_ref().is_some_and(Medium::is_gone) {
        consoles.draw(&model, panel.as_ref());
        wait(TURN);
    }
    Ok(())
}

/// Shows each line as it comes, until no more come. A process that hangs may have the other end of the pipe for ever, so
/// the end is a line, too.
fn follow(
    mut input: File,
    state: &State,
    model: &mut Model,
    consoles: &mut Consoles,
) -> std::io::Result<()> {
    let began = Instant::now();
    let mut begun = Vec::new();
    let mut buffer = [0; 1 << 14];
    loop {
        consoles.draw(model, None);
        let turn = Timespec::try_from(TURN).ok();
        let ready = poll(&mut [PollFd::new(&input, PollFlags::IN)], turn.as_ref());
        if ready == Ok(0) {
            continue;
        }
        match input.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => begun.extend(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        for line in whole_lines(&mut begun) {
            let event = Event::of(&line);
            if event == Event::End {
                return Ok(());
            }
            if matches!(
                event,
                Event::Begin(..) | Event::Done(..) | Event::Failed(..)
            ) {
                model.facts = facts::Facts::read(state);
            }
            model.take(&event, began.elapsed());
            consoles.show(&line, &event, model);
        }
    }
}

/// The lines that are whole; what is behind them is left.
fn whole_lines(begun: &mut Vec<u8>) -> Vec<String> {
    let Some(end) = begun.iter().rposition(|byte| *byte == b'\n') else {
        return Vec::new();
    };
    let rest = begun.split_off(end + 1);
    let whole = std::mem::replace(begun, rest);
    String::from_utf8_lossy(&whole)
        .lines()
        .map(str::to_owned)
        .collect()
}

/// Nothing happens meanwhile that could be waited for: sysfs does not tell of a device that went away.
fn wait(time: Duration) {
    std::thread::sleep(time);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_when_it_is_whole() {
        let mut begun = b"one\ntwo\nthr".to_vec();
        assert_eq!(whole_lines(&mut begun), ["one", "two"]);
        assert_eq!(begun, b"thr");
        assert!(whole_lines(&mut begun).is_empty());
        begun.extend(b"ee\n");
        assert_eq!(whole_lines(&mut begun), ["three"]);
    }
}
