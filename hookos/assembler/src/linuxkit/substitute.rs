//! A LinuxKit file with another `init` list, as text.
//!
//! LinuxKit joins the lists of several files, so that a list cannot be replaced by one more file. The rest of the text
//! stays as it is, comments included: it is read by the real linuxkit as well.

use super::decode::Fields;
use super::diagnostic::{Diagnostic, Diagnostics, Position};
use super::node::{self, Node, Value};

/// The text of a LinuxKit file with `images` in place of its own `init` list; at its end if it has none.
///
/// # Errors
/// The text is not a LinuxKit file whose top level is written line by line (`key: value`, not `{key: value}`), or its
/// list is also used elsewhere through an anchor.
pub fn with_init(text: &str, images: &[String]) -> Result<String, Diagnostic> {
    let root = parse(text)?;
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let (kept, indent, rest) = match Section::find(&root, "init", &lines)? {
        Some(section) => (section.start, section.indent, section.end),
        None if images.is_empty() => return Ok(text.to_owned()),
        None => (lines.len(), indent_of(&root)?, lines.len()),
    };
    let mut out = lines[..kept].concat();
    if !out.is_empty() && !out.ends_with('\n') {
        out.push('\n');
    }
    out.push_str(&list(images, &" ".repeat(indent)));
    out.push_str(&lines[rest..].concat());
    match init_of(&out) {
        Ok(init) if init == images => Ok(out),
        _ => Err(Diagnostic::new(
            root.position,
            "its list `init` cannot be replaced: write it out at the top level, without anchors and merge keys",
        )),
    }
}

fn list(images: &[String], indent: &str) -> String {
    if images.is_empty() {
        return format!("{indent}init: []\n");
    }
    let items = images
        .iter()
        .map(|image| format!("{indent}  - {}\n", serde_json::Value::from(image.as_str())));
    format!("{indent}init:\n{}", items.collect::<String>())
}

fn parse(text: &str) -> Result<Node, Diagnostic> {
    node::parse(text)
}

/// The images of the list, as they are written.
fn init_of(text: &str) -> Result<Vec<String>, Diagnostic> {
    let root = parse(text)?;
    let mut diagnostics = Diagnostics::default();
    let fields = Fields::new(&root, "the definition", &mut diagnostics);
    let init = fields.and_then(|mut fields| fields.placed_strings("init"));
    Ok(init
        .unwrap_or_default()
        .into_iter()
        .map(|(image, _)| image)
        .collect())
}

/// The lines of a top-level key and its value.
struct Section {
    /// Index of the first line.
    start: usize,
    /// Index behind the last line; comments and blank lines before the next key belong to that one.
    end: usize,
    /// Spaces before the key.
    indent: usize,
}

impl Section {
    fn find(root: &Node, name: &str, lines: &[&str]) -> Result<Option<Self>, Diagnostic> {
        let entries = entries(root)?;
        let Some(at) = entries.iter().position(|(key, _)| is(key, name)) else {
            return Ok(None);
        };
        let key = entries[at].0.position;
        let mut end = entries
            .get(at + 1)
            .map_or(lines.len(), |(next, _)| index_of(next.position));
        let start = index_of(key).min(end);
        let of_next = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
        while end > start + 1 && of_next(lines[end - 1]) {
            end -= 1;
        }
        Ok(Some(Self {
            start,
            end,
            indent: indent_of(root)?,
        }))
    }
}

fn entries(root: &Node) -> Result<&[(Node, Node)], Diagnostic> {
    match &root.value {
        Value::Map(entries) => Ok(entries),
        other => Err(Diagnostic::new(
            root.position,
            format!("a LinuxKit file is a mapping, not {}", other.name()),
        )),
    }
}

/// The column of the top-level keys, from 0.
fn indent_of(root: &Node) -> Result<usize, Diagnostic> {
    let first = entries(root)?.first();
    let column = first.map_or(1, |(key, _)| key.position.column);
    Ok(usize::try_from(column).unwrap_or(1).saturating_sub(1))
}

fn index_of(position: Position) -> usize {
    usize::try_from(position.line)
        .unwrap_or(1)
        .saturating_sub(1)
}

fn is(key: &Node, name: &str) -> bool {
    matches!(&key.value, Value::Str(text) if text == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(text: &str, images: &[&str]) -> String {
        let images: Vec<String> = images.iter().map(|it| (*it).to_owned()).collect();
        with_init(text, &images).unwrap()
    }

    #[test]
    fn the_list_is_replaced_and_all_else_stays() {
        let text = "kernel:\n  image: k # why\n\ninit:\n  - a:1\n  # old\n  - b:1\n\n# of services\nservices: []\n";
        assert_eq!(
            replaced(text, &["l/init:x", "l/runc:y"]),
            "kernel:\n  image: k # why\n\ninit:\n  - \"l/init:x\"\n  - \"l/runc:y\"\n\n# of services\nservices: []\n"
        );
    }

    #[test]
    fn a_list_at_the_end_is_replaced() {
        assert_eq!(
            replaced("kernel: {image: k}\ninit: [a, b]", &["c"]),
            "kernel: {image: k}\ninit:\n  - \"c\"\n"
        );
    }

    #[test]
    fn a_file_without_a_list_gets_one() {
        assert_eq!(
            replaced("onboot: []", &["c"]),
            "onboot: []\ninit:\n  - \"c\"\n"
        );
    }

    #[test]
    fn a_list_can_be_emptied() {
        assert_eq!(
            replaced("init:\n- a\nonboot: []\n", &[]),
            "init: []\nonboot: []\n"
        );
    }

    #[test]
    fn a_top_level_that_is_indented_stays_so() {
        assert_eq!(
            replaced("  init:\n  - a\n  onboot: []\n", &["b"]),
            "  init:\n    - \"b\"\n  onboot: []\n"
        );
    }

    #[test]
    fn a_top_level_in_one_line_is_refused() {
        let error = with_init("{init: [a], onboot: []}\n", &["b".to_owned()]).unwrap_err();
        assert!(error.message.contains("cannot be replaced"), "{error}");
    }

    #[test]
    fn a_list_with_an_anchor_that_is_used_is_refused() {
        let text = "init: &list [a]\ntrust: {image: *list}\n";
        assert!(with_init(text, &["b".to_owned()]).is_err());
    }
}
