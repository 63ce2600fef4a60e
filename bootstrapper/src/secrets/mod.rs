//! Which parts of a config-file may be seen in a report: what is known to be no secret by its place, and nothing else.
//!
//! A value is shown where the schema knows its place and that is none of [`PLACES`]; of those only the keys are, and of a
//! key that nobody knows not even that, as it may be a value in a wrong place. A text that is no YAML has no places:
//! of its lines the known key at the beginning is shown. What a message quotes is held to the same rule.

mod lines;
mod messages;
mod places;

use crate::diagnostic::Diagnostic;
use crate::schema::SCHEMA;
use crate::schema::{alternatives, resolve};
use crate::text::closest;
use crate::values::{RegistryHost, TextValue as _};
use crate::yaml::{Kind, Pointer, Tree};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::LazyLock;

pub(crate) use lines::hide_in_text;
pub(crate) use messages::quiet;

/// Names of secrets, some of the old raw-text format. One that could be one of them mistyped counts as well.
const NAMES: &[&str] = &[
    "password",
    "passwd",
    "auth",
    "identityToken",
    "identity_token",
    "httpProxy",
    "httpsProxy",
    "http_proxy",
    "https_proxy",
    "token",
    "secret",
];

/// Keys below which values may be secrets. What the model calls a command ends in [`COMMANDS`].
const PLACES: &[&str] = &[
    "users",
    "proxy",
    "registries",
    "sshKey",
    "content",
    "contentFrom",
];
const COMMANDS: &str = "Commands";

/// Keys of accounts and credentials that other tools have, which are shown though they are unknown here.
const WORDS: &[&str] = &[
    "apiKey",
    "basic",
    "comment",
    "email",
    "expiry",
    "gecos",
    "gid",
    "group",
    "groups",
    "hash",
    "home",
    "homedir",
    "key",
    "keys",
    "lock",
    "login",
    "pass",
    "passwordHash",
    "port",
    "primaryGroup",
    "pwd",
    "realm",
    "root",
    "scheme",
    "secret",
    "shell",
    "sudo",
    "sudoer",
    "sudoers",
    "token",
    "type",
    "uid",
    "url",
    "user",
    "userPassword",
    "value",
];

/// The names of all keys that a config-file can have.
static KNOWN: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let mut names = BTreeSet::new();
    collect_names(&SCHEMA, &mut names);
    names
});

fn collect_names(schema: &Value, names: &mut BTreeSet<String>) {
    match schema {
        Value::Object(map) => {
            let properties = map.get("properties").and_then(Value::as_object);
            names.extend(
                properties
                    .into_iter()
                    .flatten()
                    .map(|(name, _)| name.clone()),
            );
            map.values().for_each(|inner| collect_names(inner, names));
        }
        Value::Array(list) => list.iter().for_each(|inner| collect_names(inner, names)),
        _ => {}
    }
}

/// Takes what may be a secret out of the diagnostics of a document.
pub(crate) fn hide(tree: &Tree, diagnostics: &mut [Diagnostic]) {
    messages::hide(tree, diagnostics);
    match tree.node(tree.root()).kind {
        // All of it is one value.
        Kind::Scalar { .. } => hide_in_text(tree.source(), diagnostics),
        _ => places::hide(tree, diagnostics),
    }
}

/// Whether what stands below a key may be a secret.
fn is_place(key: &str) -> bool {
    PLACES.contains(&key) || key.ends_with(COMMANDS)
}

/// Whether a pointer leads to where values may be secrets.
fn is_secret(pointer: &str) -> bool {
    pointer.split('/').any(is_place)
}

/// Whether a key may be shown: a known one anywhere, mistyped or not; another one where no secrets are.
pub(crate) fn shown_key(key: &str, parent: &Pointer) -> bool {
    let is_word = |c: char| c.is_ascii_alphabetic() || matches!(c, '-' | '_');
    key == "<<"
        || is_known(key)
        || (!is_secret(parent.as_str()) && key.len() <= 40 && key.chars().all(is_word))
}

fn is_known(key: &str) -> bool {
    let known = || KNOWN.iter().map(String::as_str);
    let near = |names: &mut dyn Iterator<Item = &'static str>| closest(key, names).is_some();
    KNOWN.contains(key)
        || near(&mut WORDS.iter().copied())
        || near(&mut NAMES.iter().copied())
        || closest(key, known()).is_some()
}

/// Whether a key that the user chooses is surely a host, and no value in a wrong place.
fn is_host(key: &str) -> bool {
    key == "*" || (key.contains(['.', ':']) && RegistryHost::parse(key).is_ok())
}

/// The alternatives of the schema of a key, over those of its mapping; none for an unknown key.
fn property<'s>(choices: &[&'s Value], key: &str) -> Vec<&'s Value> {
    let of = |choice: &&'s Value| {
        let fixed = choice.get("properties").and_then(|all| all.get(key));
        fixed.or_else(|| choice.get("additionalProperties").filter(|s| s.is_object()))
    };
    let found = choices.iter().filter_map(of);
    found
        .flat_map(|schema| alternatives(&SCHEMA, resolve(&SCHEMA, schema)))
        .collect()
}

