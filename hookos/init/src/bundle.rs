//! A container of the tree: its folder, its runtime.json, and what PID 1 reads of its config.json.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};

/// A container's folder below /containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// Absolute path of the folder that holds config.json.
    pub dir: PathBuf,
    /// Name of the folder, which is the container's id for runc.
    pub name: String,
}

impl Bundle {
    /// The container's root file system, mounted by its runtime.json.
    #[must_use]
    pub fn rootfs(&self) -> PathBuf {
        self.dir.join("rootfs")
    }

    /// Reads runtime.json. A container without that file needs no preparation.
    pub fn runtime(&self) -> Result<Runtime, BundleError> {
        let path = self.dir.join("runtime.json");
        match fs::read(&path) {
            Ok(text) => {
                serde_json::from_slice(&text).map_err(|source| BundleError::Json { path, source })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Runtime::default()),
            Err(source) => Err(BundleError::Read { path, source }),
        }
    }

    /// The mounts that runc will make, out of config.json.
    pub fn config_mounts(&self) -> Result<Vec<ConfigMount>, BundleError> {
        let path = self.dir.join("config.json");
        let text = fs::read(&path).map_err(|source| BundleError::Read {
            path: path.clone(),
            source,
        })?;
        let config: Config =
            serde_json::from_slice(&text).map_err(|source| BundleError::Json { path, source })?;
        Ok(config.mounts)
    }
}

/// Containers of one section (`onboot`, `onshutdown`, `services`) in name order.
///
/// A section without containers has no folder.
pub fn section(containers: &Path, section: &str) -> Result<Vec<Bundle>, BundleError> {
    let path = containers.join(section);
    let read = |source| BundleError::Read {
        path: path.clone(),
        source,
    };
    let entries = match fs::read_dir(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(read)?,
    };
    let mut bundles = Vec::new();
    for entry in entries {
        let dir = entry.map_err(read)?.path();
        if let (true, Some(name)) = (dir.is_dir(), dir.file_name()) {
            let name = name.to_string_lossy().into_owned();
            bundles.push(Bundle { dir, name });
        }
    }
    bundles.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(bundles)
}

/// A file of a container that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The file or folder cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// What was read.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file is not what LinuxKit writes.
    #[error("cannot understand {path}: {source}")]
    Json {
        /// What was read.
        path: PathBuf,
        /// Where and why not.
        source: serde_json::Error,
    },
}

/// runtime.json: what is done on the host before runc starts a container.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Runtime {
    /// Control groups to be made, relative to /sys/fs/cgroup.
    #[serde(deserialize_with = "null_as_default")]
    pub cgroups: Vec<String>,
    /// Mounts in order, the container's root file system among them.
    #[serde(deserialize_with = "null_as_default")]
    pub mounts: Vec<Mount>,
    /// Directories; relative ones are inside the container.
    #[serde(deserialize_with = "null_as_default")]
    pub mkdir: Vec<String>,
    /// Network interfaces to be moved or made.
    #[serde(deserialize_with = "null_as_default")]
    pub interfaces: Vec<Interface>,
    /// Files onto which the container's namespaces are bound.
    #[serde(rename = "bindNS", deserialize_with = "null_as_default")]
    pub bind_ns: BindNamespaces,
}

/// One mount of runtime.json. LinuxKit omits fields that are empty.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub struct Mount {
    /// Where to; relative ones are inside the container.
    pub destination: String,
    /// File system type.
    #[serde(rename = "type")]
    pub kind: String,
    /// What from.
    pub source: String,
    /// Words of mount(8).
    #[serde(deserialize_with = "null_as_default")]
    pub options: Vec<String>,
}

/// One network interface of runtime.json.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Interface {
    /// Name inside the container.
    pub name: String,
    /// Type of an interface to be made; empty for an existing one.
    pub add: String,
    /// Name of the other end of a veth pair.
    pub peer: String,
    /// Whether it is made outside the container and then moved.
    pub create_in_root: bool,
}

