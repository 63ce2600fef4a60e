//! Checksum files as `sha256sum` writes them.
//!
//! Source: the GNU coreutils manual, "md5sum invocation" (sha256sum has its format). LinuxKit's release has one space and
//! no asterisk (`checksum-targets` of its Makefile).

use std::collections::BTreeMap;

use crate::Sha256;

/// The sums of a checksum file, by file name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checksums(BTreeMap<String, Sha256>);

/// Why a text is not a checksum file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// What a login page or a publisher's error page is.
    #[error("it is an HTML page, not a checksum file{}", titled(.0.as_deref()))]
    Html(Option<String>),
    /// A line that has neither a sum and a name nor a comment.
    #[error(
        "line {line} is not a line of sha256sum (64 hexadecimal digits, two spaces, a file name): `{text}`"
    )]
    Line {
        /// From 1.
        line: usize,
        /// Its first 80 characters.
        text: String,
    },
    /// A name with a backslash or a line break in it, which no publisher needs.
    #[error("line {line} begins with `\\`: escaped file names are not supported")]
    Escape {
        /// From 1.
        line: usize,
    },
    /// Two sums for one name.
    #[error("it has two sums for {name}: {first} and {second}")]
    Contradiction {
        /// The file's name.
        name: String,
        /// The sum that came first.
        first: Sha256,
        /// The other.
        second: Sha256,
    },
    /// No line at all.
    #[error("it has no line with a sum")]
    Empty,
}

impl Checksums {
    /// Reads the text of a checksum file.
    ///
    /// A name is taken without a leading `./`. Empty lines and those that begin with `#` are left
    /// out, as `sha256sum --check` does.
    ///
    /// # Errors
    /// [`Error`] for all that `sha256sum` does not write.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if is_html(text.as_bytes()) {
            return Err(Error::Html(title(text)));
        }
        let mut sums = Self::default();
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let (sum, name) = entry(line, index + 1)?;
            sums.insert(name, sum)?;
        }
        if sums.0.is_empty() {
            return Err(Error::Empty);
        }
        Ok(sums)
    }

    /// The sum of the file `name`.
    pub fn get(&self, name: &str) -> Option<Sha256> {
        self.0.get(name).copied()
    }

    /// All names and sums, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Sha256)> {
        self.0.iter().map(|(name, sum)| (name.as_str(), *sum))
    }

    fn insert(&mut self, name: &str, sum: Sha256) -> Result<(), Error> {
        match self.0.insert(name.into(), sum) {
            Some(first) if first != sum => Err(Error::Contradiction {
                name: name.into(),
                first,
                second: sum,
            }),
            _ => Ok(()),
        }
    }
}

fn entry(text: &str, line: usize) -> Result<(Sha256, &str), Error> {
    if text.starts_with('\\') {
        return Err(Error::Escape { line });
    }
    let refuse = || Error::Line {
        line,
        text: text.chars().take(80).collect(),
    };
    let (sum, rest) = text.split_at_checked(64).ok_or_else(refuse)?;
    let sum = sum.parse().map_err(|_| refuse())?;
    let separators = ["  ", " *", " "];
    let name = separators.iter().find_map(|it| rest.strip_prefix(it));
    let name = name.map(|name| name.strip_prefix("./").unwrap_or(name));
    match name {
        Some(name) if !name.trim().is_empty() => Ok((sum, name)),
        _ => Err(refuse()),
    }
}

/// Whether `content` begins as an HTML page does.
pub fn is_html(content: &[u8]) -> bool {
    let start = content.trim_ascii_start();
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    ["<!doctype html", "<html"].iter().any(|tag| {
        let begin = start.get(..tag.len());
        begin.is_some_and(|begin| begin.eq_ignore_ascii_case(tag.as_bytes()))
    })
}

/// The title of an HTML page, at most 80 characters of it.
pub fn title(page: &str) -> Option<String> {
    // Only ASCII letters change, so that positions stay.
    let lower = page.to_ascii_lowercase();
    let begin = lower.find("<title>")? + "<title>".len();
    let end = begin + lower[begin..].find("</title>")?;
    let words: Vec<_> = page[begin..end].split_whitespace().collect();
    Some(words.join(" ").chars().take(80).collect())
}

