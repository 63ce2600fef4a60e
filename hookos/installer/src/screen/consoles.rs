//! The consoles of the machine, each with what it is shown.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use terminal::Terminal;

use super::event::Event;
use super::lines::{self, Shown};
use super::model::Model;
use super::panel::Panel;
use super::picture::{self, Row};
use crate::error::escaped;

/// The serial port that has the log's lines and nothing else, for programs.
const MARKERS: &str = "ttyS1";
/// Of serial ports that are no consoles of the kernel, in bits per second.
const SPEED: u32 = 115_200;
/// Where a console does not know its size.
const SIZE: (usize, usize) = (80, 25);
/// After this time a screen is drawn as a whole: the kernel and PID 1 write over it.
const DRAWN_AGAIN: Duration = Duration::from_secs(5);

/// A console.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    name: String,
    shows: Shows,
    /// Whether the kernel writes to it, too, and has set its speed.
    kernel: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shows {
    Picture,
    Lines,
    Log,
}

/// The names of the consoles that a person may sit at.
#[must_use]
pub fn names(sysfs: &Path) -> Vec<String> {
    let people = |place: Place| (place.shows != Shows::Log).then_some(place.name);
    places(sysfs).into_iter().filter_map(people).collect()
}

/// All consoles: those of the kernel, and each serial port that has hardware.
///
/// An adapter on USB is one only where the kernel's command line says so: nobody knows what hangs on it.
fn places(sysfs: &Path) -> Vec<Place> {
    let ttys = sysfs.join("class/tty");
    let active = fs::read_to_string(ttys.join("console/active")).unwrap_or_default();
    let mut places: Vec<Place> = Vec::new();
    let mut add = |name: &str, kernel| {
        let screen = name
            .strip_prefix("tty")
            .is_some_and(|number| number.parse::<u8>().is_ok());
        // tty0 is whichever is in front: a person may look at another one meanwhile.
        let name = if screen { "tty1" } else { name };
        if places.iter().any(|place| place.name == name) {
            return;
        }
        let shows = match name {
            "tty1" => Shows::Picture,
            MARKERS => Shows::Log,
            _ => Shows::Lines,
        };
        places.push(Place {
            name: name.into(),
            shows,
            kernel,
        });
    };
    for name in active.split_whitespace() {
        add(name, true);
    }
    let mut serial: Vec<String> = fs::read_dir(&ttys)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with("ttyS") && has_hardware(&ttys.join(name)))
        .collect();
    serial.sort();
    for name in serial {
        add(&name, false);
    }
    places
}

/// Linux has nodes for ports that are not there: their type is 0, `PORT_UNKNOWN`.
fn has_hardware(port: &Path) -> bool {
    fs::read_to_string(port.join("type")).is_ok_and(|kind| kind.trim() != "0")
}

#[derive(Debug)]
enum View {
    /// The rows that it shows, and when it was drawn as a whole; none where nothing is known of what it shows.
    Picture(Option<(Vec<Row>, Instant)>),
    Lines(Shown),
    Log,
}

/// All consoles, opened.
#[derive(Debug)]
pub struct Consoles(Vec<(Terminal, View)>);

impl Consoles {
    /// Opens the consoles that `sysfs` names, below `dev`.
    #[must_use]
    pub fn open(sysfs: &Path, dev: &Path) -> Self {
        let open = |place: Place| {
            let path: PathBuf = dev.join(&place.name);
            let terminal = Terminal::open(path).ok()?;
            if !place.kernel {
                // Where the port has no such speed it keeps its own.
                let _ = terminal.set_speed(SPEED);
            }
            let view = match place.shows {
                Shows::Picture => View::Picture(None),
                Shows::Lines => View::Lines(Shown::default()),
                Shows::Log => View::Log,
            };
            Some((terminal, view))
        };
        Self(places(sysfs).into_iter().filter_map(open).collect())
    }

    /// Shows what a line said, after the model has taken it.
    pub fn show(&mut self, line: &str, event: &Event, model: &Model) {
        for (terminal, view) in &mut self.0 {
            match view {
                View::Picture(_) => {}
                View::Lines(shown) => {
                    for line in shown.lines(event, model) {
                        terminal.line(&line);
                    }
                }
                View::Log => terminal.line(&escaped(line)),
            }
        }
    }

    /// Shows the panel at the end, where it is not shown by the picture.
    pub fn show_panel(&mut self, panel: &Panel) {
        for (terminal, view) in &mut self.0 {
            let lines = match view {
                View::Picture(_) => continue,
                View::Lines(_) => lines::panel(panel),
                View::Log => panel.text(),
            };
            for line in lines {
                terminal.line(&line);
            }
        }
    }

    /// Draws the pictures, and writes what was waiting for a console that was held. True if nothing is left.
    pub fn draw(&mut self, model: &Model, panel: Option<&Panel>) -> bool {
        let mut all = true;
        for (terminal, view) in &mut self.0 {
            if let View::Picture(shown) = view {
                *shown = draw(terminal, shown.take(), model, panel);
            }
            all &= terminal.flush();
        }
        all
    }
}

