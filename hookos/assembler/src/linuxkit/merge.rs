//! How the YAML file's fields and those of an image's label become one.
//!
//! "R": the YAML value replaces the label's when its key is there, an empty list included. "E": it
//! replaces it only when it is a text that is not empty.

use super::Position;
use super::fields::{ImageFields, RuntimeFields};

/// The label that images carry their LinuxKit configuration in.
pub const LABEL: &str = "org.mobyproject.config";

/// The fields of a container after the merge, and which binds the YAML file itself gave.
#[derive(Clone, Debug)]
pub struct Merged {
    /// The fields; `binds` and `capabilities` hold the result, their `.add` forms nothing.
    pub fields: ImageFields,
    /// The binds with their place; those of the label have none, and may name no volumes.
    pub binds: Vec<(String, Option<Position>)>,
}

/// Merges; `yaml` wins.
pub fn merge(yaml: &ImageFields, label: &ImageFields) -> Merged {
    fn replace<T: Clone>(yaml: &Option<T>, label: &Option<T>) -> Option<T> {
        yaml.clone().or_else(|| label.clone())
    }
    fn text(yaml: &Option<String>, label: &Option<String>) -> Option<String> {
        yaml.clone()
            .filter(|text| !text.is_empty())
            .or_else(|| label.clone())
    }
    let (y, l) = (yaml, label);
    let fields = ImageFields {
        capabilities: Some(capabilities(y, l)),
        capabilities_add: None,
        ambient: replace(&y.ambient, &l.ambient),
        mounts: replace(&y.mounts, &l.mounts),
        binds: None,
        binds_add: None,
        devices: replace(&y.devices, &l.devices),
        tmpfs: replace(&y.tmpfs, &l.tmpfs),
        command: replace(&y.command, &l.command),
        env: replace(&y.env, &l.env),
        cwd: text(&y.cwd, &l.cwd),
        net: text(&y.net, &l.net),
        ipc: text(&y.ipc, &l.ipc),
        uts: text(&y.uts, &l.uts),
        pid: text(&y.pid, &l.pid),
        userns: text(&y.userns, &l.userns),
        hostname: text(&y.hostname, &l.hostname),
        readonly: replace(&y.readonly, &l.readonly),
        masked_paths: replace(&y.masked_paths, &l.masked_paths),
        readonly_paths: replace(&y.readonly_paths, &l.readonly_paths),
        uid: replace(&y.uid, &l.uid),
        gid: replace(&y.gid, &l.gid),
        additional_gids: replace(&y.additional_gids, &l.additional_gids),
        no_new_privileges: replace(&y.no_new_privileges, &l.no_new_privileges),
        oom_score_adj: replace(&y.oom_score_adj, &l.oom_score_adj),
        rootfs_propagation: replace(&y.rootfs_propagation, &l.rootfs_propagation),
        cgroups_path: replace(&y.cgroups_path, &l.cgroups_path),
        resources: replace(&y.resources, &l.resources),
        sysctl: replace(&y.sysctl, &l.sysctl),
        annotations: replace(&y.annotations, &l.annotations),
        rlimits: replace(&y.rlimits, &l.rlimits),
        uid_mappings: replace(&y.uid_mappings, &l.uid_mappings),
        gid_mappings: replace(&y.gid_mappings, &l.gid_mappings),
        runtime: runtime(&y.runtime, &l.runtime),
    };
    Merged {
        fields,
        binds: binds(y, l),
    }
}

fn capabilities(yaml: &ImageFields, label: &ImageFields) -> Vec<String> {
    if let Some(list) = &yaml.capabilities {
        return list.clone();
    }
    let added = yaml.capabilities_add.iter().flatten();
    label
        .capabilities
        .iter()
        .flatten()
        .chain(added)
        .cloned()
        .collect()
}

fn binds(yaml: &ImageFields, label: &ImageFields) -> Vec<(String, Option<Position>)> {
    let own = |list: &Option<Vec<(String, Position)>>| -> Vec<(String, Option<Position>)> {
        list.iter()
            .flatten()
            .map(|(bind, at)| (bind.clone(), Some(*at)))
            .collect()
    };
    if yaml.binds.is_some() {
        return own(&yaml.binds);
    }
    let mut binds: Vec<_> = label
        .binds
        .iter()
        .flatten()
        .map(|(bind, _)| (bind.clone(), None))
        .collect();
    binds.extend(own(&yaml.binds_add));
    binds
}

fn runtime(yaml: &RuntimeFields, label: &RuntimeFields) -> RuntimeFields {
    let mut bind_ns = label.bind_ns.clone();
    bind_ns.extend(yaml.bind_ns.clone());
    RuntimeFields {
        position: yaml.position,
        cgroups: yaml.cgroups.clone().or_else(|| label.cgroups.clone()),
        mounts: yaml.mounts.clone().or_else(|| label.mounts.clone()),
        mkdir: yaml.mkdir.clone().or_else(|| label.mkdir.clone()),
        interfaces: yaml.interfaces.clone().or_else(|| label.interfaces.clone()),
        bind_ns,
        namespace: yaml.namespace.clone().or_else(|| label.namespace.clone()),
    }
}
