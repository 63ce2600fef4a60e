//! Writes YAML that every parser reads as the same text: quoted scalars, and literal blocks where they hold.

use serde_json::{Map, Value};
use std::fmt::{self, Write as _};

/// A double-quoted scalar in ASCII, read alike by YAML 1.1 and 1.2 parsers.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        let _ = match c {
            '"' => write!(out, "\\\""),
            '\\' => write!(out, "\\\\"),
            '\n' => write!(out, "\\n"),
            '\t' => write!(out, "\\t"),
            '\r' => write!(out, "\\r"),
            ' '..='~' => write!(out, "{c}"),
            c if (c as u32) <= 0xff => write!(out, "\\x{:02X}", c as u32),
            c if (c as u32) <= 0xffff => write!(out, "\\u{:04X}", c as u32),
            c => write!(out, "\\U{:08X}", c as u32),
        };
    }
    out.push('"');
    out
}

/// Whether a literal block keeps the text byte for byte: printable ASCII, tabs and line feeds.
pub(crate) fn fits_block(text: &str) -> bool {
    let fits = |c: &u8| matches!(c, b' '..=b'~' | b'\n' | b'\t');
    // A part at a time without a way out is what compilers make fast.
    let parts = text.as_bytes().chunks(256);
    !text.is_empty()
        && parts.fold(true, |fine, part| {
            fine & part.iter().fold(true, |fine, c| fine & fits(c))
        })
        && !text.trim_matches('\n').is_empty()
}

/// A literal block with its indentation said, so that leading spaces and final line breaks are kept.
/// `indent` is the column of the parent node's keys, in spaces.
pub(crate) fn block(text: &str, indent: usize) -> Block<'_> {
    Block { text, indent }
}

/// See [`block`].
pub(crate) struct Block<'a> {
    text: &'a str,
    indent: usize,
}

impl fmt::Display for Block<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chomp = match (self.text.ends_with('\n'), self.text.ends_with("\n\n")) {
            (false, _) => "-",
            (true, false) => "",
            (true, true) => "+",
        };
        writeln!(f, "|2{chomp}")?;
        let margin = " ".repeat(self.indent + 2);
        for line in self.text.split_inclusive('\n') {
            if line != "\n" {
                f.write_str(&margin)?;
            }
            f.write_str(line)?;
        }
        match self.text.ends_with('\n') {
            true => Ok(()),
            false => f.write_str("\n"),
        }
    }
}

/// A list element or the value of a key, with its line break: a literal block where it has lines.
pub(crate) fn text(text: &str, indent: usize) -> String {
    if text.contains('\n') && fits_block(text) {
        let block = block(text, indent).to_string();
        // Where the first line shows the indentation, it need not be said.
        match text.starts_with([' ', '\t', '\n']) {
            true => block,
            false => block.replacen("|2", "|", 1),
        }
    } else {
        format!("{}\n", scalar(text))
    }
}

/// A scalar: plain where no parser could read it as anything else, else quoted.
pub(crate) fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || " _./@+=-".contains(c);
    let words = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"];
    let fine = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && !text.ends_with(' ')
        && text.chars().all(plain)
        && !words.contains(&text.to_ascii_lowercase().as_str());
    if fine { text.to_owned() } else { quoted(text) }
}

/// A value as YAML in block style, at an indentation.
pub(crate) fn yaml(value: &Value, indent: usize) -> String {
    let margin = " ".repeat(indent);
    match value {
        Value::Object(entries) => entries.iter().fold(String::new(), |out, (key, value)| {
            out + &margin + &scalar(key) + ":" + &behind_key(value, indent)
        }),
        Value::Array(items) => items.iter().fold(String::new(), |out, item| {
            let text = match item {
                Value::String(item) => text(item, indent),
                item if is_empty(item) => format!("{item}\n"),
                item => yaml(item, indent + 2).trim_start_matches(' ').to_owned(),
            };
            out + &margin + "- " + &text
        }),
        other => format!("{margin}{other}\n"),
    }
}

