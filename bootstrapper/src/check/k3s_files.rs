//! Checks of files that K3s itself reads at start: invalid YAML in them is fatal for it.

use super::Meaning;
use crate::model::File;
use crate::text::closest;
use crate::yaml::{Entry, Kind, Pointer, Tree, load};

const REGISTRIES: &str = "/etc/rancher/k3s/registries.yaml";
const DROP_INS: &str = "/etc/rancher/k3s/config.yaml.d";
/// Top-level keys of registries.yaml; `auths` is the legacy one.
const REGISTRIES_KEYS: &[&str] = &["mirrors", "configs", "auths"];
const MIRROR_KEYS: &[&str] = &["endpoint", "rewrite"];
const CONFIG_KEYS: &[&str] = &["auth", "tls"];

impl Meaning<'_> {
    pub(super) fn k3s_file(&mut self, file: &File, at: &Pointer) {
        let is_registries = file.path.as_str() == REGISTRIES;
        let lower = file.path.file_name().to_lowercase();
        let is_drop_in =
            file.path.parent() == DROP_INS && (lower.ends_with(".yaml") || lower.ends_with(".yml"));
        if !is_registries && !is_drop_in {
            return;
        }
        let Ok(bytes) = file.bytes() else {
            return; // Reported with the file's content.
        };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if text
            .lines()
            .all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
        {
            return;
        }
        let content_at = at.join("content");
        let path = &file.path;
        match load(&text) {
            Err(error) => {
                self.error(
                    "k3s-file",
                    &content_at,
                    format!("K3s reads {path} at start and would not start: {error}"),
                );
            }
            Ok((tree, _)) if !matches!(tree.node(tree.root()).kind, Kind::Mapping(_)) => {
                self.error("k3s-file", &content_at, format!("{path} must be a mapping"));
            }
            Ok((tree, _)) if is_registries => {
                if let Err((reason, help)) = check_registries(&tree) {
                    self.error("registries", &content_at, format!("{path}: {reason}"))
                        .help = help;
                }
            }
            Ok(_) => {}
        }
    }
}

type Fault = (String, Option<String>);

/// K3s ignores unknown keys of registries.yaml, so that a mistyped mirror is silently not used.
fn check_registries(tree: &Tree) -> Result<(), Fault> {
    let entries = mapping(tree, "", "the document")?;
    known(entries, REGISTRIES_KEYS)?;
    for (section, keys) in [("mirrors", MIRROR_KEYS), ("configs", CONFIG_KEYS)] {
        for host in section_entries(tree, section)? {
            let pointer = Pointer::from(format!("/{section}").as_str()).join(&host.key);
            let name = format!("{section}.{}", host.key);
            if tree.is_null(host.value) {
                continue;
            }
            known(mapping(tree, pointer.as_str(), &name)?, keys)?;
            let endpoints = tree.find(&pointer.join("endpoint"));
            if let Some(id) = endpoints
                && !matches!(tree.node(id).kind, Kind::Sequence(_))
            {
                return Err((format!("{name}.endpoint is not a list of URLs"), None));
            }
        }
    }
    Ok(())
}

fn section_entries<'t>(tree: &'t Tree, section: &str) -> Result<&'t [Entry], Fault> {
    let pointer = format!("/{section}");
    match tree.find(&Pointer::from(pointer.as_str())) {
        Some(id) if !tree.is_null(id) => mapping(tree, &pointer, section),
        _ => Ok(&[]),
    }
}

fn mapping<'t>(tree: &'t Tree, pointer: &str, name: &str) -> Result<&'t [Entry], Fault> {
    match tree
        .find(&Pointer::from(pointer))
        .map(|id| &tree.node(id).kind)
    {
        Some(Kind::Mapping(entries)) => Ok(entries),
        _ => Err((format!("{name} is not a mapping"), None)),
    }
}

fn known(entries: &[Entry], keys: &[&str]) -> Result<(), Fault> {
    match entries
        .iter()
        .find(|entry| !keys.contains(&entry.key.as_str()))
    {
        Some(entry) => {
            let near = closest(&entry.key, keys.iter().copied());
            let help = near.map(|key| format!("did you mean `{key}`?"));
            Err((format!("K3s does not know the key `{}`", entry.key), help))
        }
        None => Ok(()),
    }
}
