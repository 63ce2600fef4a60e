//! The panel at the end: green or red, with reason and advice.

use super::model::{End, Model};

/// The log, in the installer's system.
const LOG: &str = "/var/log/os-installer.log, and logs/ on the partition EMTS-CONF of the stick";
/// Columns of its rules: a terminal has 80, and the last one makes some go on to the next line.
pub const COLUMNS: usize = 79;
/// Columns that a label takes in front of its text.
const LABEL: usize = 9;

/// What stands in the panel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panel {
    /// True for the green one.
    pub well: bool,
    /// Its heading.
    pub heading: &'static str,
    /// The last word of the heading, for those who are far away.
    pub word: &'static str,
    /// Lines behind their labels.
    pub lines: Vec<(&'static str, String)>,
}

impl Panel {
    /// The panel for this end.
    #[must_use]
    pub fn of(end: &End, model: &Model) -> Self {
        let warnings = model.warnings.iter().map(|text| ("Warning:", text.clone()));
        match end {
            End::Complete => {
                let disk = model.facts.disk_path().unwrap_or("the disk");
                let done =
                    format!("The operating system is on {disk}. The machine restarts from it now.");
                Self {
                    well: true,
                    heading: "INSTALLATION COMPLETE",
                    word: "COMPLETE",
                    lines: std::iter::once(("", done)).chain(warnings).collect(),
                }
            }
            End::Failed(failure) => {
                let mut lines = vec![
                    ("Step:", failure.step.clone()),
                    ("Reason:", failure.reason.clone()),
                    ("Disk:", failure.leaves.clone()),
                    ("Advice:", failure.advice.clone()),
                ];
                if failure.until_without.is_some() {
                    lines.push((
                        "",
                        "The machine restarts by itself when the stick is pulled.".into(),
                    ));
                }
                lines.push(("Log:", LOG.into()));
                lines.extend(warnings);
                Self {
                    well: false,
                    heading: "INSTALLATION FAILED",
                    word: "FAILED",
                    lines,
                }
            }
        }
    }

    /// Its lines as text, each as long as it is: for consoles that others search.
    #[must_use]
    pub fn text(&self) -> Vec<String> {
        let heading = format!("{:=^COLUMNS$}", format!("  {}  ", self.heading));
        let end = "=".repeat(COLUMNS);
        let lines = self.lines.iter().map(|(label, text)| match *label {
            "" => text.clone(),
            label => format!("{label:LABEL$}{text}"),
        });
        std::iter::once(heading).chain(lines).chain([end]).collect()
    }

    /// Its lines in so many columns, broken between words, with their text one below the other.
    #[must_use]
    pub fn wrapped(&self, columns: usize) -> Vec<String> {
        let mut rows = Vec::new();
        for (label, text) in &self.lines {
            rows.extend(behind(
                label,
                if label.is_empty() { 0 } else { LABEL },
                text,
                columns,
            ));
        }
        rows
    }
}

/// A text behind its label, which takes so many columns, in rows of at most `columns` characters.
#[must_use]
pub fn behind(label: &str, width: usize, text: &str, columns: usize) -> Vec<String> {
    let rows = wrap(text, columns.saturating_sub(width).max(1)).into_iter();
    let labels = std::iter::once(label).chain(std::iter::repeat(""));
    labels
        .zip(rows)
        .map(|(label, row)| format!("{label:width$}{row}"))
        .collect()
}

/// A text in rows of at most so many characters, broken between words where it can be.
fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut rows = vec![String::new()];
    let mut room = columns;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let mut rest: Vec<char> = word.chars().collect();
        if room < columns && rest.len() < room {
            rows.last_mut().expect("there is one").push(' ');
            room -= 1;
        } else if room < columns {
            rows.push(String::new());
            room = columns;
        }
        while rest.len() > columns {
            let end = rest.split_off(columns);
            rows.last_mut().expect("there is one").extend(rest);
            rows.push(String::new());
            rest = end;
        }
        room -= rest.len();
        rows.last_mut().expect("there is one").extend(rest);
    }
    rows
}

/// The rows of a word in large letters, of `#` and blanks, as wide as it can be in so many columns.
#[must_use]
pub fn large(word: &str, columns: usize) -> Vec<String> {
    let count = word.chars().count().max(1);
    // Six pixels for a letter with the gap behind it. A character is twice as high as it is wide.
    let wide = (columns / (count * 6)).clamp(1, 8);
    let high = wide.div_ceil(2);
    let pixel = |set: bool| if set { "#" } else { " " }.repeat(wide);
    (0..5 * high)
        .map(|row| {
            let letters = word.chars().map(|letter| {
                let bits = letter_row(letter, row / high);
                (0..6)
                    .map(|column| pixel(bits & (0b10_0000 >> column) != 0))
                    .collect::<String>()
            });
            letters.collect::<String>().trim_end().to_owned()
        })
        .collect()
}

