//! The configuration that a distribution reads at start: the settings made from the template's keys, then its drop-ins in
//! the order of their names, joined as K3s joins them (K3s, pkg/configfilearg). RKE2 is a K3s in this.

use super::known::{Kind as Type, Known};
use super::yaml_1_1::{self, Scalar};
use super::{Distribution, Facts};
use crate::model::{File, OperatingSystem};
use crate::yaml::{Entry, Kind, LoadError, NodeId, Tree, load};
use std::collections::BTreeMap;
use std::ops::Range;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Origin {
    /// Keys below the template's configuration, with `/` between; empty for what no key sets.
    Key(String),
    /// In a drop-in.
    DropIn(FileId, Range<usize>),
}

/// A file of the config-file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum FileId {
    /// One of `operatingSystem.writeFiles`.
    Written(usize),
    /// One of the template's.
    Template(usize),
}

/// A value as the distribution gets it.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    pub(crate) text: String,
    pub(crate) origin: Origin,
}

/// What the distribution reads otherwise than it is written.
#[derive(Debug, Clone)]
pub(crate) struct Surprise {
    pub(crate) key: String,
    pub(crate) origin: Origin,
    pub(crate) kind: SurpriseKind,
}

#[derive(Debug, Clone)]
pub(crate) enum SurpriseKind {
    /// A plain scalar that YAML 1.1 reads as another text: typed and got.
    Scalar { typed: String, got: String },
    /// A mapping, which becomes a text in Go's notation.
    Mapping { got: String },
}

/// A key of a drop-in.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    /// As it is written, with a `+` that appends.
    pub(crate) written: String,
    pub(crate) origin: Origin,
    pub(crate) known: Option<&'static Known>,
    /// Whether it replaces what the template's keys make of the setting.
    pub(crate) replaces: bool,
    /// Whether it replaces what the same file has given before.
    pub(crate) twice: bool,
}

/// The joined configuration.
#[derive(Debug, Default)]
pub(crate) struct Joined {
    values: BTreeMap<String, Vec<Value>>,
    /// The keys of all drop-ins, in the order in which they are read.
    pub(crate) keys: Vec<Key>,
    pub(crate) surprises: Vec<Surprise>,
    /// Drop-ins that the distribution does not start with, and why.
    pub(crate) broken: Vec<(FileId, Broken)>,
}

/// Why a drop-in cannot be read.
#[derive(Debug, Clone)]
pub(crate) enum Broken {
    NotYaml(LoadError),
    NotAMapping,
}

impl Joined {
    /// Joins what a config-file gives. A drop-in that cannot be read is left out; it is reported as a file.
    pub(crate) fn of(distribution: &dyn Distribution, os: &OperatingSystem) -> Self {
        let mut joined = Self::default();
        for entry in distribution.entries() {
            let values = joined.values.entry(entry.key).or_default();
            for (index, text) in entry.value.values().into_iter().enumerate() {
                let at = if entry.of_list {
                    format!("{}/{index}", entry.at)
                } else {
                    entry.at.clone()
                };
                let origin = Origin::Key(at);
                values.push(Value { text, origin });
            }
        }
        let mut files = drop_ins(distribution, os);
        files.sort_by_key(|(_, file)| file.path.file_name().to_owned());
        for (id, file) in files {
            joined.drop_in(distribution.facts(), id, file);
        }
        joined
    }

