//! What can be said of a container, in the YAML file and in its image's label alike.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::Position;
use super::decode::{Fields, IdRef, id, string};
use super::diagnostic::Diagnostics;
use super::node::Node;
use super::resources;

/// Every field optional: `None` means that the key is not there, which differs from an empty list.
#[derive(Clone, Debug, Default)]
pub struct ImageFields {
    pub capabilities: Option<Vec<String>>,
    pub capabilities_add: Option<Vec<String>>,
    pub ambient: Option<Vec<String>>,
    pub mounts: Option<Vec<MountFields>>,
    pub binds: Option<Vec<(String, Position)>>,
    pub binds_add: Option<Vec<(String, Position)>>,
    pub devices: Option<Vec<DeviceFields>>,
    pub tmpfs: Option<Vec<String>>,
    pub command: Option<Vec<String>>,
    pub env: Option<Vec<String>>,
    pub cwd: Option<String>,
    pub net: Option<String>,
    pub ipc: Option<String>,
    pub uts: Option<String>,
    pub pid: Option<String>,
    pub userns: Option<String>,
    pub hostname: Option<String>,
    pub readonly: Option<bool>,
    pub masked_paths: Option<Vec<String>>,
    pub readonly_paths: Option<Vec<String>>,
    pub uid: Option<IdRef>,
    pub gid: Option<IdRef>,
    pub additional_gids: Option<Vec<IdRef>>,
    pub no_new_privileges: Option<bool>,
    pub oom_score_adj: Option<i64>,
    pub rootfs_propagation: Option<String>,
    pub cgroups_path: Option<String>,
    pub resources: Option<Json>,
    pub sysctl: Option<BTreeMap<String, String>>,
    pub annotations: Option<BTreeMap<String, String>>,
    pub rlimits: Option<Vec<String>>,
    pub uid_mappings: Option<Vec<i64>>,
    pub gid_mappings: Option<Vec<i64>>,
    pub runtime: RuntimeFields,
}

/// An entry of `mounts`.
#[derive(Clone, Debug, Default)]
pub struct MountFields {
    pub position: Position,
    pub destination: String,
    pub kind: String,
    pub source: String,
    pub options: Vec<String>,
}

/// An entry of `devices`.
#[derive(Clone, Debug, Default)]
pub struct DeviceFields {
    pub path: String,
    pub kind: String,
    pub major: i64,
    pub minor: i64,
    pub mode: String,
}

/// The `runtime` section.
#[derive(Clone, Debug, Default)]
pub struct RuntimeFields {
    pub position: Position,
    pub cgroups: Option<Vec<String>>,
    pub mounts: Option<Vec<MountFields>>,
    pub mkdir: Option<Vec<(String, Position)>>,
    pub interfaces: Option<Vec<InterfaceFields>>,
    /// `cgroup`, `ipc`, ... to the path to bind the namespace to.
    pub bind_ns: BTreeMap<&'static str, String>,
    pub namespace: Option<String>,
}

/// The namespaces of `runtime.bindNS`, in the order of runtime.json.
pub const BIND_NS: [&str; 7] = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"];

/// An entry of `runtime.interfaces`.
#[derive(Clone, Debug, Default)]
pub struct InterfaceFields {
    pub name: String,
    pub add: String,
    pub peer: String,
    pub create_in_root: bool,
}

impl ImageFields {
    /// Takes every key but `name` and `image` from a mapping.
    pub fn decode(f: &mut Fields<'_>) -> Self {
        Self {
            capabilities: f.strings("capabilities"),
            capabilities_add: f.strings("capabilities.add"),
            ambient: f.strings("ambient"),
            mounts: f.list("mounts", mount),
            binds: f.placed_strings("binds"),
            binds_add: f.placed_strings("binds.add"),
            devices: f.list("devices", device),
            tmpfs: f.strings("tmpfs"),
            command: f.strings("command"),
            env: f.strings("env"),
            cwd: f.string("cwd"),
            net: f.string("net"),
            ipc: f.string("ipc"),
            uts: f.string("uts"),
            pid: f.string("pid"),
            userns: f.string("userns"),
            hostname: f.string("hostname"),
            readonly: f.boolean("readonly"),
            masked_paths: f.strings("maskedPaths"),
            readonly_paths: f.strings("readonlyPaths"),
            uid: f.with("uid", id),
            gid: f.with("gid", id),
            additional_gids: f.list("additionalGids", id),
            no_new_privileges: f.boolean("noNewPrivileges"),
            oom_score_adj: f.integer("oomScoreAdj"),
            rootfs_propagation: f.string("rootfsPropagation"),
            cgroups_path: f.string("cgroupsPath"),
            resources: f.with("resources", resources::decode),
            sysctl: f.string_map("sysctl"),
            annotations: f.string_map("annotations"),
            rlimits: f.strings("rlimits"),
            uid_mappings: f.list("uidMappings", id_mapping),
            gid_mappings: f.list("gidMappings", id_mapping),
            runtime: f.with("runtime", runtime).unwrap_or_default(),
        }
    }
}

