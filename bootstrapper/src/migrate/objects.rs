//! The objects of a manifest: YAML documents or JSON, with the lines of their values; and the Secrets among them.

use super::MigrateError;
use crate::yaml::{self, Kind, NodeId, Tree};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

/// How a manifest begins, after comments and `---`.
const BEGINNINGS: &[&str] = &[
    "{",
    "apiVersion:",
    "clusterconfiguration:",
    "data:",
    "items:",
    "kind:",
    "metadata:",
    "name:",
    "spec:",
    "stringData:",
    "type:",
];

/// Whether a text is a manifest and not of the raw-text format.
pub(super) fn is_manifest(text: &str) -> bool {
    let mut lines = text.trim_start_matches('\u{feff}').lines();
    let first = lines.find(|line| {
        let line = line.trim();
        !(line.is_empty() || line.starts_with('#') || line.starts_with("---"))
    });
    first.is_some_and(|line| BEGINNINGS.iter().any(|start| line.starts_with(start)))
}

/// A value and the line that it stands in.
#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) line: usize,
    pub(super) value: Content,
}

#[derive(Debug, Clone)]
pub(super) enum Content {
    /// A text, or a number or truth value that was written without quotes.
    Scalar(Value),
    List(Vec<Object>),
    Map(Vec<(String, Object)>),
}

/// All objects of a manifest, those in a `List` as well.
///
/// # Errors
/// A document is not YAML.
pub(super) fn read(text: &str) -> Result<Vec<Object>, MigrateError> {
    let mut found = vec![];
    for (first_line, text) in documents(text.trim_start_matches('\u{feff}')) {
        let at = |offset| yaml::position_in(text, offset).line + first_line;
        let wrong = |error: yaml::LoadError| MigrateError::Template {
            line: at(error.span.start),
            message: format!("not valid YAML: {}", error.message),
        };
        let (tree, duplicates) = yaml::load(text).map_err(wrong)?;
        if let Some(twice) = duplicates.into_iter().next() {
            return Err(wrong(twice));
        }
        let object = object(&tree, tree.root(), first_line);
        match object.get("items").map(|items| &items.value) {
            Some(Content::List(items)) => found.extend(items.iter().cloned()),
            _ => found.push(object),
        }
    }
    Ok(found)
}

/// The documents that have more than comments, each with the number of lines before it.
fn documents(text: &str) -> Vec<(usize, &str)> {
    let mut found = vec![];
    let (mut start, mut first_line, mut at) = (0, 0, 0);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let end = at + line.len();
        let mark = line.trim_end();
        if mark == "---" || mark == "..." || line.starts_with("--- ") {
            found.push((first_line, &text[start..at]));
            (start, first_line) = (end, number + 1);
        }
        at = end;
    }
    found.push((first_line, &text[start..]));
    let says_nothing = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    found.retain(|(_, text)| !text.lines().all(says_nothing));
    found
}

/// A value of a document as JSON has it.
pub(crate) fn value_of(tree: &Tree, id: NodeId) -> Value {
    object(tree, id, 0).to_value()
}

/// Without keys that set nothing.
pub(crate) fn without_unset(value: Value) -> Value {
    match value {
        Value::Object(entries) => {
            let set = |value: &Value| match value {
                Value::Null => false,
                Value::Array(items) => !items.is_empty(),
                Value::Object(entries) => !entries.is_empty(),
                _ => true,
            };
            let entries = entries
                .into_iter()
                .map(|(key, value)| (key, without_unset(value)));
            entries
                .filter(|(_, value)| set(value))
                .collect::<Map<_, _>>()
                .into()
        }
        other => other,
    }
}

fn object(tree: &Tree, id: NodeId, first_line: usize) -> Object {
    let node = tree.node(id);
    let value = match &node.kind {
        Kind::Scalar { text, plain } => Content::Scalar(scalar(text, *plain)),
        Kind::Sequence(items) => Content::List(
            items
                .iter()
                .map(|item| object(tree, *item, first_line))
                .collect(),
        ),
        Kind::Mapping(entries) => {
            let entry = |entry: &yaml::Entry| {
                let mut value = object(tree, entry.value, first_line);
                // A block's own line is that of its first entry.
                value.line = tree.position(entry.key_span.start).line + first_line;
                (entry.key.clone(), value)
            };
            Content::Map(entries.iter().map(entry).collect())
        }
    };
    Object {
        line: tree.position(node.span.start).line + first_line,
        value,
    }
}

