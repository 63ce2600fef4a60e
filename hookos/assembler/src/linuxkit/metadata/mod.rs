//! `metadata:` files: the merged definition itself as YAML or JSON, byte for byte as LinuxKit
//! writes it.
//!
//! LinuxKit serialises its Go structs: keys come in the order of the structs, some are left out when
//! empty, and the types of the OCI runtime specification have other keys in YAML (lower-case,
//! nothing left out) than in JSON. The tables in `schema` say so.

mod scalar;
mod schema;
mod yaml;

use std::cmp::Ordering;

use serde_json::{Map, Value as Json};

use crate::oci::canonical;

use super::node::{Node, Value};
use super::runtime;
use schema::{FILE, Field, IMAGE, KERNEL, Rule, Shape, VOLUME};

/// How a metadata file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Yaml,
    Json,
}

/// The text of the file, of the roots of all files that were merged.
pub fn document(roots: &[Node], format: Format) -> Vec<u8> {
    let mut out = Map::new();
    out.insert("kernel".into(), kernel(roots, format));
    let reference = Shape::Reference;
    out.insert("init".into(), list(roots, "init", &reference, format));
    for (key, fields) in [
        ("onboot", IMAGE),
        ("onshutdown", IMAGE),
        ("services", IMAGE),
        ("files", FILE),
        ("volumes", VOLUME),
    ] {
        let shape = Shape::Object(fields);
        out.insert(key.into(), list(roots, key, &shape, format));
    }
    match format {
        Format::Json => runtime::to_text(&Json::Object(out)),
        Format::Yaml => yaml::to_text(&out).into_bytes(),
    }
}

fn get<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    let Value::Map(entries) = &node.value else {
        return None;
    };
    let named = |entry: &&(Node, Node)| matches!(&entry.0.value, Value::Str(name) if name == key);
    entries.iter().find(named).map(|entry| &entry.1)
}

/// Of each key the last one that says something.
fn kernel(roots: &[Node], format: Format) -> Json {
    let sections: Vec<&Node> = roots
        .iter()
        .filter_map(|root| get(root, "kernel"))
        .collect();
    let mut out = Map::new();
    for field in KERNEL {
        let values = sections
            .iter()
            .filter_map(|section| value(section, field, format));
        let given = |value: &Json| field.rule(format) == Rule::Given || !is_empty(value);
        match (values.rev().find(given), field.rule(format)) {
            (Some(value), _) => drop(out.insert(field.key.into(), value)),
            (None, Rule::Always(default)) => drop(out.insert(field.key.into(), default.json())),
            (None, _) => {}
        }
    }
    Json::Object(out)
}

fn list(roots: &[Node], key: &str, shape: &Shape, format: Format) -> Json {
    let mut given = false;
    let mut items = Vec::new();
    for root in roots {
        if let Some(Value::List(nodes)) = get(root, key).map(|node| &node.value) {
            given = true;
            items.extend(nodes.iter().map(|node| shaped(node, shape, format)));
        }
    }
    match given {
        false if format == Format::Json => Json::Null,
        _ => Json::Array(items),
    }
}

fn object(node: &Node, fields: &[Field], format: Format) -> Json {
    let mut out = Map::new();
    for field in fields {
        let value = value(node, field, format);
        let value = match field.rule(format) {
            Rule::Never => None,
            Rule::Given => value,
            Rule::Filled => value.filter(|value| !is_empty(value)),
            Rule::Always(default) => Some(value.unwrap_or_else(|| default.json())),
        };
        if let Some(value) = value {
            out.insert(field.name(format).into(), value);
        }
    }
    Json::Object(out)
}

fn value(node: &Node, field: &Field, format: Format) -> Option<Json> {
    Some(shaped(get(node, field.key)?, &field.shape, format))
}

fn shaped(node: &Node, shape: &Shape, format: Format) -> Json {
    match (shape, &node.value) {
        (Shape::Object(fields), Value::Map(_)) => object(node, fields, format),
        (Shape::Objects(fields), Value::List(items)) => {
            let items = items.iter().map(|item| object(item, fields, format));
            Json::Array(items.collect())
        }
        (Shape::Reference, Value::Str(text)) => {
            let text = template(text);
            Json::String(canonical(text).unwrap_or_else(|_| text.to_owned()))
        }
        _ => plain(node, format),
    }
}

/// A value as it is; the keys of mappings come sorted, as Go has them.
fn plain(node: &Node, format: Format) -> Json {
    match &node.value {
        Value::Null | Value::Float => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(value) => i64::try_from(*value).map_or(Json::Null, Json::from),
        Value::Str(text) => Json::String(template(text).to_owned()),
        Value::List(items) => Json::Array(items.iter().map(|item| plain(item, format)).collect()),
        Value::Map(entries) => {
            let named = |(key, value): &(Node, Node)| match &key.value {
                Value::Str(key) => Some((key.clone(), plain(value, format))),
                _ => None,
            };
            // By insertion: Go's order of keys is none for a few odd ones, which a sort may not meet.
            let mut sorted: Vec<(String, Json)> = Vec::new();
            for (key, value) in entries.iter().filter_map(named) {
                let before = |other: &String| match format {
                    Format::Json => key < *other,
                    Format::Yaml => yaml::compare_keys(&key, other) == Ordering::Less,
                };
                let at = sorted.iter().position(|(other, _)| before(other));
                sorted.insert(at.unwrap_or(sorted.len()), (key, value));
            }
            Json::Object(sorted.into_iter().collect())
        }
    }
}

/// What begins with `@` is a template to LinuxKit, and empty here.
fn template(text: &str) -> &str {
    if text.starts_with('@') { "" } else { text }
}

fn is_empty(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::Bool(value) => !value,
        Json::Number(number) => number.as_i64() == Some(0),
        Json::String(text) => text.is_empty(),
        Json::Array(items) => items.is_empty(),
        Json::Object(map) => map.is_empty(),
    }
}
