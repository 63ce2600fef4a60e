//! Single values: texts of a format, words of a list, true and false, numbers.

use super::{Shape, fixed_texts};
use crate::codes;
use crate::schema::{check_value, takes};
use crate::secrets;
use crate::text::{closest, odd_character};
use crate::values::{Command, TextValue as _};
use crate::yaml::{NodeId, Pointer};
use serde_json::Value;

impl Shape<'_> {
    pub(super) fn scalar(
        &mut self,
        choices: &[&Value],
        id: NodeId,
        text: &str,
        plain: bool,
        at: &Pointer,
    ) -> Option<Value> {
        let scalars: Vec<&Value> = choices
            .iter()
            .copied()
            .filter(|choice| !takes(choice, "array") && !takes(choice, "object"))
            .collect();
        let Some(choice) = scalars.first() else {
            return self.wrong_type(choices, id, at);
        };
        let fixed: Vec<String> = scalars.iter().flat_map(|s| fixed_texts(s)).collect();
        if !fixed.is_empty() {
            return self.fixed(&fixed, text, at);
        }
        if takes(choice, "boolean") {
            return self.boolean(text, plain, at);
        }
        if takes(choice, "integer") {
            return self.integer(text, at);
        }
        let format = choice.get("format").and_then(Value::as_str);
        let format = format.unwrap_or_default();
        if plain && self.cut_by_comment(format, id, text, at) {
            return None;
        }
        if let Err(complaint) = check_value(format, text) {
            let complaint = secrets::quiet(complaint, format, at, text);
            let help = odd_character(text).or(complaint.help);
            self.found
                .error(self.tree, complaint.code, at, complaint.message)
                .help = help;
            return None;
        }
        if let Some(c) = text.chars().find(|c| *c == '\0') {
            self.found.error(
                self.tree,
                codes::NulCharacter,
                at,
                format!(
                    "the string has the character {c:?}, which no file or command line can hold"
                ),
            );
            return None;
        }
        Some(Value::String(text.to_owned()))
    }

    fn fixed(&mut self, fixed: &[String], text: &str, at: &Pointer) -> Option<Value> {
        if fixed.iter().any(|known| known == text) {
            return Some(Value::String(text.to_owned()));
        }
        let near = closest(text, fixed.iter().map(String::as_str));
        let help = odd_character(text).unwrap_or_else(|| match near {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("allowed: {}", fixed.join(", ")),
        });
        let message = format!("`{text}` is not allowed here");
        self.found
            .error(self.tree, codes::NotAllowed, at, message)
            .help(help);
        None
    }

    fn boolean(&mut self, text: &str, plain: bool, at: &Pointer) -> Option<Value> {
        match text {
            "true" | "True" | "TRUE" if plain => Some(Value::Bool(true)),
            "false" | "False" | "FALSE" if plain => Some(Value::Bool(false)),
            _ => {
                let help = match text.to_lowercase().as_str() {
                    "true" | "yes" | "on" | "y" | "1" => "write true, without quotes",
                    "false" | "no" | "off" | "n" | "0" => "write false, without quotes",
                    _ => "write true or false, without quotes",
                };
                self.found
                    .error(
                        self.tree,
                        codes::WrongType,
                        at,
                        format!("`{text}` is not true or false"),
                    )
                    .help(help);
                None
            }
        }
    }

    /// All whole numbers of the model are of 32 bits without a sign.
    fn integer(&mut self, text: &str, at: &Pointer) -> Option<Value> {
        let number = text.parse::<u32>().ok();
        if number.is_none() {
            let message = format!("`{text}` is not a whole number from 0 to {}", u32::MAX);
            self.found.error(self.tree, codes::WrongType, at, message);
        }
        number.map(Value::from)
    }

    /// A text that a comment cuts off within its quotes, as of a command in which `#` was meant.
    fn cut_by_comment(&mut self, format: &str, id: NodeId, text: &str, at: &Pointer) -> bool {
        let rest = &self.tree.source()[self.tree.node(id).span.end..];
        let has_comment =
            rest.starts_with([' ', '\t']) && rest.trim_start_matches([' ', '\t']).starts_with('#');
        let is_open = |quote| text.matches(quote).count() % 2 == 1;
        let cut = has_comment && (is_open('"') || (format == Command::FORMAT && is_open('\'')));
        if cut {
            let message =
                "` #` starts a comment here, within the quotes of the string, which ends before it";
            self.found
                .error(self.tree, codes::CommentInText, at, message)
                .help("put the whole string in quotes, or below `|`");
        }
        cut
    }
}
