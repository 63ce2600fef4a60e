//! Keys that are unknown, that stand in a wrong place, or that are missing.

use super::{Shape, fixed_texts, homes, homes::Homes};
use crate::SCHEMA;
use crate::codes;
use crate::diagnostic::Severity;
use crate::schema::{alternatives, kind_of, kinds, takes};
use crate::secrets;
use crate::text::{closest, listed, odd_character};
use crate::yaml::{Entry, Kind, NodeId, Pointer};
use diagnostics::code::Code;
use serde_json::Value;
use std::sync::LazyLock;

/// A mapping whose keys are looked at.
pub struct Mapping<'m> {
    pub schema: &'m Value,
    pub entries: &'m [Entry],
    pub at: &'m Pointer,
}

/// A key that is missing as long as it is not found elsewhere.
pub struct Missing {
    name: String,
    pointer: Pointer,
    message: String,
    help: Option<String>,
}

/// Unknown keys that belong into one other mapping.
struct Group<'m> {
    first: &'m Entry,
    home: Vec<String>,
    /// Where the keys of its members would be, which may have come out of them.
    inside: Vec<Vec<String>>,
    count: usize,
}

impl Group<'_> {
    fn has(&self, home: &[String]) -> bool {
        self.home == home || self.inside.iter().any(|inside| inside == home)
    }
}

