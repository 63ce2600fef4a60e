//! A YAML document in the form of Go's yaml.v2: block style, two spaces, lists not indented.

use std::cmp::Ordering;

use serde_json::{Map, Value as Json};

use super::scalar;

/// Spaces of one level.
const STEP: usize = 2;

/// The document of a mapping.
pub fn to_text(map: &Map<String, Json>) -> String {
    let mut out = String::new();
    mapping(map, 0, &mut out);
    out
}

/// The order of keys in a sorted mapping: where two first differ, numbers come by their value, and
/// letters behind all else.
pub fn compare_keys(a: &str, b: &str) -> Ordering {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let Some(at) = a.iter().zip(&b).position(|(a, b)| a != b) else {
        return a.len().cmp(&b.len());
    };
    let letters = a[at].is_alphabetic().cmp(&b[at].is_alphabetic());
    if letters != Ordering::Equal || a[at].is_alphabetic() {
        return letters.then(a[at].cmp(&b[at]));
    }
    // A zero inside a number is no leading one.
    let before = a[..at].iter().rev().take_while(|c| c.is_ascii_digit());
    let inside = (a[at] == '0' || b[at] == '0') && before.into_iter().any(|c| *c != '0');
    let number = |text: &[char]| {
        let digits = text[at..].iter().map_while(|c| c.to_digit(10));
        digits.fold((u64::from(inside), 0), |(value, length), digit| {
            (
                value.wrapping_mul(10).wrapping_add(digit.into()),
                length + 1,
            )
        })
    };
    number(&a).cmp(&number(&b)).then(a[at].cmp(&b[at]))
}

/// Writes the keys of a mapping; the first stands where the text ends now.
fn mapping(map: &Map<String, Json>, indent: usize, out: &mut String) {
    for (index, (key, value)) in map.iter().enumerate() {
        if index > 0 {
            spaces(indent, out);
        }
        out.push_str(&scalar::key(key));
        out.push(':');
        match value {
            Json::Object(inner) if !inner.is_empty() => {
                out.push('\n');
                spaces(indent + STEP, out);
                mapping(inner, indent + STEP, out);
            }
            Json::Array(items) if !items.is_empty() => {
                out.push('\n');
                list(items, indent, out);
            }
            value => {
                out.push(' ');
                leaf(value, indent + STEP, out);
            }
        }
    }
}

fn list(items: &[Json], indent: usize, out: &mut String) {
    for item in items {
        spaces(indent, out);
        out.push_str("- ");
        match item {
            Json::Object(inner) if !inner.is_empty() => mapping(inner, indent + STEP, out),
            item => leaf(item, indent + STEP, out),
        }
    }
}

/// Writes what has no parts, and the end of its line.
fn leaf(value: &Json, indent: usize, out: &mut String) {
    match value {
        Json::Array(_) => out.push_str("[]"),
        Json::Object(_) => out.push_str("{}"),
        Json::String(text) => {
            let line = out.rfind('\n').map_or(0, |at| at + 1);
            let column = out[line..].chars().count();
            out.push_str(&scalar::value(text, indent, column));
        }
        other => out.push_str(&other.to_string()),
    }
    out.push('\n');
}

fn spaces(count: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', count));
}
