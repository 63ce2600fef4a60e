//! The `files` section: files, links and folders that are laid over the images.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::oci::{Content, Entry, Kind, T0};

use super::Position;
use super::decode::IdRef;
use super::definition::{ContainerSection, Definition, FileSection};
use super::diagnostic::Diagnostics;
use super::metadata::{self, Format};
use super::node::Node;

/// The first id given to a container's name.
const FIRST_ID: u32 = 100;
/// Folders that the reference init mounts file systems on before any container runs.
const HIDDEN: [&str; 6] = ["var", "run", "tmp", "dev", "proc", "sys"];
/// Folders of a root that more than one program must be able to enter.
const SHARED: [&str; 8] = ["etc", "usr", "bin", "sbin", "lib", "lib64", "opt", "home"];

/// The ids that containers' names stand for: counted from 100 over onboot, onshutdown, services.
#[derive(Debug, Default)]
pub struct Ids(BTreeMap<String, u32>);

impl Ids {
    /// Counts; a name used again keeps its last number.
    pub fn new<'a>(containers: impl Iterator<Item = &'a ContainerSection>) -> Self {
        Self(
            (FIRST_ID..)
                .zip(containers)
                .map(|(id, container)| (container.name.clone(), id))
                .collect(),
        )
    }

    /// The number; an unknown name is an error.
    pub fn resolve(&self, id: &IdRef, diagnostics: &mut Diagnostics) -> u32 {
        match id {
            IdRef::Number(number) => *number,
            IdRef::Name(name, position) => self.0.get(name).copied().unwrap_or_else(|| {
                diagnostics.error(
                    *position,
                    format!("`{name}` is no id: a number, `root` or the name of a container in this file is wanted"),
                );
                0
            }),
        }
    }
}

/// The entries of the section, parents included, in the order they are laid down.
pub fn entries(
    definition: &Definition,
    ids: &Ids,
    base: &Path,
    diagnostics: &mut Diagnostics,
) -> Vec<Entry> {
    let mut out = Vec::new();
    let mut folders = BTreeSet::new();
    for file in &definition.files {
        let uid = ids.resolve(&file.uid, diagnostics);
        let gid = ids.resolve(&file.gid, diagnostics);
        let Some(path) = clean(file, diagnostics) else {
            continue;
        };
        let Some(mode) = mode(file, diagnostics) else {
            continue;
        };
        let kind = match kind(file, base, &definition.roots) {
            Ok(Some(kind)) => kind,
            Ok(None) => continue,
            Err(message) => {
                diagnostics.error(file.position, message);
                continue;
            }
        };
        let entry = |path: String, kind: Kind, mode: u32| Entry {
            path,
            kind,
            mode,
            uid,
            gid,
            mtime: T0,
        };
        for (at, _) in path.match_indices('/') {
            let parent = &path[..at];
            if folders.insert(parent.to_owned()) {
                let folder_mode = searchable(mode);
                warn_of_folder(file, parent, folder_mode, diagnostics);
                out.push(entry(parent.into(), Kind::Directory, folder_mode));
            }
        }
        if matches!(kind, Kind::Directory) {
            folders.insert(path.clone());
        }
        out.push(entry(path, kind, mode));
    }
    out
}

fn clean(file: &FileSection, diagnostics: &mut Diagnostics) -> Option<String> {
    let parts: Vec<&str> = file
        .path
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    if parts.is_empty() || parts.contains(&"..") || (file.path.ends_with('/') && !file.directory) {
        diagnostics.error(
            file.position,
            format!("`{}` is no path of a file below the root", file.path),
        );
        return None;
    }
    if HIDDEN.contains(&parts[0]) && parts.len() > 1 {
        diagnostics.warn(
            file.position,
            format!(
                "{} is hidden at boot: a file system is mounted over /{}",
                file.path, parts[0]
            ),
        );
    }
    Some(parts.join("/"))
}

fn mode(file: &FileSection, diagnostics: &mut Diagnostics) -> Option<u32> {
    let Some(text) = &file.mode else {
        return Some(if file.directory { 0o700 } else { 0o600 });
    };
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o7777 && !text.starts_with('+') => Some(mode),
        _ => {
            diagnostics.error(
                file.position,
                format!(
                    "file {}: the mode `{text}` is not octal digits, like \"0644\"",
                    file.path
                ),
            );
            None
        }
    }
}

/// LinuxKit's rule: `x` for each class that has any bit.
fn searchable(mode: u32) -> u32 {
    [0o7, 0o70, 0o700].into_iter().fold(mode, |mode, class| {
        if mode & class == 0 {
            mode
        } else {
            mode | (class & 0o111)
        }
    })
}

fn warn_of_folder(file: &FileSection, folder: &str, mode: u32, diagnostics: &mut Diagnostics) {
    if SHARED.contains(&folder) && mode & 0o005 != 0o005 {
        let position: Position = file.position;
        let without = if file.mode.is_none() {
            " (no `mode` means 0600)"
        } else {
            ""
        };
        diagnostics.warn(
            position,
            format!(
                "{} is the first file under /{folder}, so /{folder} gets the mode {mode:04o}{without}; give the file the mode \"0644\", or name the folder before it",
                file.path
            ),
        );
    }
}

/// What the entry is; `None` for an optional file that is not there.
fn kind(file: &FileSection, base: &Path, roots: &[Node]) -> Result<Option<Kind>, String> {
    let own = file.contents.is_some() || file.symlink.is_some() || file.directory;
    let name = &file.path;
    if file.directory && file.contents.is_some() {
        return Err(format!("file {name} is a folder and has `contents`"));
    }
    if own && (file.source.is_some() || file.metadata.is_some()) {
        return Err(format!(
            "file {name} has `source` or `metadata` beside `contents`, `symlink` or `directory`"
        ));
    }
    match (&file.source, &file.metadata) {
        (Some(_), Some(_)) => Err(format!("file {name} has both `source` and `metadata`")),
        (None, Some(kind)) if kind == "yaml" || kind == "json" => {
            let format = match kind.as_str() {
                "yaml" => Format::Yaml,
                _ => Format::Json,
            };
            let text = metadata::document(roots, format);
            Ok(Some(Kind::File(Content::Bytes(text))))
        }
        (None, Some(kind)) => Err(format!(
            "file {name}: `metadata` is `{kind}`; there are yaml and json"
        )),
        (Some(source), None) => from_source(file, &locate(source, base)),
        (None, None) if file.directory => Ok(Some(Kind::Directory)),
        (None, None) => match (&file.symlink, &file.contents) {
            (Some(target), _) => Ok(Some(Kind::Symlink(target.clone()))),
            (None, Some(text)) => Ok(Some(Kind::File(Content::Bytes(text.clone().into_bytes())))),
            (None, None) => Err(format!(
                "file {name} has none of `contents`, `source`, `symlink`, `directory`, `metadata`"
            )),
        },
    }
}

/// The file of this machine that `source` names.
pub fn locate(source: &str, base: &Path) -> PathBuf {
    match (source.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => base.join(source),
    }
}

fn from_source(file: &FileSection, path: &Path) -> Result<Option<Kind>, String> {
    match fs_err::metadata(path) {
        Ok(found) if found.is_file() => Ok(Some(Kind::File(Content::File(path.into())))),
        Ok(_) => Err(format!(
            "file {}: its source {} is not a regular file",
            file.path,
            path.display()
        )),
        Err(error) if file.optional && error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("file {}: {error}", file.path)),
    }
}
