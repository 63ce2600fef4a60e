//! Debian packages become a tar of a root file system, by mmdebstrap.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

use super::definition::{Image, Variant};
use crate::process;

/// Where the hook writes the list of unpacked packages; `essential` has dpkg's status instead.
const LIST: &str = "emts-packages";
const STATUS: &str = "var/lib/dpkg/status";

/// Runs in a shell while the downloaded packages are still there; `$1` is the root folder.
const LIST_HOOK: &str = r#"for deb in "$1"/var/cache/apt/archives/*.deb; do
    dpkg-deb --show --showformat='${Package}=${Version}\n' "$deb"
done | sort >"$1/emts-packages""#;

/// Downloads and unpacks or installs the image's packages into the tar file `out`.
pub fn install(suite: &str, image: &Image, out: &Path) -> Result<()> {
    let mut command = process::privileged("mmdebstrap");
    command.args(["--quiet", "--mode=auto", "--format=tar"]);
    match image.variant {
        Variant::Extract => {
            command
                .arg("--variant=extract")
                .arg(format!("--extract-hook={LIST_HOOK}"));
        }
        Variant::Essential => {
            command.arg("--variant=essential");
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
    process::run(&mut command)
}

/// The packages of a tar that `install` made, one `name=version` a line, in order.
pub fn list(tar: &Path) -> Result<String> {
    let mut archive = tar::Archive::new(fs_err::File::open(tar)?);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry
            .path()?
            .to_string_lossy()
            .trim_start_matches("./")
            .to_owned();
        if path == LIST || path == STATUS {
            let mut text = String::new();
            entry
                .read_to_string(&mut text)
                .with_context(|| format!("reading {path} of {}", tar.display()))?;
            let packages = if path == LIST {
                text
            } else {
                installed(&text)?
            };
            // An unpacked root has an empty status file beside the list.
            if !packages.is_empty() {
                return Ok(packages);
            }
        }
    }
    bail!("mmdebstrap left no list of packages in {}", tar.display())
}

/// Names and versions out of dpkg's status file.
fn installed(status: &str) -> Result<String> {
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
        packages.push(format!("{name}={version}\n"));
    }
    packages.sort();
    Ok(packages.concat())
}

/// Whether a path is only there for `list`.
pub fn is_list(path: &str) -> bool {
    path == LIST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installed_packages_are_listed_in_order() {
        let status = "Package: b\nStatus: install ok installed\nVersion: 2\n\nPackage: a\nStatus: install ok installed\nVersion: 1:1\n\n";
        assert_eq!(installed(status).unwrap(), "a=1:1\nb=2\n");
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