fn is_name(key: &str) -> bool {
    closest(key, NAMES.iter().copied()).is_some()
}

/// Whether a value in a place without secrets is shown all the same: one word, or an argument. More may be a command that
/// got into the wrong list, or, with quotes, another value that lost its line.
fn is_plain(text: &str) -> bool {
    let mut words = text.split(char::is_whitespace);
    let first = words.next().unwrap_or_default();
    let is_argument = first.starts_with('-') || first.contains('=');
    let is_plain = words.next().is_none() || (is_argument && !text.contains(['"', '\'']));
    is_plain && !looks_secret(text)
}

/// A private key, a URL with a user, or an assignment to the name of a secret, be it without its sign.
pub(crate) fn looks_secret(text: &str) -> bool {
    let with_user = |text: &str| {
        text.split("://").skip(1).any(|rest| {
            rest.split('/')
                .next()
                .is_some_and(|host| host.contains('@'))
        })
    };
    text.contains("PRIVATE KEY")
        || with_user(text)
        || text.lines().any(|line| assigned(line).is_some())
        || text
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(is_grown_together)
}

/// A secret's name and what was to stand behind a sign.
fn is_grown_together(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    let names = ["password", "passwd", "token", "secret"];
    let mut rest = names.iter().filter_map(|name| word.strip_prefix(name));
    rest.any(|rest| !matches!(rest, "" | "s"))
}

/// Where the value begins that a line assigns to a secret's name, by `:` or `=`; of several the first.
fn assigned(line: &str) -> Option<usize> {
    let mut ends = line.match_indices([':', '=']);
    ends.find_map(|(at, _)| {
        let before = line[..at].trim_end();
        let is_end = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '/');
        let word = &before[before.trim_end_matches(|c| !is_end(c)).len()..];
        let value = line[at + 1..].trim_start();
        ends_in_name(word).then_some(line.len() - value.len())
    })
}

/// Whether a word ends in a secret's name. A sign that slipped into it does not matter.
fn ends_in_name(word: &str) -> bool {
    let letters = |text: &str| -> String {
        let letters = text.chars().filter(char::is_ascii_alphanumeric);
        letters.collect::<String>().to_ascii_lowercase()
    };
    let last = letters(word.rsplit('-').next().unwrap_or_default());
    let all = letters(word);
    (!last.is_empty() && is_name(&last)) || NAMES.iter().any(|name| all.ends_with(&letters(name)))
}

#[cfg(test)]
mod tests {
    use super::{assigned, looks_secret, shown_key};
    use crate::yaml::Pointer;

    #[test]
    fn a_secrets_name_with_a_sign_behind_it_assigns() {
        for (line, value) in [
            ("password: x", Some("x")),
            ("password:x", Some("x")),
            ("password:", Some("")),
            ("  \"passwd\" =  'x'", Some("'x'")),
            ("user: a, Password: b", Some("b")),
            ("a token=b: c", Some("b: c")),
            ("my-identity_token: x", Some("x")),
            ("pasword: x", Some("x")),
            ("my-to[ken=x", Some("x")),
            ("my-to:ken=x", Some("x")),
            ("mytoken=x", Some("x")),
            ("to-ken=x", Some("x")),
            ("{token: x", Some("x")),
            ("user: a", None),
            (": x", None),
            ("password", None),
            ("http://host:8080/a", None),
            ("the password is: x", None),
        ] {
            assert_eq!(assigned(line).map(|at| &line[at..]), value, "{line}");
        }
    }

    #[test]
    fn keys_users_of_urls_and_assignments_look_secret() {
        for (text, secret) in [
            ("-----BEGIN PRIVATE KEY-----", true),
            ("curl http://u:p@host/a", true),
            ("http://a/ http://u@b", true),
            ("TOKEN=x join", true),
            ("a\ntoken: x\nb", true),
            ("join-tokenX1", true),
            ("tokens", false),
            ("bootstrap-token-auth", false),
            ("http://host/a@b", false),
            ("mail a@b.example", false),
            ("ssh-ed25519 AAAA a@b", false),
            ("echo a", false),
        ] {
            assert_eq!(looks_secret(text), secret, "{text}");
        }
    }

    #[test]
    fn a_key_that_may_be_a_value_is_shown_where_no_secrets_are() {
        for (key, parent, shown) in [
            ("username", "/operatingSystem/users/0", true),
            ("pasword", "/operatingSystem/users/0", true),
            ("groups", "/operatingSystem/users/0", true),
            ("swordfish", "/operatingSystem/users/0", false),
            ("swordfish", "/operatingSystem/proxy", false),
            ("swordfish", "/operatingSystem/runCommands/0", false),
            ("wifi", "", true),
            ("time-zone", "/operatingSystem", true),
            ("s3cr3t!", "", false),
            ("me:hunter2@host", "", false),
        ] {
            assert_eq!(
                shown_key(key, &Pointer::from(parent)),
                shown,
                "{key} in {parent}"
            );
        }
    }
}
