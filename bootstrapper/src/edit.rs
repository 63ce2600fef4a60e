//! Edits of a config-file's text that change nothing but the value meant.

use crate::config_file::ConfigFile;
use crate::diagnostic::Severity;
use crate::values::{Complaint, Password, SshKey};
use crate::yaml::{Kind, Pointer, Tree};
use crate::{ParseOptions, parse};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Why a text could not be edited.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The config-file has an error of its own.
    #[error("the config-file has errors and cannot be edited: {0}")]
    Invalid(String),
    /// The key to add is no SSH key.
    #[error("the key to add: {}", .0.message)]
    Key(Complaint),
    /// The edited text no longer says what it should.
    #[error(
        "editing /operatingSystem/{0} would give a config-file that does not hold what is added"
    )]
    Lost(&'static str),
}

/// The text of a config-file with one more SSH key at /operatingSystem/sshKey, all else unchanged.
///
/// # Errors
/// The config-file or the key is invalid.
pub fn add_ssh_key(text: &str, key: &str) -> Result<String, EditError> {
    let key: SshKey = key.parse().map_err(EditError::Key)?;
    let (config, tree) = read(text)?;
    let mut keys: Vec<&SshKey> = config.operating_system.ssh_keys();
    if !keys.contains(&&key) {
        keys.push(&key);
    }
    let quoted: Vec<String> = keys
        .iter()
        .map(|key| crate::emit::quoted(key.as_str()))
        .collect();
    let edited = set(text, &tree, "sshKey", &format!("[{}]", quoted.join(", ")));
    let after = parse(&edited, &ParseOptions::default());
    let holds = after
        .config
        .is_some_and(|config| config.operating_system.ssh_keys() == keys);
    holds.then_some(edited).ok_or(EditError::Lost("sshKey"))
}

/// The text of a config-file with a password in the place of every placeholder, all else unchanged.
///
/// # Errors
/// The config-file would have errors with it.
pub fn replace_placeholders(text: &str, password: &str) -> Result<String, EditError> {
    let Some(tree) = parse(text, &ParseOptions::default()).tree else {
        return Ok(text.to_owned());
    };
    let encoded = crate::emit::quoted(&STANDARD.encode(password));
    let mut edited = text.to_owned();
    for span in placeholders(&tree).into_iter().rev() {
        edited = splice(&edited, span, &encoded);
    }
    if edited != text {
        read(&edited)?;
    }
    Ok(edited)
}

/// Where users have the placeholder of a password, in the order of the text.
fn placeholders(tree: &Tree) -> Vec<std::ops::Range<usize>> {
    let users = Pointer::from("/operatingSystem/users");
    let Some(Kind::Sequence(items)) = tree.find(&users).map(|id| &tree.node(id).kind) else {
        return vec![];
    };
    let at = |index| tree.find(&users.join(index).join("password"));
    let nodes = (0..items.len()).filter_map(|index| Some(tree.node(at(index)?)));
    let is_one =
        |kind: &Kind| matches!(kind, Kind::Scalar { text, .. } if text == Password::PLACEHOLDER);
    nodes
        .filter(|node| is_one(&node.kind))
        .map(|node| node.span.clone())
        .collect()
}

/// The text of a config-file with one more file in /operatingSystem/writeFiles, the first there, all else unchanged.
///
/// # Errors
/// The config-file is invalid, or would be with the file, as with a second one of the same path.
pub fn add_written_file(text: &str, path: &str, content: &str) -> Result<String, EditError> {
    let (config, tree) = read(text)?;
    let quoted = crate::emit::quoted;
    let item = format!("{{path: {}, content: {}}}", quoted(path), quoted(content));
    let list = tree.find(&Pointer::from("/operatingSystem/writeFiles"));
    let edited = match list.map(|id| tree.node(id)) {
        Some(node) if matches!(&node.kind, Kind::Sequence(items) if !items.is_empty()) => {
            insert_first(text, &tree, node.span.start, &item)
        }
        _ => set(text, &tree, "writeFiles", &format!("[{item}]")),
    };
    let holds = |after: ConfigFile| match after.operating_system.write_files.split_first() {
        Some((first, others)) => {
            let bytes = first.bytes().unwrap_or_default();
            first.path.as_str() == path
                && bytes == content.as_bytes()
                && others.len() == config.operating_system.write_files.len()
        }
        None => false,
    };
    let after = parse(&edited, &ParseOptions::default());
    let holds = after.config.is_some_and(holds);
    holds.then_some(edited).ok_or(EditError::Lost("writeFiles"))
}

