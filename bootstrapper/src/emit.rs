//! Writes YAML that every parser reads as the same text: quoted scalars, and literal blocks where they hold.

use std::fmt::Write as _;

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
    !text.is_empty()
        && text
            .bytes()
            .all(|c| matches!(c, b' '..=b'~' | b'\n' | b'\t'))
        && !text.trim_matches('\n').is_empty()
}

/// A literal block with its indentation said, so that leading spaces and final line breaks are kept.
/// `indent` is the column of the parent node's keys, in spaces.
pub(crate) fn block(text: &str, indent: usize) -> String {
    let chomp = match (text.ends_with('\n'), text.ends_with("\n\n")) {
        (false, _) => "-",
        (true, false) => "",
        (true, true) => "+",
    };
    let mut out = String::with_capacity(text.len() + text.len() / 8 + 8);
    let _ = writeln!(out, "|2{chomp}");
    let margin = " ".repeat(indent + 2);
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        if !line.is_empty() {
            out.push_str(&margin);
            out.push_str(line);
        }
        out.push('\n');
    }
    out
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
    fn a_quoted_text_is_read_back_as_it_was() {
        for text in TEXTS {
            assert_eq!(read(&format!("a:\n  b: {}\n", quoted(text))), *text);
        }
    }

    #[test]
    fn a_block_text_is_read_back_as_it_was() {
        for text in TEXTS.iter().filter(|text| fits_block(text)) {
            let yaml = format!("a:\n  b: {}  c: d\n", block(text, 2));
            assert_eq!(read(&yaml), *text, "{yaml}");
        }
    }
}
