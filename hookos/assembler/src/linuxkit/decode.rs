//! Typed access to the keys of a YAML mapping; what is not asked for is an unknown key.

use std::collections::BTreeMap;

use super::Position;
use super::diagnostic::Diagnostics;
use super::node::{Node, Value};
use diagnostics::text::{closest, listed};

/// A mapping being decoded. Call [`Fields::finish`] when all known keys have been asked for.
pub struct Fields<'a> {
    /// Where the mapping stands.
    pub position: Position,
    what: String,
    entries: Vec<(&'a str, Position, &'a Node, bool)>,
    /// The keys that were asked for, and those of them that must be there and are not.
    known: Vec<String>,
    missing: Vec<String>,
    diagnostics: &'a mut Diagnostics,
}

/// A user or group id: a number, or the name of a container in the same file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdRef {
    /// A number, or `root` or the empty text (0).
    Number(u32),
    /// A container's name.
    Name(String, Position),
}

impl<'a> Fields<'a> {
    /// Starts on a mapping; `what` names it in messages (`service`, `volume`, ...).
    pub fn new(node: &'a Node, what: &str, diagnostics: &'a mut Diagnostics) -> Option<Self> {
        let Value::Map(map) = &node.value else {
            diagnostics.error(
                node.position,
                format!("{what} is {}; a mapping is wanted", node.value.name()),
            );
            return None;
        };
        let mut entries = Vec::new();
        for (key, value) in map {
            match &key.value {
                Value::Str(name) => entries.push((name.as_str(), key.position, value, false)),
                other => diagnostics.error(
                    key.position,
                    format!("{what} has {} as a key; keys are text", other.name()),
                ),
            }
        }
        Some(Self {
            position: node.position,
            what: what.into(),
            entries,
            known: vec![],
            missing: vec![],
            diagnostics,
        })
    }

    /// The value of a key, with the mapping's diagnostics.
    pub fn get(&mut self, key: &str) -> Option<(&'a Node, &mut Diagnostics)> {
        self.known.push(key.to_owned());
        let entry = self.entries.iter_mut().find(|entry| entry.0 == key)?;
        entry.3 = true;
        Some((entry.2, self.diagnostics))
    }

    /// Notes an error at the mapping.
    pub fn error(&mut self, message: impl Into<String>) {
        let position = self.position;
        self.diagnostics.error(position, message);
    }

    /// Notes a warning.
    pub fn warn(&mut self, position: Position, message: impl Into<String>) {
        self.diagnostics.warn(position, message);
    }

