//! Walks the YAML tree beside the JSON Schema: reports every value that does not fit, at its place, and builds the
//! JSON value that the model is decoded from. The schema says what a scalar is, so `0644` stays the text it is where
//! a text is wanted; a general validator over typed YAML would have lost it.

use crate::diagnostic::Diagnostics;
use crate::schema::{alternatives, kind_of, takes};
use crate::text::closest;
use crate::values;
use crate::yaml::{Entry, Kind, NodeId, Pointer, Tree};
use serde_json::{Map, Value};

/// A walk over one document.
pub(crate) struct Shape<'a> {
    root: &'a Value,
    tree: &'a Tree,
    found: &'a mut Diagnostics,
}

impl<'a> Shape<'a> {
    /// A walk that checks `tree` against the schema `root`.
    pub(crate) fn new(root: &'a Value, tree: &'a Tree, found: &'a mut Diagnostics) -> Self {
        Self { root, tree, found }
    }

    /// The document as JSON. What does not fit is reported and left out, so that the rest can still be checked.
    pub(crate) fn check(&mut self) -> Option<Value> {
        self.value(self.root, self.tree.root(), &Pointer::root())
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
                    return self.wrong_type(&choices, "a mapping", at);
                };
                self.object(choice, entries, at)
            }
            Kind::Sequence(items) => {
                let Some(choice) = choices.iter().find(|choice| takes(choice, "array")) else {
                    return self.wrong_type(&choices, "a list", at);
                };
                self.array(choice, items, at)
            }
            Kind::Scalar { text, plain } => self.scalar(&choices, text, *plain, at),
        }
    }

    /// The alternative for a mapping: by `kind` when there are several. The outer `None` is reported already.
    fn choose_object<'s>(
        &mut self,
        choices: &[&'s Value],
        id: NodeId,
        at: &Pointer,
    ) -> Option<Option<&'s Value>> {
        let objects: Vec<&Value> = choices
            .iter()
            .copied()
            .filter(|choice| takes(choice, "object"))
            .collect();
        let kinds: Vec<&str> = objects
            .iter()
            .filter_map(|o| kind_of(self.root, o))
            .collect();
        if kinds.is_empty() {
            return Some(objects.first().copied());
        }
        let given = match &self.tree.node(id).kind {
            Kind::Mapping(entries) => entries.iter().find(|entry| entry.key == "kind"),
            _ => None,
        };
        let text = given.and_then(|entry| match &self.tree.node(entry.value).kind {
            Kind::Scalar { text, .. } => Some(text.clone()),
            _ => None,
        });
        let Some(text) = text else {
            self.found
                .error(self.tree, "missing-key", at, "the key `kind` is missing")
                .help(format!("add `kind: {}`", kinds.join("` or `kind: ")));
            return None;
        };
        match objects
            .into_iter()
            .find(|o| kind_of(self.root, o) == Some(text.as_str()))
        {
            Some(choice) => Some(Some(choice)),
            None => {
                let help = match closest(&text, kinds.iter().copied()) {
                    Some(kind) => format!("did you mean `{kind}`?"),
                    None => format!("known kinds: {}", kinds.join(", ")),
                };
                self.found
                    .error(
                        self.tree,
                        "unknown-kind",
                        &at.join("kind"),
                        format!("`{text}` is not a kind that can be converted"),
                    )
                    .help(help);
                None
            }
        }
    }

    fn object(&mut self, schema: &Value, entries: &[Entry], at: &Pointer) -> Option<Value> {
        let properties = schema.get("properties").and_then(Value::as_object);
        let others = schema.get("additionalProperties").filter(|s| s.is_object());
        let names = schema.get("propertyNames").and_then(|s| s.get("format"));
        let names = names.and_then(Value::as_str);
        let mut out = Map::new();
        let mut fits = true;
        for entry in entries {
            if self.found.is_full() {
                return None;
            }
            let here = at.join(&entry.key);
            let schema = properties
                .and_then(|properties| properties.get(&entry.key))
                .or(others);
            let Some(schema) = schema else {
                self.unknown_key(properties, entry, entries, &here);
                continue;
            };
            if !self.free_key(names, entry, &here) {
                continue;
            }
            if self.tree.is_null(entry.value) {
                self.null_list(schema, entry, &here);
                continue;
            }
            if let Some(value) = self.value(schema, entry.value, &here) {
                out.entry(entry.key.clone()).or_insert(value);
            }
        }
        for name in required(schema) {
            if !out.contains_key(name) {
                fits = false;
                self.missing_key(schema, name, entries, at);
            }
        }
        fits.then_some(Value::Object(out))
    }

    /// Notes a list that was left empty without saying so, as the proposal's example does.
    fn null_list(&mut self, schema: &Value, entry: &Entry, here: &Pointer) {
        let choices = alternatives(self.root, schema);
        let is_list = choices.iter().any(|choice| takes(choice, "array"));
        let is_scalar = choices.iter().any(|choice| takes(choice, "string"));
        if is_list && !is_scalar {
            let message = format!("`{}` has no value, read as an empty list", entry.key);
            self.found
                .note(self.tree, "null-list", here, message)
                .help(format!("write `{}: []`, or leave it out", entry.key));
        }
    }

    /// Checks a key that the user chooses against the format of such keys.
    fn free_key(&mut self, format: Option<&str>, entry: &Entry, here: &Pointer) -> bool {
        let Some(Err(complaint)) = format.map(|format| values::check(format, &entry.key)) else {
            return true;
        };
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

    fn missing_key(&mut self, schema: &Value, name: &str, entries: &[Entry], at: &Pointer) {
        let given = entries.iter().find(|entry| entry.key == name);
        if given.is_some_and(|entry| !self.tree.is_null(entry.value)) {
            return; // It is there but wrong, which is reported already.
        }
        let tree = self.tree;
        let pointer = if given.is_some() {
            at.join(name)
        } else {
            at.clone()
        };
        let message = match given {
            Some(_) => format!("the key `{name}` has no value"),
            None => format!("the key `{name}` is missing"),
        };
        let mut diagnostic = self.found.error(tree, "missing-key", &pointer, message);
        let property = schema.get("properties").and_then(|p| p.get(name));
        let choices = property.map(|p| alternatives(self.root, p));
        let mut fixed = choices.into_iter().flatten().flat_map(fixed_texts);
        if let Some(text) = fixed.next() {
            diagnostic.help(format!("write `{name}: {text}`"));
        }
    }

    fn unknown_key(
        &mut self,
        properties: Option<&Map<String, Value>>,
        entry: &Entry,
        entries: &[Entry],
        here: &Pointer,
    ) {
        let free = |name: &&str| !entries.iter().any(|other| other.key == **name);
        let names = properties.map(|p| p.keys().map(String::as_str).collect::<Vec<_>>());
        let names = names.unwrap_or_default();
        let help = if entry.key == "<<" {
            "merge keys (`<<`) are not part of YAML 1.2; write the keys out".to_owned()
        } else {
            match closest(&entry.key, names.iter().copied().filter(free)) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("known keys here: {}", names.join(", ")),
            }
        };
        let position = self.tree.position(entry.key_span.start);
        self.found
            .add_at(
                crate::diagnostic::Severity::Error,
                "unknown-key",
                here,
                entry.key_span.clone(),
                position,
                format!("unknown key `{}`", entry.key),
            )
            .help(help);
    }

    fn array(&mut self, schema: &Value, items: &[NodeId], at: &Pointer) -> Option<Value> {
        let anything = Value::Bool(true);
        let item_schema = schema.get("items").unwrap_or(&anything);
        let mut out = Vec::with_capacity(items.len());
        let mut fits = true;
        for (index, id) in items.iter().enumerate() {
            if self.found.is_full() {
                return None;
            }
            let here = at.join(index);
            if self.tree.is_null(*id) {
                self.found
                    .error(self.tree, "empty-element", &here, "an empty list element")
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

    fn scalar(
        &mut self,
        choices: &[&Value],
        text: &str,
        plain: bool,
        at: &Pointer,
    ) -> Option<Value> {
        let scalars: Vec<&Value> = choices
            .iter()
            .copied()
            .filter(|choice| !takes(choice, "array") && !takes(choice, "object"))
            .collect();
        let Some(choice) = scalars.first() else {
            return self.wrong_type(choices, "a single value", at);
        };
        let fixed: Vec<String> = scalars.iter().flat_map(|s| fixed_texts(s)).collect();
        if !fixed.is_empty() {
            return self.fixed(&fixed, text, at);
        }
        if takes(choice, "boolean") {
            return self.boolean(text, plain, at);
        }
        if takes(choice, "integer") {
            return self.integer(text, at);
        }
        if let Some(format) = choice.get("format").and_then(Value::as_str)
            && let Err(complaint) = values::check(format, text)
        {
            self.found
                .error(self.tree, complaint.code, at, complaint.message)
                .help = complaint.help;
            return None;
        }
        if let Some(c) = text.chars().find(|c| *c == '\0') {
            self.found.error(
                self.tree,
                "nul-character",
                at,
                format!("the text has the character {c:?}, which no file or command line can hold"),
            );
            return None;
        }
        Some(Value::String(text.to_owned()))
    }

    fn fixed(&mut self, fixed: &[String], text: &str, at: &Pointer) -> Option<Value> {
        if fixed.iter().any(|known| known == text) {
            return Some(Value::String(text.to_owned()));
        }
        let help = match closest(text, fixed.iter().map(String::as_str)) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("allowed: {}", fixed.join(", ")),
        };
        let message = format!("`{text}` is not allowed here");
        self.found
            .error(self.tree, "not-allowed", at, message)
            .help(help);
        None
    }

    fn boolean(&mut self, text: &str, plain: bool, at: &Pointer) -> Option<Value> {
        match text {
            "true" | "True" | "TRUE" if plain => Some(Value::Bool(true)),
            "false" | "False" | "FALSE" if plain => Some(Value::Bool(false)),
            _ => {
                let help = match text.to_lowercase().as_str() {
                    "true" | "yes" | "on" | "y" | "1" => "write true, without quotes",
                    "false" | "no" | "off" | "n" | "0" => "write false, without quotes",
                    _ => "write true or false, without quotes",
                };
                self.found
                    .error(
                        self.tree,
                        "wrong-type",
                        at,
                        format!("`{text}` is not true or false"),
                    )
                    .help(help);
                None
            }
        }
    }

    /// All whole numbers of the model are of 32 bits without a sign.
    fn integer(&mut self, text: &str, at: &Pointer) -> Option<Value> {
        let number = text.parse::<u32>().ok();
        if number.is_none() {
            let message = format!("`{text}` is not a whole number from 0 to {}", u32::MAX);
            self.found.error(self.tree, "wrong-type", at, message);
        }
        number.map(Value::from)
    }

    fn wrong_type(&mut self, choices: &[&Value], seen: &str, at: &Pointer) -> Option<Value> {
        let wanted: Vec<&str> = choices.iter().map(|choice| describe(choice)).collect();
        let message = format!("{seen} where {} is wanted", wanted.join(" or "));
        let mut diagnostic = self.found.error(self.tree, "wrong-type", at, message);
        if seen == "a single value" && wanted.contains(&"a list") {
            diagnostic.help("write it as a list element: put `- ` before it, on a line of its own");
        } else if seen == "a mapping" && wanted.contains(&"a list") {
            diagnostic.help("write it as a list element: put `- ` before its first key");
        }
        None
    }
}

fn required(schema: &Value) -> impl Iterator<Item = &str> {
    let list = schema.get("required").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str)
}

fn describe(schema: &Value) -> &'static str {
    if takes(schema, "object") {
        "a mapping"
    } else if takes(schema, "array") {
        "a list"
    } else if takes(schema, "boolean") {
        "true or false"
    } else {
        "a single value"
    }
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