    /// The values of a setting in order; of a scalar the last one is taken.
    pub(crate) fn list(&self, name: &str) -> &[Value] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }

    /// The value of a scalar.
    pub(crate) fn last(&self, name: &str) -> Option<&Value> {
        self.list(name).last()
    }

    /// All settings by their names.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &[Value])> {
        self.values
            .iter()
            .map(|(name, values)| (name.as_str(), values.as_slice()))
    }

    /// The values of a list whose elements are split at commas, each part with the place of its element.
    pub(crate) fn parts(&self, name: &str) -> Vec<Value> {
        let part = |value: &Value, text: &str| Value {
            text: text.trim().to_owned(),
            origin: value.origin.clone(),
        };
        let parts = self.list(name).iter();
        let parts = parts.flat_map(|value| value.text.split(',').map(|text| part(value, text)));
        parts.filter(|part| !part.text.is_empty()).collect()
    }

    fn drop_in(&mut self, facts: &Facts, id: FileId, file: &File) {
        let Ok(bytes) = file.bytes() else {
            return; // Reported with the file's content.
        };
        let text = String::from_utf8_lossy(&bytes);
        let is_blank = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
        if text.lines().all(is_blank) {
            return;
        }
        let tree = match load(&text) {
            Ok((tree, _)) => tree,
            Err(error) => return self.broken.push((id, Broken::NotYaml(error))),
        };
        match &tree.node(tree.root()).kind {
            Kind::Mapping(entries) => {
                let entries = entries.iter();
                entries.for_each(|entry| self.entry(facts, id, &tree, entry));
            }
            _ => self.broken.push((id, Broken::NotAMapping)),
        }
    }

    fn entry(&mut self, facts: &Facts, id: FileId, tree: &Tree, entry: &Entry) {
        let (key, appends) = match entry.key.strip_suffix('+') {
            Some(key) => (key, true),
            None => (entry.key.as_str(), false),
        };
        let known = facts.setting(key);
        let name = known.map_or(key, |known| known.joined_name()).to_owned();
        let found = self.values_of(tree, id, &name, known, entry.value);
        let values = self.values.entry(name).or_default();
        let is_key = |value: &Value| matches!(value.origin, Origin::Key(_));
        let is_here = |value: &Value| matches!(value.origin, Origin::DropIn(file, _) if file == id);
        self.keys.push(Key {
            written: entry.key.clone(),
            origin: Origin::DropIn(id, entry.key_span.clone()),
            known,
            replaces: !appends && values.iter().any(is_key),
            twice: !appends && values.iter().any(is_here),
        });
        if !appends {
            values.clear();
        }
        values.extend(found);
    }

    fn values_of(
        &mut self,
        tree: &Tree,
        id: FileId,
        name: &str,
        known: Option<&'static Known>,
        node: NodeId,
    ) -> Vec<Value> {
        let items = match &tree.node(node).kind {
            Kind::Sequence(items) => items.clone(),
            _ => vec![node],
        };
        items
            .into_iter()
            .map(|item| self.value_of(tree, id, name, known, item))
            .collect()
    }

    fn value_of(
        &mut self,
        tree: &Tree,
        id: FileId,
        name: &str,
        known: Option<&'static Known>,
        node: NodeId,
    ) -> Value {
        let found = tree.node(node);
        let origin = Origin::DropIn(id, found.span.clone());
        let (text, kind) = match &found.kind {
            Kind::Scalar { text, plain: true } => {
                let read = yaml_1_1::read(text);
                let got = read.text();
                let typed = text.clone();
                let differs = got != typed && !is_meant(&read, known);
                (
                    got.clone(),
                    differs.then_some(SurpriseKind::Scalar { typed, got }),
                )
            }
            Kind::Scalar { text, .. } => (text.trim().to_owned(), None),
            _ => {
                let got = go_notation(tree, node);
                (got.clone(), Some(SurpriseKind::Mapping { got }))
            }
        };
        self.surprises.extend(kind.map(|kind| Surprise {
            key: name.to_owned(),
            origin: origin.clone(),
            kind,
        }));
        Value { text, origin }
    }
}

/// Whether it does not matter that a setting's plain scalar is read as something else than its text.
fn is_meant(read: &Scalar, known: Option<&Known>) -> bool {
    let kind = known.map(|known| known.kind);
    matches!(
        (read, kind),
        (Scalar::Null, _) | (Scalar::Bool(_), Some(Type::Switch)) | (_, None)
    )
}

/// A value as Go prints what yaml.v2 makes of it without a type: `[{zone a}]`, `[a b]`.
fn go_notation(tree: &Tree, node: NodeId) -> String {
    match &tree.node(node).kind {
        Kind::Scalar { text, plain: true } => match yaml_1_1::read(text) {
            Scalar::Null => "<nil>".to_owned(),
            other => other.text(),
        },
        Kind::Scalar { text, .. } => text.clone(),
        Kind::Sequence(items) => {
            let items: Vec<String> = items.iter().map(|item| go_notation(tree, *item)).collect();
            format!("[{}]", items.join(" "))
        }
        Kind::Mapping(entries) => {
            let entry = |key: &str, value| format!("{{{key} {}}}", go_notation(tree, value));
            let entries = entries.iter().map(|found| entry(&found.key, found.value));
            format!("[{}]", entries.collect::<Vec<_>>().join(" "))
        }
    }
}

/// The files that are drop-ins of the distribution's configuration.
fn drop_ins<'a>(
    distribution: &'a dyn Distribution,
    os: &'a OperatingSystem,
) -> Vec<(FileId, &'a File)> {
    let written = os.write_files.iter().enumerate();
    let written = written.map(|(index, file)| (FileId::Written(index), file));
    let own = distribution.files().iter().enumerate();
    let own = own.map(|(index, file)| (FileId::Template(index), file));
    let is_drop_in = |file: &File| is_drop_in(distribution.facts(), file);
    written
        .chain(own)
        .filter(|(_, file)| is_drop_in(file))
        .collect()
}

/// Whether the distribution reads a file after its configuration.
pub(crate) fn is_drop_in(facts: &Facts, file: &File) -> bool {
    let name = file.path.file_name().to_lowercase();
    let folder = file.path.parent().strip_suffix(".d");
    folder == Some(facts.config) && (name.ends_with(".yaml") || name.ends_with(".yml"))
}
