//! Files of other formats become config-files, and what has no counterpart is named: the old raw-text format, its comments
//! kept, and templates of Cluster API.

mod arithmetic;
mod keys;
mod objects;
mod raw;
mod recognise;
mod template;
mod write;

pub(crate) use objects::{value_of, without_unset};

use crate::codes;
use crate::diagnostic::{Diagnostic, Severity};
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
    /// The user name is none: the node would have no user.
    #[error("line {line}: user_name: {message}")]
    User {
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// The commands are no program; which part of them ran cannot be said.
    #[error("line {line}: runcmd: {message}")]
    Commands {
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// A template cannot be read, or is not one of K3s.
    #[error("line {line}: {message}")]
    Template {
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
            key: shown(key).to_owned(),
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

/// What is told of a key: one of other signs may have a value in it.
fn shown(key: &str) -> &str {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_-. ".contains(c);
    match key.len() <= 64 && key.chars().all(is_part) {
        true => key,
        false => "a key",
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
    /// A command that ran when K3s, or Docker, was there.
    Command(String),
}

/// Turns a file of the raw-text format, or a template of Cluster API, into a config-file.
///
/// # Errors
/// It is of neither format, cannot be read, or would become another machine.
pub fn migrate(old: &str) -> Result<Migrated, MigrateError> {
    match objects::is_manifest(old) {
        true => template::migrate(old),
        false => from_raw(old),
    }
}

fn from_raw(old: &str) -> Result<Migrated, MigrateError> {
    let mut remarks = vec![];
    let raw = raw::read(old, &mut remarks)?;
    if raw.settings.is_empty() && raw.yaml.is_none() {
        return Err(MigrateError::Empty);
    }
    let mut items = keys::items(&raw, &mut remarks);
    // Values are judged where all values are: what the new format refuses is left out, and the rest tried again.
    loop {
        drop_orphans(&mut items);
        let shown = all_remarks(&remarks, &items);
        let (text, places) = write::document(&raw, &items, &shown);
        let parsed = parse(&text, &ParseOptions::default());
        let errors = parsed.diagnostics.into_iter();
        let errors: Vec<_> = errors.filter(|d| d.severity == Severity::Error).collect();
        let Some(first) = errors.first() else {
            return Ok(Migrated {
                text,
                remarks: shown,
            });
        };
        if !blame(&errors, &places, &mut items)? {
            return Err(MigrateError::Invalid(format!(
                "{}: {}",
                first.pointer, first.message
            )));
        }
    }
}

/// Drops the items that errors are about; whether there were any.
fn blame(
    errors: &[Diagnostic],
    places: &[(String, usize)],
    items: &mut [Item],
) -> Result<bool, MigrateError> {
    let mut blamed = false;
    for error in errors {
        let of_item = |(pointer, _): &&(String, usize)| {
            let rest = error.pointer.strip_prefix(pointer.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let found = places.iter().filter(of_item).max_by_key(|(p, _)| p.len());
        let Some((_, index)) = found else { continue };
        let item = &mut items[*index];
        let (line, message) = (item.origin.line, error.message.clone());
        match item.place {
            Place::User(_) => return Err(MigrateError::User { line, message }),
            Place::Command(_) if error.code == codes::ShellSyntax => {
                return Err(MigrateError::Commands { line, message });
            }
            _ => {}
        }
        item.dropped.get_or_insert(message);
        blamed = true;
    }
    Ok(blamed)
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
