//! config.json: the OCI runtime-spec document of one container.

use serde_json::{Map, Value as Json, json};

use super::capabilities;
use super::fields::{DeviceFields, ImageFields};
use super::mounts::{self, Mounts};

/// Version of the runtime-spec that LinuxKit v1.8 writes.
const OCI_VERSION: &str = "1.2.1";

/// What a container takes from its image's configuration.
#[derive(Clone, Debug, Default)]
pub struct ImageDefaults {
    /// Entrypoint and Cmd, one after the other.
    pub command: Vec<String>,
    /// Env.
    pub env: Vec<String>,
    /// WorkingDir.
    pub cwd: String,
}

/// User and groups, all names resolved.
#[derive(Clone, Debug, Default)]
pub struct Ids {
    pub uid: u32,
    pub gid: u32,
    pub additional: Vec<u32>,
}

/// The document. `binds` have their volumes resolved.
///
/// # Errors
/// A message for each value that LinuxKit refuses.
pub fn document(
    fields: &ImageFields,
    binds: &[String],
    ids: &Ids,
    image: &ImageDefaults,
) -> Result<Json, Vec<String>> {
    let mut errors = Vec::new();
    let readonly = fields.readonly.unwrap_or(false);
    let mut out = Map::new();
    out.insert("ociVersion".into(), json!(OCI_VERSION));
    out.insert("process".into(), process(fields, ids, image, &mut errors));
    let mut root = Map::new();
    root.insert("path".into(), json!("rootfs"));
    if readonly {
        root.insert("readonly".into(), json!(true));
    }
    out.insert("root".into(), Json::Object(root));
    put_text(&mut out, "hostname", &fields.hostname);
    let mounts: Vec<Json> = all_mounts(fields, binds, readonly, &mut errors)
        .iter()
        .map(|(destination, mount)| mount.to_json(destination))
        .collect();
    out.insert("mounts".into(), json!(mounts));
    if let Some(annotations) = fields.annotations.as_ref().filter(|map| !map.is_empty()) {
        out.insert("annotations".into(), json!(annotations));
    }
    out.insert("linux".into(), linux(fields, &mut errors));
    if errors.is_empty() {
        Ok(Json::Object(out))
    } else {
        Err(errors)
    }
}

fn put_text(out: &mut Map<String, Json>, key: &str, text: &Option<String>) {
    if let Some(text) = text.as_ref().filter(|text| !text.is_empty()) {
        out.insert(key.into(), json!(text));
    }
}

fn put_list(out: &mut Map<String, Json>, key: &str, list: Vec<Json>) {
    if !list.is_empty() {
        out.insert(key.into(), Json::Array(list));
    }
}

fn texts(list: &[String]) -> Vec<Json> {
    list.iter().map(|text| json!(text)).collect()
}

fn process(
    fields: &ImageFields,
    ids: &Ids,
    image: &ImageDefaults,
    errors: &mut Vec<String>,
) -> Json {
    let mut user = Map::new();
    user.insert("uid".into(), json!(ids.uid));
    user.insert("gid".into(), json!(ids.gid));
    put_list(
        &mut user,
        "additionalGids",
        ids.additional.iter().map(|id| json!(id)).collect(),
    );
    let mut out = Map::new();
    out.insert("user".into(), Json::Object(user));
    put_list(
        &mut out,
        "args",
        texts(fields.command.as_ref().unwrap_or(&image.command)),
    );
    put_list(
        &mut out,
        "env",
        texts(fields.env.as_ref().unwrap_or(&image.env)),
    );
    let cwd = fields
        .cwd
        .as_ref()
        .filter(|cwd| !cwd.is_empty())
        .unwrap_or(&image.cwd);
    out.insert("cwd".into(), json!(if cwd.is_empty() { "/" } else { cwd }));
    let mut expand = |list: &Option<Vec<String>>| {
        capabilities::expand(list.as_deref().unwrap_or_default()).unwrap_or_else(|message| {
            errors.push(message);
            Vec::new()
        })
    };
    let (effective, ambient) = (expand(&fields.capabilities), expand(&fields.ambient));
    out.insert(
        "capabilities".into(),
        capabilities::to_json(&effective, &ambient),
    );
    let rlimits = fields
        .rlimits
        .iter()
        .flatten()
        .filter_map(|text| rlimit(text).map_err(|message| errors.push(message)).ok());
    put_list(&mut out, "rlimits", rlimits.collect());
    if fields.no_new_privileges == Some(true) {
        out.insert("noNewPrivileges".into(), json!(true));
    }
    if let Some(adjustment) = fields.oom_score_adj {
        out.insert("oomScoreAdj".into(), json!(adjustment));
    }
    Json::Object(out)
}

/// `name,soft,hard`.
fn rlimit(text: &str) -> Result<Json, String> {
    const NAMES: [&str; 15] = [
        "CPU",
        "FSIZE",
        "DATA",
        "STACK",
        "CORE",
        "RSS",
        "NPROC",
        "NOFILE",
        "MEMLOCK",
        "AS",
        "LOCKS",
        "SIGPENDING",
        "MSGQUEUE",
        "NICE",
        "RTPRIO",
    ];
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    let &[name, soft, hard] = parts.as_slice() else {
        return Err(format!(
            "rlimit `{text}` has {} parts; write name,soft,hard",
            parts.len()
        ));
    };
    let upper = name.to_ascii_uppercase();
    let upper = upper.strip_prefix("RLIMIT_").unwrap_or(&upper);
    if !NAMES.contains(&upper) && upper != "RTTIME" {
        return Err(format!("rlimit `{text}`: there is no limit `{name}`"));
    }
    let value = |text: &str| match text {
        "unlimited" => Ok(u64::MAX),
        number => number.parse().map_err(|_| {
            format!("rlimit `{text}`: `{number}` is neither a number nor `unlimited`")
        }),
    };
    Ok(json!({ "type": format!("RLIMIT_{upper}"), "hard": value(hard)?, "soft": value(soft)? }))
}

