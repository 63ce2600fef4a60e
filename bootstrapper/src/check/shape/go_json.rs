//! What Go's JSON reader makes of a template, which other tools of Cluster API are used to: names of keys whose case differs,
//! empty texts for values that are not set, and lists of nothing but empty mappings.

use super::Shape;
use crate::codes;
use crate::schema::alternatives;
use crate::yaml::{Entry, Kind, NodeId, Pointer};
use serde_json::{Map, Value};

/// The section that other tools read as well.
const SECTION: &str = "/kubernetes/";

impl Shape<'_> {
    /// The known name of a key: itself, or the one that it is but for its case.
    pub(super) fn name_of<'n>(
        &mut self,
        properties: Option<&'n Map<String, Value>>,
        entries: &[Entry],
        entry: &'n Entry,
        here: &Pointer,
    ) -> &'n str {
        let given = entry.key.as_str();
        let is_other = |name: &str| name != given && name.eq_ignore_ascii_case(given);
        let known = properties.filter(|all| !all.contains_key(given));
        let name = known.and_then(|all| all.keys().find(|name| is_other(name)));
        let free = |name: &&String| !entries.iter().any(|other| other.key == **name);
        let Some(name) = name
            .filter(free)
            .filter(|_| here.as_str().starts_with(SECTION))
        else {
            return given;
        };
        let message = format!("`{given}` is read as `{name}`");
        self.found
            .note(self.tree, codes::KeyCase, here, message)
            .help(format!("write `{name}`"));
        name
    }

    /// Whether a value of a fixed form is an empty text, which sets nothing.
    pub(super) fn is_unset(
        &self,
        schema: &Value,
        name: &str,
        entry: &Entry,
        here: &Pointer,
    ) -> bool {
        let is_empty = matches!(&self.tree.node(entry.value).kind, Kind::Scalar { text, .. } if text.is_empty());
        if !is_empty
            || !here.as_str().starts_with(SECTION)
            || ["kind", "apiVersion", "path"].contains(&name)
        {
            return false;
        }
        let choices = alternatives(self.root, schema);
        let has_form =
            |choice: &&Value| choice.get("format").is_some() && choice.get("writeOnly").is_none();
        choices.iter().any(has_form)
    }

    /// Whether a list has elements, none of which says anything.
    pub(super) fn is_empty_in_effect(&mut self, items: &[NodeId], at: &Pointer) -> bool {
        let is_empty = |id: &NodeId| matches!(&self.tree.node(*id).kind, Kind::Mapping(entries) if entries.is_empty());
        if items.is_empty() || !at.as_str().starts_with(SECTION) || !items.iter().all(is_empty) {
            return false;
        }
        let message = "the elements of this list are empty, read as an empty list";
        self.found
            .note(self.tree, codes::EmptyElements, at, message)
            .help("leave the list out");
        true
    }
}
