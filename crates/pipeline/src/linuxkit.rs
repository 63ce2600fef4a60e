//! The real `linuxkit`, where there is one: found, given the images of a build, and run.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use ::hookos::compare::BootFiles;
use ::hookos::oci::{self, ImageSource};
use anyhow::{Context, Result, ensure};
use arch::ARCH;

use crate::cache;
use crate::not_run::NotRun;
use crate::process;

/// What its outputs are called, before `-initrd.img` and the like.
const NAME: &str = "hookos";

/// A `linuxkit` program and its cache of images.
#[derive(Debug)]
pub struct LinuxKit {
    /// Where it is.
    pub program: PathBuf,
    cache: PathBuf,
    /// What it says of its version.
    pub version: String,
}

impl LinuxKit {
    /// The program `given`, else the one in PATH; `None` when there is none there. Its images are
    /// kept in `cache` and not in the user's own cache.
    ///
    /// # Errors
    /// When a program is there and does not run.
    pub fn find(given: Option<&Path>, cache: PathBuf) -> Result<Option<Self>> {
        let program = match given {
            Some(path) => Some(fs_err::canonicalize(path).context("looking for linuxkit")?),
            None => in_path(),
        };
        let Some(program) = program else {
            return Ok(None);
        };
        let output = Command::new(&program)
            .arg("version")
            .output()
            .with_context(|| format!("running {}", program.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let version = text.lines().next().unwrap_or_default().trim().to_owned();
        ensure!(
            output.status.success() && !version.is_empty(),
            "{} does not tell its version; is it linuxkit?",
            program.display()
        );
        fs_err::create_dir_all(&cache)?;
        Ok(Some(Self {
            program,
            cache,
            version,
        }))
    }

    /// The program `given`, else the one in PATH, with the project's cache of images.
    ///
    /// # Errors
    /// [`NotRun`] when there is none; those of [`LinuxKit::find`].
    pub fn needed(given: Option<&Path>) -> Result<Self> {
        let found = Self::find(given, cache::directory()?.join("linuxkit"))?;
        Ok(found.ok_or_else(|| {
            NotRun("no linuxkit (--linuxkit PATH names one that is not in PATH)".into())
        })?)
    }

    fn command(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = Command::new(&self.program);
        // Not LINUXKIT_CACHE: `linuxkit cache` does not look at it.
        command.args(arguments).arg("--cache").arg(&self.cache);
        command
    }

    /// Puts the images that `definitions` name into the cache, by linuxkit's own import.
    pub fn import(&self, images: &ImageSource, definitions: &[PathBuf]) -> Result<()> {
        let references = ::hookos::references(definitions)?;
        let tar = tempfile::NamedTempFile::new_in(&self.cache)?;
        oci::export(images, &references, std::io::BufWriter::new(tar.as_file()))
            .context("writing the images for linuxkit")?;
        process::run(self.command(["cache", "import"]).arg(tar.path()))
            .context("importing the images into linuxkit's cache")
    }

    /// Makes kernel, initrd and command line in `out`. `source:` of files is relative to `base`.
    pub fn make(
        &self,
        definitions: &[PathBuf],
        base: &Path,
        images: &ImageSource,
        out: &Path,
    ) -> Result<BootFiles> {
        // It leaves files of an earlier build that this one does not make.
        if out.exists() {
            fs_err::remove_dir_all(out)?;
        }
        fs_err::create_dir_all(out)?;
        self.import(images, definitions)?;
        process::run(&mut self.build(definitions, base, out)?)?;
        Ok(Self::outputs(out))
    }

    /// The command that makes kernel, initrd and command line in `out`, which exists. `source:` of files is relative to
    /// `base`.
    pub fn build(&self, definitions: &[PathBuf], base: &Path, out: &Path) -> Result<Command> {
        let mut command = self.command(["build", "--format", "kernel+initrd", "--arch", ARCH.go]);
        command.args(["--name", NAME, "--dir"]);
        command.arg(fs_err::canonicalize(out)?);
        for definition in definitions {
            command.arg(fs_err::canonicalize(definition)?);
        }
        // linuxkit takes `source:` of files relative to its working directory.
        command.current_dir(base);
        Ok(command)
    }

    /// What a build has made in `out`.
    pub fn outputs(out: &Path) -> BootFiles {
        let file = |end: &str| out.join(format!("{NAME}-{end}"));
        BootFiles {
            kernel: Some(file("kernel")).filter(|path| path.exists()),
            initrd: file("initrd.img"),
            cmdline: Some(file("cmdline")).filter(|path| path.exists()),
        }
    }
}

fn in_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join("linuxkit"))
        .find(|program| program.is_file())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_program_that_is_not_linuxkit_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("linuxkit");
        fs_err::write(&program, "#!/bin/sh\nexit 1\n").unwrap();
        fs_err::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let error = LinuxKit::find(Some(&program), dir.path().join("cache")).unwrap_err();
        assert!(error.to_string().contains("is it linuxkit"), "{error}");
    }

    #[test]
    fn a_program_that_was_named_has_to_be_there() {
        let dir = tempfile::tempdir().unwrap();
        assert!(LinuxKit::find(Some(&dir.path().join("none")), dir.path().into()).is_err());
    }
}
