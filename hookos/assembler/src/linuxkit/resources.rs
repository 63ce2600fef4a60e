//! The `resources` of a container, as JSON in the order of the OCI runtime-spec.
//!
//! Several keys pass LinuxKit's schema and are then lost by its decoder; they are left out here
//! too, with a warning.

use serde_json::{Map, Value as Json, json};

use super::decode::Fields;
use super::diagnostic::Diagnostics;
use super::node::Node;

/// Decodes the section.
pub fn decode(node: &Node, what: &str, diagnostics: &mut Diagnostics) -> Option<Json> {
    let mut f = Fields::new(node, what, diagnostics)?;
    let mut out = Map::new();
    let mut put = |key: &str, value: Option<Json>| {
        if let Some(value) = value {
            out.insert(key.into(), value);
        }
    };
    put(
        "devices",
        f.list("devices", rule)
            .filter(|rules| !rules.is_empty())
            .map(Json::from),
    );
    put("memory", f.with("memory", memory));
    put("cpu", f.with("cpu", cpu));
    put("pids", f.with("pids", pids));
    put("blockIO", f.with("blockio", block_io));
    lost(&mut f, what, &["hugepageLimits"]);
    put("network", f.with("network", network));
    f.finish();
    Some(Json::Object(out))
}

fn lost(f: &mut Fields<'_>, what: &str, keys: &[&str]) {
    for key in keys {
        if let Some((node, diagnostics)) = f.get(key) {
            diagnostics.warn(
                node.position,
                format!("{what}.{key} has no effect: LinuxKit loses it"),
            );
        }
    }
}

fn integers(f: &mut Fields<'_>, out: &mut Map<String, Json>, keys: &[&str]) {
    for key in keys {
        if let Some(value) = f.integer(key) {
            out.insert((*key).into(), json!(value));
        }
    }
}

fn rule(node: &Node, what: &str, diagnostics: &mut Diagnostics) -> Option<Json> {
    let mut f = Fields::new(node, what, diagnostics)?;
    let mut out = Map::new();
    out.insert("allow".into(), json!(f.boolean("allow").unwrap_or(false)));
    if let Some(kind) = f.string("type").filter(|kind| !kind.is_empty()) {
        out.insert("type".into(), json!(kind));
    }
    integers(&mut f, &mut out, &["major", "minor"]);
    if let Some(access) = f.string("access").filter(|access| !access.is_empty()) {
        out.insert("access".into(), json!(access));
    }
    f.finish();
    Some(Json::Object(out))
}

fn memory(node: &Node, what: &str, diagnostics: &mut Diagnostics) -> Option<Json> {
    let mut f = Fields::new(node, what, diagnostics)?;
    let mut out = Map::new();
    integers(
        &mut f,
        &mut out,
        &["limit", "reservation", "swap", "kernel", "swappiness"],
    );
    lost(&mut f, what, &["kernelTCP", "disableOOMKiller"]);
    f.finish();
    Some(Json::Object(out))
}

fn cpu(node: &Node, what: &str, diagnostics: &mut Diagnostics) -> Option<Json> {
    let mut f = Fields::new(node, what, diagnostics)?;
    let mut out = Map::new();
    integers(&mut f, &mut out, &["shares", "quota", "period"]);
    for key in ["cpus", "mems"] {
        if let Some(value) = f.string(key).filter(|value| !value.is_empty()) {
            out.insert(key.into(), json!(value));
        }
    }
    lost(&mut f, what, &["realtimeRuntime", "realtimePeriod"]);
    f.finish();
    Some(Json::Object(out))
}

fn pids(node: &Node, what: &str, diagnostics: &mut Diagnostics) -> Option<Json> {
    let mut f = Fields::new(node, what, diagnostics)?;
    let limit = f.integer("limit").unwrap_or(0);
    f.finish();
    Some(json!({ "limit": limit }))
}

fn block_io(node: &Node, what: &str, diagnostics: &mut Diagnostics) -> Option<Json> {
    let mut f = Fields::new(node, what, diagnostics)?;
    let mut out = Map::new();
    integers(&mut f, &mut out, &["weight"]);
    let device_keys = [
        "leafWeight",
        "weightDevice",
        "throttleReadBpsDevice",
        "throttleWriteBpsDevice",
        "throttleReadIOPSDevice",
        "throttleWriteIOPSDevice",
    ];
    lost(&mut f, what, &device_keys);
    f.finish();
    Some(Json::Object(out))
}

fn network(node: &Node, what: &str, diagnostics: &mut Diagnostics) -> Option<Json> {
    let mut f = Fields::new(node, what, diagnostics)?;
    let mut out = Map::new();
    lost(&mut f, what, &["classID"]);
    if let Some(priorities) = f
        .list("priorities", priority)
        .filter(|list| !list.is_empty())
    {
        out.insert("priorities".into(), Json::from(priorities));
    }
    f.finish();
    Some(Json::Object(out))
}

fn priority(node: &Node, what: &str, diagnostics: &mut Diagnostics) -> Option<Json> {
    let mut f = Fields::new(node, what, diagnostics)?;
    let name = f.string("name").unwrap_or_default();
    let priority = f.integer("priority").unwrap_or(0);
    f.finish();
    Some(json!({ "name": name, "priority": priority }))
}
