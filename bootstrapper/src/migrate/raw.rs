//! Reads the raw-text format: shell assignments, then, from the first `services:`, `write_files:` or `runcmd:` on, YAML.
//! Two readers of old disagreed on it (bash and a text search); what either of them took is taken here.

use super::{MigrateError, Remark};
use crate::yaml::{self, Kind, NodeId, Pointer, Tree};

/// Keys that begin the YAML part.
const YAML_KEYS: &[&str] = &["services", "write_files", "runcmd"];

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    /// Line, from 1.
    pub(super) line: usize,
    /// The old format's key.
    pub(super) key: String,
    /// Comment lines above it and the one behind it, with their `#`.
    pub(super) comments: Vec<String>,
}

/// One assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) value: String,
    pub(super) origin: Origin,
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Raw {
    /// Comments above the first assignment that belong to none.
    pub(super) head: Vec<String>,
    pub(super) settings: Vec<Setting>,
    /// The YAML part.
    pub(super) yaml: Option<YamlPart>,
    /// Comments that nothing follows.
    pub(super) foot: Vec<String>,
}

/// The YAML part, its lines counted from the file's first.
#[derive(Debug)]
pub(super) struct YamlPart {
    tree: Tree,
    first_line: usize,
    /// Comments above its first key.
    pub(super) above: Vec<String>,
}

impl Raw {
    /// The line that says that the machine has Docker in the place of Kubernetes.
    pub(super) fn container(&self) -> Option<usize> {
        let mut types = self.settings.iter().rev();
        let last = types.find(|setting| setting.origin.key == "host_type")?;
        (last.value.trim() == "container").then_some(last.origin.line)
    }
}

pub(super) fn read(text: &str, remarks: &mut Vec<Remark>) -> Result<Raw, MigrateError> {
    let mut raw = Raw::default();
    let mut pending: Vec<String> = vec![];
    let mut offset = 0;
    for (index, whole) in text.split_inclusive('\n').enumerate() {
        let line = whole.trim();
        let number = index + 1;
        if YAML_KEYS.iter().any(|key| starts_yaml(whole, key)) {
            let above = std::mem::take(&mut pending);
            raw.yaml = Some(yaml_part(&text[offset..], number, above)?);
            return Ok(raw);
        }
        offset += whole.len();
        if line.is_empty() {
            if raw.settings.is_empty() {
                raw.head.append(&mut pending);
            }
        } else if line.starts_with('#') {
            pending.push(line.to_owned());
        } else if let Some((key, value)) = assignment(line) {
            let mut comments = std::mem::take(&mut pending);
            let (value, rest) = unquote(value);
            if rest.starts_with('#') {
                comments.push(rest.to_owned());
            } else if !rest.is_empty() {
                remarks.push(Remark::changed(
                    number,
                    key,
                    "what follows the closing quote is left out",
                ));
            }
            let key = key.to_owned();
            let origin = Origin {
                line: number,
                key,
                comments,
            };
            raw.settings.push(Setting { value, origin });
        } else if line.starts_with("operatingSystem:") || line.starts_with("kubernetes:") {
            return Err(MigrateError::AlreadyYaml { line: number });
        } else {
            // Not shown: it may be the rest of a secret.
            let message = "it is neither an assignment nor a comment";
            remarks.push(Remark::dropped(number, "this line", message));
        }
    }
    raw.foot = pending;
    Ok(raw)
}

fn starts_yaml(line: &str, key: &str) -> bool {
    line.strip_prefix(key)
        .is_some_and(|rest| rest.trim_start().starts_with(':'))
}

/// `KEY=value`, with or without `export` before it.
pub(super) fn assignment(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line
        .strip_prefix("export ")
        .unwrap_or(line)
        .split_once('=')?;
    let key = key.trim_start();
    let fine = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (!key.is_empty() && key.chars().all(fine)).then_some((key, value))
}

/// The value without its quotes, and what follows it on the line.
fn unquote(text: &str) -> (String, &str) {
    let text = text.trim();
    let mut chars = text.char_indices();
    match chars.next() {
        Some((_, '\'')) => {
            let rest = &text[1..];
            let (value, after) = rest.split_once('\'').unwrap_or((rest, ""));
            (value.to_owned(), after.trim())
        }
        Some((_, '"')) => {
            let mut value = String::new();
            while let Some((at, c)) = chars.next() {
                match c {
                    '"' => return (value, text[at + 1..].trim()),
                    // bash takes these four as escapes, and any other backslash as it is.
                    '\\' => match chars.next() {
                        Some((_, c @ ('"' | '\\' | '$' | '`'))) => value.push(c),
                        Some((_, c)) => value.extend(['\\', c]),
                        None => value.push('\\'),
                    },
                    c => value.push(c),
                }
            }
            (value, "")
        }
        _ => match text.find(" #") {
            Some(at) => (text[..at].trim_end().to_owned(), text[at..].trim()),
            None => (text.to_owned(), ""),
        },
    }
}

