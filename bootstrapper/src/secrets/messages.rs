//! What messages may quote of a value: nothing of one that may be a secret.

use super::{KNOWN, NAMES, assigned, is_host, is_known, is_place, is_plain, is_secret};
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::schema::check_value;
use crate::values::Complaint;
use crate::yaml::{Kind, NodeId, Pointer, Tree};
use std::collections::HashMap;

/// What stands for a value that is not quoted.
const HIDDEN: &str = "(hidden)";
/// Most values that the messages of one diagnostic are compared with.
const MAX_VALUES: usize = 200;
/// Diagnostics of keys quote no value, and of keys only those that may be shown.
const OF_KEYS: [codes::DocumentCode; 3] =
    [codes::UnknownKey, codes::MisplacedKey, codes::MissingKey];
/// Most nodes that are looked through for them.
const MAX_NODES: usize = 500;
/// Shortest word without quotes that is compared.
const SHORTEST: usize = 4;

/// A complaint of a value, without the value where that may be a secret. A help that another value gets as well quotes
/// neither.
pub(crate) fn quiet(mut complaint: Complaint, format: &str, at: &Pointer, text: &str) -> Complaint {
    if is_secret(at.as_str()) || !is_plain(text) {
        let of_another = check_value(format, "\u{1}")
            .err()
            .and_then(|other| other.help);
        let text = &text.to_lowercase();
        complaint.message = without(&complaint.message, text);
        if complaint.help != of_another {
            complaint.help = complaint.help.map(|help| without(&help, text));
        }
    }
    complaint
}

/// Takes values that may be secrets out of the messages of a document's diagnostics, and out of their pointers.
pub(super) fn hide(tree: &Tree, diagnostics: &mut [Diagnostic]) {
    // Many diagnostics may have one large value.
    let mut values: HashMap<String, Vec<String>> = HashMap::new();
    for diagnostic in diagnostics {
        let of_key = OF_KEYS.iter().any(|code| diagnostic.code == *code);
        let pointer = diagnostic.pointer.clone();
        diagnostic.pointer = shown_pointer(&pointer);
        if of_key {
            continue;
        }
        let values = values
            .entry(pointer)
            .or_insert_with_key(|at| values_at(tree, at));
        for value in values {
            diagnostic.message = without(&diagnostic.message, value);
            // Of the words of a help most are no one's.
            let help = diagnostic.help.take();
            diagnostic.help = help.map(|help| match help.to_lowercase().contains(&*value) {
                true => without(&help, value),
                false => help,
            });
        }
    }
}

/// What may be a secret at a pointer and below it, in lower case.
fn values_at(tree: &Tree, pointer: &str) -> Vec<String> {
    let mut values = vec![];
    let mut left = MAX_NODES;
    if let Some(id) = tree.find(&Pointer::from(pointer)) {
        collect(tree, id, pointer, &mut left, &mut values);
    }
    values.iter().map(|value| value.to_lowercase()).collect()
}

fn collect<'t>(
    tree: &'t Tree,
    id: NodeId,
    pointer: &str,
    left: &mut usize,
    values: &mut Vec<&'t str>,
) {
    if values.len() >= MAX_VALUES || *left == 0 {
        return;
    }
    *left -= 1;
    match &tree.node(id).kind {
        Kind::Scalar { text, .. } if pointer.ends_with("/content") => {
            let of =
                |line: &'t str| assigned(line).map(|at| line[at..].trim_matches(['"', '\'', ' ']));
            values.extend(text.lines().filter_map(of).take(MAX_VALUES));
        }
        Kind::Scalar { text, .. } => {
            if is_secret(pointer) || !is_plain(text) {
                values.push(text);
            }
        }
        Kind::Sequence(items) => {
            for item in items {
                collect(tree, *item, pointer, left, values);
            }
        }
        Kind::Mapping(entries) => {
            for entry in entries {
                if is_secret(pointer) && !is_known(&entry.key) && !is_host(&entry.key) {
                    values.push(&entry.key);
                }
                collect(
                    tree,
                    entry.value,
                    &format!("{pointer}/{}", entry.key),
                    left,
                    values,
                );
            }
        }
    }
}

