//! The codes of diagnostics. One code is one fault: each is declared once, by [`codes!`](crate::codes), with its name, a
//! title and what somebody who meets it has to know. A text that was not declared is no code.

use crate::severity::Severity;
use serde::{Serialize, Serializer};
use std::fmt;

/// What is declared of a code.
#[derive(Debug)]
pub struct Entry {
    /// Stable name in kebab case.
    pub name: &'static str,
    /// The severities that it occurs with.
    pub severities: &'static [Severity],
    /// The fault, in one line.
    pub title: &'static str,
    /// What happens, why that is a fault, and what to do.
    pub text: &'static str,
    /// What is wrong and what is right, as YAML; empty where that helps nobody.
    pub example: &'static str,
}

/// A declared code.
#[derive(Clone, Copy)]
pub struct Code(&'static Entry);

impl Code {
    /// For [`codes!`](crate::codes) alone.
    #[doc(hidden)]
    pub const fn declared(entry: &'static Entry) -> Self {
        Self(entry)
    }

    /// The name.
    pub fn as_str(self) -> &'static str {
        self.0.name
    }

    /// What was declared of it.
    pub fn entry(self) -> &'static Entry {
        self.0
    }
}

impl PartialEq for Code {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for Code {}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name)
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.0.name)
    }
}

/// Declares an enum of codes: of each variant its name, severities, title, text and, where it helps, an example in YAML.
/// The compiler does not warn of a variant that nobody uses, as the macro is of another crate: a test has to look.
#[macro_export]
macro_rules! codes {
    ($(#[$attribute:meta])* $visibility:vis enum $all:ident {$(
        $variant:ident = $name:literal $severities:tt $title:literal, $text:literal $(, $example:literal)?;
    )+}) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $visibility enum $all {$(
            #[doc = $title]
            $variant,
        )+}

        impl $all {
            /// What is declared of each, in the order of the variants.
            $visibility const ENTRIES: &'static [$crate::code::Entry] = {
                use $crate::severity::Severity::*;
                &[$($crate::code::Entry {
                    name: $name,
                    severities: &$severities,
                    title: $title,
                    text: $text,
                    example: concat!($($example)?),
                }),+]
            };
        }

        impl From<$all> for $crate::code::Code {
            fn from(code: $all) -> Self {
                Self::declared(&$all::ENTRIES[code as usize])
            }
        }

        impl PartialEq<$all> for $crate::code::Code {
            fn eq(&self, other: &$all) -> bool {
                *self == Self::from(*other)
            }
        }
    };
}

#[cfg(test)]
crate::codes! {
    /// Codes of the tests.
    pub(crate) enum Sample {
        ACode = "a-code" [Error, Warning, Note] "A title", "A string.", "a: b";
        Other = "other" [Error, Warning] "Another title", "Another text.";
    }
}

#[cfg(test)]
mod tests {
    use super::{Code, Sample};

    #[test]
    fn a_code_is_its_declaration() {
        let code = Code::from(Sample::Other);
        assert_eq!(code.as_str(), "other");
        assert_eq!(code.entry().title, "Another title");
        assert_eq!(code.entry().example, "");
        assert!(code == Sample::Other && code != Sample::ACode);
    }

    #[test]
    fn a_code_is_its_name_for_programs_and_for_people() {
        let code = Code::from(Sample::ACode);
        assert_eq!(code.to_string(), "a-code");
        assert_eq!(serde_json::json!(code), "a-code");
    }
}
