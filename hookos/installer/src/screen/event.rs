//! What a line of `install-os.sh` says.

use crate::error::escaped;

/// A line, understood.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A step began, at this time in seconds since the installer's start.
    Begin(String, f64),
    /// A step ended well.
    Done(String, f64),
    /// A step failed, for this reason.
    Failed(String, String),
    /// Something that a person has to know.
    Warning(String),
    /// How far something is.
    Progress(Progress),
    /// Nothing more comes.
    End,
    /// Any other line.
    Text(String),
}

/// How far something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// What is done, such as `writing`.
    pub what: String,
    /// How much of it is done: 0 to 100.
    pub percent: u8,
    /// The rate, as it is said: `235 MB/s`.
    pub rate: String,
}

impl Event {
    /// Reads a line. What would control a terminal is shown as bytes.
    #[must_use]
    pub fn of(line: &str) -> Self {
        let line = escaped(line.trim_end());
        if line == "EMTS end" {
            return Self::End;
        }
        step(&line)
            .or_else(|| {
                line.strip_prefix("EMTS warning: ")
                    .map(|text| Self::Warning(text.into()))
            })
            .or_else(|| progress(&line).map(Self::Progress))
            .unwrap_or_else(|| {
                Self::Text(line.strip_prefix("EMTS progress: ").unwrap_or(&line).into())
            })
    }
}

/// `EMTS step=<name> state=<begin|done|failed> t=<seconds> [reason=<text>]`.
fn step(line: &str) -> Option<Event> {
    let (name, rest) = line.strip_prefix("EMTS step=")?.split_once(" state=")?;
    let (state, rest) = rest.split_once(" t=")?;
    let (time, reason) = rest.split_once(" reason=").unwrap_or((rest, ""));
    let time = time.parse().ok()?;
    match state {
        "begin" => Some(Event::Begin(name.into(), time)),
        "done" => Some(Event::Done(name.into(), time)),
        "failed" => Some(Event::Failed(name.into(), reason.into())),
        _ => None,
    }
}

/// `EMTS progress: <what> <percent> % (<rate>)`.
fn progress(line: &str) -> Option<Progress> {
    let (text, rate) = line.strip_prefix("EMTS progress: ")?.split_once(" % (")?;
    let (what, percent) = text.rsplit_once(' ')?;
    let percent = percent.parse().ok().filter(|percent| *percent <= 100)?;
    Some(Progress {
        what: what.into(),
        percent,
        rate: rate.strip_suffix(')')?.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_markers() {
        for (line, event) in [
            ("state=begin t=0.03", Event::Begin("grow-root".into(), 0.03)),
            (
                "state=done t=12.50\n",
                Event::Done("grow-root".into(), 12.5),
            ),
            (
                "state=failed t=1 reason=no room: t=2 reason=x",
                Event::Failed("grow-root".into(), "no room: t=2 reason=x".into()),
            ),
            (
                "state=odd t=1",
                Event::Text("EMTS step=grow-root state=odd t=1".into()),
            ),
        ] {
            assert_eq!(Event::of(&format!("EMTS step=grow-root {line}")), event);
        }
    }

    #[test]
    fn reads_progress_with_its_rate() {
        let progress = |what: &str, percent| {
            Event::Progress(Progress {
                what: what.into(),
                percent,
                rate: "235 MB/s".into(),
            })
        };
        let of = |text: &str| Event::of(&format!("EMTS progress: {text}"));
        assert_eq!(of("writing 47 % (235 MB/s)"), progress("writing", 47));
        assert_eq!(
            of("reading back 100 % (235 MB/s)"),
            progress("reading back", 100)
        );
        assert_eq!(
            of("x 101 % (1 MB/s)"),
            Event::Text("x 101 % (1 MB/s)".into())
        );
        assert_eq!(of("written in 3 s"), Event::Text("written in 3 s".into()));
    }

    #[test]
    fn a_warning_controls_no_terminal() {
        let warning = Event::Warning(r"label a\x1b[2J".into());
        assert_eq!(Event::of("EMTS warning: label a\u{1b}[2J"), warning);
        assert_eq!(Event::of("EMTS end\n"), Event::End);
        assert_eq!(Event::of("Disks:"), Event::Text("Disks:".into()));
    }
}
