//! Tells a file of the raw-text format from one that is meant to be a config-file.

use super::raw::assignment;
use std::ops::Range;

/// The first assignment of a file that begins with one, if it is of the raw-text format.
pub(crate) fn first_line(text: &str) -> Option<Range<usize>> {
    let is_content = |line: &&str| {
        let line = line.trim_start_matches('\u{feff}').trim();
        !line.is_empty() && !line.starts_with('#')
    };
    let first = text.lines().find(is_content)?;
    assignment(first.trim_start_matches('\u{feff}').trim_end())?;
    let is_new =
        |line: &str| line.starts_with("operatingSystem:") || line.starts_with("kubernetes:");
    if text.lines().any(is_new) {
        return None;
    }
    let start = first.as_ptr().addr() - text.as_ptr().addr();
    Some(start..start + first.len())
}

#[cfg(test)]
mod tests {
    use super::first_line;

    #[test]
    fn a_file_that_begins_with_an_assignment_is_of_the_old_format() {
        for (text, first) in [
            ("user_name=a\npasswd=b\n", Some("user_name=a")),
            ("# a\n\nHOST_TYPE=\"\"\r\n", Some("HOST_TYPE=\"\"")),
            ("export a=b\nservices:\n", Some("export a=b")),
            ("version: 1.0\npassword=b\n", None),
            ("a=b\noperatingSystem:\n", None),
            ("a string\n", None),
            ("", None),
        ] {
            assert_eq!(first_line(text).map(|at| &text[at]), first, "{text}");
        }
    }
}
