//! The newtypes of the model: each is parsed once, holds only valid text and names its own format in the JSON Schema.
//! A value that does not parse is reported by [`check`], with its place, before anything is decoded.

mod accounts;
mod components;
mod disks;
mod kubernetes;
mod network;
mod paths;
mod registries;
mod system;

pub use accounts::*;
pub use components::*;
pub use disks::*;
pub use kubernetes::*;
pub use network::*;
pub use paths::*;
pub use registries::*;
pub use system::*;

use diagnostics::code::Code;

/// Why a text is not a valid value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// Stable code of the diagnostic.
    pub code: Code,
    /// What is wrong, with the value where it is no secret.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Complaint {
    /// A complaint without help.
    pub fn new(code: impl Into<Code>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            help: None,
        }
    }

    /// Adds what to do about it.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// A value that a config-file gives as one text.
pub trait TextValue: Sized {
    /// `format` in the JSON Schema.
    const FORMAT: &'static str;
    /// What it is, for the schema and the documentation.
    const DESCRIPTION: &'static str;
    /// Valid values.
    const EXAMPLES: &'static [&'static str];
    /// ECMA 262 pattern for editors, no stricter than `parse`; empty for none.
    const PATTERN: &'static str;
    /// Whether it is commonly written without quotes and then looks like a number to an editor.
    const NUMERIC: bool = false;
    /// Whether it is never shown: `writeOnly` in the schema.
    const SECRET: bool = false;

    /// Reads the text.
    ///
    /// # Errors
    /// A complaint that says why the text is no such value.
    fn parse(text: &str) -> Result<Self, Complaint>;

    /// The text as it is carried on.
    fn as_str(&self) -> &str;
}

/// Declares the serde and schema side of a file's [`TextValue`]s, all of them in one list, and their look-up by format.
macro_rules! text_value {
    ($($name:ident),+ $(,)?) => {
        /// Checks a text against the value whose format it is; `None` for any other format.
        pub(crate) fn check(
            format: &str,
            text: &str,
        ) -> Option<Result<(), $crate::values::Complaint>> {
            match format {
                $(<$name as $crate::values::TextValue>::FORMAT => {
                    Some(<$name as $crate::values::TextValue>::parse(text).map(drop))
                })+
                _ => None,
            }
        }
        $(
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(from)?;
                <Self as $crate::values::TextValue>::parse(&text)
                    .map_err(|complaint| serde::de::Error::custom(complaint.message))
            }
        }
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $crate::values::schema_of::<Self>()
            }
        }
        impl std::str::FromStr for $name {
            type Err = $crate::values::Complaint;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                <Self as $crate::values::TextValue>::parse(text)
            }
        }
        impl $name {
            /// The text as it is carried on.
            pub fn as_str(&self) -> &str {
                $crate::values::TextValue::as_str(self)
            }
        }
        )+
    };
}
pub(crate) use text_value;

/// Formats a [`TextValue`] that is no secret as its text.
macro_rules! display_text {
    ($($name:ident),+ $(,)?) => {$(
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str($crate::values::TextValue::as_str(self))
            }
        }
    )+};
}
pub(crate) use display_text;

/// The JSON Schema of a text value.
pub(crate) fn schema_of<T: TextValue>() -> schemars::Schema {
    let mut schema = schemars::json_schema!({
        "type": "string",
        "format": T::FORMAT,
        "description": T::DESCRIPTION,
    });
    if T::NUMERIC {
        schema.insert("type".to_owned(), serde_json::json!(["string", "number"]));
    }
    if T::SECRET {
        schema.insert("writeOnly".to_owned(), true.into());
    }
    if !T::PATTERN.is_empty() {
        schema.insert("pattern".to_owned(), T::PATTERN.into());
    }
    if !T::EXAMPLES.is_empty() {
        let examples: Vec<_> = T::EXAMPLES.iter().map(|text| (*text).into()).collect();
        schema.insert("examples".to_owned(), serde_json::Value::Array(examples));
    }
    schema
}

/// The check of a file of values: format and text.
type Check = fn(&str, &str) -> Option<Result<(), Complaint>>;

/// Checks a text against the value of that format; `None` when the format is a distribution's own.
///
/// # Errors
/// The complaint of the value's `parse`.
pub fn check(format: &str, text: &str) -> Option<Result<(), Complaint>> {
    const FILES: [Check; 8] = [
        accounts::check,
        components::check,
        disks::check,
        kubernetes::check,
        network::check,
        paths::check,
        registries::check,
        system::check,
    ];
    FILES.iter().find_map(|check| check(format, text))
}
