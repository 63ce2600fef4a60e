//! Walks the YAML tree beside the JSON Schema: reports every value that does not fit, at its place, and builds the
//! JSON value that the model is decoded from. The schema says what a scalar is, so `0644` stays the text it is where
//! a text is wanted; a general validator over typed YAML would have lost it.
//!
//! One cause is one error: what is missing only because it stands elsewhere, or is mistyped, is not reported again.

mod attributes;
mod go_json;
mod homes;
mod keys;
mod scalars;
mod types;

use crate::codes;
use crate::diagnostic::Diagnostics;
use crate::schema::{alternatives, check_value, takes};
use crate::secrets;
use crate::yaml::{Entry, Kind, NodeId, Pointer, Tree};
use serde_json::{Map, Value};
use std::collections::HashSet;

/// A walk over one document.
pub(crate) struct Shape<'a> {
    root: &'a Value,
    tree: &'a Tree,
    found: &'a mut Diagnostics,
    /// Keys that are missing, unless it turns out that they stand elsewhere.
    missing: Vec<keys::Missing>,
    /// Names of keys that were found where they do not belong.
    elsewhere: HashSet<String>,
}

impl<'a> Shape<'a> {
    /// A walk that checks `tree` against the schema `root`.
    pub(crate) fn new(root: &'a Value, tree: &'a Tree, found: &'a mut Diagnostics) -> Self {
        Self {
            root,
            tree,
            found,
            missing: vec![],
            elsewhere: HashSet::new(),
        }
    }

    /// The document as JSON. What does not fit is reported and left out, so that the rest can still be checked.
    pub(crate) fn check(&mut self) -> Option<Value> {
        let value = self.value(self.root, self.tree.root(), &Pointer::root());
        self.report_missing();
        value
    }

    fn value(&mut self, schema: &Value, id: NodeId, at: &Pointer) -> Option<Value> {
        let choices = alternatives(self.root, schema);
        let tree = self.tree;
        let node = tree.node(id);
        if choices.iter().all(|choice| is_anything(choice)) {
            return Some(plain_json(tree, id));
        }
        match &node.kind {
            Kind::Mapping(entries) => {
                let Some(choice) = self.choose_object(&choices, id, at)? else {
                    return self.wrong_type(&choices, id, at);
                };
                self.object(choice, entries, at)
            }
            Kind::Sequence(items) => {
                let Some(choice) = choices.iter().find(|choice| takes(choice, "array")) else {
                    return self.wrong_type(&choices, id, at);
                };
                self.array(choice, items, at)
            }
            Kind::Scalar { text, plain } => self.scalar(&choices, id, text, *plain, at),
        }
    }

    fn object(&mut self, schema: &Value, entries: &[Entry], at: &Pointer) -> Option<Value> {
        let properties = schema.get("properties").and_then(Value::as_object);
        let others = schema.get("additionalProperties").filter(|s| s.is_object());
        let names = schema.get("propertyNames").and_then(|s| s.get("format"));
        let names = names.and_then(Value::as_str);
        let mut out = Map::new();
        let mut unknown = vec![];
        for (index, entry) in entries.iter().enumerate() {
            if self.found.is_full() {
                return None;
            }
            let here = at.join(&entry.key);
            let name = self.name_of(properties, entries, entry, &here);
            let schema = properties
                .and_then(|properties| properties.get(name))
                .or(others);
            let Some(schema) = schema else {
                unknown.push(index);
                continue;
            };
            if out.contains_key(name) {
                continue; // Reported as a duplicate; the first one counts.
            }
            if !self.free_key(names, entry, &here) {
                continue;
            }
            if self.tree.is_null(entry.value) {
                self.null_list(schema, entry, &here);
                let is_free = properties.is_none_or(|known| !known.contains_key(&entry.key));
                if is_free && self.takes_objects(schema) {
                    // A key of the user's choice is there, with nothing set below it.
                    out.insert(entry.key.clone(), Value::Object(Map::new()));
                }
                continue;
            }
            if self.is_unset(schema, name, entry, &here) {
                continue;
            }
            self.attributes(schema, entry, &here);
            if let Some(value) = self.value(schema, entry.value, &here) {
                out.entry(name.to_owned()).or_insert(value);
            }
        }
        let absent = required(schema).filter(|name| !out.contains_key(*name));
        let absent: Vec<&str> = absent.collect();
        let mapping = keys::Mapping {
            schema,
            entries,
            at,
        };
        let explained = self.unknown_keys(&mapping, &unknown, &absent);
        for name in &absent {
            if !explained {
                self.missing_key(&mapping, name);
            }
        }
        absent.is_empty().then_some(Value::Object(out))
    }