impl<'a> Shape<'a> {
    /// The alternative for a mapping: by `kind` when there are several. The outer `None` is reported already.
    pub(super) fn choose_object<'s>(
        &mut self,
        choices: &[&'s Value],
        id: NodeId,
        at: &Pointer,
    ) -> Option<Option<&'s Value>> {
        let objects = choices.iter().copied();
        let objects: Vec<&Value> = objects.filter(|choice| takes(choice, "object")).collect();
        let kinds = objects.iter().filter_map(|o| kind_of(self.root, o));
        let kinds: Vec<&str> = kinds.collect();
        if kinds.is_empty() {
            return Some(objects.first().copied());
        }
        let Some(text) = self.kind(id) else {
            self.missing_kind(&kinds, id, at);
            return None;
        };
        let fits = |object: &&Value| kind_of(self.root, object) == Some(text.as_str());
        if let Some(choice) = objects.into_iter().find(fits) {
            return Some(Some(choice));
        }
        let near = closest(&text, kinds.iter().copied());
        let help = odd_character(&text).unwrap_or_else(|| match near {
            Some(kind) => format!("did you mean `{kind}`?"),
            None => format!("known kinds: {}", kinds.join(", ")),
        });
        let message = format!("`{text}` is not a kind that can be converted");
        self.found
            .error(self.tree, codes::UnknownKind, &at.join("kind"), message)
            .help(help);
        None
    }

    fn kind(&self, id: NodeId) -> Option<String> {
        let Kind::Mapping(entries) = &self.tree.node(id).kind else {
            return None;
        };
        let entry = entries.iter().find(|entry| entry.key == "kind")?;
        match &self.tree.node(entry.value).kind {
            Kind::Scalar { text, .. } => Some(text.clone()),
            _ => None,
        }
    }

    fn missing_kind(&mut self, kinds: &[&str], id: NodeId, at: &Pointer) {
        if let Kind::Mapping(entries) = &self.tree.node(id).kind
            && let Some(entry) = entries
                .iter()
                .find(|e| closest(&e.key, ["kind"].into_iter()).is_some())
            && entry.key != "kind"
        {
            return self.unknown(entry, at, "did you mean `kind`?".to_owned());
        }
        self.found
            .error(
                self.tree,
                codes::MissingKey,
                at,
                "the key `kind` is missing",
            )
            .help(format!("add `kind: {}`", kinds.join("` or `kind: ")));
    }

    /// Reports the unknown keys of a mapping, those of one cause once. Says whether with them it is explained why known
    /// ones are absent.
    pub(super) fn unknown_keys(
        &mut self,
        mapping: &Mapping<'_>,
        unknown: &[usize],
        absent: &[&str],
    ) -> bool {
        if unknown.is_empty() {
            return false;
        }
        let here = homes::steps(mapping.at.as_str());
        let homes = self.homes();
        let mut groups: Vec<Group<'_>> = vec![];
        let mut explained = false;
        for index in unknown {
            if self.found.is_full() {
                break;
            }
            let entry = &mapping.entries[*index];
            let near = self.near(mapping, entry);
            let home = homes.nearest(&entry.key, &here);
            let mistyped = near.is_some_and(|near| near.eq_ignore_ascii_case(&entry.key));
            match home.filter(|_| !mistyped) {
                Some(home) => add(&mut groups, entry, home),
                None => {
                    explained |= near.is_none_or(|near| absent.contains(&near));
                    let help = self.help_of_unknown(mapping, entry, near);
                    self.unknown(entry, mapping.at, help);
                }
            }
        }
        for group in groups {
            explained |= self.misplaced(mapping, &group, &here, absent);
        }
        explained
    }

    /// The places of all keys in a document of its distribution, which are the same for every one. Without a known one they
    /// are those of the first.
    fn homes(&self) -> &'static Homes {
        static ALL: LazyLock<Vec<(&str, Homes)>> = LazyLock::new(|| {
            let kinds = kinds(&SCHEMA).into_iter();
            kinds
                .map(|kind| (kind, Homes::new(&SCHEMA, kind)))
                .collect()
        });
        static NONE: LazyLock<Homes> = LazyLock::new(Homes::default);
        let at = Pointer::from("/kubernetes");
        let kind = self.tree.find(&at).and_then(|id| self.kind(id));
        let named = ALL.iter().find(|(name, _)| Some(*name) == kind.as_deref());
        named.or(ALL.first()).map_or(&NONE, |(_, homes)| homes)
    }

    /// A known key of the mapping that is free and nearly the same.
    fn near<'m>(&self, mapping: &Mapping<'m>, entry: &Entry) -> Option<&'m str> {
        let free = |name: &&str| !mapping.entries.iter().any(|other| other.key == **name);
        closest(&entry.key, mapping.names().filter(free))
    }

    fn help_of_unknown(&self, mapping: &Mapping<'_>, entry: &Entry, near: Option<&str>) -> String {
        if entry.key == "<<" {
            return "merge keys (`<<`) are not part of YAML 1.2; write the keys out".to_owned();
        }
        if entry.key.starts_with('-') {
            return "a list element starts with `- `, the space included".to_owned();
        }
        if let Some(help) = odd_character(&entry.key) {
            return help;
        }
        match near {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("known keys here: {}", listed(mapping.names())),
        }
    }

    fn unknown(&mut self, entry: &Entry, parent: &Pointer, help: String) {
        let (pointer, message) = match secrets::shown_key(&entry.key, parent) {
            true => (
                parent.join(&entry.key),
                format!("unknown key `{}`", entry.key),
            ),
            false => (parent.clone(), "unknown key".to_owned()),
        };
        self.at_key(entry, codes::UnknownKey, &pointer, message, help);
    }

    fn at_key(
        &mut self,
        entry: &Entry,
        code: impl Into<Code>,
        at: &Pointer,
        message: String,
        help: String,
    ) {
        let span = entry.key_span.clone();
        let position = self.tree.position(span.start);
        self.found
            .add_at(Severity::Error, code, at, span, position, message)
            .help(help);
    }

    /// Reports keys that belong elsewhere. Says whether the mapping lacks nothing but the level between.
    fn misplaced(
        &mut self,
        mapping: &Mapping<'_>,
        group: &Group<'_>,
        here: &[String],
        absent: &[&str],
    ) -> bool {
        let key = &group.first.key;
        let (what, belong) = match group.count {
            0 => (format!("`{key}`"), "belongs"),
            1 => (format!("`{key}` and one more key"), "belong"),
            more => (format!("`{key}` and {more} more keys"), "belong"),
        };
        self.elsewhere.insert(key.clone());
        let place = homes::shown(&group.home);
        let below = group.home.strip_prefix(here).and_then(|rest| rest.first());
        let given = |step: &&String| mapping.entries.iter().any(|entry| entry.key == **step);
        if let Some(step) = below.filter(|step| !given(step) && absent.contains(&step.as_str())) {
            let message = format!("the key `{step}` is missing here: {what} {belong} {place}");
            self.found
                .error(self.tree, codes::MissingKey, mapping.at, message)
                .help("write the missing key above them, and indent them deeper");
            return true;
        }
        let help = match below {
            Some(step) if step.as_str() != "[]" && !given(&step) => {
                format!("write `{step}:` above, and indent deeper")
            }
            Some(step) if step.as_str() != "[]" => {
                format!("indent deeper than `{step}`, as its other keys are")
            }
            _ if here.starts_with(&group.home) => {
                "indent it less, as the keys beside it there are".to_owned()
            }
            _ => format!("move it; it belongs {place}"),
        };
        let message = format!("{what} {belong} {place}");
        let pointer = mapping.at.join(key);
        self.at_key(group.first, codes::MisplacedKey, &pointer, message, help);
        below.is_some_and(|step| absent.contains(&step.as_str()))
    }

    pub(super) fn missing_key(&mut self, mapping: &Mapping<'_>, name: &str) {
        let given = mapping.entries.iter().find(|entry| entry.key == name);
        if given.is_some_and(|entry| !self.tree.is_null(entry.value)) {
            return; // It is there but wrong, which is reported already.
        }
        let (pointer, message) = match given {
            Some(_) => (
                mapping.at.join(name),
                format!("the key `{name}` has no value"),
            ),
            None => (mapping.at.clone(), format!("the key `{name}` is missing")),
        };
        let property = mapping.schema.get("properties").and_then(|p| p.get(name));
        let choices = property.map(|p| alternatives(self.root, p));
        let mut fixed = choices.into_iter().flatten().flat_map(fixed_texts);
        let help = fixed.next().map(|text| format!("write `{name}: {text}`"));
        self.missing.push(Missing {
            name: name.to_owned(),
            pointer,
            message,
            help,
        });
    }

    /// Reports what is missing and was not found elsewhere.
    pub(super) fn report_missing(&mut self) {
        for missing in std::mem::take(&mut self.missing) {
            if !self.elsewhere.contains(&missing.name) {
                self.found
                    .error(
                        self.tree,
                        codes::MissingKey,
                        &missing.pointer,
                        missing.message,
                    )
                    .help = missing.help;
            }
        }
    }
}

impl<'m> Mapping<'m> {
    /// The names that it knows.
    fn names(&self) -> impl Iterator<Item = &'m str> {
        let properties = self.schema.get("properties").and_then(Value::as_object);
        properties
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
    }
}

fn add<'m>(groups: &mut Vec<Group<'m>>, entry: &'m Entry, home: &[String]) {
    let mut inside = home.to_vec();
    inside.push(entry.key.clone());
    if let Some(group) = groups.iter_mut().find(|group| group.has(home)) {
        group.count += usize::from(group.home == home);
        group.inside.push(inside);
        return;
    }
    groups.push(Group {
        first: entry,
        home: home.to_vec(),
        inside: vec![inside],
        count: 0,
    });
}