fn draw(
    terminal: &mut Terminal,
    shown: Option<(Vec<Row>, Instant)>,
    model: &Model,
    panel: Option<&Panel>,
) -> Option<(Vec<Row>, Instant)> {
    let size = terminal.size().unwrap_or(SIZE);
    let picture = match panel {
        Some(panel) => picture::at_the_end(panel, model, size),
        None => picture::under_way(model, size),
    };
    let shown =
        shown.filter(|(rows, drawn)| rows.len() == picture.len() && drawn.elapsed() < DRAWN_AGAIN);
    let bytes = picture::drawn(&picture, shown.as_ref().map(|(rows, _)| rows.as_slice()));
    let since = shown.map_or_else(Instant::now, |(_, drawn)| drawn);
    if !bytes.is_empty() {
        terminal.replace(bytes);
    }
    // What was not taken may never be shown: then it is drawn as a whole.
    terminal.flush().then_some((picture, since))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sysfs(active: &str, ports: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a directory can be made");
        let ttys = root.path().join("class/tty");
        fs::create_dir_all(ttys.join("console")).expect("it can be made");
        fs::write(ttys.join("console/active"), active).expect("it can be written");
        for (port, kind) in ports {
            fs::create_dir_all(ttys.join(port)).expect("it can be made");
            fs::write(ttys.join(port).join("type"), kind).expect("it can be written");
        }
        root
    }

    fn found(active: &str, ports: &[(&str, &str)]) -> Vec<(String, Shows, bool)> {
        let root = sysfs(active, ports);
        let places = places(root.path());
        places
            .into_iter()
            .map(|place| (place.name, place.shows, place.kernel))
            .collect()
    }

    #[test]
    fn the_screen_gets_the_picture_and_serial_lines_get_lines() {
        assert_eq!(
            found("tty0 ttyS0\n", &[("ttyS0", "4\n")]),
            [
                ("tty1".into(), Shows::Picture, true),
                ("ttyS0".into(), Shows::Lines, true)
            ]
        );
    }

    #[test]
    fn a_serial_port_with_hardware_is_a_console_and_one_without_is_none() {
        let ports = [
            ("ttyS4", "4\n"),
            ("ttyS1", "4\n"),
            ("ttyS2", "0\n"),
            ("ttyUSB0", "1\n"),
        ];
        assert_eq!(
            found("tty0", &ports)[1..],
            [
                ("ttyS1".into(), Shows::Log, false),
                ("ttyS4".into(), Shows::Lines, false)
            ]
        );
    }

    #[test]
    fn nobody_sits_at_the_port_for_programs() {
        let root = sysfs("tty0 ttyS0", &[("ttyS1", "4"), ("ttyS4", "4")]);
        assert_eq!(names(root.path()), ["tty1", "ttyS0", "ttyS4"]);
    }

    #[test]
    fn what_the_kernel_names_is_a_console_whatever_it_is() {
        assert_eq!(
            found("ttyUSB0 hvc0 tty1 tty0", &[]),
            [
                ("ttyUSB0".into(), Shows::Lines, true),
                ("hvc0".into(), Shows::Lines, true),
                ("tty1".into(), Shows::Picture, true)
            ]
        );
        assert_eq!(found("", &[]), []);
    }

    #[test]
    fn each_console_shows_its_own() {
        let root = sysfs("tty0 ttyS0", &[("ttyS1", "4")]);
        let dev = tempfile::tempdir().expect("a directory can be made");
        for name in ["tty1", "ttyS0", "ttyS1"] {
            fs::write(dev.path().join(name), "").expect("it can be made");
        }
        let mut consoles = Consoles::open(root.path(), dev.path());
        let mut model = Model::default();
        let line = "EMTS step=find-media state=begin t=1";
        let event = Event::of(line);
        model.take(&event, Duration::ZERO);
        consoles.show(line, &event, &model);
        assert!(consoles.draw(&model, None));
        let text = |name: &str| fs::read_to_string(dev.path().join(name)).expect("it is there");
        assert_eq!(text("ttyS1"), format!("{line}\r\n"));
        assert_eq!(
            text("ttyS0"),
            "[ .. ] Find the stick and read its manifest\r\n"
        );
        assert!(text("tty1").contains(" [ .. ] Find the stick"));
        assert!(!text("tty1").contains("FAILED"));

        let state = crate::state::State::at(dev.path());
        let panel = Panel::of(&model.end(&state).expect("it ended"), &model);
        consoles.show_panel(&panel);
        consoles.draw(&model, Some(&panel));
        assert!(text("ttyS1").contains("\r\nReason:  the installer ended without a word\r\n"));
        assert!(text("ttyS0").contains("\x1b[1;37;41mReason:  "));
        assert!(text("tty1").contains("  INSTALLATION FAILED"));
    }
}
