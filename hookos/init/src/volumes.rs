//! Volumes of the tree: /containers/volumes/NAME/{lower,tmp} mounted on merged.
//!
//! The tree does not say which volumes are read-only. LinuxKit allows only
//! `ro` binds of such a volume, so a volume that containers bind, but none of
//! them writable, is mounted without anything to write to.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use rustix::mount::{MountFlags, mount};

use crate::bundle::{self, Bundle};
use crate::console::say;

const SECTIONS: [&str; 3] = ["onboot", "onshutdown", "services"];

/// Mounts all volumes below `containers`. The first one that has not got its
/// folders ends it, as in LinuxKit; a mount that fails is told by name.
pub fn mount_all(containers: &Path) -> anyhow::Result<()> {
    let root = containers.join("volumes");
    let Ok(entries) = fs::read_dir(&root) else {
        return Ok(());
    };
    let mut names: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .collect();
    names.sort();
    let use_of = uses(containers, &root);
    for name in names {
        let dir = root.join(&name);
        let use_of_this = use_of
            .get(&*name.to_string_lossy())
            .copied()
            .unwrap_or(Use::Unbound);
        mount_one(&dir, use_of_this)
            .with_context(|| format!("mounting the volume {}", name.display()))?;
    }
    Ok(())
}

fn mount_one(dir: &Path, use_of: Use) -> anyhow::Result<()> {
    let (lower, tmp, merged) = (dir.join("lower"), dir.join("tmp"), dir.join("merged"));
    for needed in [&lower, &tmp, &merged] {
        anyhow::ensure!(
            needed.is_dir(),
            "{} is missing; the tree was not assembled by LinuxKit's rules",
            needed.display()
        );
    }
    let options = if use_of == Use::ReadOnly {
        // Two lower directories and no upper one: nothing can make it writable.
        format!("lowerdir={}:{}", lower.display(), tmp.display())
    } else {
        mount("tmpfs", &tmp, "tmpfs", MountFlags::RELATIME, c"")
            .with_context(|| format!("mounting a tmpfs on {}", tmp.display()))?;
        let (upper, work) = (tmp.join("upper"), tmp.join("work"));
        fs::create_dir(&upper)
            .and_then(|()| fs::create_dir(&work))
            .context("making upper and work")?;
        format!(
            "lowerdir={},upperdir={},workdir={}",
            lower.display(),
            upper.display(),
            work.display()
        )
    };
    let mut flags = MountFlags::RELATIME;
    flags.set(MountFlags::RDONLY, use_of == Use::ReadOnly);
    let data = CString::new(options)?;
    mount("overlay", &merged, "overlay", flags, data.as_c_str())
        .with_context(|| format!("mounting an overlay on {}", merged.display()))
}

/// How the containers bind a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Unbound,
    ReadOnly,
    Writable,
}

/// Reads every container's config.json for binds of volumes.
fn uses(containers: &Path, root: &Path) -> BTreeMap<String, Use> {
    let mut uses = BTreeMap::new();
    for bundle in SECTIONS
        .iter()
        .flat_map(|name| bundle::section(containers, name).unwrap_or_default())
    {
        for (volume, use_of) in uses_by(&bundle, root) {
            let known = uses.entry(volume).or_insert(Use::Unbound);
            if *known != Use::Writable {
                *known = use_of;
            }
        }
    }
    uses
}

fn uses_by(bundle: &Bundle, root: &Path) -> Vec<(String, Use)> {
    let mounts = bundle.config_mounts().unwrap_or_else(|error| {
        say!("{error}");
        Vec::new()
    });
    let volume = |source: &str| {
        let mut parts = Path::new(source).strip_prefix(root).ok()?.components();
        Some(parts.next()?.as_os_str().to_string_lossy().into_owned())
    };
    mounts
        .iter()
        .filter_map(|mount| {
            let read_only = mount.options.iter().any(|option| option == "ro");
            Some((
                volume(&mount.source)?,
                if read_only {
                    Use::ReadOnly
                } else {
                    Use::Writable
                },
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(root: &Path, section: &str, name: &str, binds: &[(&str, &[&str])]) {
        let dir = root.join(section).join(name);
        fs::create_dir_all(&dir).unwrap();
        let mounts: Vec<_> = binds
            .iter()
            .map(|(volume, options)| {
                let source = root.join("volumes").join(volume).join("merged");
                serde_json::json!({"destination": "/x", "type": "bind", "source": source, "options": options})
            })
            .collect();
        fs::write(
            dir.join("config.json"),
            serde_json::json!({ "mounts": mounts }).to_string(),
        )
        .unwrap();
    }

    #[test]
    fn a_volume_bound_read_only_by_all_is_read_only() {
        let root = tempfile::tempdir().unwrap();
        container(root.path(), "services", "a", &[("v", &["ro", "rbind"])]);
        container(root.path(), "onboot", "000-b", &[("v", &["ro", "rbind"])]);
        let uses = uses(root.path(), &root.path().join("volumes"));
        assert_eq!(uses["v"], Use::ReadOnly);
    }

    #[test]
    fn one_writable_bind_makes_a_volume_writable() {
        let root = tempfile::tempdir().unwrap();
        container(
            root.path(),
            "onboot",
            "000-a",
            &[("v", &["rw", "rbind", "rshared"])],
        );
        container(root.path(), "services", "b", &[("v", &["ro", "rbind"])]);
        let uses = uses(root.path(), &root.path().join("volumes"));
        assert_eq!(uses["v"], Use::Writable);
    }

    #[test]
    fn a_volume_without_its_folders_is_refused() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("volumes/v/merged")).unwrap();
        let error = format!("{:#}", mount_all(root.path()).unwrap_err());
        assert!(
            error.contains("volume v") && error.contains("lower"),
            "{error}"
        );
    }
}
