//! The JSON Schema of the config-file, generated from the model, and the list of its leaves.

use crate::config_file::ConfigFile;
use crate::distribution;
use crate::values::{self, Complaint};
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};
use std::sync::LazyLock;

/// What the schema calls itself; it is published with the project's files only.
pub const SCHEMA_ID: &str = "urn:emts:config-file";

/// The schema is the same for every file.
pub(crate) static SCHEMA: LazyLock<Value> = LazyLock::new(schema);

/// Checks a text against the value of a format; an unknown format takes any.
///
/// # Errors
/// Why the text is no such value.
pub fn check_value(format: &str, text: &str) -> Result<(), Complaint> {
    values::check(format, text).unwrap_or_else(|| distribution::check_value(format, text))
}

/// The JSON Schema (draft 2020-12) of the config-file.
pub fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<ConfigFile>().to_value();
    close_objects(&mut schema);
    if let Value::Object(map) = &mut schema {
        map.insert("$id".to_owned(), SCHEMA_ID.into());
        map.insert("title".to_owned(), "emts config-file".into());
    }
    schema
}

/// The schema as it is printed: indented, with a line break at its end.
pub fn schema_text() -> String {
    let mut text = format!("{:#}", schema());
    text.push('\n');
    text
}

/// JSON pointers of all leaves of a config-file with K3s, which is what the OS images have; `*` stands for a list index
/// or a free key. A list of texts is one leaf.
pub fn schema_leaves() -> Vec<String> {
    leaves_of("KThreesControlPlaneTemplate")
}

/// Leaves of a config-file whose `kubernetes` is of a `kind`.
pub fn leaves_of(kind: &str) -> Vec<String> {
    leaves(kind, |_| true)
}

/// Those of [`schema_leaves`] that are neither below a key without effect nor below a refused one.
pub fn leaves_with_effect() -> Vec<String> {
    leaves("KThreesControlPlaneTemplate", |property| {
        let mut marks = ["x-no-effect", "x-refused"].into_iter();
        !marks.any(|mark| property.get(mark).is_some())
    })
}

/// Leaves below the properties that are `wanted`.
fn leaves(kind: &str, wanted: impl Fn(&Value) -> bool) -> Vec<String> {
    let root = schema();
    let mut leaves = vec![];
    let walk = Walk {
        root: &root,
        kind,
        wanted: &wanted,
    };
    walk.collect(&root, String::new(), &mut leaves);
    leaves.sort();
    leaves.dedup();
    leaves
}

/// Follows `$ref` into `$defs`.
pub(crate) fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let mut at = schema;
    while let Some(target) = at.get("$ref").and_then(Value::as_str) {
        match target
            .strip_prefix('#')
            .and_then(|pointer| root.pointer(pointer))
        {
            Some(next) => at = next,
            None => break,
        }
    }
    at
}

/// The alternatives of a schema, itself when it has none; `null` is left out.
pub(crate) fn alternatives<'a>(root: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    let schema = resolve(root, schema);
    let lists = ["anyOf", "oneOf"];
    match lists.iter().find_map(|key| schema.get(key)?.as_array()) {
        Some(list) => list
            .iter()
            .flat_map(|item| alternatives(root, item))
            .filter(|item| item.get("type").and_then(Value::as_str) != Some("null"))
            .collect(),
        None => vec![schema],
    }
}

/// Whether a schema takes values of a JSON type.
pub(crate) fn takes(schema: &Value, kind: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(name)) => name == kind,
        Some(Value::Array(names)) => names.iter().any(|name| name == kind),
        _ => false,
    }
}

/// The `kind` that an object must have, where it has one.
pub(crate) fn kind_of<'a>(root: &'a Value, schema: &'a Value) -> Option<&'a str> {
    // schemars writes a documented enum as alternatives with a `const` each.
    let kinds = alternatives(root, schema.get("properties")?.get("kind")?);
    let kind = kinds.first()?;
    let listed = kind.get("enum").and_then(|list| list.get(0));
    kind.get("const").or(listed)?.as_str()
}

/// The kinds of `kubernetes` in their order.
pub(crate) fn kinds(root: &Value) -> Vec<&str> {
    let section = root.pointer("/properties/kubernetes");
    let templates = section.into_iter().flat_map(|it| alternatives(root, it));
    templates.filter_map(|it| kind_of(root, it)).collect()
}

/// A walk through the schema of one kind of `kubernetes`.
struct Walk<'a> {
    root: &'a Value,
    kind: &'a str,
    wanted: &'a dyn Fn(&Value) -> bool,
}

impl Walk<'_> {
    fn collect(&self, schema: &Value, path: String, leaves: &mut Vec<String>) {
        let mut choices = alternatives(self.root, schema);
        choices.retain(|choice| kind_of(self.root, choice).is_none_or(|of| of == self.kind));
        let mut inner = false;
        for choice in &choices {
            if let Some(properties) = choice.get("properties").and_then(Value::as_object) {
                inner = true;
                for (name, property) in properties {
                    if (self.wanted)(property) {
                        self.collect(property, format!("{path}/{name}"), leaves);
                    }
                }
            } else if let Some(values @ Value::Object(_)) = choice.get("additionalProperties") {
                inner = true;
                self.collect(values, format!("{path}/*"), leaves);
            } else if let Some(items) = choice.get("items")
                && self.has_objects(items)
            {
                inner = true;
                self.collect(items, format!("{path}/*"), leaves);
            }
        }
        if !inner && !path.is_empty() {
            leaves.push(path);
        }
    }

    fn has_objects(&self, items: &Value) -> bool {
        let mut items = alternatives(self.root, items).into_iter();
        items.any(|item| takes(item, "object"))
    }
}

/// Says for editors what the reader enforces: an object with fixed keys takes no others.
fn close_objects(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            close(map);
            map.values_mut().for_each(close_objects);
        }
        Value::Array(list) => list.iter_mut().for_each(close_objects),
        _ => {}
    }
}

fn close(map: &mut Map<String, Value>) {
    let is_object_schema = map.get("type").is_some_and(|kind| kind == "object")
        && map.get("properties").is_some_and(Value::is_object);
    if is_object_schema && !map.contains_key("additionalProperties") {
        map.insert("additionalProperties".to_owned(), false.into());
    }
}
