//! A value of another type than is wanted, and how to write it.

use super::Shape;
use crate::codes;
use crate::diagnostic::Severity;
use crate::schema::{alternatives, takes};
use crate::secrets;
use crate::values::{Command, ComponentArg, NodeLabel, TextValue as _};
use crate::yaml::YamlCode;
use crate::yaml::{Kind, NodeId, Pointer, of_text};
use serde_json::Value;

impl Shape<'_> {
    pub(super) fn wrong_type(
        &mut self,
        choices: &[&Value],
        id: NodeId,
        at: &Pointer,
    ) -> Option<Value> {
        let wanted: Vec<&str> = choices.iter().map(|choice| describe(choice)).collect();
        let seen = match &self.tree.node(id).kind {
            Kind::Mapping(_) => "a mapping",
            Kind::Sequence(_) => "a list",
            Kind::Scalar { .. } => "a single value",
        };
        if let Some(()) = self.mistyped_line(&wanted, id, at) {
            return None;
        }
        let help = self.help_of_type(choices, &wanted, id);
        let message = format!("{seen} where {} is wanted", wanted.join(" or "));
        self.found
            .error(self.tree, codes::WrongType, at, message)
            .help = help;
        None
    }

    /// A text that was meant to be a key and its value: says what is mistyped in its line.
    fn mistyped_line(&mut self, wanted: &[&str], id: NodeId, at: &Pointer) -> Option<()> {
        let node = self.tree.node(id);
        if !matches!(node.kind, Kind::Scalar { plain: true, .. }) || !wanted.contains(&"a mapping")
        {
            return None;
        }
        let (span, message, help) = of_text(self.tree.source(), node.span.start)?;
        let first = self.tree.position(span.start);
        self.found
            .add_at(
                Severity::Error,
                YamlCode::YamlSyntax,
                at,
                span,
                first,
                message,
            )
            .help(help);
        Some(())
    }

    fn help_of_type(&self, choices: &[&Value], wanted: &[&str], id: NodeId) -> Option<String> {
        let node = self.tree.node(id);
        let sign = self.tree.source().as_bytes().get(node.span.start).copied();
        let wants = |what| wanted.contains(&what);
        let format = choices.iter().find_map(|choice| choice.get("format"));
        let format = format.and_then(Value::as_str).unwrap_or_default();
        match &node.kind {
            Kind::Scalar { .. } if wants("a list") => {
                Some("write it as a list element: put `- ` before it, on a line of its own".to_owned())
            }
            Kind::Scalar { .. } if wants("a mapping") => Some(keys_of(choices)),
            Kind::Mapping(_) if wants("a list") && self.is_of_pairs(choices) => {
                Some(format!("write a list of `key=value`: {}", self.pair(id, "- ")))
            }
            Kind::Mapping(_) if wants("a list") => {
                Some("write it as a list element: put `- ` before its first key".to_owned())
            }
            Kind::Mapping(_) if format == Command::FORMAT && sign != Some(b'{') => Some(
                "a `: ` in a string makes a mapping of it: put the whole command in quotes, or below `|`".to_owned(),
            ),
            Kind::Mapping(_) if is_pair(format) => Some(format!("write it as one string: {}", self.pair(id, ""))),
            Kind::Sequence(_) if format == Command::FORMAT => {
                Some("write the command as one string, in quotes if it starts with `[`".to_owned())
            }
            Kind::Mapping(_) | Kind::Sequence(_) if wants("a single value") && matches!(sign, Some(b'{' | b'[')) => {
                Some("write the one value without brackets; a string that starts with one needs quotes".to_owned())
            }
            Kind::Sequence(_) if wants("a single value") => {
                Some("write the one value behind the key, without `- `".to_owned())
            }
            _ => None,
        }
    }

    /// Whether a list of texts `key=value` is wanted.
    fn is_of_pairs(&self, choices: &[&Value]) -> bool {
        let items = choices.iter().filter_map(|choice| choice.get("items"));
        let mut items = items.flat_map(|items| alternatives(self.root, items));
        items.any(|item| {
            item.get("format")
                .and_then(Value::as_str)
                .is_some_and(is_pair)
        })
    }

    /// The first entry of a mapping as `key=value`, unless it is a secret.
    fn pair(&self, id: NodeId, dash: &str) -> String {
        let shown = || {
            let Kind::Mapping(entries) = &self.tree.node(id).kind else {
                return None;
            };
            let entry = entries.first()?;
            let Kind::Scalar { text, .. } = &self.tree.node(entry.value).kind else {
                return None;
            };
            let pair = format!("{}={text}", entry.key);
            (pair.len() < 60 && !secrets::looks_secret(&pair)).then(|| format!("`{dash}{pair}`"))
        };
        shown().unwrap_or_else(|| format!("`{dash}key=value`"))
    }
}

/// How to begin a mapping: with the keys that must be there, or else with the first ones.
fn keys_of(choices: &[&Value]) -> String {
    let required: Vec<&str> = choices
        .iter()
        .flat_map(|choice| super::required(choice))
        .collect();
    let all = choices
        .iter()
        .filter_map(|choice| choice.get("properties")?.as_object());
    let all = all.flatten().map(|(name, _)| name.as_str());
    let names = if required.is_empty() {
        all.take(2).collect()
    } else {
        required
    };
    let keys: Vec<String> = names.iter().map(|name| format!("`{name}: ...`")).collect();
    format!("write its keys, such as {}", keys.join(" and "))
}

fn is_pair(format: &str) -> bool {
    format == ComponentArg::FORMAT || format == NodeLabel::FORMAT
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
