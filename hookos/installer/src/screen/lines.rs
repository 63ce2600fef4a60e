//! A console that has lines and no more, such as a serial one.

use super::event::Event;
use super::facts::Facts;
use super::model::{Mark, Model};
use super::panel::{COLUMNS, Panel};
use super::picture::bar_words;
use crate::steps::STEPS;

/// What has been shown.
#[derive(Debug, Default)]
pub struct Shown {
    facts: Facts,
    /// The last tenth of a bar.
    tenth: u8,
}

impl Shown {
    /// The lines for an event, after the model has taken it.
    pub fn lines(&mut self, event: &Event, model: &Model) -> Vec<String> {
        let mut lines = self.new_facts(&model.facts);
        match event {
            Event::Begin(step, _) | Event::Done(step, _) => {
                self.tenth = 0;
                lines.extend(step_line(step, model));
            }
            Event::Failed(step, reason) => lines.push(format!("[FAIL] {}: {reason}", does(step))),
            Event::Warning(text) => lines.push(format!("Warning: {text}")),
            Event::Progress(progress) => {
                let tenth = progress.percent / 10;
                if tenth != self.tenth {
                    self.tenth = tenth;
                    let bar = model.bar.iter().map(bar_words);
                    lines.extend(bar.map(|bar| format!("       {bar}")));
                }
            }
            Event::End => {}
            Event::Text(text) => lines.push(text.clone()),
        }
        lines
    }

    fn new_facts(&mut self, facts: &Facts) -> Vec<String> {
        let mut lines = Vec::new();
        if facts.image != self.facts.image {
            lines.extend(facts.image.iter().map(|image| format!("OS image: {image}")));
        }
        if facts.disk != self.facts.disk {
            lines.extend(facts.disk.iter().map(|disk| format!("Disk: {disk}")));
        }
        self.facts = facts.clone();
        lines
    }
}

fn does(name: &str) -> &str {
    crate::steps::named(name).map_or(name, |step| step.does)
}

fn step_line(name: &str, model: &Model) -> Option<String> {
    let at = STEPS.iter().position(|step| step.name == name)?;
    match model.marks[at] {
        Mark::Running(_) => Some(format!("[ .. ] {}", STEPS[at].does)),
        Mark::Done(seconds) => Some(format!("[ ok ] {} ({seconds:.1} s)", STEPS[at].does)),
        Mark::Waiting | Mark::Failed => None,
    }
}

/// The panel, in its colour.
#[must_use]
pub fn panel(panel: &Panel) -> Vec<String> {
    let colour = if panel.well { "1;37;42" } else { "1;37;41" };
    let coloured = |line: String| format!("\x1b[{colour}m{line:COLUMNS$}\x1b[0m");
    panel.text().into_iter().map(coloured).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::model::End;
    use super::*;

    fn lines(text: &[&str]) -> Vec<String> {
        let (mut model, mut shown) = (Model::default(), Shown::default());
        let mut lines = Vec::new();
        for (seconds, line) in (0..).zip(text) {
            let event = Event::of(line);
            model.take(&event, Duration::from_secs(seconds));
            lines.extend(shown.lines(&event, &model));
        }
        lines
    }

    #[test]
    fn a_step_has_a_line_when_it_begins_and_when_it_ends() {
        let shown = lines(&[
            "EMTS step=find-media state=begin t=1",
            "EMTS warning: one thing",
            "EMTS step=find-media state=done t=3.5",
            "EMTS step=verify-image state=begin t=4",
            "EMTS step=verify-image state=failed t=4 reason=damaged",
            "EMTS step=other state=begin t=4",
            "EMTS step=other state=failed t=4 reason=x",
        ]);
        assert_eq!(
            shown,
            [
                "[ .. ] Find the stick and read its manifest",
                "Warning: one thing",
                "[ ok ] Find the stick and read its manifest (2.5 s)",
                "[ .. ] Check the OS image",
                "[FAIL] Check the OS image: damaged",
                "[FAIL] other: x",
            ]
        );
    }

    #[test]
    fn a_bar_has_a_line_for_each_tenth() {
        let line = |percent| format!("EMTS progress: writing {percent} % (10 MB/s)");
        let text: Vec<_> = [3, 10, 15, 19, 32].map(line).into();
        let shown = lines(&text.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(
            shown,
            [
                "       writing 10 %, 10 MB/s, 12 s left",
                "       writing 32 %, 10 MB/s, 9 s left"
            ]
        );
    }

    #[test]
    fn facts_are_told_once() {
        let mut shown = Shown::default();
        let mut model = Model::default();
        model.facts.image = Some("edge".into());
        let text = Event::Text("x".into());
        assert_eq!(shown.lines(&text, &model), ["OS image: edge", "x"]);
        model.facts.disk = Some("/dev/sda".into());
        assert_eq!(shown.lines(&text, &model), ["Disk: /dev/sda", "x"]);
        assert_eq!(shown.lines(&text, &model), ["x"]);
    }

    #[test]
    fn the_panel_has_whole_lines_in_its_colour() {
        let model = Model::default();
        let lines = panel(&Panel::of(&End::Complete, &model));
        assert!(lines[0].starts_with("\x1b[1;37;42m===="), "{}", lines[0]);
        assert!(lines[0].contains("INSTALLATION COMPLETE"));
        let text = "The operating system is on the disk. The machine restarts from it now.";
        assert_eq!(lines[1], format!("\x1b[1;37;42m{text:79}\x1b[0m"));
    }
}
