//! A YAML document as a tree that knows where each value stands.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::{Diagnostic, Position};
use diagnostics::yaml;

/// A value and its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it begins.
    pub position: Position,
    /// The value.
    pub value: Value,
}

/// A YAML value; mappings keep their order.
#[derive(Clone, Debug)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i128),
    /// A number that is not whole, or not written as YAML writes whole ones (`0644`).
    Float,
    Str(String),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

impl Value {
    /// What the value is, for messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Null => "nothing (null)",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::Float => "a number",
            Self::Str(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

impl Node {
    /// Says which of several files the document is.
    pub fn set_file(&mut self, file: usize) {
        self.position.file = file;
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|item| item.set_file(file)),
            Value::Map(entries) => entries.iter_mut().for_each(|(key, value)| {
                key.set_file(file);
                value.set_file(file);
            }),
            _ => {}
        }
    }
}

/// Reads one YAML document.
///
/// # Errors
/// Why it is not one, and where that began.
pub fn parse(text: &str) -> Result<Node, Diagnostic> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let position = error
            .location()
            .map_or(Position::default(), |location| Position {
                line: location.line(),
                column: location.column(),
                ..Position::default()
            });
        syntax_error(text).unwrap_or_else(|| Diagnostic::new(position, error.to_string()))
    })
}

/// The cause of an error of syntax; the parser above names the place where it stopped.
fn syntax_error(text: &str) -> Option<Diagnostic> {
    let error = yaml::load(text)
        .err()
        .filter(|error| error.code == yaml::YamlCode::YamlSyntax)?;
    let at = yaml::position_in(text, error.span.start);
    let position = Position {
        line: u64::try_from(at.line).unwrap_or_default(),
        column: u64::try_from(at.column).unwrap_or_default(),
        ..Position::default()
    };
    Some(Diagnostic {
        help: error.help,
        ..Diagnostic::new(position, error.message)
    })
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        let at = spanned.referenced;
        let position = Position {
            line: at.line(),
            column: at.column(),
            ..Position::default()
        };
        Ok(Self {
            position,
            value: spanned.value,
        })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Int(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Float)
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Str(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::{Value, parse};

    #[test]
    fn every_value_has_its_place() {
        let root = parse("a: 1\nb:\n  - yes\n  - c: true\n").unwrap();
        let Value::Map(entries) = &root.value else {
            panic!("{root:?}")
        };
        let (key, value) = &entries[1];
        assert_eq!((key.position.line, key.position.column), (2, 1));
        let Value::List(items) = &value.value else {
            panic!("{value:?}")
        };
        assert_eq!((items[0].position.line, items[0].position.column), (3, 5));
        assert!(matches!(&items[0].value, Value::Str(text) if text == "yes"));
    }

    #[test]
    fn unquoted_modes_are_numbers() {
        let root = parse("mode: 0644").unwrap();
        let Value::Map(entries) = &root.value else {
            panic!("{root:?}")
        };
        assert_eq!(entries[0].1.value.name(), "a number");
    }

    #[test]
    fn a_key_given_twice_is_refused_with_its_place() {
        let error = parse("a: 1\na: 2\n").unwrap_err();
        assert_eq!(error.position.line, 2);
    }

    #[test]
    fn anchors_and_merge_keys_work() {
        let root = parse("x: &x {a: 1}\ny:\n  <<: *x\n  b: 2\n").unwrap();
        let Value::Map(entries) = &root.value else {
            panic!("{root:?}")
        };
        let Value::Map(merged) = &entries[1].1.value else {
            panic!("{entries:?}")
        };
        assert_eq!(merged.len(), 2);
    }
}