/// A config-file without errors, and where its parts stand.
fn read(text: &str) -> Result<(ConfigFile, Tree), EditError> {
    let parsed = parse(text, &ParseOptions::default());
    match (parsed.config, parsed.tree) {
        (Some(config), Some(tree)) => Ok((config, tree)),
        _ => {
            let errors = parsed.diagnostics.iter();
            let mut errors = errors.filter(|d| d.severity == Severity::Error);
            let first = errors.next().map(|error| error.message.clone());
            Err(EditError::Invalid(first.unwrap_or_default()))
        }
    }
}

/// Puts a flow value before the first item of the list that starts at `start`.
fn insert_first(text: &str, tree: &Tree, start: usize, item: &str) -> String {
    if text[start..].starts_with('[') {
        return splice(text, start + 1..start + 1, &format!("{item}, "));
    }
    // A list that is indented no more than its key starts, for the parser, with its first item.
    let dash = match text[start..].starts_with('-') {
        true => start,
        false => text[..start].rfind('-').unwrap_or(start),
    };
    let indent = " ".repeat(tree.position(dash).column - 1);
    splice(text, dash..dash, &format!("- {item}\n{indent}"))
}

/// Puts a flow value at a key of /operatingSystem.
fn set(text: &str, tree: &Tree, name: &str, value: &str) -> String {
    let section = Pointer::from("/operatingSystem");
    let at = section.join(name);
    if let (Some(entry), Some(id)) = (tree.entry(&at), tree.find(&at)) {
        // From the colon on: a block text's span does not have its `|`.
        let colon = text[entry.key_span.end..].find(':').unwrap_or_default();
        let start = entry.key_span.end + colon + 1;
        let end = tree.node(id).span.end.max(start);
        let empty = tree.node(id).span.is_empty();
        let range = if empty { start..start } else { start..end };
        return splice(text, range, &format!(" {value}"));
    }
    match tree.find(&section).map(|id| tree.node(id)) {
        Some(node) if matches!(&node.kind, Kind::Mapping(entries) if !entries.is_empty()) => {
            let start = match text[node.span.start..].starts_with('{') {
                true => {
                    return splice(
                        text,
                        node.span.start + 1..node.span.start + 1,
                        &format!("{name}: {value}, "),
                    );
                }
                false => node.span.start,
            };
            let column = tree.position(start).column - 1;
            let line = format!("{name}: {value}\n{}", " ".repeat(column));
            splice(text, start..start, &line)
        }
        Some(_) => {
            let Some(entry) = tree.entry(&section) else {
                return text.to_owned();
            };
            let span = tree.span(&section).filter(|span| !span.is_empty());
            let end =
                text[entry.key_span.end..].find(':').unwrap_or_default() + entry.key_span.end + 1;
            let range = span.map_or(end..end, |span| end..span.end);
            splice(text, range, &format!(" {{{name}: {value}}}"))
        }
        None => {
            let gap = if text.ends_with('\n') { "" } else { "\n" };
            format!("{text}{gap}operatingSystem:\n  {name}: {value}\n")
        }
    }
}

fn splice(text: &str, range: std::ops::Range<usize>, with: &str) -> String {
    format!("{}{with}{}", &text[..range.start], &text[range.end..])
}

#[cfg(test)]
mod tests {
    use super::{add_ssh_key, add_written_file, replace_placeholders};
    use crate::{ParseOptions, parse};

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f new";
    const OLD: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB8eHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgEA old";
    const KUBERNETES: &str = "kubernetes:\n  kind: KThreesControlPlaneTemplate\n  apiVersion: controlplane.cluster.x-k8s.io/v1beta2\n  spec: {template: {}}\n";