/// A row of a letter, five pixels and a gap: the letters of the words that there are.
fn letter_row(letter: char, row: usize) -> u8 {
    let rows = match letter {
        'A' => [0b01110, 0b10001, 0b11111, 0b10001, 0b10001],
        'C' => [0b01111, 0b10000, 0b10000, 0b10000, 0b01111],
        'D' => [0b11110, 0b10001, 0b10001, 0b10001, 0b11110],
        'E' => [0b11111, 0b10000, 0b11110, 0b10000, 0b11111],
        'F' => [0b11111, 0b10000, 0b11110, 0b10000, 0b10000],
        'I' => [0b01110, 0b00100, 0b00100, 0b00100, 0b01110],
        'L' => [0b10000, 0b10000, 0b10000, 0b10000, 0b11111],
        'M' => [0b10001, 0b11011, 0b10101, 0b10001, 0b10001],
        'O' => [0b01110, 0b10001, 0b10001, 0b10001, 0b01110],
        'P' => [0b11110, 0b10001, 0b11110, 0b10000, 0b10000],
        'T' => [0b11111, 0b00100, 0b00100, 0b00100, 0b00100],
        _ => [0; 5],
    };
    rows[row] << 1
}

#[cfg(test)]
mod tests {
    use super::super::model::Failure;
    use super::*;

    fn failed(until_without: Option<&str>) -> Panel {
        let failure = Failure {
            step: "choose-disk".into(),
            reason: "no disk".into(),
            leaves: "Unchanged.".into(),
            advice: "Look.".into(),
            until_without: until_without.map(Into::into),
        };
        let mut model = Model::default();
        model.warnings.push("one thing".into());
        Panel::of(&End::Failed(failure), &model)
    }

    #[test]
    fn a_failure_has_step_reason_disk_advice_log_and_warnings_each_in_a_line() {
        let rule = "=".repeat(28);
        assert_eq!(
            failed(None).text(),
            [
                &format!("{rule}  INSTALLATION FAILED  {rule}"),
                "Step:    choose-disk",
                "Reason:  no disk",
                "Disk:    Unchanged.",
                "Advice:  Look.",
                "Log:     /var/log/os-installer.log, and logs/ on the partition EMTS-CONF of the stick",
                "Warning: one thing",
                &"=".repeat(79),
            ]
        );
        assert!(!failed(None).well);
    }

    #[test]
    fn says_that_the_machine_waits_for_the_stick_to_be_pulled() {
        let text = failed(Some("/dev/sda")).text();
        assert_eq!(
            text[5],
            "The machine restarts by itself when the stick is pulled."
        );
    }

    #[test]
    fn success_names_the_disk_and_repeats_the_warnings() {
        let mut model = Model::default();
        model.warnings.push("one thing".into());
        let panel = Panel::of(&End::Complete, &model);
        assert!(panel.well);
        let text = panel.text();
        assert!(text[0].contains("  INSTALLATION COMPLETE  "));
        assert_eq!(
            text[1..3],
            [
                "The operating system is on the disk. The machine restarts from it now.",
                "Warning: one thing"
            ]
        );
    }

    #[test]
    fn wraps_between_words_and_breaks_only_what_is_longer_than_a_row() {
        assert_eq!(wrap("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrap("one two", 8), ["one two"]);
        assert_eq!(wrap("one two", 6), ["one", "two"]);
        assert_eq!(wrap("abcdefghij k", 4), ["abcd", "efgh", "ij k"]);
        assert_eq!(wrap("ab cdefg", 4), ["ab", "cdef", "g"]);
        assert_eq!(wrap("", 4), [""]);
    }

    #[test]
    fn wrapped_text_stands_behind_its_label() {
        let panel = failed(None);
        let rows = panel.wrapped(20);
        assert_eq!(rows[..2], ["Step:    choose-disk", "Reason:  no disk"]);
        assert_eq!(rows[4..6], ["Log:     /var/log/os", "         -installer."]);
        let pulled = failed(Some("/dev/sda")).wrapped(30);
        assert_eq!(
            pulled[4..6],
            [
                "The machine restarts by itself",
                "when the stick is pulled."
            ]
        );
    }

    #[test]
    fn the_word_is_as_large_as_the_columns_allow() {
        assert_eq!(
            large("IF", 12),
            [" ###  #####", "  #   #", "  #   ####", "  #   #", " ###  #"]
        );
        let larger = large("FAILED", 160);
        assert_eq!(larger.len(), 10);
        assert_eq!(larger[0].len(), 4 * (6 * 5 + 4));
        assert_eq!(larger[0], larger[1]);
        assert!(large("COMPLETE", 20).iter().all(|row| row.len() <= 48));
    }

    #[test]
    fn the_words_have_all_their_letters() {
        for letter in "COMPLETEFAILED".chars() {
            assert!((0..5).all(|row| letter_row(letter, row) != 0), "{letter}");
        }
    }
}
