//! Attributes of a key that land in the JSON Schema beside it: what is done with the key where it is given.

use crate::codes;
use diagnostics::code::Code;
use serde_json::{Value, json};

/// `x-refused`: why the key cannot be used, and what to do instead.
pub(crate) fn refused(message: &str, help: &str) -> Value {
    with_code(codes::NotSupported, message, help)
}

/// `x-refused` of a reference to an object in a management cluster.
pub(crate) fn reference(help: &str) -> Value {
    let message = "a reference into a management cluster, which a standalone node has not";
    with_code(codes::ClusterReference, message, help)
}

/// `x-refused` with a code of its own.
pub(crate) fn with_code(code: impl Into<Code>, message: &str, help: &str) -> Value {
    json!({"code": code.into(), "message": message, "help": help})
}
