//! Arguments of the components of Kubernetes.

use super::{Complaint, TextValue, display_text, text_value};
use crate::codes;

/// One argument of a Kubernetes component: `key=value`, with or without `--` before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentArg(String);

text_value!(ComponentArg);
display_text!(ComponentArg);

impl ComponentArg {
    /// Key and value as the component gets them: one leading `--` is dropped, no `=` means `true`.
    pub fn key_value(&self) -> (&str, &str) {
        let bare = self.0.strip_prefix("--").unwrap_or(&self.0);
        bare.split_once('=').unwrap_or((bare, "true"))
    }

    /// Whether it is written with a `=`.
    pub fn has_value(&self) -> bool {
        self.0.contains('=')
    }
}

impl TextValue for ComponentArg {
    const FORMAT: &'static str = "component-arg";
    const DESCRIPTION: &'static str = "An argument as key=value; a leading -- is allowed.";
    const EXAMPLES: &'static [&'static str] = &["max-pods=250", "--v=2"];
    const PATTERN: &'static str = r"^(--)?[A-Za-z][A-Za-z0-9._-]*([+-]?=.*)?$";

    fn parse(text: &str) -> Result<Self, Complaint> {
        let bad = |message: String| Complaint::new(codes::ComponentArg, message);
        if text.trim().is_empty() {
            return Err(
                bad("an empty argument: the component would not start".to_owned())
                    .help("remove the list element"),
            );
        }
        if text.starts_with('-') && !text.starts_with("--") {
            return Err(bad(format!(
                "`{text}` has a single dash, which K3s does not strip"
            ))
            .help(format!("write {}", text.trim_start_matches('-'))));
        }
        let bare = text.strip_prefix("--").unwrap_or(text);
        let key = bare.split('=').next().unwrap_or_default();
        if let Some((name, value)) = key.split_once(char::is_whitespace) {
            return Err(bad(format!(
                "`{text}` has a space before any `=`: K3s would take it all as a flag's name"
            ))
            .help(format!("write {name}={}", value.trim())));
        }
        if let Some(other) = second_argument(bare) {
            return Err(bad(format!(
                "`{text}` has a second argument in it: the component would take it for a part of the first one's value"
            ))
            .help(format!("make `{other}` a list element of its own")));
        }
        let name = key.strip_suffix(['+', '-']).unwrap_or(key);
        let named = name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        if !named {
            return Err(bad(format!("`{text}` does not start with a flag's name"))
                .help("write key=value, such as max-pods=250"));
        }
        if text.chars().any(|c| c.is_control()) {
            return Err(bad(
                "an argument cannot have a line break or control character".to_owned(),
            ));
        }
        Ok(Self(text.to_owned()))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

/// An argument behind a space. Lists such as `cpu=1, memory=2` may have spaces after their commas.
fn second_argument(text: &str) -> Option<&str> {
    let (_, value) = text.split_once('=')?;
    let mut rest = value;
    while let Some((before, after)) = rest.split_once(' ') {
        let word = after.split(' ').next().unwrap_or_default();
        if word.starts_with("--") || (word.contains('=') && !before.ends_with(',')) {
            return Some(word);
        }
        rest = after;
    }
    None
}
