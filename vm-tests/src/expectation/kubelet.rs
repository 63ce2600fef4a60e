//! The configuration that the running kubelet works with, as it tells it itself.

use serde_json::Value;

use super::Expectation;
use super::judge::{Verdict, failed};
use crate::node::Probe;
use crate::ssh::GuestOutput;

/// The question for it.
pub(super) const CONFIGZ: Probe = Probe::Kubelet("configz");

/// A field of the running kubelet's configuration has exactly this value.
pub(super) fn kubelet_setting(key: &str, field: &'static str, wanted: Value) -> Expectation {
    Expectation::new(
        key,
        format!("the running kubelet works with {field}"),
        text_of(&wanted),
        CONFIGZ,
        move |answer| match configz(answer) {
            Ok(config) => Verdict::when(config[field] == wanted, text_of(&config[field])),
            Err(verdict) => verdict,
        },
    )
}

/// The kubelet's configuration in its answer.
pub(super) fn configz(answer: &GuestOutput) -> Result<Value, Verdict> {
    let all: Result<Value, _> = serde_json::from_str(&answer.text());
    let found = all.ok().filter(|_| answer.status == 0);
    found
        .and_then(|mut all| Some(all.get_mut("kubeletconfig")?.take()))
        .ok_or_else(|| failed(answer))
}

/// A value as a flag has it.
pub(super) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text_of).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}