fn scalar(text: &str, plain: bool) -> Value {
    match (plain, text) {
        (true, "" | "~" | "null" | "Null" | "NULL") => Value::Null,
        (true, "true") => true.into(),
        (true, "false") => false.into(),
        // `0644` is left as it was typed.
        (true, text)
            if text
                .parse::<i64>()
                .is_ok_and(|number| number.to_string() == text) =>
        {
            text.parse::<i64>().map_or(Value::Null, Value::from)
        }
        (_, text) => text.into(),
    }
}

impl Object {
    pub(super) fn new(line: usize, value: Content) -> Self {
        Self { line, value }
    }

    pub(super) fn text_at(line: usize, text: impl Into<String>) -> Self {
        Self::new(line, Content::Scalar(Value::String(text.into())))
    }

    /// The value of a key, whose case does not count: Go reads JSON so.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let Content::Map(entries) = &self.value else {
            return None;
        };
        let exact = entries.iter().find(|(name, _)| name == key);
        let found = exact.or_else(|| {
            entries
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(key))
        });
        found.map(|(_, value)| value)
    }

    /// The value at a path of keys.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |at, key| at.get(key))
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Content::Scalar(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    pub(super) fn to_value(&self) -> Value {
        match &self.value {
            Content::Scalar(value) => value.clone(),
            Content::List(items) => items.iter().map(Self::to_value).collect(),
            Content::Map(entries) => {
                let entries = entries
                    .iter()
                    .map(|(key, value)| (key.clone(), value.to_value()));
                Value::Object(entries.collect())
            }
        }
    }

    /// Removes the value at the steps of a pointer, or the nearest one above it that is there, and gives its line.
    pub(super) fn remove(&mut self, steps: &[&str]) -> Option<usize> {
        let (first, rest) = steps.split_first()?;
        let place = match &self.value {
            Content::Map(entries) => entries.iter().position(|(key, _)| key == first),
            Content::List(items) => first.parse().ok().filter(|index| *index < items.len()),
            Content::Scalar(_) => None,
        }?;
        let value = match &mut self.value {
            Content::Map(entries) => &mut entries[place].1,
            Content::List(items) => &mut items[place],
            Content::Scalar(_) => return None,
        };
        let line = value.line;
        if let Some(line) = value.remove(rest) {
            return Some(line);
        }
        match &mut self.value {
            Content::Map(entries) => drop(entries.remove(place)),
            Content::List(items) => drop(items.remove(place)),
            Content::Scalar(_) => {}
        }
        Some(line)
    }
}

/// The bytes under a key of a Secret among the objects.
///
/// # Errors
/// The key's value is not base64.
pub(super) fn secret(
    objects: &[Object],
    name: &str,
    key: &str,
) -> Result<Option<Vec<u8>>, MigrateError> {
    let is_it = |object: &&Object| {
        object.get("kind").and_then(Object::text) == Some("Secret")
            && object.at(&["metadata", "name"]).and_then(Object::text) == Some(name)
    };
    let Some(secret) = objects.iter().find(is_it) else {
        return Ok(None);
    };
    // As the API server has it, stringData wins.
    if let Some(text) = secret.at(&["stringData", key]).and_then(Object::text) {
        return Ok(Some(text.as_bytes().to_vec()));
    }
    let Some(data) = secret.at(&["data", key]) else {
        return Ok(None);
    };
    let text: String = data.text().unwrap_or_default().split_whitespace().collect();
    let bytes = STANDARD.decode(text).map_err(|_| MigrateError::Template {
        line: data.line,
        message: "the data of the Secret are not base64".to_owned(),
    })?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::{MigrateError, read};

    #[test]
    fn an_error_in_a_later_document_has_the_line_of_the_file() {
        let error = read("kind: List\n---\n# a comment\na: 'b\n").unwrap_err();
        assert!(
            matches!(error, MigrateError::Template { line: 4, .. }),
            "{error}"
        );
    }
}
