//! A whole screen, for a console that has rows and columns.

use super::model::{Bar, Mark, Model};
use super::panel::{Panel, behind, large};
use crate::steps::STEPS;

/// Columns of the bar between its brackets.
const BAR: usize = 40;

/// A row of the screen: how it looks (parameters of SGR), and its text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Row {
    style: &'static str,
    text: String,
}

const PLAIN: &str = "0";
const TITLE: &str = "1;37;44";
const GREEN: &str = "32";
const BOLD: &str = "1;37";
const RED: &str = "1;31";
const YELLOW: &str = "1;33";
const GREY: &str = "37";
const ON_GREEN: &str = "1;37;42";
const ON_RED: &str = "1;37;41";

fn row(style: &'static str, text: impl Into<String>) -> Row {
    Row {
        style,
        text: text.into(),
    }
}

/// The screen while the installation goes on: exactly so many rows.
#[must_use]
pub fn under_way(model: &Model, size: (usize, usize)) -> Vec<Row> {
    let (columns, rows) = size;
    let unknown = |fact: &Option<String>| fact.clone().unwrap_or_else(|| "not known yet".into());
    let mut picture = vec![
        row(TITLE, " Installing the operating system on this machine"),
        Row::default(),
        row(BOLD, format!(" OS image  {}", unknown(&model.facts.image))),
        row(BOLD, format!(" Disk      {}", unknown(&model.facts.disk))),
        Row::default(),
    ];
    picture.extend(
        STEPS
            .iter()
            .zip(model.marks)
            .map(|(step, mark)| step_row(step.does, mark)),
    );
    picture.push(Row::default());
    picture.push(
        model
            .bar
            .as_ref()
            .map_or_else(Row::default, |bar| row(BOLD, bar_text(bar))),
    );
    picture.push(Row::default());
    for text in &model.warnings {
        let rows = behind(" Warning: ", 10, text, columns);
        picture.extend(rows.into_iter().map(|text| row(YELLOW, text)));
    }
    let room = rows.saturating_sub(picture.len() + 1);
    let lines = model.lines.len().saturating_sub(room);
    picture.push(Row::default());
    picture.extend(
        model
            .lines
            .iter()
            .skip(lines)
            .map(|text| row(GREY, format!(" {text}"))),
    );
    fitted(picture, columns, rows)
}

fn step_row(does: &str, mark: Mark) -> Row {
    match mark {
        Mark::Waiting => row(PLAIN, format!(" [    ] {does}")),
        Mark::Running(_) => row(BOLD, format!(" [ .. ] {does}")),
        Mark::Done(seconds) => row(GREEN, format!(" [ ok ] {does:50} {seconds:6.1} s")),
        Mark::Failed => row(RED, format!(" [FAIL] {does}")),
    }
}

fn bar_text(bar: &Bar) -> String {
    let done = "#".repeat(usize::from(bar.progress.percent) * BAR / 100);
    format!(" [{done:.<BAR$}] {}", bar_words(bar))
}

/// A bar in words: what, how far, how fast, how long still.
#[must_use]
pub fn bar_words(bar: &Bar) -> String {
    let progress = &bar.progress;
    let left = bar.left.map(|left| format!(", {} s left", left.as_secs()));
    let left = left.unwrap_or_default();
    format!(
        "{} {} %, {}{left}",
        progress.what, progress.percent, progress.rate
    )
}

/// The screen at the end: the panel fills it.
#[must_use]
pub fn at_the_end(panel: &Panel, model: &Model, size: (usize, usize)) -> Vec<Row> {
    let (columns, rows) = size;
    let style = if panel.well { ON_GREEN } else { ON_RED };
    let mut picture = vec![row(style, "")];
    let word = large(panel.word, columns.saturating_sub(4));
    let lines = panel.wrapped(columns.saturating_sub(4));
    // On a small screen the reason is worth more than large letters.
    if word.len() + lines.len() + 5 <= rows {
        picture.extend(
            word.iter()
                .map(|line| row(style, format!("  {}", blocks(line)))),
        );
        picture.push(row(style, ""));
    }
    picture.push(row(style, format!("  {}", panel.heading)));
    picture.push(row(style, ""));
    picture.extend(lines.iter().map(|line| row(style, format!("  {line}"))));
    picture.push(row(style, ""));
    let facts = [&model.facts.image, &model.facts.disk];
    for (label, fact) in ["OS image", "Disk"].iter().zip(facts) {
        picture.extend(
            fact.iter()
                .map(|fact| row(style, format!("  {label:10}{fact}"))),
        );
    }
    picture.resize(rows.max(picture.len()), row(style, ""));
    fitted(picture, columns, rows)
}

/// Blanks in reverse in place of `#`: no console lacks a glyph for them.
fn blocks(line: &str) -> String {
    let mut text = String::new();
    for run in line.split_inclusive([' ']) {
        let set = run.trim_end();
        if !set.is_empty() {
            text.push_str(&format!("\x1b[7m{}\x1b[27m", " ".repeat(set.len())));
        }
        text.push_str(&" ".repeat(run.len() - set.len()));
    }
    text
}

fn fitted(mut picture: Vec<Row>, columns: usize, rows: usize) -> Vec<Row> {
    picture.resize(rows, Row::default());
    for row in picture.iter_mut().filter(|row| !row.text.contains('\x1b')) {
        row.text = row.text.chars().take(columns).collect();
    }
    picture
}