    #[test]
    fn adds_a_key_wherever_there_is_room_for_one() {
        for (section, before) in [
            ("operatingSystem:\n  sshKey:\n".to_owned(), 0),
            ("operatingSystem:\n  sshKey: # none yet\n".to_owned(), 0),
            ("operatingSystem:\n  sshKey: \"\"\n".to_owned(), 0),
            ("operatingSystem:\n  sshKey: []\n".to_owned(), 0),
            (
                "operatingSystem:\n  users: [{username: root}]\n".to_owned(),
                0,
            ),
            (
                "operatingSystem: {users: [{username: root}]}\n".to_owned(),
                0,
            ),
            ("operatingSystem:\n".to_owned(), 0),
            ("operatingSystem: {}\n".to_owned(), 0),
            (String::new(), 0),
            (format!("operatingSystem:\n  sshKey: {OLD}\n"), 1),
            (
                format!("operatingSystem:\n  sshKey: '{OLD}' # mine\n  hostname: a\n"),
                1,
            ),
            (
                format!("operatingSystem:\n  sshKey: |\n    {OLD}\n    # comment\n  hostname: a\n"),
                1,
            ),
            (format!("operatingSystem:\n  sshKey: >-\n    {OLD}\n"), 1),
            (
                format!("operatingSystem:\n  sshKey:\n    - {OLD}\n  hostname: a\n"),
                1,
            ),
            (
                format!("operatingSystem:\n  sshKey:\n  - {OLD}\n  hostname: a\n"),
                1,
            ),
            (format!("operatingSystem:\n  sshKey: [\"{OLD}\"]\n"), 1),
        ] {
            let text = format!("{section}{KUBERNETES}");
            let edited = add_ssh_key(&text, KEY).unwrap_or_else(|error| panic!("{error}: {text}"));
            let config = parse(&edited, &ParseOptions::default())
                .config
                .expect("valid");
            let keys = config.operating_system.ssh_keys();
            assert_eq!(keys.len(), before + 1, "{edited}");
            assert!(edited.contains(KUBERNETES), "the rest changed: {edited}");
        }
    }

    #[test]
    fn changes_nothing_but_the_place_of_the_key() {
        for (before, after) in [
            (
                "operatingSystem:\n  sshKey:\n",
                "operatingSystem:\n  sshKey: [\"NEW\"]\n",
            ),
            (
                "operatingSystem:\n  sshKey : # no\n",
                "operatingSystem:\n  sshKey : [\"NEW\"] # no\n",
            ),
            (
                "operatingSystem:\n  sshKey : ''\n",
                "operatingSystem:\n  sshKey : [\"NEW\"]\n",
            ),
            (
                "operatingSystem:\n  sshKey: OLD # mine\n  hostname: a\n",
                "operatingSystem:\n  sshKey: [\"OLD\", \"NEW\"] # mine\n  hostname: a\n",
            ),
            (
                "operatingSystem:\n    hostname: a\n",
                "operatingSystem:\n    sshKey: [\"NEW\"]\n    hostname: a\n",
            ),
            (
                "operatingSystem: {hostname: a}\n",
                "operatingSystem: {sshKey: [\"NEW\"], hostname: a}\n",
            ),
            (
                "operatingSystem : {} # no\n",
                "operatingSystem : {sshKey: [\"NEW\"]} # no\n",
            ),
            (
                "operatingSystem: {}\n",
                "operatingSystem: {sshKey: [\"NEW\"]}\n",
            ),
            (
                "operatingSystem : # no\n",
                "operatingSystem : {sshKey: [\"NEW\"]} # no\n",
            ),
            (
                "operatingSystem: ~\n",
                "operatingSystem: {sshKey: [\"NEW\"]}\n",
            ),
        ] {
            let filled = |text: &str| text.replace("OLD", OLD).replace("NEW", KEY);
            let (before, after) = (filled(before), filled(after));
            let edited = add_ssh_key(&format!("{before}{KUBERNETES}"), KEY);
            let edited = edited.unwrap_or_else(|error| panic!("{error}: {before}"));
            assert_eq!(edited, format!("{after}{KUBERNETES}"));
        }
    }

    #[test]
    fn a_section_that_is_missing_comes_last() {
        for text in [KUBERNETES, KUBERNETES.trim_end()] {
            let edited = add_ssh_key(text, KEY).expect("edited");
            let expected = format!("{KUBERNETES}operatingSystem:\n  sshKey: [\"{KEY}\"]\n");
            assert_eq!(edited, expected);
        }
    }