/// A pointer up to the first step that may be a secret.
fn shown_pointer(pointer: &str) -> String {
    let mut out = String::new();
    let mut secret = false;
    for step in pointer.split('/').skip(1) {
        let is_index = step.bytes().all(|byte| byte.is_ascii_digit());
        let host = step.replace("~1", "/").replace("~0", "~");
        if secret && !is_index && !is_known(step) && !is_host(&host) {
            break;
        }
        secret |= is_place(step);
        out.push('/');
        out.push_str(step);
    }
    out
}

/// A message without what it quotes of a value, which is given in lower case: what is in backquotes, and words that are part of the value.
fn without(message: &str, value: &str) -> String {
    if value.is_empty() {
        return message.to_owned();
    }
    let mut out = String::with_capacity(message.len());
    for (at, part) in message.split('`').enumerate() {
        let quoted = at % 2 == 1;
        if quoted && is_of(part, value, 1) {
            out.push_str(HIDDEN);
        } else if quoted {
            out.push('`');
            out.push_str(&words_without(part, value));
            out.push('`');
        } else {
            out.push_str(&words_without(part, value));
        }
    }
    out
}

fn words_without(text: &str, value: &str) -> String {
    let is_space = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '(' | ')' | ',' | ';');
    let word = |word: &str| {
        let bare = word.trim_end_matches(|c: char| is_space(c) || matches!(c, ':' | '.'));
        let plain = bare.chars().all(|c| c.is_ascii_alphabetic());
        let quotes = is_of(bare, value, SHORTEST) && (!plain || bare.to_lowercase() == value);
        if quotes {
            word.replacen(bare, HIDDEN, 1)
        } else {
            word.to_owned()
        }
    };
    text.split_inclusive(is_space).map(word).collect()
}

/// Whether a part of a message is a part of a value, and no key of a config-file.
fn is_of(part: &str, value: &str, shortest: usize) -> bool {
    let known = KNOWN.contains(part) || NAMES.contains(&part);
    let is_word = part.len() >= shortest && part.contains(char::is_alphanumeric);
    is_word && !known && value.contains(&part.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::{shown_pointer, without};

    #[test]
    fn what_a_message_quotes_of_a_value_is_hidden() {
        for (message, value, shown) in [
            ("`a b` is not a name", "a b", "(hidden) is not a name"),
            ("`b` is not a name", "a b", "(hidden) is not a name"),
            ("`B` is not a name", "a b", "(hidden) is not a name"),
            ("give `password`", "password", "give `password`"),
            ("write token=x1: it", "-token=x1", "write (hidden): it"),
            (
                "the host 10.0.0.1 is taken",
                "10.0.0.1:80",
                "the host (hidden) is taken",
            ),
            ("it is the name", "what the name is", "it is the name"),
            ("the port is swordfish", "swordfish", "the port is (hidden)"),
            ("nothing", "", "nothing"),
        ] {
            assert_eq!(without(message, value), shown, "{message}");
        }
    }

    #[test]
    fn a_pointer_ends_before_a_step_that_may_be_a_secret() {
        for (pointer, shown) in [
            (
                "/operatingSystem/users/0/password",
                "/operatingSystem/users/0/password",
            ),
            (
                "/operatingSystem/users/0/hunter2",
                "/operatingSystem/users/0",
            ),
            (
                "/kubernetes/registries/configs/r.example.com/auth",
                "/kubernetes/registries/configs/r.example.com/auth",
            ),
            (
                "/kubernetes/registries/configs/a:b@c/auth",
                "/kubernetes/registries/configs",
            ),
            ("/wifi/psk", "/wifi/psk"),
            ("", ""),
        ] {
            assert_eq!(shown_pointer(pointer), shown, "{pointer}");
        }
    }
}