/// What changes the screen `before` into the other; all of it where nothing is known of what is shown.
#[must_use]
pub fn drawn(picture: &[Row], before: Option<&[Row]>) -> Vec<u8> {
    let mut out = String::new();
    if before.is_none() {
        // No cursor, and no line goes on in the next.
        out.push_str("\x1b[?25l\x1b[?7l");
    }
    for (at, row) in picture.iter().enumerate() {
        if before.and_then(|before| before.get(at)) == Some(row) {
            continue;
        }
        let style = if row.style.is_empty() {
            PLAIN
        } else {
            row.style
        };
        out.push_str(&format!(
            "\x1b[{};1H\x1b[0;{style}m{}\x1b[K",
            at + 1,
            row.text
        ));
    }
    if !out.is_empty() {
        // What others write comes in the last row.
        out.push_str(&format!("\x1b[0m\x1b[{};1H", picture.len()));
    }
    out.into_bytes()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::event::Event;
    use super::super::model::End;
    use super::*;

    fn model(lines: &[&str]) -> Model {
        let mut model = Model::default();
        for (seconds, line) in (0..).zip(lines) {
            model.take(&Event::of(line), Duration::from_secs(seconds));
        }
        model
    }

    fn texts(picture: &[Row]) -> Vec<&str> {
        picture.iter().map(|row| row.text.as_str()).collect()
    }

    #[test]
    fn shows_the_steps_with_a_mark_each() {
        let model = model(&[
            "EMTS step=find-media state=begin t=1",
            "EMTS step=find-media state=done t=3",
            "EMTS step=validate-config state=failed t=3 reason=x",
            "EMTS step=verify-image state=begin t=3",
        ]);
        let picture = under_way(&model, (80, 25));
        assert_eq!(picture.len(), 25);
        let texts = texts(&picture);
        assert_eq!(texts[2], " OS image  not known yet");
        assert!(texts[5].starts_with(" [ ok ] Find the stick") && texts[5].ends_with("   2.0 s"));
        assert_eq!(texts[6], " [FAIL] Check the config-file");
        assert_eq!(texts[7], " [ .. ] Check the OS image");
        assert_eq!(texts[8], " [    ] Choose the disk");
        assert_eq!([picture[5].style, picture[6].style], [GREEN, RED]);
    }

    #[test]
    fn shows_a_bar_with_rate_and_time_left() {
        let line = |percent| format!("EMTS progress: writing {percent} % (10 MB/s)");
        let model = model(&[&line(10), &line(60)]);
        let picture = under_way(&model, (80, 25));
        let bar = format!(
            " [{}{}] writing 60 %, 10 MB/s, 0 s left",
            "#".repeat(24),
            ".".repeat(16)
        );
        assert_eq!(texts(&picture)[17], bar);
    }

    #[test]
    fn shows_warnings_and_the_last_lines_that_fit() {
        let lines: Vec<_> = (0..30).map(|number| format!("line {number}")).collect();
        let mut all: Vec<_> = lines.iter().map(String::as_str).collect();
        all.push("EMTS warning: one thing");
        let picture = under_way(&model(&all), (20, 25));
        let texts = texts(&picture);
        assert_eq!(texts[19..21], [" Warning: one thing", ""]);
        assert_eq!(
            texts[21..],
            [" line 26", " line 27", " line 28", " line 29"]
        );
        assert!(texts.iter().all(|text| text.len() <= 20));
    }

    #[test]
    fn the_panel_fills_the_screen_in_its_colour() {
        let model = model(&[]);
        let panel = Panel::of(&End::Complete, &model);
        let picture = at_the_end(&panel, &model, (80, 25));
        assert_eq!(picture.len(), 25);
        assert!(picture.iter().all(|row| row.style == ON_GREEN));
        let texts = texts(&picture);
        assert!(texts[1].contains("\x1b[7m    \x1b[27m"));
        assert_eq!(texts[7], "  INSTALLATION COMPLETE");
        assert!(texts[9].contains("The operating system is on the disk."));
    }

    #[test]
    fn a_small_screen_has_the_reason_and_no_large_letters() {
        let model = model(&["EMTS step=grow-root state=failed t=1 reason=no room"]);
        let directory = tempfile::tempdir().expect("a directory can be made");
        let end = model
            .end(&crate::state::State::at(directory.path()))
            .expect("it ended");
        let picture = at_the_end(&Panel::of(&end, &model), &model, (60, 12));
        assert_eq!(picture[1].text, "  INSTALLATION FAILED");
        assert_eq!(picture[4].text, "  Reason:  no room");
        assert!(picture.iter().all(|row| row.style == ON_RED));
    }

    #[test]
    fn only_rows_that_are_others_are_drawn() {
        let before = [row(BOLD, "one"), row(BOLD, "two")];
        let after = [row(BOLD, "one"), row(GREEN, "two")];
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it is text");
        assert_eq!(text(drawn(&before, Some(&before))), "");
        assert_eq!(
            text(drawn(&after, Some(&before))),
            "\x1b[2;1H\x1b[0;32mtwo\x1b[K\x1b[0m\x1b[2;1H"
        );
        let all = text(drawn(&after, None));
        assert!(
            all.starts_with("\x1b[?25l\x1b[?7l\x1b[1;1H\x1b[0;1;37mone\x1b[K"),
            "{all:?}"
        );
    }

    #[test]
    fn large_letters_are_blanks_in_reverse() {
        assert_eq!(blocks("## #"), "\x1b[7m  \x1b[27m \x1b[7m \x1b[27m");
        assert_eq!(blocks("  #"), "  \x1b[7m \x1b[27m");
    }
}