    #[test]
    fn neither_a_wrong_key_nor_a_wrong_file_is_edited() {
        let error = |text, key| add_ssh_key(text, key).expect_err("refused").to_string();
        let said = error(KUBERNETES, "ssh-new AAAA");
        assert!(said.contains("`ssh-new` is not a key type"), "{said}");
        let said = error("version: 2.0\n", KEY);
        assert!(said.contains("has errors and cannot be edited: "), "{said}");
    }

    const DROP_IN: &str = "/etc/rancher/k3s/config.yaml.d/50-a.yaml";

    #[track_caller]
    fn with_file(section: &str) -> Vec<String> {
        let text = format!("{section}{KUBERNETES}");
        let edited = add_written_file(&text, DROP_IN, "a: \"b\"\n");
        let edited = edited.unwrap_or_else(|error| panic!("{error}: {text}"));
        assert!(edited.contains(KUBERNETES), "the rest changed: {edited}");
        let config = parse(&edited, &ParseOptions::default()).config.unwrap();
        let files = config.operating_system.write_files;
        files.iter().map(|file| file.path.to_string()).collect()
    }

    #[test]
    fn a_file_is_added_where_there_is_no_list() {
        for section in [
            "",
            "operatingSystem:\n",
            "operatingSystem: {hostname: a}\n",
            "operatingSystem:\n  writeFiles:\n  hostname: a\n",
            "operatingSystem:\n  writeFiles: [] # none\n",
        ] {
            assert_eq!(with_file(section), [DROP_IN], "{section}");
        }
    }

    #[test]
    fn a_file_comes_before_those_of_a_list_of_either_style() {
        for section in [
            "operatingSystem:\n  writeFiles:\n    - path: /etc/a\n      content: |\n        x\n  hostname: a\n",
            "operatingSystem:\n  writeFiles:\n  # first\n  - {path: /etc/a, content: x}\n",
            "operatingSystem:\n  writeFiles: [{path: /etc/a, content: x}]\n",
        ] {
            assert_eq!(with_file(section), [DROP_IN, "/etc/a"], "{section}");
        }
    }

    #[test]
    fn a_file_that_is_there_already_is_not_added() {
        let text = format!(
            "operatingSystem:\n  writeFiles: [{{path: {DROP_IN}, content: \"a: 1\"}}]\n{KUBERNETES}"
        );
        let error = add_written_file(&text, DROP_IN, "a: 2\n").unwrap_err();
        assert!(
            error.to_string().contains("/operatingSystem/writeFiles"),
            "{error}"
        );
    }

    #[test]
    fn does_not_add_a_key_twice() {
        let text = format!("operatingSystem:\n  sshKey: {KEY}\n{KUBERNETES}");
        let edited = add_ssh_key(&text, KEY).expect("edited");
        assert_eq!(edited.matches("ssh-ed25519").count(), 1);
    }

    #[test]
    fn every_placeholder_gets_the_password_and_nothing_else_changes() {
        let text = format!(
            "operatingSystem:\n  # CHANGE-ME\n  users:\n    - {{username: root, password: 'CHANGE-ME'}}\n    \
             - username: op\n      password: CHANGE-ME # soon\n    - {{username: b, password: c2VjcmV0}}\n{KUBERNETES}"
        );
        let edited = replace_placeholders(&text, "a b").expect("edited");
        let expected = text
            .replace("'CHANGE-ME'", "\"YSBi\"")
            .replace("CHANGE-ME # soon", "\"YSBi\" # soon");
        assert_eq!(edited, expected);
    }

    #[test]
    fn a_text_without_a_placeholder_stays_whatever_it_is() {
        for text in ["a: [", "a: b", KUBERNETES] {
            assert_eq!(replace_placeholders(text, "x").expect("as it is"), text);
        }
    }

    #[test]
    fn a_config_file_with_other_errors_gets_no_password() {
        let text = format!(
            "operatingSystem: {{users: [{{username: a, password: CHANGE-ME}}], x: y}}\n{KUBERNETES}"
        );
        let error = replace_placeholders(&text, "x").expect_err("refused");
        assert!(error.to_string().contains("`x`"), "{error}");
    }
}
