//! Checks of a file registries.yaml: invalid YAML in it is fatal for K3s, and a key that it does not know is not used.

use crate::codes;
use crate::distribution::Distribution;
use crate::model::File;
use crate::report::Report;
use crate::text::closest;
use crate::values::{RegistryHost, RewriteRule, TextValue as _};
use crate::yaml::{Entry, Kind, Pointer, Tree, load};

/// Top-level keys of registries.yaml; `auths` is the legacy one.
const REGISTRIES_KEYS: &[&str] = &["mirrors", "configs", "auths"];
const MIRROR_KEYS: &[&str] = &["endpoint", "rewrite"];
const CONFIG_KEYS: &[&str] = &["auth", "tls"];
const AUTH_KEYS: &[&str] = &["username", "password", "auth", "identity_token"];
const TLS_KEYS: &[&str] = &["ca_file", "cert_file", "key_file", "insecure_skip_verify"];

impl Report<'_> {
    /// Checks a file registries.yaml.
    pub(super) fn registries_file(
        &mut self,
        file: &File,
        at: &Pointer,
        distribution: &dyn Distribution,
    ) {
        let name = distribution.facts().name;
        if file.path.as_str() != distribution.registries_path() {
            return;
        }
        let Ok(bytes) = file.bytes() else {
            return; // Reported with the file's content.
        };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let is_blank = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
        if text.lines().all(is_blank) {
            return;
        }
        let content_at = at.join("content");
        let path = &file.path;
        match load(&text) {
            Err(error) => {
                self.error(
                    codes::K3sFile,
                    &content_at,
                    format!("{name} reads {path} at start and would not start: {error}"),
                );
            }
            Ok((tree, _)) if !matches!(tree.node(tree.root()).kind, Kind::Mapping(_)) => {
                self.error(
                    codes::K3sFile,
                    &content_at,
                    format!("{path} must be a mapping"),
                );
            }
            Ok((tree, _)) => {
                if let Err((reason, help)) = check_registries(&tree, name) {
                    self.error(codes::Registries, &content_at, format!("{path}: {reason}"))
                        .help = help;
                }
            }
        }
    }
}

type Fault = (String, Option<String>);

/// K3s ignores unknown keys of registries.yaml, so that a mistyped mirror is silently not used; a value of another
/// type than it wants, or a rule that is no regular expression, keeps it from starting or from pulling.
fn check_registries(tree: &Tree, of: &str) -> Result<(), Fault> {
    known(
        mapping(tree, &Pointer::root(), "the document")?,
        REGISTRIES_KEYS,
        of,
    )?;
    for (at, name) in hosts(tree, "mirrors")? {
        known(mapping(tree, &at, &name)?, MIRROR_KEYS, of)?;
        endpoints(tree, &at.join("endpoint"), &name)?;
        for entry in section_entries(tree, &at.join("rewrite"), &format!("{name}.rewrite"))? {
            let rule = RewriteRule::parse(&entry.key).map_err(|complaint| {
                (
                    format!("{name}.rewrite: {}", complaint.message),
                    complaint.help,
                )
            })?;
            if let Kind::Scalar { text, .. } = &tree.node(entry.value).kind
                && let Some(group) = rule.missing_group(text)
            {
                let reason = format!(
                    "{name}.rewrite: the replacement names the group `{group}`, which `{rule}` has not"
                );
                return Err((reason, None));
            }
        }
    }
    for (at, name) in hosts(tree, "configs")? {
        known(mapping(tree, &at, &name)?, CONFIG_KEYS, of)?;
        for (part, keys) in [("auth", AUTH_KEYS), ("tls", TLS_KEYS)] {
            let name = format!("{name}.{part}");
            let entries = section_entries(tree, &at.join(part), &name)?;
            known(entries, keys, of)?;
            texts(tree, entries, &name)?;
        }
    }
    Ok(())
}

/// The hosts below a section that have settings: their pointers and names.
fn hosts(tree: &Tree, section: &str) -> Result<Vec<(Pointer, String)>, Fault> {
    let at = Pointer::root().join(section);
    let entries = section_entries(tree, &at, section)?;
    for entry in entries {
        if let Err(complaint) = RegistryHost::parse(&entry.key) {
            return Err((format!("{section}: {}", complaint.message), complaint.help));
        }
    }
    let set = entries.iter().filter(|host| !tree.is_null(host.value));
    Ok(set
        .map(|host| (at.join(&host.key), format!("{section}.{}", host.key)))
        .collect())
}

fn endpoints(tree: &Tree, at: &Pointer, name: &str) -> Result<(), Fault> {
    let bad = || (format!("{name}.endpoint is not a list of URLs"), None);
    match tree.find(at).map(|id| &tree.node(id).kind) {
        None => Ok(()),
        Some(Kind::Sequence(items)) => {
            let is_text =
                |kind: &Kind| matches!(kind, Kind::Scalar { text, .. } if !text.trim().is_empty());
            let fine = items.iter().all(|item| is_text(&tree.node(*item).kind));
            fine.then_some(()).ok_or_else(bad)
        }
        Some(_) => Err(bad()),
    }
}

/// Values that are texts, and one that is true or false.
fn texts(tree: &Tree, entries: &[Entry], name: &str) -> Result<(), Fault> {
    for entry in entries {
        let Kind::Scalar { text, .. } = &tree.node(entry.value).kind else {
            return Err((format!("{name}.{} is not a string", entry.key), None));
        };
        let is_flag = ["true", "false"].contains(&text.to_lowercase().as_str());
        if entry.key == "insecure_skip_verify" && !is_flag {
            let message = format!("{name}.{} is not true or false", entry.key);
            return Err((message, None));
        }
    }
    Ok(())
}

/// The entries of a mapping that may be left out.
fn section_entries<'t>(tree: &'t Tree, at: &Pointer, name: &str) -> Result<&'t [Entry], Fault> {
    match tree.find(at) {
        Some(id) if !tree.is_null(id) => mapping(tree, at, name),
        _ => Ok(&[]),
    }
}

fn mapping<'t>(tree: &'t Tree, at: &Pointer, name: &str) -> Result<&'t [Entry], Fault> {
    match tree.find(at).map(|id| &tree.node(id).kind) {
        Some(Kind::Mapping(entries)) => Ok(entries),
        _ => Err((format!("{name} is not a mapping"), None)),
    }
}

fn known(entries: &[Entry], keys: &[&str], of: &str) -> Result<(), Fault> {
    match entries
        .iter()
        .find(|entry| !keys.contains(&entry.key.as_str()))
    {
        Some(entry) => {
            let near = closest(&entry.key, keys.iter().copied());
            let help = near.map(|key| format!("did you mean `{key}`?"));
            Err((format!("{of} does not know the key `{}`", entry.key), help))
        }
        None => Ok(()),
    }
}
