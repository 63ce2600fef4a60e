//! A server on loopback that stands in for the publishers of K3s, so that a run takes the whole way from a download to a
//! node. What it serves is refk3s, or the files of a real release.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};
use arch::ARCH;
use artifacts::Sha256;
use pipeline::choice::{K3s, Options};
use pipeline::stages::k3s::output;
use pipeline::store::Store;
use serde::Deserialize;
use tempfile::TempDir;

use crate::cargo;
use crate::k3s_directory;
use crate::parts::Parts;
use crate::project::Project;

/// The hosts in the profile upstream: the server has a certificate for them, and its proxy leads there.
const HOSTS: [&str; 2] = ["github.com", "raw.githubusercontent.com"];
/// The profile that is followed, below the checkout.
const PROFILE: &str = "configs/profiles/upstream.yaml";
/// The publisher's checksum file, which has no sum of the script.
const SUMS: &str = ARCH.k3s_sums;
/// The certificate of the server's authority.
pub const CA: &str = "ca.pem";

/// A running server; it ends with this value.
pub struct Server {
    child: Child,
    /// Where it is.
    pub ready: Ready,
}

/// What the server prints when it is ready.
#[derive(Deserialize)]
pub struct Ready {
    /// Its URL.
    pub url: String,
    /// The URL of a proxy that leads to it, whichever of [`HOSTS`] is asked for.
    pub proxy: String,
}

impl Server {
    /// Serves the directory `files` in `directory` as the release `version`; `ca.pem` in `directory` is its authority.
    ///
    /// # Errors
    /// It ends before it is ready.
    pub fn start(project: Project<'_>, directory: &Path, version: &str) -> Result<Self> {
        let arguments = ["--package", "artifacts", "--bin", "release-server"];
        let program = cargo::build_program(
            project.root,
            project.cancel,
            "release server",
            "release-server",
            &arguments,
        )?;
        let mut command = Command::new(program);
        command
            .arg(directory.join("files"))
            .arg("--ca")
            .arg(directory.join(CA))
            .args(["--release", version])
            .args(HOSTS.iter().flat_map(|host| ["--name", host]))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().context("starting the release server")?;
        let stdout = child
            .stdout
            .take()
            .context("its standard output is a pipe")?;
        let mut line = String::new();
        // It prints one line or ends; either ends this.
        BufReader::new(stdout).read_line(&mut line)?;
        match serde_json::from_str(&line) {
            Ok(ready) => Ok(Self { child, ready }),
            Err(error) => {
                let _ = child.kill();
                let ended = child.wait()?;
                Err(error).with_context(|| {
                    format!("the release server was not ready ({ended}); it printed {line:?}")
                })
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server of a release of K3s, or of refk3s under the names of one.
pub struct ReleaseServer {
    server: Server,
    directory: TempDir,
    version: String,
}

impl ReleaseServer {
    /// Makes the files that it serves, and starts it.
    pub fn start(project: Project<'_>, parts: &Parts) -> Result<Self> {
        let mut options = Options::default();
        if let Some(directory) = &parts.k3s_dir {
            options.k3s = K3s::Release(Box::new(k3s_directory::read(directory)?));
        }
        let outputs = project.produce(&options, &["k3s"])?;
        let k3s = outputs.directory("k3s")?;
        let directory = tempfile::tempdir()?;
        let version = fs_err::read_to_string(k3s.join(output::VERSION))?
            .trim()
            .to_owned();
        lay_out(k3s, &directory.path().join("files"))?;
        let profile = fs_err::read_to_string(project.root.join(PROFILE))?;
        let profile = profile.replace("name: upstream", "name: release-server");
        fs_err::write(directory.path().join("profile.yaml"), profile)?;
        let server = Server::start(project, directory.path(), &version)?;
        println!(
            "release server: serves {version} on loopback in place of {}",
            HOSTS.join(" and ")
        );
        Ok(Self {
            server,
            directory,
            version,
        })
    }

    /// The user's options, with this server in place of the publishers.
    pub fn parts(&self, parts: &Parts) -> Parts {
        let mut parts = parts.clone();
        parts.k3s_dir = None;
        let sources = &mut parts.sources;
        sources.profile = Some(self.path("profile.yaml").display().to_string());
        sources.k3s_version = Some(self.version.clone());
        sources.ca.push(self.path(CA));
        sources.proxy = Some(self.server.ready.proxy.clone());
        parts
    }

    /// A store in which nothing is yet, so that everything is fetched.
    pub fn store(&self) -> Result<Store> {
        Store::at(self.path("store"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// The files under the publisher's names, with the publisher's checksum file.
fn lay_out(k3s: &Path, files: &Path) -> Result<()> {
    fs_err::create_dir(files)?;
    let mut sums = String::new();
    let mut link = |path: &Path, listed: bool| -> Result<()> {
        let name = path
            .file_name()
            .context("a file has a name")?
            .to_string_lossy();
        symlink(path, files.join(&*name))?;
        if listed {
            let (sum, _) =
                Sha256::of_file(path).with_context(|| format!("reading {}", path.display()))?;
            sums.push_str(&format!("{sum}  {name}\n"));
        }
        Ok(())
    };
    link(&k3s.join("install.sh"), false)?;
    link(&k3s.join("k3s"), true)?;
    for entry in fs_err::read_dir(k3s.join(output::IMAGES))? {
        link(&entry?.path(), true)?;
    }
    Ok(fs_err::write(files.join(SUMS), sums)?)
}