    /// Decodes one key.
    pub fn with<T>(
        &mut self,
        key: &str,
        decode: impl FnOnce(&'a Node, &str, &mut Diagnostics) -> Option<T>,
    ) -> Option<T> {
        let name = format!("{}.{key}", self.what);
        let (node, diagnostics) = self.get(key)?;
        decode(node, &name, diagnostics)
    }

    /// A text.
    pub fn string(&mut self, key: &str) -> Option<String> {
        self.with(key, string)
    }

    /// A text that must be there.
    pub fn required(&mut self, key: &str) -> Option<String> {
        if !self.entries.iter().any(|entry| entry.0 == key) {
            self.missing.push(key.to_owned());
        }
        self.string(key)
    }

    /// A boolean.
    pub fn boolean(&mut self, key: &str) -> Option<bool> {
        self.with(key, boolean)
    }

    /// A whole number.
    pub fn integer(&mut self, key: &str) -> Option<i64> {
        self.with(key, integer)
    }

    /// A list of texts.
    pub fn strings(&mut self, key: &str) -> Option<Vec<String>> {
        self.with(key, |node, what, d| list(node, what, d, string))
    }

    /// A list of texts with their places.
    pub fn placed_strings(&mut self, key: &str) -> Option<Vec<(String, Position)>> {
        self.with(key, |node, what, d| {
            list(node, what, d, |item, what, d| {
                Some((string(item, what, d)?, item.position))
            })
        })
    }

    /// A list, each item decoded by `item`.
    pub fn list<T>(
        &mut self,
        key: &str,
        item: impl Fn(&'a Node, &str, &mut Diagnostics) -> Option<T>,
    ) -> Option<Vec<T>> {
        self.with(key, |node, what, d| list(node, what, d, item))
    }

    /// A mapping of texts to texts, sorted by key.
    pub fn string_map(&mut self, key: &str) -> Option<BTreeMap<String, String>> {
        self.with(key, |node, what, diagnostics| {
            let mut fields = Fields::new(node, what, diagnostics)?;
            let keys: Vec<&str> = fields.entries.iter().map(|entry| entry.0).collect();
            Some(
                keys.into_iter()
                    .filter_map(|key| Some((key.to_owned(), fields.string(key)?)))
                    .collect(),
            )
        })
    }

    /// Reports the keys that nobody asked for, and those that are missing and were not mistyped.
    pub fn finish(self) {
        let mut mistyped = vec![];
        for (key, position, _, _) in self.entries.iter().filter(|entry| !entry.3) {
            let free = |known: &&str| !self.entries.iter().any(|entry| entry.0 == *known);
            let known = self.known.iter().map(String::as_str);
            let near = closest(key, known.clone().filter(free));
            let help = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known keys here: {}", listed(known)),
            };
            mistyped.extend(near);
            let message = format!("{}: unknown key `{key}`", self.what);
            self.diagnostics.error_with_help(*position, message, help);
        }
        let missing = self.missing.iter().map(String::as_str);
        for key in missing.filter(|key| !mistyped.contains(key)) {
            let message = format!("{}: the key `{key}` is missing", self.what);
            self.diagnostics.error(self.position, message);
        }
    }
}

/// A text.
pub fn string(node: &Node, what: &str, diagnostics: &mut Diagnostics) -> Option<String> {
    match &node.value {
        // LinuxKit's templates: a value with `@` in front is replaced, by nothing if unknown.
        Value::Str(text) if text.starts_with("@pkg:") => {
            diagnostics.error(
                node.position,
                format!("{what}: `@pkg:` needs the package's sources and git; write the image's reference, or build with linuxkit"),
            );
            None
        }
        Value::Str(text) if text.starts_with('@') => {
            diagnostics.warn(
                node.position,
                format!("{what} begins with `@`: LinuxKit takes it for a template and makes it empty, and so it is here"),
            );
            Some(String::new())
        }
        Value::Str(text) => Some(text.clone()),
        other => {
            diagnostics.error(
                node.position,
                format!(
                    "{what} is {}; a text is wanted{}",
                    other.name(),
                    quote_hint(other)
                ),
            );
            None
        }
    }
}

fn quote_hint(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) | Value::Int(_) | Value::Float => " (put it in quotes)",
        _ => "",
    }
}

/// A boolean: `true` or `false`.
pub fn boolean(node: &Node, what: &str, diagnostics: &mut Diagnostics) -> Option<bool> {
    if let Value::Bool(value) = node.value {
        return Some(value);
    }
    diagnostics.error(
        node.position,
        format!("{what} is {}; true or false is wanted", node.value.name()),
    );
    None
}

/// A whole number of 64 bits.
pub fn integer(node: &Node, what: &str, diagnostics: &mut Diagnostics) -> Option<i64> {
    if let Value::Int(value) = node.value
        && let Ok(value) = i64::try_from(value)
    {
        return Some(value);
    }
    diagnostics.error(
        node.position,
        format!("{what} is {}; a whole number is wanted", node.value.name()),
    );
    None
}

/// A number or a container's name.
pub fn id(node: &Node, what: &str, diagnostics: &mut Diagnostics) -> Option<IdRef> {
    if let Value::Str(name) = &node.value {
        return Some(match name.as_str() {
            "" | "root" => IdRef::Number(0),
            name => IdRef::Name(name.into(), node.position),
        });
    }
    let number = integer(node, what, diagnostics)?;
    // LinuxKit converts to 32 bits unsigned: -1 becomes 4294967295.
    match u32::try_from(number).or_else(|_| i32::try_from(number).map(i32::cast_unsigned)) {
        Ok(number) => Some(IdRef::Number(number)),
        Err(_) => {
            diagnostics.error(
                node.position,
                format!("{what}: {number} is no id of 32 bits"),
            );
            None
        }
    }
}

/// A list, each item decoded by `item`.
pub fn list<'a, T>(
    node: &'a Node,
    what: &str,
    diagnostics: &mut Diagnostics,
    item: impl Fn(&'a Node, &str, &mut Diagnostics) -> Option<T>,
) -> Option<Vec<T>> {
    let Value::List(items) = &node.value else {
        diagnostics.error(
            node.position,
            format!("{what} is {}; a list is wanted", node.value.name()),
        );
        return None;
    };
    Some(
        items
            .iter()
            .filter_map(|node| item(node, what, diagnostics))
            .collect(),
    )
}
