//! The old raw-text format becomes YAML: each key in its new place, comments kept, and what has no counterpart named.

mod arithmetic;
mod keys;
mod raw;
mod recognise;
mod write;

use crate::diagnostic::Severity;
use crate::{ParseOptions, parse};
use raw::Origin;
pub(crate) use recognise::first_line;

/// Why a file could not be migrated.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The file is of the new format already.
    #[error("line {line}: this is YAML already, not the raw-text format; check it with `validate`")]
    AlreadyYaml {
        /// Line, from 1.
        line: usize,
    },
    /// The YAML part of the file cannot be read.
    #[error("line {line}: the YAML part (services, write_files, runcmd) cannot be read: {message}")]
    Yaml {
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// There is nothing in the file.
    #[error("the file has no key of the raw-text format")]
    Empty,
    /// The result would not be valid, and no key of the file is to blame: a fault of this program.
    #[error("the result would not be a valid config-file: {0}")]
    Invalid(String),
}

/// What is to be said about a line of the old file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// Line, from 1.
    pub line: usize,
    /// The old format's key.
    pub key: String,
    /// What became of it, and what to do.
    pub message: String,
    /// Whether it is left out of the result.
    pub dropped: bool,
}

impl Remark {
    fn dropped(line: usize, key: &str, message: impl Into<String>) -> Self {
        Self {
            line,
            key: key.to_owned(),
            message: message.into(),
            dropped: true,
        }
    }

    fn changed(line: usize, key: &str, message: impl Into<String>) -> Self {
        Self {
            dropped: false,
            ..Self::dropped(line, key, message)
        }
    }
}

impl std::fmt::Display for Remark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = if self.dropped { "left out" } else { "note" };
        write!(
            f,
            "line {}, {}: {what}: {}",
            self.line, self.key, self.message
        )
    }
}

/// A migrated file.
#[derive(Debug, Clone)]
pub struct Migrated {
    /// The config-file: valid, but for warnings.
    pub text: String,
    /// What was left out or means something else now, by line.
    pub remarks: Vec<Remark>,
}

/// A value on its way to its new place.
#[derive(Debug, Clone)]
struct Item {
    place: Place,
    origin: Origin,
    /// Why it is left out.
    dropped: Option<String>,
}

/// Where a value goes, in the order of the new file.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    User(String),
    /// In base64.
    Password(String),
    HttpProxy(String),
    HttpsProxy(String),
    NoProxy(String),
    SshKey(String),
    Address(String),
    Gateway(String),
    Dns(String),
    NtpServer(String),
    Enable(String),
    Disable(String),
    WriteFile {
        path: String,
        permissions: Option<String>,
        content: String,
    },
    RunCommand(String),
}

/// Turns a file of the raw-text format into a config-file.
///
/// # Errors
/// It is not of the raw-text format, or its YAML part cannot be read.
pub fn migrate(old: &str) -> Result<Migrated, MigrateError> {
    let mut remarks = vec![];
    let raw = raw::read(old, &mut remarks)?;
    if raw.settings.is_empty() && raw.yaml.is_none() {
        return Err(MigrateError::Empty);
    }
    let mut items = keys::items(&raw, &mut remarks);
    let mut text;
    // Values are judged where all values are: what the new format refuses is left out, and the rest tried again.
    loop {
        drop_orphans(&mut items);
        let shown = all_remarks(&remarks, &items);
        let (written, places) = write::document(&raw, &items, &shown);
        text = written;
        let parsed = parse(&text, &ParseOptions::default());
        let errors = parsed.diagnostics.into_iter();
        let errors: Vec<_> = errors.filter(|d| d.severity == Severity::Error).collect();
        if errors.is_empty() {
            break;
        }
        let mut blamed = false;
        for error in &errors {
            let of_item = |(pointer, _): &&(String, usize)| {
                let rest = error.pointer.strip_prefix(pointer.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            if let Some((_, index)) = places.iter().filter(of_item).max_by_key(|(p, _)| p.len()) {
                items[*index]
                    .dropped
                    .get_or_insert_with(|| error.message.clone());
                blamed = true;
            }
        }
        if !blamed {
            let first = errors.into_iter().next();
            let first = first.map(|d| format!("{}: {}", d.pointer, d.message));
            return Err(MigrateError::Invalid(first.unwrap_or_default()));
        }
    }
    Ok(Migrated {
        text,
        remarks: all_remarks(&remarks, &items),
    })
}

/// What cannot stand without another value goes with it.
fn drop_orphans(items: &mut [Item]) {
    let has = |items: &[Item], wanted: fn(&Place) -> bool| {
        items
            .iter()
            .any(|item| item.dropped.is_none() && wanted(&item.place))
    };
    let user = has(items, |place| matches!(place, Place::User(_)));
    let address = has(items, |place| matches!(place, Place::Address(_)));
    for item in items.iter_mut().filter(|item| item.dropped.is_none()) {
        let reason = match item.place {
            Place::Password(_) if !user => "there is no valid user_name that it is for",
            Place::Gateway(_) | Place::Dns(_) if !address => {
                "there is no valid static_ip with a subnet_mask that it is for"
            }
            _ => continue,
        };
        item.dropped = Some(reason.to_owned());
    }
}

fn all_remarks(remarks: &[Remark], items: &[Item]) -> Vec<Remark> {
    let of_item = |item: &Item| {
        let reason = item.dropped.as_ref()?;
        let origin = &item.origin;
        Some(Remark::dropped(origin.line, &origin.key, reason))
    };
    let mut all: Vec<Remark> = remarks.to_vec();
    all.extend(items.iter().filter_map(of_item));
    all.sort_by_key(|remark| remark.line);
    all
}
