//! What a key's declaration in the model says of its use: without effect, or refused.

use super::Shape;
use crate::codes;
use crate::schema::{alternatives, takes};
use crate::yaml::{Entry, Pointer};
use diagnostics::code::Code;
use serde_json::Value;

impl Shape<'_> {
    /// Reports a key that is not used, as its declaration in the model says.
    pub(super) fn attributes(&mut self, schema: &Value, entry: &Entry, here: &Pointer) {
        if schema.get("x-no-effect").is_some() {
            let message = format!("`{}` has no effect on a standalone node", entry.key);
            self.found
                .note(self.tree, codes::NoEffect, here, message)
                .help("it can be left out; Cluster API alone uses it");
        }
        if let Some(refused) = Refused::of(schema) {
            self.found
                .error(self.tree, refused.code, here, refused.message)
                .help(refused.help);
        }
    }

    pub(super) fn takes_objects(&self, schema: &Value) -> bool {
        let choices = alternatives(self.root, schema);
        choices.iter().any(|choice| takes(choice, "object"))
    }
}

/// `x-refused` of a key.
struct Refused<'s> {
    code: Code,
    message: &'s str,
    help: &'s str,
}

impl<'s> Refused<'s> {
    fn of(schema: &'s Value) -> Option<Self> {
        let refused = schema.get("x-refused")?;
        let text = |key: &str| refused.get(key).and_then(Value::as_str);
        let codes = [
            Code::from(codes::ClusterReference),
            codes::ContentFrom.into(),
            codes::NotSupported.into(),
        ];
        Some(Self {
            code: codes
                .into_iter()
                .find(|code| Some(code.as_str()) == text("code"))?,
            message: text("message")?,
            help: text("help")?,
        })
    }
}
