//! The mounts of a container: LinuxKit's defaults, then tmpfs, binds and mounts over them.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::fields::MountFields;

/// A mount of config.json or runtime.json.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mount {
    pub kind: String,
    pub source: String,
    pub options: Vec<String>,
}

/// Destination to mount, in the order of config.json.
pub type Mounts = BTreeMap<String, Mount>;

fn mount(kind: &str, source: &str, options: &[&str]) -> Mount {
    Mount {
        kind: kind.into(),
        source: source.into(),
        options: options.iter().map(|option| (*option).into()).collect(),
    }
}

/// The mounts that every container has.
pub fn defaults(readonly: bool) -> Mounts {
    let mut mounts = Mounts::new();
    let devpts = [
        "nosuid",
        "noexec",
        "newinstance",
        "ptmxmode=0666",
        "mode=0620",
    ];
    let cgroup = ["nosuid", "noexec", "nodev", "relatime", "ro"];
    for (destination, kind, options) in [
        (
            "/dev",
            "tmpfs",
            &["nosuid", "strictatime", "mode=755", "size=65536k"][..],
        ),
        ("/dev/pts", "devpts", &devpts),
        ("/proc", "proc", &["nosuid", "nodev", "noexec", "relatime"]),
        ("/sys", "sysfs", &["nosuid", "noexec", "nodev"]),
        ("/sys/fs/cgroup", "cgroup", &cgroup),
    ] {
        let mut mount = mount(kind, kind, options);
        if readonly && matches!(destination, "/dev" | "/sys") {
            mount.options.push("ro".into());
        }
        mounts.insert(destination.into(), mount);
    }
    mounts
}

/// `dest[:option,option]`.
pub fn tmpfs(text: &str) -> Result<(String, Mount), String> {
    let mut parts = text.split(':');
    let destination = parts.next().unwrap_or_default().to_owned();
    let options = parts
        .next()
        .map(|text| text.split(',').collect::<Vec<_>>())
        .unwrap_or_default();
    if parts.next().is_some() {
        return Err(format!(
            "tmpfs `{text}` has more than one `:`; write destination:option,option"
        ));
    }
    Ok((destination, mount("tmpfs", "tmpfs", &options)))
}

/// `source:dest[:option,option]`.
pub fn bind(text: &str) -> Result<(String, Mount), String> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, destination, options) = match parts.as_slice() {
        [source, destination] => (source, destination, vec!["rw", "rbind", "rshared"]),
        [source, destination, options] => {
            let mut options: Vec<&str> = options.split(',').collect();
            options.push("rbind");
            (source, destination, options)
        }
        _ => {
            return Err(format!(
                "bind `{text}` has {} parts; write source:destination or source:destination:options",
                parts.len()
            ));
        }
    };
    Ok(((*destination).to_owned(), mount("bind", source, &options)))
}

/// An entry of `mounts`, its defaults filled in.
pub fn explicit(fields: &MountFields) -> Result<(String, Mount), String> {
    let mut kind = fields.kind.clone();
    if kind.is_empty() {
        kind = match (fields.source.as_str(), fields.destination.as_str()) {
            (source @ ("mqueue" | "devpts" | "proc" | "sysfs" | "cgroup"), _) => source.into(),
            (_, "/dev") => "tmpfs".into(),
            _ => return Err(format!("the mount on `{}` has no type", fields.destination)),
        };
    }
    let mut destination = fields.destination.clone();
    if destination.is_empty() {
        destination = match kind.as_str() {
            "proc" => "/proc",
            "devpts" => "/dev/pts",
            "sysfs" => "/sys",
            "cgroup" => "/sys/fs/cgroup",
            "mqueue" => "/dev/mqueue",
            _ => return Err(format!("the mount of type `{kind}` has no destination")),
        }
        .into();
    }
    let source = if fields.source.is_empty() {
        kind.clone()
    } else {
        fields.source.clone()
    };
    Ok((
        destination,
        Mount {
            kind,
            source,
            options: fields.options.clone(),
        },
    ))
}

impl Mount {
    /// The mount in the JSON of the OCI runtime-spec.
    pub fn to_json(&self, destination: &str) -> Json {
        let mut out = Map::new();
        out.insert("destination".into(), json!(destination));
        if !self.kind.is_empty() {
            out.insert("type".into(), json!(self.kind));
        }
        if !self.source.is_empty() {
            out.insert("source".into(), json!(self.source));
        }
        if !self.options.is_empty() {
            out.insert("options".into(), json!(self.options));
        }
        Json::Object(out)
    }
}
