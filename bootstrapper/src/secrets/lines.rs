//! What is shown of a line that has no place in a tree: of a text that is no YAML, and of a text within a value.

use super::is_known;
use crate::diagnostic::Diagnostic;
use diagnostics::render::line_around;
use std::ops::Range;

/// Hides what may be a secret in the lines of a text that is not YAML.
pub(crate) fn hide_in_text(text: &str, diagnostics: &mut [Diagnostic]) {
    for diagnostic in diagnostics {
        let line = line_around(text, diagnostic.span.start);
        let Some((line, [before, _, after])) = line.zip(diagnostic.shown(text)) else {
            continue;
        };
        // Of a long line nothing says what the part that is shown is.
        let shown = match before.start == line.start {
            true => known_part(&text[line.clone()]),
            false => 0,
        };
        diagnostic.hidden = rest(text, line.start + shown, before.start..after.end);
    }
}

/// What is hidden of a line from an offset on.
pub(super) fn rest(text: &str, from: usize, window: Range<usize>) -> Vec<Range<usize>> {
    let start = from.max(window.start);
    let text = text.get(start..window.end).unwrap_or_default();
    let begin = text.len() - text.trim_start().len();
    let hidden = start + begin..start + text.trim_end().len();
    [hidden]
        .into_iter()
        .filter(|hidden| hidden.start < hidden.end)
        .collect()
}

/// The length of a line up to a known key and the sign behind it.
pub(super) fn known_part(line: &str) -> usize {
    part(line, is_known)
}

/// The same for a line of a file, whose keys nobody knows: one of letters, with a sign behind it.
pub(super) fn key_part(line: &str) -> usize {
    let is_word = |word: &str| {
        word.len() <= 40
            && word
                .chars()
                .all(|c| c.is_ascii_alphabetic() || "-_.".contains(c))
    };
    let length = part(line, is_word);
    let has_sign = line[..length].ends_with([':', '=']);
    if has_sign {
        length
    } else {
        length_of_start(line)
    }
}

fn length_of_start(line: &str) -> usize {
    let is_start =
        |c: char| c.is_whitespace() || matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{feff}');
    line.len() - line.trim_start_matches(is_start).len()
}

fn part(line: &str, is_shown: impl Fn(&str) -> bool) -> usize {
    let start = length_of_start(line);
    let quoted = usize::from(line[start..].starts_with(['"', '\'']));
    let rest = &line[start + quoted..];
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    let word = &rest[..rest.find(|c: char| !is_word(c)).unwrap_or(rest.len())];
    if word.is_empty() || !is_shown(word) {
        return start;
    }
    let end = start + quoted + word.len();
    let behind = line[end..].trim_start_matches(['"', '\'']).trim_start();
    let sign = usize::from(behind.starts_with([':', '=']));
    if sign == 1 {
        line.len() - behind.len() + 1
    } else {
        end
    }
}

#[cfg(test)]
mod tests {
    use super::{hide_in_text, key_part, known_part};
    use crate::diagnostic::{Diagnostics, Severity};
    use crate::yaml::{Pointer, Position};

    #[test]
    fn of_a_line_the_known_key_is_shown() {
        for (line, shown) in [
            ("  - password: x", "  - password:"),
            ("password x", "password"),
            ("password", "password"),
            ("password=x", "password="),
            ("\"password\": x", "\"password\":"),
            ("  pasword : x", "  pasword :"),
            ("clusterCidr:\"x\"", "clusterCidr:"),
            ("swordfish: x", ""),
            ("    swordfish", "    "),
            ("# password: x", ""),
            ("{password: x}", ""),
            ("\u{2013} username: x", "\u{2013} username:"),
            ("", ""),
        ] {
            assert_eq!(&line[..known_part(line)], shown, "{line}");
        }
    }

    #[test]
    fn of_a_line_in_a_file_a_key_of_letters_is_shown() {
        for (line, shown) in [
            ("node-label: x", "node-label:"),
            ("  token = \"x\"", "  token ="),
            ("s3cret: x", ""),
            ("swordfish", ""),
        ] {
            assert_eq!(&line[..key_part(line)], shown, "{line}");
        }
    }

    #[test]
    fn of_a_text_that_is_no_yaml_what_follows_a_key_is_hidden() {
        for (above, shown, hidden) in [
            ("", "password: ", "x"),
            ("", "", "a: b, token: x, c: d"),
            ("password:\n", "  ", "x y"),
            ("password: |\n", "", "x"),
            ("password: a\n", "files:", ""),
            ("", "  ", "# password is x"),
        ] {
            let text = format!("{above}{shown}{hidden}\npassword: z\n");
            let at = above.len();
            let position = Position { line: 1, column: 1 };
            let mut found = Diagnostics::default();
            let root = Pointer::root();
            let code = crate::yaml::YamlCode::YamlSyntax;
            drop(found.add_at(Severity::Error, code, &root, at..at, position, "wrong"));
            let mut found = found.into_sorted();
            hide_in_text(&text, &mut found);
            let ranges = found[0].hidden.iter().map(|range| &text[range.clone()]);
            let expected: Vec<&str> = [hidden].into_iter().filter(|h| !h.is_empty()).collect();
            assert_eq!(ranges.collect::<Vec<_>>(), expected, "{text}");
        }
    }
}
