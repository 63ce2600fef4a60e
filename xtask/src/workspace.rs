//! The members of the workspace and which of them a member is compiled with, as cargo knows them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

/// What `cargo metadata` says, as far as it is read (cargo-metadata(1)).
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `dev`, `build`, or none for what is linked.
    kind: Option<String>,
    /// Where it is, of a member.
    path: Option<PathBuf>,
}

/// Directories of a member and of those that it is compiled with.
///
/// # Errors
/// Cargo cannot read the workspace, or it has no such member.
pub fn directories(root: &Path, package: &str) -> Result<Vec<PathBuf>> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root).args([
        "metadata",
        "--format-version=1",
        "--no-deps",
        "--offline",
        "--locked",
    ]);
    let output = command.output().context("asking cargo for the workspace")?;
    if !output.status.success() {
        bail!(
            "cargo metadata: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let metadata = serde_json::from_slice(&output.stdout).context("reading cargo metadata")?;
    reached(&metadata, package)
}

fn reached(metadata: &Metadata, package: &str) -> Result<Vec<PathBuf>> {
    let mut waiting = vec![package];
    let mut seen = BTreeSet::new();
    let mut directories = Vec::new();
    while let Some(name) = waiting.pop() {
        if !seen.insert(name) {
            continue;
        }
        let found = metadata.packages.iter().find(|member| member.name == name);
        let found = found.with_context(|| format!("the workspace has no member {name}"))?;
        let directory = found.manifest_path.parent();
        directories.extend(directory.map(Path::to_owned));
        let compiled = |of: &&Dependency| of.path.is_some() && of.kind.as_deref() != Some("dev");
        let members = found.dependencies.iter().filter(compiled);
        waiting.extend(members.map(|dependency| dependency.name.as_str()));
    }
    Ok(directories)
}

#[cfg(test)]
mod tests {
    use super::directories;
    use std::path::Path;

    #[test]
    fn a_member_is_compiled_with_the_members_that_it_links_and_no_others() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("the checkout");
        let found = directories(root, "cluster-bootstrapper").expect("a member");
        assert_eq!(
            found,
            ["bootstrapper", "crates/diagnostics"].map(|path| root.join(path))
        );
    }

    #[test]
    fn a_name_that_no_member_has_is_an_error() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("the checkout");
        let error = directories(root, "nobody").expect_err("no member");
        assert!(error.to_string().contains("nobody"), "{error}");
    }
}