fn mount(node: &Node, what: &str, diagnostics: &mut Diagnostics) -> Option<MountFields> {
    let mut f = Fields::new(node, what, diagnostics)?;
    let mount = MountFields {
        position: node.position,
        destination: f.string("destination").unwrap_or_default(),
        kind: f.string("type").unwrap_or_default(),
        source: f.string("source").unwrap_or_default(),
        options: f.strings("options").unwrap_or_default(),
    };
    for key in ["uidmappings", "gidmappings"] {
        if f.list(key, id_mapping).is_some() {
            let position = f.position;
            f.warn(
                position,
                format!("{what}.{key} is dropped, as LinuxKit drops it"),
            );
        }
    }
    f.finish();
    Some(mount)
}

fn device(node: &Node, what: &str, diagnostics: &mut Diagnostics) -> Option<DeviceFields> {
    let mut f = Fields::new(node, what, diagnostics)?;
    let device = DeviceFields {
        path: f.string("path").unwrap_or_default(),
        kind: f.string("type").unwrap_or_default(),
        major: f.integer("major").unwrap_or(0),
        minor: f.integer("minor").unwrap_or(0),
        mode: f.string("mode").unwrap_or_default(),
    };
    f.finish();
    Some(device)
}

/// An id mapping's size: LinuxKit's decoder loses hostID and containerID, which become 0.
fn id_mapping(node: &Node, what: &str, diagnostics: &mut Diagnostics) -> Option<i64> {
    let mut f = Fields::new(node, what, diagnostics)?;
    for key in ["hostID", "containerID"] {
        if f.integer(key).is_some_and(|value| value != 0) {
            let position = f.position;
            f.warn(
                position,
                format!("{what}.{key} becomes 0, as LinuxKit has it"),
            );
        }
    }
    let size = f.integer("size").unwrap_or(0);
    f.finish();
    Some(size)
}

fn runtime(node: &Node, what: &str, diagnostics: &mut Diagnostics) -> Option<RuntimeFields> {
    let mut f = Fields::new(node, what, diagnostics)?;
    let runtime = RuntimeFields {
        position: node.position,
        cgroups: f.strings("cgroups"),
        mounts: f.list("mounts", mount),
        mkdir: f.placed_strings("mkdir"),
        interfaces: f.list("interfaces", interface),
        bind_ns: f.with("bindNS", bind_ns).unwrap_or_default(),
        namespace: f.string("namespace"),
    };
    f.finish();
    Some(runtime)
}

fn bind_ns(
    node: &Node,
    what: &str,
    diagnostics: &mut Diagnostics,
) -> Option<BTreeMap<&'static str, String>> {
    let mut f = Fields::new(node, what, diagnostics)?;
    let found = BIND_NS
        .into_iter()
        .filter_map(|key| Some((key, f.with(key, string)?)))
        .collect();
    f.finish();
    Some(found)
}

fn interface(node: &Node, what: &str, diagnostics: &mut Diagnostics) -> Option<InterfaceFields> {
    let mut f = Fields::new(node, what, diagnostics)?;
    let interface = InterfaceFields {
        name: f.string("name").unwrap_or_default(),
        add: f.string("add").unwrap_or_default(),
        peer: f.string("peer").unwrap_or_default(),
        create_in_root: f.boolean("createInRoot").unwrap_or(false),
    };
    f.finish();
    Some(interface)
}
