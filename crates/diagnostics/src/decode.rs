//! YAML read into a type of the caller's: what the type does not take is told with its line and a suggestion.

use crate::render::snippet_at;
use crate::text::{closest, listed};
use crate::yaml::{Position, load, position_in};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use serde_saphyr::Error;

/// Why a text was not read, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {}, column {}: {message}{}", position.line, position.column, below(snippet))]
pub struct DecodeError {
    /// Where.
    pub position: Position,
    /// What is wrong.
    pub message: String,
    /// The line with a mark below the place, and the help.
    snippet: String,
}

fn below(snippet: &str) -> String {
    match snippet.trim_end() {
        "" => String::new(),
        text => format!("\n{text}"),
    }
}

impl DecodeError {
    fn new(source: &str, position: Position, message: String, help: Option<String>) -> Self {
        Self {
            snippet: snippet_at(source, position, help),
            position,
            message,
        }
    }
}

/// Reads one YAML document.
///
/// # Errors
/// The text is not YAML, or not of the type's form.
pub fn decode<T: DeserializeOwned>(source: &str) -> Result<T, DecodeError> {
    let (tree, mut duplicates) = load(source).map_err(|error| {
        let position = position_in(source, error.span.start);
        DecodeError::new(source, position, error.message, error.help)
    })?;
    if !duplicates.is_empty() {
        let error = duplicates.swap_remove(0);
        let position = tree.position(error.span.start);
        return Err(DecodeError::new(
            source,
            position,
            error.message,
            error.help,
        ));
    }
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(source, options).map_err(|error| {
        let place = |location: serde_saphyr::Location| Position {
            line: usize::try_from(location.line()).unwrap_or_default(),
            column: usize::try_from(location.column()).unwrap_or_default(),
        };
        let position = error.location().map_or(Position::default(), place);
        let (message, help) = told(error);
        DecodeError::new(source, position, message, help)
    })
}

/// What is wrong, and what to do about it.
fn told(error: Error) -> (String, Option<String>) {
    match error {
        Error::SerdeUnknownField {
            field, expected, ..
        } => {
            let help = suggestion(&field, &expected, "known keys here");
            (format!("unknown key `{field}`"), Some(help))
        }
        Error::SerdeUnknownVariant {
            variant, expected, ..
        } => {
            let help = suggestion(&variant, &expected, "known values here");
            (format!("unknown value `{variant}`"), Some(help))
        }
        Error::SerdeMissingField { field, .. } => (format!("the key `{field}` is missing"), None),
        Error::SerdeInvalidType {
            unexpected,
            expected,
            ..
        } => (format!("{unexpected}; {expected} is wanted"), None),
        other => (other.without_snippet().to_string(), None),
    }
}

fn suggestion(word: &str, known: &[&str], heading: &str) -> String {
    match closest(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("{heading}: {}", listed(known.iter().copied())),
    }
}

/// Alters `target` as `patch` says: mappings are merged, null removes a key, all else takes the place of what was there
/// (JSON Merge Patch, RFC 7396).
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else {
        return;
    };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{decode, merge};
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    struct Sample {
        name: String,
        #[serde(default)]
        kind: Kind,
        #[serde(default)]
        memory_size: u64,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(rename_all = "kebab-case")]
    enum Kind {
        #[default]
        Usual,
        OfGreatSize,
    }

    fn error(text: &str) -> String {
        decode::<Sample>(text).expect_err(text).to_string()
    }

    #[test]
    fn a_text_of_the_form_is_read() {
        let sample: Sample =
            decode("name: a\nkind: of-great-size\nmemorySize: 3\n").expect("valid");
        let Sample {
            name,
            kind,
            memory_size,
        } = sample;
        assert_eq!((&*name, kind, memory_size), ("a", Kind::OfGreatSize, 3));
    }

    #[test]
    fn an_unknown_key_has_its_line_and_a_suggestion() {
        let expected = "line 2, column 1: unknown key `memorySise`\n  |\n2 | memorySise: 3\n  | ^^^^^^^^^^\n  \
                        = help: did you mean `memorySize`?";
        assert_eq!(error("name: a\nmemorySise: 3\n"), expected);
    }

    #[test]
    fn a_key_like_no_other_has_the_known_ones() {
        let error = error("name: a\ncolour: red\n");
        assert!(
            error.ends_with("known keys here: name, kind, memorySize"),
            "{error}"
        );
    }

    #[test]
    fn an_unknown_value_has_a_suggestion() {
        let error = error("name: a\nkind: of-grate-size\n");
        assert!(
            error.starts_with("line 2, column 7: unknown value"),
            "{error}"
        );
        assert!(error.ends_with("did you mean `of-great-size`?"), "{error}");
    }

    #[test]
    fn what_is_missing_twice_or_no_yaml_is_told() {
        for (text, wanted) in [
            (
                "kind: usual\n",
                "line 1, column 1: the key `name` is missing",
            ),
            ("name: a\nname: b\n", "line 2, column 1: "),
            ("name: [a\n", "line 1, column 7: "),
            ("name: a\nmemorySize: many\n", "line 2, column 13: "),
        ] {
            let error = error(text);
            assert!(error.starts_with(wanted), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_patch_is_merged_as_rfc_7396_has_it() {
        use serde_json::json;
        // Of the RFC's appendix A.
        for (target, patch, result) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": "b"}),
                json!({"b": "c"}),
                json!({"a": "b", "b": "c"}),
            ),
            (
                json!({"a": "b", "b": "c"}),
                json!({"a": null}),
                json!({"b": "c"}),
            ),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (
                json!({"e": null}),
                json!({"a": 1}),
                json!({"e": null, "a": 1}),
            ),
            (
                json!([1, 2]),
                json!({"a": "b", "c": null}),
                json!({"a": "b"}),
            ),
            (
                json!({}),
                json!({"a": {"bb": {"ccc": null}}}),
                json!({"a": {"bb": {}}}),
            ),
        ] {
            let mut merged = target.clone();
            merge(&mut merged, &patch);
            assert_eq!(merged, result, "{target} {patch}");
        }
    }
}
