//! Edits of a config-file's text that change nothing but the value meant.

use crate::values::{Complaint, SshKey};
use crate::yaml::{Kind, Pointer, Tree};
use crate::{ParseOptions, parse};

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
    #[error("editing /operatingSystem/sshKey would give a config-file that does not hold the key")]
    Lost,
}

/// The text of a config-file with one more SSH key at /operatingSystem/sshKey, all else unchanged.
///
/// # Errors
/// The config-file or the key is invalid.
pub fn add_ssh_key(text: &str, key: &str) -> Result<String, EditError> {
    let key: SshKey = key.parse().map_err(EditError::Key)?;
    let before = parse(text, &ParseOptions::default());
    let (Some(config), Some(tree)) = (before.config, before.tree) else {
        let first = before.diagnostics.into_iter().map(|d| d.message).next();
        return Err(EditError::Invalid(first.unwrap_or_default()));
    };
    let mut keys: Vec<&SshKey> = config.operating_system.ssh_keys();
    if !keys.contains(&&key) {
        keys.push(&key);
    }
    let quoted: Vec<String> = keys
        .iter()
        .map(|key| crate::emit::quoted(key.as_str()))
        .collect();
    let edited = replace(text, &tree, &format!("[{}]", quoted.join(", ")));
    let after = parse(&edited, &ParseOptions::default());
    let holds = after
        .config
        .is_some_and(|config| config.operating_system.ssh_keys() == keys);
    holds.then_some(edited).ok_or(EditError::Lost)
}

/// Puts a flow value at /operatingSystem/sshKey.
fn replace(text: &str, tree: &Tree, value: &str) -> String {
    let section = Pointer::from("/operatingSystem");
    let at = section.join("sshKey");
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
                        &format!("sshKey: {value}, "),
                    );
                }
                false => node.span.start,
            };
            let column = tree.position(start).column - 1;
            let line = format!("sshKey: {value}\n{}", " ".repeat(column));
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
            splice(text, range, &format!(" {{sshKey: {value}}}"))
        }
        None => {
            let gap = if text.ends_with('\n') { "" } else { "\n" };
            format!("{text}{gap}operatingSystem:\n  sshKey: {value}\n")
        }
    }
}

fn splice(text: &str, range: std::ops::Range<usize>, with: &str) -> String {
    format!("{}{with}{}", &text[..range.start], &text[range.end..])
}

#[cfg(test)]
mod tests {
    use super::add_ssh_key;
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

    #[test]
    fn does_not_add_a_key_twice() {
        let text = format!("operatingSystem:\n  sshKey: {KEY}\n{KUBERNETES}");
        let edited = add_ssh_key(&text, KEY).expect("edited");
        assert_eq!(edited.matches("ssh-ed25519").count(), 1);
    }
}