/// What stands behind a key and its colon.
fn behind_key(value: &Value, indent: usize) -> String {
    match value {
        Value::String(value) => format!(" {}", text(value, indent)),
        Value::Object(_) | Value::Array(_) if !is_empty(value) => {
            format!("\n{}", yaml(value, indent + 2))
        }
        value => format!(" {value}\n"),
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(Map::is_empty)
}

#[cfg(test)]
mod tests {
    use super::{block, fits_block, quoted};
    use crate::yaml::{Pointer, load};

    const TEXTS: &[&str] = &[
        "",
        " ",
        "plain",
        "  leading spaces\n and more\n",
        "\n\nleading lines\n",
        "no final line break",
        "one\n",
        "two\n\n",
        "three\n\n\n",
        "tab\tinside\n\ttab first\n",
        "trailing space \nnext \n",
        "carriage\r\nreturn\r",
        "# no comment: a \"quoted\" 'text' \\ {{ x }} {% y %} {# z #}\n",
        "- a\n- b\n",
        "--- \n...\n",
        "\u{e4}\u{20ac}\u{1f600}\u{85}\u{2028}\u{feff}",
        "\u{1}\u{7f}\u{1b}",
        "0644",
        "null",
        "~",
    ];

    fn read(yaml: &str) -> String {
        let (tree, _) = load(yaml).unwrap_or_else(|error| panic!("{error}: {yaml:?}"));
        let id = tree.find(&Pointer::from("/a/b")).expect("there");
        match &tree.node(id).kind {
            crate::yaml::Kind::Scalar { text, .. } => text.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_quoted_text_is_ascii_with_the_shortest_escapes() {
        for (text, expected) in [
            ("", r#""""#),
            (" a~", r#"" a~""#),
            ("\"\\\n\t\r", r#""\"\\\n\t\r""#),
            ("\0\u{7f}\u{e4}\u{ff}", r#""\x00\x7F\xE4\xFF""#),
            ("\u{100}\u{20ac}\u{ffff}", r#""\u0100\u20AC\uFFFF""#),
            ("\u{10000}\u{1f600}", r#""\U00010000\U0001F600""#),
        ] {
            assert_eq!(quoted(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_block_takes_printable_ascii_tabs_and_line_feeds() {
        let long = "x".repeat(1000);
        for text in ["a", " ", "~", "\ta\n", "\n\na\n\n", "a\nb", &long] {
            assert!(fits_block(text), "{text:?}");
        }
        let late = format!("{long}\r");
        let early = format!("\r{long}");
        for text in [
            "", "\n", "\n\n", "\r", "a\rb", "\0", "\u{7f}", "\u{e4}", &late, &early,
        ] {
            assert!(!fits_block(text), "{text:?}");
        }
    }

    #[test]
    fn a_block_says_its_indentation_and_what_ends_it() {
        assert_eq!(block("a", 0).to_string(), "|2-\n  a\n");
        assert_eq!(
            block("a\n\n b\n", 4).to_string(),
            "|2\n      a\n\n       b\n"
        );
        assert_eq!(block("a\n\n", 1).to_string(), "|2+\n   a\n\n");
    }

    #[test]
    fn a_quoted_text_is_read_back_as_it_was() {
        for text in TEXTS {
            assert_eq!(read(&format!("a:\n  b: {}\n", quoted(text))), *text);
        }
    }

    #[test]
    fn a_value_is_read_back_as_it_was() {
        let value = serde_json::json!({
            "a": {"b": [TEXTS, {"c": "d\ne\n", "f": []}, {}], "g": {}, "h": true, "i": "yes", "j: k": 3},
            "l": TEXTS,
        });
        let text = super::yaml(&value, 0);
        let read: serde_json::Value = serde_saphyr::from_str(&text).expect("YAML");
        assert_eq!(read, value, "{text}");
    }

    #[test]
    fn a_block_text_is_read_back_as_it_was() {
        for text in TEXTS.iter().filter(|text| fits_block(text)) {
            let yaml = format!("a:\n  b: {}  c: d\n", block(text, 2));
            assert_eq!(read(&yaml), *text, "{yaml}");
        }
    }
}