/// Paths for a container's namespaces; empty for those not wanted.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub struct BindNamespaces {
    /// Control group namespace.
    pub cgroup: String,
    /// System V IPC namespace.
    pub ipc: String,
    /// Mount namespace.
    pub mnt: String,
    /// Network namespace.
    pub net: String,
    /// Process namespace.
    pub pid: String,
    /// User namespace.
    pub user: String,
    /// Host name namespace.
    pub uts: String,
}

impl BindNamespaces {
    /// Name below /proc/PID/ns and wanted path, in LinuxKit's order.
    pub fn wanted(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("cgroup", &self.cgroup),
            ("ipc", &self.ipc),
            ("mnt", &self.mnt),
            ("net", &self.net),
            ("pid", &self.pid),
            ("user", &self.user),
            ("uts", &self.uts),
        ]
        .into_iter()
        .filter(|(_, path)| !path.is_empty())
        .map(|(name, path)| (name, path.as_str()))
    }
}

#[derive(Debug, Deserialize)]
struct Config {
    #[serde(default, deserialize_with = "null_as_default")]
    mounts: Vec<ConfigMount>,
}

/// One mount of config.json.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub struct ConfigMount {
    /// Path on the host for a bind mount.
    pub source: String,
    /// Words of mount(8).
    #[serde(deserialize_with = "null_as_default")]
    pub options: Vec<String>,
}

fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITABLE: &str = r#"{
        "cgroups": [], "mounts": [
            {"destination": "/containers/services/x/tmp", "type": "tmpfs", "source": "tmpfs"},
            {"destination": "/containers/services/x/tmp", "options": ["remount", "private"]},
            {"destination": "/containers/services/x/rootfs", "type": "overlay", "source": "overlay",
             "options": ["lowerdir=/containers/services/x/lower"]}],
        "mkdir": ["/var/lib/x"], "interfaces": [],
        "bindNS": {"cgroup": "", "ipc": "", "mnt": "", "net": "/run/netns/x", "pid": "", "user": "", "uts": ""},
        "namespace": ""}"#;

    fn bundle_in(root: &Path, section: &str, name: &str) -> Bundle {
        let dir = root.join(section).join(name);
        fs::create_dir_all(&dir).unwrap();
        Bundle {
            dir,
            name: name.to_owned(),
        }
    }

    #[test]
    fn reads_the_runtime_json_of_linuxkit() {
        let root = tempfile::tempdir().unwrap();
        let bundle = bundle_in(root.path(), "services", "x");
        fs::write(bundle.dir.join("runtime.json"), WRITABLE).unwrap();
        let runtime = bundle.runtime().unwrap();
        assert_eq!(runtime.mounts.len(), 3);
        assert_eq!(runtime.mounts[1].options, ["remount", "private"]);
        assert_eq!(runtime.mkdir, ["/var/lib/x"]);
        assert_eq!(
            runtime.bind_ns.wanted().collect::<Vec<_>>(),
            [("net", "/run/netns/x")]
        );
    }

    #[test]
    fn a_container_without_runtime_json_needs_no_preparation() {
        let root = tempfile::tempdir().unwrap();
        let runtime = bundle_in(root.path(), "services", "x").runtime().unwrap();
        assert!(runtime.mounts.is_empty() && runtime.mkdir.is_empty());
    }

    #[test]
    fn a_broken_runtime_json_is_named() {
        let root = tempfile::tempdir().unwrap();
        let bundle = bundle_in(root.path(), "onboot", "000-x");
        fs::write(bundle.dir.join("runtime.json"), "{").unwrap();
        assert!(
            bundle
                .runtime()
                .unwrap_err()
                .to_string()
                .contains("onboot/000-x/runtime.json")
        );
    }

    #[test]
    fn containers_come_in_name_order() {
        let root = tempfile::tempdir().unwrap();
        for name in ["010-c", "000-b", "001-a"] {
            bundle_in(root.path(), "onboot", name);
        }
        let names: Vec<_> = section(root.path(), "onboot")
            .unwrap()
            .into_iter()
            .map(|b| b.name)
            .collect();
        assert_eq!(names, ["000-b", "001-a", "010-c"]);
    }

    #[test]
    fn a_section_without_containers_is_empty() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(section(root.path(), "onshutdown").unwrap(), []);
    }
}