fn yaml_part(text: &str, first_line: usize, above: Vec<String>) -> Result<YamlPart, MigrateError> {
    let bad = |line: usize, message: String| MigrateError::Yaml {
        line: line + first_line - 1,
        message,
    };
    let (tree, duplicates) = yaml::load(text).map_err(|error| {
        bad(
            yaml::position_in(text, error.span.start).line,
            error.message,
        )
    })?;
    if let Some(twice) = duplicates.into_iter().next() {
        let line = yaml::position_in(text, twice.span.start).line;
        return Err(bad(line, twice.message));
    }
    Ok(YamlPart {
        tree,
        first_line,
        above,
    })
}

/// An element of a list in the YAML part.
pub(super) struct Element<'a> {
    tree: &'a Tree,
    id: NodeId,
    pub(super) origin: Origin,
}

impl YamlPart {
    /// The outermost keys and their lines.
    pub(super) fn keys(&self) -> Vec<(String, usize)> {
        match &self.tree.node(self.tree.root()).kind {
            Kind::Mapping(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone(), self.line(entry.key_span.start)))
                .collect(),
            _ => vec![],
        }
    }

    /// The elements of the list at a pointer, each with the comments above and behind it; none when there is no list.
    pub(super) fn list(&self, pointer: &str, key: &str) -> Vec<Element<'_>> {
        let Some(entry) = self.tree.entry(&Pointer::from(pointer)) else {
            return vec![];
        };
        let Kind::Sequence(items) = &self.tree.node(entry.value).kind else {
            return vec![];
        };
        let source = self.tree.source();
        let mut before = entry.key_span.end;
        let mut found = vec![];
        for item in items {
            let span = self.tree.node(*item).span.clone();
            // The first line is the rest of the key's or of the element's before.
            let between = source.get(before..span.start).unwrap_or_default();
            let lines = between.lines().skip(1).map(str::trim);
            let is_comment = |line: &&str| line.starts_with('#');
            let mut comments: Vec<String> = lines.filter(is_comment).map(str::to_owned).collect();
            let behind = source.get(span.end..).unwrap_or_default().lines().next();
            let behind = behind.map(|rest| rest.trim_start_matches([' ', ',', ']', '}']));
            comments.extend(behind.filter(is_comment).map(str::to_owned));
            before = span.end;
            let origin = Origin {
                line: self.line(span.start),
                key: key.to_owned(),
                comments,
            };
            found.push(Element {
                tree: &self.tree,
                id: *item,
                origin,
            });
        }
        found
    }

    fn line(&self, offset: usize) -> usize {
        self.tree.position(offset).line + self.first_line - 1
    }
}

impl Element<'_> {
    /// The element as a text, if it is one that is not null.
    pub(super) fn text(&self) -> Option<&str> {
        self.text_of(self.id)
    }

    /// The words of an element that is a list of texts.
    pub(super) fn words(&self) -> Option<Vec<&str>> {
        match &self.tree.node(self.id).kind {
            Kind::Sequence(items) => items.iter().map(|item| self.text_of(*item)).collect(),
            _ => None,
        }
    }

    /// The text of a key of an element that is a mapping.
    pub(super) fn field(&self, key: &str) -> Option<&str> {
        match &self.tree.node(self.id).kind {
            Kind::Mapping(entries) => {
                let entry = entries.iter().find(|entry| entry.key == key)?;
                self.text_of(entry.value)
            }
            _ => None,
        }
    }

    /// The keys of an element that is a mapping.
    pub(super) fn fields(&self) -> Vec<&str> {
        match &self.tree.node(self.id).kind {
            Kind::Mapping(entries) => entries.iter().map(|entry| entry.key.as_str()).collect(),
            _ => vec![],
        }
    }

    fn text_of(&self, id: NodeId) -> Option<&str> {
        match &self.tree.node(id).kind {
            Kind::Scalar { text, .. } if !self.tree.is_null(id) => Some(text),
            _ => None,
        }
    }
}