fn all_mounts(
    fields: &ImageFields,
    binds: &[String],
    readonly: bool,
    errors: &mut Vec<String>,
) -> Mounts {
    let mut all = mounts::defaults(readonly);
    let tmpfs = fields
        .tmpfs
        .iter()
        .flatten()
        .map(|text| mounts::tmpfs(text));
    let binds = binds.iter().map(|text| mounts::bind(text));
    let explicit = fields.mounts.iter().flatten().map(mounts::explicit);
    for outcome in tmpfs.chain(binds).chain(explicit) {
        match outcome {
            Ok((destination, mount)) => drop(all.insert(destination, mount)),
            Err(message) => errors.push(message),
        }
    }
    all
}

fn linux(fields: &ImageFields, errors: &mut Vec<String>) -> Json {
    let mut out = Map::new();
    let mappings = |sizes: &Option<Vec<i64>>| -> Vec<Json> {
        let mapping = |size: &i64| json!({ "containerID": 0, "hostID": 0, "size": size });
        sizes.iter().flatten().map(mapping).collect()
    };
    put_list(&mut out, "uidMappings", mappings(&fields.uid_mappings));
    put_list(&mut out, "gidMappings", mappings(&fields.gid_mappings));
    if let Some(sysctl) = fields.sysctl.as_ref().filter(|map| !map.is_empty()) {
        out.insert("sysctl".into(), json!(sysctl));
    }
    let (nodes, rules) = devices(fields.devices.as_deref().unwrap_or_default(), errors);
    out.insert("resources".into(), resources(fields, rules));
    put_text(&mut out, "cgroupsPath", &fields.cgroups_path);
    out.insert("namespaces".into(), Json::Array(namespaces(fields)));
    put_list(&mut out, "devices", nodes);
    put_text(&mut out, "rootfsPropagation", &fields.rootfs_propagation);
    put_list(
        &mut out,
        "maskedPaths",
        texts(fields.masked_paths.as_deref().unwrap_or_default()),
    );
    put_list(
        &mut out,
        "readonlyPaths",
        texts(fields.readonly_paths.as_deref().unwrap_or_default()),
    );
    Json::Object(out)
}

/// The resources with the device rules behind those already there; `devices` comes first.
fn resources(fields: &ImageFields, rules: Vec<Json>) -> Json {
    let given = fields
        .resources
        .as_ref()
        .and_then(Json::as_object)
        .cloned()
        .unwrap_or_default();
    let mut all: Vec<Json> = given
        .get("devices")
        .and_then(Json::as_array)
        .cloned()
        .unwrap_or_default();
    all.extend(rules);
    let mut out = Map::new();
    put_list(&mut out, "devices", all);
    out.extend(given.into_iter().filter(|(key, _)| key != "devices"));
    Json::Object(out)
}

fn devices(devices: &[DeviceFields], errors: &mut Vec<String>) -> (Vec<Json>, Vec<Json>) {
    let (mut nodes, mut rules) = (Vec::new(), Vec::new());
    for device in devices {
        let mut rule = Map::new();
        rule.insert("allow".into(), json!(true));
        if !device.kind.is_empty() {
            rule.insert("type".into(), json!(device.kind));
        }
        if device.path != "all" {
            let Ok(mode) = u32::from_str_radix(&device.mode, 8) else {
                errors.push(format!(
                    "device `{}` has the mode `{}`; an octal number in quotes is needed, like \"0660\"",
                    device.path, device.mode
                ));
                continue;
            };
            rule.insert("major".into(), json!(device.major));
            rule.insert("minor".into(), json!(device.minor));
            nodes.push(json!({
                "path": device.path,
                "type": device.kind,
                "major": device.major,
                "minor": device.minor,
                "fileMode": mode,
            }));
        }
        rule.insert("access".into(), json!("rwm"));
        rules.push(Json::Object(rule));
    }
    (nodes, rules)
}

fn namespaces(fields: &ImageFields) -> Vec<Json> {
    let mut out = Vec::new();
    let mut add = |kind: &str, path: Option<&str>| {
        out.push(match path {
            None => json!({ "type": kind }),
            Some(path) => json!({ "type": kind, "path": path }),
        });
    };
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    // For `net` alone LinuxKit knows `none`; elsewhere it becomes a path.
    for (kind, value) in [
        ("network", text(&fields.net)),
        ("ipc", text(&fields.ipc)),
        ("uts", text(&fields.uts)),
        ("pid", text(&fields.pid)),
        ("user", text(&fields.userns)),
    ] {
        match (kind, value.as_str()) {
            (_, "host" | "root") => {}
            ("pid", "") => add(kind, None),
            (_, "") => {}
            (_, "new") | ("network", "none") => add(kind, None),
            (_, path) => add(kind, Some(path)),
        }
    }
    add("mount", None);
    out
}