    /// Notes a list that was left empty without saying so, as the proposal's example does.
    fn null_list(&mut self, schema: &Value, entry: &Entry, here: &Pointer) {
        let choices = alternatives(self.root, schema);
        let is_list = choices.iter().any(|choice| takes(choice, "array"));
        let is_scalar = choices.iter().any(|choice| takes(choice, "string"));
        if is_list && !is_scalar {
            let message = format!("`{}` has no value, read as an empty list", entry.key);
            self.found
                .note(self.tree, codes::NullList, here, message)
                .help(format!("write `{}: []`, or leave it out", entry.key));
        }
    }

    /// Checks a key that the user chooses against the format of such keys.
    fn free_key(&mut self, format: Option<&str>, entry: &Entry, here: &Pointer) -> bool {
        let Some(Err(complaint)) = format.map(|format| check_value(format, &entry.key)) else {
            return true;
        };
        let complaint = secrets::quiet(complaint, format.unwrap_or_default(), here, &entry.key);
        let position = self.tree.position(entry.key_span.start);
        let span = entry.key_span.clone();
        self.found
            .add_at(
                crate::diagnostic::Severity::Error,
                complaint.code,
                here,
                span,
                position,
                complaint.message,
            )
            .help = complaint.help;
        false
    }

    fn array(&mut self, schema: &Value, items: &[NodeId], at: &Pointer) -> Option<Value> {
        let anything = Value::Bool(true);
        let item_schema = schema.get("items").unwrap_or(&anything);
        if self.is_empty_in_effect(items, at) {
            return Some(Value::Array(vec![]));
        }
        let mut out = Vec::with_capacity(items.len());
        let mut fits = true;
        for (index, id) in items.iter().enumerate() {
            if self.found.is_full() {
                return None;
            }
            let here = at.join(index);
            if self.tree.is_null(*id) {
                self.found
                    .error(
                        self.tree,
                        codes::EmptyElement,
                        &here,
                        "an empty list element",
                    )
                    .help("remove the `-` or give it a value");
                fits = false;
                continue;
            }
            match self.value(item_schema, *id, &here) {
                Some(value) => out.push(value),
                None => fits = false,
            }
        }
        // With elements left out the later ones would be reported under a wrong index.
        fits.then_some(Value::Array(out))
    }
}

fn required(schema: &Value) -> impl Iterator<Item = &str> {
    let list = schema.get("required").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str)
}

/// Whether a schema leaves open what the value is.
fn is_anything(schema: &Value) -> bool {
    let keys = ["type", "enum", "const", "oneOf", "anyOf"];
    keys.iter().all(|key| schema.get(key).is_none())
}

/// Texts of `const` or `enum`, also where schemars splits a documented enum.
fn fixed_texts(schema: &Value) -> Vec<String> {
    let list = schema.get("enum").and_then(Value::as_array);
    schema
        .get("const")
        .into_iter()
        .chain(list.into_iter().flatten())
        .filter_map(|value| value.as_str().map(str::to_owned))
        .collect()
}

/// JSON of a part that is carried but not interpreted: every scalar is the text that was typed.
fn plain_json(tree: &Tree, id: NodeId) -> Value {
    match &tree.node(id).kind {
        Kind::Scalar { text, .. } => Value::String(text.clone()),
        Kind::Sequence(items) => items.iter().map(|item| plain_json(tree, *item)).collect(),
        Kind::Mapping(entries) => entries
            .iter()
            .map(|entry| (entry.key.clone(), plain_json(tree, entry.value)))
            .collect::<Map<_, _>>()
            .into(),
    }
}