fn titled(title: Option<&str>) -> String {
    title.map_or(String::new(), |title| format!(" (titled `{title}`)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(digit: char) -> String {
        digit.to_string().repeat(64)
    }

    fn parse(text: &str) -> Result<Checksums, Error> {
        Checksums::parse(text)
    }

    fn names(text: &str) -> Vec<String> {
        let sums = parse(text).unwrap();
        sums.iter().map(|(name, _)| name.to_owned()).collect()
    }

    #[test]
    fn text_mode_lines_are_read() {
        let sums = parse(&format!("{}  k3s\n{}  install.sh\n", sum('a'), sum('b'))).unwrap();
        assert_eq!(sums.get("k3s"), sum('a').parse().ok());
        assert_eq!(sums.get("install.sh"), sum('b').parse().ok());
    }

    #[test]
    fn binary_mode_lines_are_read() {
        assert_eq!(names(&format!("{} *k3s\n", sum('a'))), ["k3s"]);
    }

    #[test]
    fn lines_with_one_space_as_linuxkits_release_has_them_are_read() {
        assert_eq!(
            names(&format!("{} linuxkit-linux-amd64\n", sum('a'))),
            ["linuxkit-linux-amd64"]
        );
    }

    #[test]
    fn carriage_returns_are_no_part_of_names() {
        assert_eq!(names(&format!("{}  k3s\r\n", sum('a'))), ["k3s"]);
    }

    #[test]
    fn a_last_line_without_a_line_break_is_read() {
        assert_eq!(names(&format!("{}  k3s", sum('a'))), ["k3s"]);
    }

    #[test]
    fn names_may_have_spaces() {
        assert_eq!(names(&format!("{}  a b\n", sum('a'))), ["a b"]);
    }

    #[test]
    fn a_leading_dot_and_slash_is_no_part_of_names() {
        assert_eq!(names(&format!("{}  ./k3s\n", sum('a'))), ["k3s"]);
    }

    #[test]
    fn comments_and_empty_lines_are_left_out() {
        assert_eq!(names(&format!("# K3s\n\n{}  k3s\n", sum('a'))), ["k3s"]);
    }

    #[test]
    fn escaped_names_are_refused() {
        let text = format!("{}  k3s\n\\{}  a\\nb\n", sum('a'), sum('b'));
        assert_eq!(parse(&text), Err(Error::Escape { line: 2 }));
    }

    #[test]
    fn a_short_sum_is_refused_with_its_line() {
        let text = format!("{}  k3s\nabc  k3s\n", sum('a'));
        assert!(matches!(parse(&text), Err(Error::Line { line: 2, .. })));
    }

    #[test]
    fn a_line_of_bsd_is_refused() {
        let text = format!("SHA256 (k3s) = {}\n", sum('a'));
        assert!(matches!(parse(&text), Err(Error::Line { line: 1, .. })));
    }

    #[test]
    fn a_sum_without_a_name_is_refused() {
        assert!(matches!(parse(&sum('a')), Err(Error::Line { line: 1, .. })));
    }

    #[test]
    fn letters_beyond_ascii_are_refused_without_a_panic() {
        assert!(matches!(
            parse(&"é".repeat(70)),
            Err(Error::Line { line: 1, .. })
        ));
    }

    #[test]
    fn an_html_page_is_refused_by_name() {
        let page = "\n<!DOCTYPE HTML>\n<html><head><TITLE>Log\n in</TITLE>";
        let error = parse(page).unwrap_err();
        assert_eq!(
            error.to_string(),
            "it is an HTML page, not a checksum file (titled `Log in`)"
        );
    }

    #[test]
    fn an_html_page_without_doctype_and_title_is_refused_by_name() {
        assert_eq!(parse("<html><body>no"), Err(Error::Html(None)));
    }

    #[test]
    fn two_sums_for_one_name_are_refused_with_both() {
        let text = format!("{}  k3s\n{} *k3s\n", sum('a'), sum('b'));
        let message = parse(&text).unwrap_err().to_string();
        assert!(
            message.contains(&sum('a')) && message.contains(&sum('b')),
            "{message}"
        );
    }

    #[test]
    fn the_same_line_twice_is_no_contradiction() {
        assert_eq!(names(&format!("{0}  k3s\n{0}  k3s\n", sum('a'))), ["k3s"]);
    }

    #[test]
    fn a_file_without_sums_is_refused() {
        assert_eq!(parse("# nothing\n"), Err(Error::Empty));
    }
}
