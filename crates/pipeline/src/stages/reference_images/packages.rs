//! Debian packages become a tar of a root file system, by mmdebstrap.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

use super::super::debian::{self, Lock, Package};
use super::definition::{Image, Variant};

/// Where the hook writes the list of packages, inside the root directory.
const LIST: &str = "emts-packages";
const STATUS: &str = "var/lib/dpkg/status";

/// Downloads and unpacks or installs the image's packages into the tar file `out`, in the locked
/// versions where the archive has them. `scratch` is for temporary files. A note where the locked versions cannot be had
/// together.
pub fn install(
    suite: &str,
    image: &Image,
    lock: &Lock,
    scratch: &Path,
    out: &Path,
) -> Result<Option<String>> {
    let list_hook = debian::list_hook(&format!("\"$1/{LIST}\""));
    debian::mmdebstrap(lock, scratch, &[], |command| {
        command.args(["--quiet", "--mode=auto", "--format=tar"]);
        match image.variant {
            Variant::Extract => {
                command
                    .arg("--variant=extract")
                    .arg(format!("--extract-hook={list_hook}"));
            }
            Variant::Essential => {
                command
                    .args(["--variant=essential", "--skip=essential/unlink"])
                    .arg(format!("--customize-hook={list_hook}"));
                // Unpacking less is faster; what stays is chosen by the definition.
                for path in [
                    "/usr/share/man/*",
                    "/usr/share/locale/*",
                    "/usr/share/info/*",
                ] {
                    command.arg(format!("--dpkgopt=path-exclude={path}"));
                }
            }
        }
        command
            .arg(format!("--include={}", image.packages.join(",")))
            .arg(suite)
            .arg(out);
        Ok(())
    })
}

/// The packages of a tar that `install` made, in order.
pub fn list(tar: &Path) -> Result<Vec<Package>> {
    let mut archive = tar::Archive::new(fs_err::File::open(tar)?);
    let (mut packages, mut status) = (Vec::new(), String::new());
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry
            .path()?
            .to_string_lossy()
            .trim_start_matches("./")
            .to_owned();
        let mut text = String::new();
        if path == LIST || path == STATUS {
            entry
                .read_to_string(&mut text)
                .with_context(|| format!("reading {path} of {}", tar.display()))?;
        }
        match path.as_str() {
            LIST => packages = Package::list(&text)?,
            STATUS => status = text,
            _ => {}
        }
    }
    ensure!(
        !packages.is_empty(),
        "mmdebstrap left no list of packages in {}",
        tar.display()
    );
    // An unpacked root has an empty status file beside the list.
    for (name, version) in installed(&status)? {
        ensure!(
            packages
                .iter()
                .any(|it| it.name == name && it.version == version),
            "{name} {version} is installed, but its .deb file was gone before it could be listed"
        );
    }
    Ok(packages)
}

/// Names and versions out of dpkg's status file.
fn installed(status: &str) -> Result<Vec<(&str, &str)>> {
    let mut packages = Vec::new();
    for paragraph in status
        .split("\n\n")
        .filter(|paragraph| !paragraph.trim().is_empty())
    {
        let field = |name: &str| {
            paragraph
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        };
        let (Some(name), Some(version)) = (field("Package"), field("Version")) else {
            bail!("dpkg's status has a paragraph without name or version: {paragraph}");
        };
        let state = field("Status").unwrap_or_default();
        ensure!(
            state.ends_with(" installed"),
            "the package {name} is {state:?}, not installed"
        );
        packages.push((name, version));
    }
    Ok(packages)
}

/// Whether a path is only there for `list`.
pub fn is_list(path: &str) -> bool {
    path == LIST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installed_packages_have_versions() {
        let status = "Package: b\nStatus: install ok installed\nVersion: 2\n\nPackage: a\nStatus: install ok installed\nVersion: 1:1\n\n";
        assert_eq!(installed(status).unwrap(), [("b", "2"), ("a", "1:1")]);
    }

    #[test]
    fn a_package_that_is_not_installed_is_named() {
        let status = "Package: b\nStatus: install ok half-configured\nVersion: 2\n";
        assert!(
            installed(status)
                .unwrap_err()
                .to_string()
                .contains("package b")
        );
    }
}
