//! The files of a K3s release: copied, checked against what is known of them, never run but for their version.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::super::{Input, sources};
use super::output::{self, make_executable};
use crate::digest;

/// What an x86-64 program begins with (ELF specification: magic, 64 bits, little endian), and where its machine is.
const ELF: [u8; 6] = [0x7f, b'E', b'L', b'F', 2, 1];
const MACHINE_AT: usize = 18;
const X86_64: [u8; 2] = [62, 0];

/// A release on this machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Release {
    /// The version that it has to be; none takes any.
    pub version: Option<String>,
    /// The program.
    pub k3s: Taken,
    /// The script of the same version.
    pub install: Taken,
    /// The archive of preloaded images; its name ends as K3s wants it.
    pub airgap: Taken,
}

/// A file, and the content that it had when it was chosen.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Taken {
    /// Where it is.
    pub path: PathBuf,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
}

impl Taken {
    /// Takes a file as it is.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of(path: &Path) -> Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            sha256: digest::of_file(path)?,
        })
    }

    fn copy(&self, target: &Path) -> Result<()> {
        fs_err::copy(&self.path, target)?;
        let seen = digest::of_file(target)?;
        ensure!(
            seen == self.sha256,
            "{} changed while it was copied: sha256 {seen}, before {}",
            self.path.display(),
            self.sha256
        );
        Ok(())
    }
}

impl Release {
    pub(super) fn inputs(&self, root: &Path) -> Vec<Input> {
        let mut inputs = sources(root, &["xtask/src/stages/k3s/release.rs"]);
        inputs.extend([
            Input::Value("version", self.version.clone().unwrap_or_default()),
            Input::Value("k3s", self.k3s.sha256.clone()),
            Input::Value("install.sh", self.install.sha256.clone()),
            Input::Value("airgap images", self.airgap.sha256.clone()),
        ]);
        inputs
    }

    /// Copies the files to `out` and asks `k3s` for its version.
    pub(super) fn take(&self, out: &Path) -> Result<()> {
        let k3s = out.join("k3s");
        self.k3s.copy(&k3s)?;
        require_program(&k3s).with_context(|| format!("taking {}", self.k3s.path.display()))?;
        make_executable(&k3s)?;
        let script = out.join("install.sh");
        self.install.copy(&script)?;
        require_script(&script)
            .with_context(|| format!("taking {}", self.install.path.display()))?;
        make_executable(&script)?;
        let name = self.airgap.path.file_name();
        let name = name.context("the archive of images has a name")?;
        self.airgap.copy(&out.join(output::IMAGES).join(name))?;
        let version = version_of(&k3s)?;
        if let Some(expected) = self
            .version
            .as_ref()
            .filter(|expected| **expected != version)
        {
            bail!(
                "{} is K3s {version}; the profile has K3s {expected}: name the version with --k3s-version, or take the \
                 files of {expected}",
                self.k3s.path.display()
            );
        }
        fs_err::write(out.join(output::VERSION), format!("{version}\n"))?;
        Ok(())
    }
}

/// A script or a page under the name `k3s` is not run to see what it does.
fn require_program(path: &Path) -> Result<()> {
    let head = head(path)?;
    ensure!(
        head.starts_with(&ELF) && head.get(MACHINE_AT..MACHINE_AT + 2) == Some(&X86_64),
        "it is not a program for x86-64; it begins with {:?}",
        String::from_utf8_lossy(&head[..head.len().min(16)])
    );
    Ok(())
}

fn require_script(path: &Path) -> Result<()> {
    let head = head(path)?;
    ensure!(
        head.starts_with(b"#!"),
        "it is not a shell script; it begins with {:?}",
        String::from_utf8_lossy(&head[..head.len().min(16)])
    );
    Ok(())
}

fn head(path: &Path) -> Result<Vec<u8>> {
    use std::io::Read as _;
    let mut head = Vec::new();
    fs_err::File::open(path)?.take(64).read_to_end(&mut head)?;
    Ok(head)
}

/// The version that the program prints. It gets nothing of the user's environment.
fn version_of(k3s: &Path) -> Result<String> {
    let output = Command::new(k3s)
        .arg("--version")
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("asking {} for its version", k3s.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text
        .strip_prefix("k3s version ")
        .and_then(|rest| rest.split_whitespace().next());
    match version {
        Some(version) => Ok(version.to_owned()),
        None => bail!(
            "{} --version printed {text:?}; it should begin with `k3s version v`",
            k3s.display()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(dir: &Path, name: &str, content: &[u8]) -> Result<Taken> {
        let path = dir.join(name);
        fs_err::write(&path, content)?;
        Taken::of(&path)
    }

    /// A release whose `k3s` has this content.
    fn release(dir: &Path, k3s: &[u8]) -> Result<Release> {
        Ok(Release {
            version: None,
            k3s: taken(dir, "k3s", k3s)?,
            install: taken(dir, "install.sh", b"#!/bin/sh\n")?,
            airgap: taken(dir, "images.tar.gz", b"images")?,
        })
    }

    fn out() -> Result<tempfile::TempDir> {
        let out = tempfile::tempdir()?;
        fs_err::create_dir(out.path().join(output::IMAGES))?;
        Ok(out)
    }

    #[test]
    fn a_script_under_the_programs_name_is_not_run() -> Result<()> {
        let (dir, out) = (tempfile::tempdir()?, out()?);
        let seen = dir.path().join("seen");
        let script = format!("#!/bin/sh\ntouch {}\n", seen.display());
        let error = release(dir.path(), script.as_bytes())?
            .take(out.path())
            .expect_err("a script");
        assert!(
            format!("{error:#}").contains("not a program for x86-64"),
            "{error:#}"
        );
        assert!(!seen.exists());
        Ok(())
    }

    #[test]
    fn a_program_that_is_not_k3s_is_refused_with_what_it_printed() -> Result<()> {
        let (dir, out) = (tempfile::tempdir()?, out()?);
        let program = fs_err::read("/bin/true")?;
        let error = release(dir.path(), &program)?
            .take(out.path())
            .expect_err("it is `true`");
        assert!(
            error
                .to_string()
                .contains("should begin with `k3s version v`"),
            "{error}"
        );
        Ok(())
    }

    #[test]
    fn a_file_that_changed_since_it_was_chosen_is_refused() -> Result<()> {
        let (dir, out) = (tempfile::tempdir()?, out()?);
        let release = release(dir.path(), b"before")?;
        fs_err::write(dir.path().join("k3s"), "after")?;
        let error = release.take(out.path()).expect_err("it changed");
        assert!(
            error.to_string().contains("changed while it was copied"),
            "{error}"
        );
        Ok(())
    }

    #[test]
    fn the_content_counts_and_not_the_place() -> Result<()> {
        let (one, two) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let values = |dir: &Path| -> Result<Vec<String>> {
            let inputs = release(dir, b"k3s")?.inputs(Path::new("/"));
            Ok(inputs
                .iter()
                .skip(1)
                .map(|input| format!("{input:?}"))
                .collect())
        };
        assert_eq!(values(one.path())?, values(two.path())?);
        Ok(())
    }
}
