//! runtime.json: what PID 1's tools prepare before a container is created.

use serde_json::{Map, Value as Json, json};

use super::fields::{BIND_NS, InterfaceFields, RuntimeFields};
use super::mounts::Mount;

/// Where a container's files are, as absolute paths of the booted tree.
#[derive(Clone, Debug)]
pub struct Place {
    /// `/containers/SECTION/NAME`.
    pub container: String,
    /// The unpacked image: the container's own folder or that of an earlier one of this image.
    pub lower: String,
    /// Whether the root is mounted read-only, without an overlay.
    pub readonly: bool,
}

/// The document.
///
/// # Errors
/// A message for a mount that LinuxKit refuses.
pub fn document(place: &Place, runtime: &RuntimeFields) -> Result<Json, String> {
    let mut mounts = root_mounts(place);
    for fields in runtime.mounts.iter().flatten() {
        // As they are: LinuxKit fills in nothing here. Without a destination it goes on, too, and
        // the container does not start.
        if fields.destination.is_empty() {
            return Err(format!(
                "the mount of type `{}` has no destination",
                fields.kind
            ));
        }
        let mount = Mount {
            kind: fields.kind.clone(),
            source: fields.source.clone(),
            options: fields.options.clone(),
        };
        mounts.push(mount.to_json(&fields.destination));
    }
    let mkdir: Vec<&String> = runtime
        .mkdir
        .iter()
        .flatten()
        .map(|(path, _)| path)
        .collect();
    let interfaces: Vec<Json> = runtime.interfaces.iter().flatten().map(interface).collect();
    let mut bind_ns = Map::new();
    for key in BIND_NS {
        bind_ns.insert(
            key.into(),
            json!(runtime.bind_ns.get(key).map_or("", String::as_str)),
        );
    }
    Ok(json!({
        "cgroups": runtime.cgroups.clone().unwrap_or_default(),
        "mounts": mounts,
        "mkdir": mkdir,
        "interfaces": interfaces,
        "bindNS": bind_ns,
        "namespace": runtime.namespace.clone().unwrap_or_default(),
    }))
}

fn root_mounts(place: &Place) -> Vec<Json> {
    let Place {
        container,
        lower,
        readonly,
    } = place;
    let mount = |kind: &str, source: &str, options: &[String]| Mount {
        kind: kind.into(),
        source: source.into(),
        options: options.to_vec(),
    };
    let rootfs = format!("{container}/rootfs");
    if *readonly {
        return vec![mount("", lower, &["bind".into()]).to_json(&rootfs)];
    }
    let tmp = format!("{container}/tmp");
    let overlay = [
        format!("lowerdir={lower}"),
        format!("upperdir={tmp}/upper"),
        format!("workdir={tmp}/work"),
    ];
    vec![
        mount("tmpfs", "tmpfs", &[]).to_json(&tmp),
        mount("", "", &["remount".into(), "private".into()]).to_json(&tmp),
        mount("overlay", "overlay", &overlay).to_json(&rootfs),
    ]
}

fn interface(fields: &InterfaceFields) -> Json {
    let mut out = Map::new();
    for (key, value) in [
        ("name", &fields.name),
        ("add", &fields.add),
        ("peer", &fields.peer),
    ] {
        if !value.is_empty() {
            out.insert(key.into(), json!(value));
        }
    }
    out.insert("createInRoot".into(), json!(fields.create_in_root));
    Json::Object(out)
}

/// Go's way to write JSON, which LinuxKit's files have: 4 spaces, `<`, `>` and `&` escaped, no
/// newline at the end.
pub fn to_text(document: &Json) -> Vec<u8> {
    let mut out = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
    // A value of JSON types written to memory has nothing that can fail.
    let _ = serde::Serialize::serialize(document, &mut serializer);
    let text = String::from_utf8_lossy(&out);
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("\\u003c"),
            '>' => escaped.push_str("\\u003e"),
            '&' => escaped.push_str("\\u0026"),
            '\u{2028}' => escaped.push_str("\\u2028"),
            '\u{2029}' => escaped.push_str("\\u2029"),
            c => escaped.push(c),
        }
    }
    escaped.into_bytes()
}
