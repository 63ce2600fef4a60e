//! What runtime.json asks for around a container: mounts, directories, control
//! groups before it is created, its namespaces' files once it exists.

use std::ffi::CString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rustix::mount::{
    MountFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive, mount_change, mount_remount,
    unmount,
};

use crate::bundle::{Bundle, Mount, Runtime};
use crate::console::say;
use crate::mount_options::{Action, MountOptions};

const CGROUPS: &str = "/sys/fs/cgroup";

/// Prepares the file system of a container, in LinuxKit's order.
pub fn filesystem(bundle: &Bundle, runtime: &Runtime) -> anyhow::Result<()> {
    for entry in &runtime.mounts {
        let target = inside(&bundle.rootfs(), &entry.destination);
        apply(entry, &target).with_context(|| {
            format!(
                "mounting {} on {} (runtime.mounts)",
                shown(&entry.source),
                target.display()
            )
        })?;
    }
    for dir in &runtime.mkdir {
        let path = inside(&bundle.rootfs(), dir);
        fs::create_dir_all(&path).with_context(|| {
            format!("making the directory {} (runtime.mkdir; / is read-only, tmpfs are /run, /var, /tmp, /dev)", path.display())
        })?;
    }
    for group in &runtime.cgroups {
        let path = Path::new(CGROUPS).join(group.trim_start_matches('/'));
        if let Err(error) = fs::create_dir_all(&path) {
            say!(
                "{}: cannot make the control group {}: {error}",
                bundle.name,
                path.display()
            );
        }
    }
    Ok(())
}

/// Binds the namespaces of a created container to files.
pub fn namespaces(runtime: &Runtime, pid: u32) -> anyhow::Result<()> {
    for (name, path) in runtime.bind_ns.wanted() {
        let source = format!("/proc/{pid}/ns/{name}");
        let target = Path::new(path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
        }
        fs::File::create(target).with_context(|| format!("making {path}"))?;
        mount_bind(&source, target)
            .with_context(|| format!("binding {source} to {path} (runtime.bindNS)"))?;
    }
    Ok(())
}

/// Takes the root file system of a container that has ended away.
pub fn unmount_rootfs(bundle: &Bundle) {
    if let Err(error) = unmount(bundle.rootfs(), UnmountFlags::DETACH)
        && !matches!(error, rustix::io::Errno::INVAL | rustix::io::Errno::NOENT)
    {
        say!(
            "{}: cannot unmount {}: {error}",
            bundle.name,
            bundle.rootfs().display()
        );
    }
}

/// A relative path is inside the container.
fn inside(rootfs: &Path, path: &str) -> PathBuf {
    if path.starts_with('/') {
        PathBuf::from(path)
    } else {
        rootfs.join(path)
    }
}

fn shown(source: &str) -> &str {
    if source.is_empty() {
        "(no source)"
    } else {
        source
    }
}

fn apply(entry: &Mount, target: &Path) -> anyhow::Result<()> {
    // A destination on the read-only root has to exist already; mount(2) tells.
    let _ = fs::create_dir_all(target);
    let options = MountOptions::parse(&entry.options);
    for dir in overlay_dirs(&entry.options) {
        fs::create_dir_all(dir).with_context(|| format!("making {dir}"))?;
    }
    let data = CString::new(options.data.as_str())?;
    match options.action {
        Action::New => mount(
            &entry.source,
            target,
            &entry.kind,
            options.flags,
            data.as_c_str(),
        )?,
        Action::Remount => mount_remount(target, options.flags, data.as_c_str())?,
        Action::Propagation(propagation) => mount_change(target, propagation)?,
        Action::Bind(recursive) => {
            bind(Path::new(&entry.source), target, recursive, options.flags)?
        }
    }
    Ok(())
}

/// mount(2) ignores every other flag of a bind mount; a second call sets them.
fn bind(
    source: &Path,
    target: &Path,
    recursive: bool,
    flags: MountFlags,
) -> rustix::io::Result<()> {
    if recursive {
        mount_bind_recursive(source, target)?;
    } else {
        mount_bind(source, target)?;
    }
    if flags.is_empty() {
        return Ok(());
    }
    mount_remount(target, MountFlags::BIND | flags, c"")
}

/// The directories that overlayfs writes to; it does not make them itself.
fn overlay_dirs(options: &[String]) -> impl Iterator<Item = &str> {
    options.iter().filter_map(|option| {
        option
            .strip_prefix("upperdir=")
            .or_else(|| option.strip_prefix("workdir="))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_are_inside_the_container() {
        let rootfs = Path::new("/containers/services/x/rootfs");
        assert_eq!(inside(rootfs, "var/lib"), rootfs.join("var/lib"));
        assert_eq!(inside(rootfs, "/var/lib"), Path::new("/var/lib"));
    }

    #[test]
    fn only_the_writable_overlay_directories_are_made() {
        let options = ["lowerdir=/l", "upperdir=/t/upper", "workdir=/t/work"].map(str::to_owned);
        assert_eq!(
            overlay_dirs(&options).collect::<Vec<_>>(),
            ["/t/upper", "/t/work"]
        );
    }

    #[test]
    fn directories_are_made_inside_and_outside() {
        let root = tempfile::tempdir().unwrap();
        let bundle = Bundle {
            dir: root.path().join("x"),
            name: "x".into(),
        };
        let outside = root.path().join("outside");
        let runtime = Runtime {
            mkdir: vec!["inner".into(), outside.to_string_lossy().into_owned()],
            ..Runtime::default()
        };
        filesystem(&bundle, &runtime).unwrap();
        assert!(bundle.rootfs().join("inner").is_dir() && outside.is_dir());
    }
}
