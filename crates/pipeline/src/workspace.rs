//! The members of the workspace and which of them a member is compiled with, as cargo knows them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use module_graph::Graph;
use serde::Deserialize;

use crate::{digest, process};

/// What `cargo metadata` says, as far as it is read (cargo-metadata(1)).
#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

impl Metadata {
    fn of(root: &Path) -> Result<Self> {
        let mut command = Command::new(process::cargo());
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
        serde_json::from_slice(&output.stdout).context("reading cargo metadata")
    }
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    /// `dev`, `build`, or none for what is linked.
    kind: Option<String>,
    /// Where it is, of a member.
    path: Option<PathBuf>,
}

/// The members, and the modules of those that make the stages. All code is read at once: what is edited later is not what
/// this program was compiled of.
#[derive(Debug)]
pub struct Workspace {
    root: PathBuf,
    metadata: Metadata,
    graph: Graph,
    /// Digests of the files of the graph.
    digests: BTreeMap<PathBuf, String>,
    compilers: Compilers,
}

/// What the host's compilers say, which are asked while the sources are read; why one does not answer is said where its
/// answer is needed.
#[derive(Debug)]
struct Compilers {
    /// `rustc --version`.
    rustc: Result<String, String>,
    /// `go version`.
    go: Result<String, String>,
    /// The C library that is linked into static binaries.
    libc: Result<PathBuf, String>,
}

impl Workspace {
    /// Reads the workspace of a checkout.
    ///
    /// # Errors
    /// Cargo cannot read it, or a source is not there.
    pub fn read(root: &Path) -> Result<Self> {
        thread::scope(|scope| {
            let rustc = scope.spawn(|| {
                let mut rustc = Command::new(process::rustc());
                said("rustc", rustc.arg("--version").current_dir(root))
            });
            let go = scope.spawn(|| said("go", process::go().arg("version").current_dir(root)));
            let libc = scope.spawn(|| static_libc().map_err(|error| format!("{error:#}")));
            let metadata = Metadata::of(root)?;
            let members = reached(&metadata, env!("CARGO_PKG_NAME"))?.into_iter();
            let members: Vec<(String, PathBuf)> = members
                .map(|(name, directory)| (name.replace('-', "_"), directory.join("src")))
                .collect();
            let graph = Graph::read(&members).context("reading the modules of the stages")?;
            let digests = graph
                .files()
                .map(|file| Ok((file.to_owned(), digest::of_file(file)?)));
            Ok(Self {
                root: root.to_owned(),
                digests: digests.collect::<Result<_>>()?,
                graph,
                metadata,
                compilers: Compilers {
                    rustc: rustc.join().expect("asking rustc does not panic"),
                    go: go.join().expect("asking go does not panic"),
                    libc: libc.join().expect("asking cc does not panic"),
                },
            })
        })
    }

    /// The checkout.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What `rustc --version` says.
    ///
    /// # Errors
    /// There is no rustc.
    pub fn rustc(&self) -> Result<&str> {
        let rustc = self.compilers.rustc.as_deref();
        rustc.map_err(|error| anyhow!("{error}"))
    }

    /// What `go version` says.
    ///
    /// # Errors
    /// There is no Go.
    pub fn go(&self) -> Result<&str> {
        let go = self.compilers.go.as_deref();
        go.map_err(|error| anyhow!("{error}"))
    }

    /// The C library that is linked into static binaries, from the host's package libc6-dev.
    ///
    /// # Errors
    /// There is no C compiler, or it knows none.
    pub fn libc(&self) -> Result<&Path> {
        let libc = self.compilers.libc.as_deref();
        libc.map_err(|error| anyhow!("{error}"))
    }

    /// Names and directories of all members, in the order of their names.
    pub fn members(&self) -> Vec<(&str, &Path)> {
        let packages = self.metadata.packages.iter();
        let named = packages.map(|package| {
            let directory = package.manifest_path.parent();
            (package.name.as_str(), directory.unwrap_or(Path::new("")))
        });
        let mut members: Vec<_> = named.collect();
        members.sort_unstable();
        members
    }

    /// Directories of a member and of those that it is compiled with.
    ///
    /// # Errors
    /// There is no such member.
    pub fn directories(&self, package: &str) -> Result<Vec<PathBuf>> {
        let members = reached(&self.metadata, package)?.into_iter();
        Ok(members.map(|(_, directory)| directory).collect())
    }

    /// Names below the checkout and digests of the files of code that a module of this crate reaches.
    ///
    /// # Errors
    /// There is no such module.
    pub fn code_of(&self, module: &str) -> Result<BTreeMap<String, String>> {
        let files = self.graph.reached(module)?.into_iter();
        let digest = |path: &Path| {
            let name = path.strip_prefix(&self.root).unwrap_or(path);
            (name.display().to_string(), self.digests[path].clone())
        };
        Ok(files.map(digest).collect())
    }
}

/// What a compiler says of its version.
fn said(name: &str, command: &mut Command) -> Result<String, String> {
    let output = command.output();
    let output = output.map_err(|error| format!("asking {name} for its version: {error}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        false => Err(format!(
            "asking {name} for its version: {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        )),
    }
}

fn static_libc() -> Result<PathBuf> {
    let mut command = Command::new("cc");
    let output = command.arg("-print-file-name=libc.a").output();
    let output = output.context("asking cc for its C library (install the package gcc)")?;
    let path = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    // Without one it prints the name alone.
    ensure!(
        path.is_absolute(),
        "cc knows no libc.a: install the package libc6-dev"
    );
    Ok(path)
}

/// Names and directories of a member and of those that it is compiled with.
fn reached<'m>(metadata: &'m Metadata, package: &'m str) -> Result<Vec<(&'m str, PathBuf)>> {
    let mut waiting = vec![package];
    let mut seen = BTreeSet::new();
    let mut directories = Vec::new();
    while let Some(name) = waiting.pop() {
        if !seen.insert(name) {
            continue;
        }
        let found = metadata.packages.iter().find(|member| member.name == name);
        let found = found.with_context(|| format!("the workspace has no member {name}"))?;
        let directory = found.manifest_path.parent().unwrap_or(Path::new(""));
        directories.push((name, directory.to_owned()));
        let compiled = |of: &&Dependency| of.path.is_some() && of.kind.as_deref() != Some("dev");
        let members = found.dependencies.iter().filter(compiled);
        waiting.extend(members.map(|dependency| dependency.name.as_str()));
    }
    Ok(directories)
}

#[cfg(test)]
mod tests {
    use super::Workspace;
    use std::path::Path;

    fn root() -> &'static Path {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
        crates.and_then(Path::parent).expect("the checkout")
    }

    #[test]
    fn a_member_is_compiled_with_the_members_that_it_links_and_no_others() {
        let workspace = Workspace::read(root()).expect("the workspace");
        let found = workspace.directories("cluster-bootstrapper");
        assert_eq!(
            found.expect("a member"),
            ["bootstrapper", "crates/diagnostics"].map(|path| root().join(path))
        );
        let error = workspace.directories("nobody").expect_err("no member");
        assert!(error.to_string().contains("nobody"), "{error}");
    }
}
