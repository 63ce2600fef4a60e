//! Images from registries: pulled into the cache by the program `hookos`, by the digests of a lock file.

use std::path::{Path, PathBuf};
use std::process::Command;

use ::hookos::lock::Lock;
use ::hookos::oci::Layout;
use anyhow::{Context, Result, bail};
use clap::Args;
use pipeline::cache;
use pipeline::cancel::Cancel;
use pipeline::group::Group;
use pipeline::not_run::NotRun;
use pipeline::process;

/// With this exit status `hookos pull` says that images are nowhere to be had.
const UNAVAILABLE: i32 = 69;

/// How registries are reached, for images that are nowhere else.
#[derive(Args, Clone, Debug, Default)]
pub struct Reach {
    /// Registry asked before another (REGISTRY=URL) or before all (URL)
    #[arg(
        long = "registry-mirror",
        alias = "mirror",
        value_name = "[REGISTRY=]URL",
        value_parser = mirror
    )]
    pub mirror: Vec<String>,
    /// PEM file with certificates to trust beside the system's
    #[arg(long, value_name = "FILE")]
    pub ca: Vec<PathBuf>,
    /// Registry that is spoken to without TLS
    #[arg(long, value_name = "HOST[:PORT]")]
    pub plain_http: Vec<String>,
}

/// A mirror as far as it can be told before its registry is asked: `hookos pull` reads the rest.
pub fn mirror(text: &str) -> Result<String, String> {
    let url = text.split_once('=').map_or(text, |(_, url)| url);
    match ["https://", "http://"]
        .iter()
        .any(|scheme| url.starts_with(scheme))
    {
        true => Ok(text.to_owned()),
        false => {
            Err("expected URL or REGISTRY=URL, such as docker.io=https://mirror.example".to_owned())
        }
    }
}

/// What the lock file means to a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Locking {
    /// Its digests count; a tag without one is resolved once and locked.
    #[default]
    Keep,
    /// All tags are resolved again.
    Update,
    /// A tag without a digest is an error.
    Strict,
}

/// The images of LinuxKit files that come from registries.
#[derive(Debug)]
pub struct Pull<'a> {
    /// The checkout.
    pub root: &'a Path,
    /// When to end early.
    pub cancel: &'a Cancel,
    /// The LinuxKit files.
    pub definitions: &'a [PathBuf],
    /// Their lock file.
    pub lock: &'a Path,
    /// Layouts and archives: what they have is not pulled.
    pub local: &'a [PathBuf],
    /// Images that are made elsewhere and not pulled.
    pub except: &'a [String],
    pub locking: Locking,
    pub reach: &'a Reach,
}

impl Pull<'_> {
    /// The layout that has the images `missing`, pulled where it lacks them.
    ///
    /// # Errors
    /// [`NotRun`] with all images that cannot be had; anything else that goes wrong, such as content that does not
    /// match its digest.
    pub fn layout(&self, missing: &[String]) -> Result<PathBuf> {
        if self.locking == Locking::Strict {
            self.check_locked(missing)?;
        }
        let pulled = cache::directory()?.join("pulled");
        if self.locking == Locking::Update || !self.absent(missing, &pulled)?.is_empty() {
            self.run(missing, &pulled)?;
        }
        Ok(pulled)
    }

    /// The layout that has the images `missing`, when all of them were pulled before.
    ///
    /// # Errors
    /// [`NotRun`] with all images that were not.
    pub fn present(&self, missing: &[String]) -> Result<PathBuf> {
        let pulled = cache::directory()?.join("pulled");
        let absent = self.absent(missing, &pulled)?;
        if absent.is_empty() {
            return Ok(pulled);
        }
        bail!(NotRun(format!(
            "{} not on this machine, and --offline opens no connection; --images PATH takes images of this machine",
            absent.join(", ")
        )))
    }

    fn check_locked(&self, references: &[String]) -> Result<()> {
        let lock = Lock::read(self.lock)?;
        let unlocked = references.iter().find(|it| lock.get(it).is_none());
        match unlocked {
            Some(reference) => bail!(
                "{} has no digest of {reference}, and --locked was given; --update-lock writes one",
                self.lock.display()
            ),
            None => Ok(()),
        }
    }

    /// The images that are not there with the digest that the lock file has for them.
    fn absent<'b>(&self, references: &'b [String], pulled: &Path) -> Result<Vec<&'b str>> {
        let lock = Lock::read(self.lock)?;
        let layout = Layout::open(pulled).ok();
        let present = |reference: &str| {
            let locked = lock.get(reference).zip(layout.as_ref());
            locked.is_some_and(|(digest, layout)| layout.has_digest(reference, digest))
        };
        let references = references.iter().map(String::as_str);
        Ok(references.filter(|reference| !present(reference)).collect())
    }

    fn run(&self, missing: &[String], into: &Path) -> Result<()> {
        let mut command = self.command(into)?;
        let status = Group::spawn(&mut command, self.cancel)?.wait(|| {})?;
        if status.code() != Some(UNAVAILABLE) {
            return process::expect_success(status, &process::display(&command))
                .context("pulling images from registries");
        }
        let absent = self.absent(missing, into)?;
        bail!(NotRun(format!(
            "no registry gave {} (the reasons are above); --images PATH takes images of this machine, \
             --registry-mirror URL another registry",
            absent.join(", ")
        )))
    }

    /// A program of its own: an HTTP client and TLS have no place in this one.
    fn command(&self, into: &Path) -> Result<Command> {
        let mut command = Command::new(process::cargo());
        command
            .current_dir(self.root)
            .args(["run", "--quiet", "--locked", "--package", "hookos"])
            .args(["--", "pull"])
            .args(self.definitions)
            .arg("--lock")
            .arg(self.lock)
            .arg("--into")
            .arg(into);
        for directory in self.local {
            command
                .arg("--images")
                .arg(fs_err::canonicalize(directory)?);
        }
        for reference in self.except {
            command.arg("--except").arg(reference);
        }
        if self.locking == Locking::Update {
            command.arg("--update-lock");
        }
        self.reach.pass_on(&mut command)?;
        Ok(command)
    }
}

impl Reach {
    fn pass_on(&self, command: &mut Command) -> Result<()> {
        let plain = [
            ("--mirror", &self.mirror),
            ("--plain-http", &self.plain_http),
        ];
        for (flag, values) in plain {
            for value in values {
                command.arg(flag).arg(value);
            }
        }
        for file in &self.ca {
            command.arg("--ca").arg(fs_err::canonicalize(file)?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ::hookos::oci::{Compression, Entry, ImageConfig, ImageSpec, LayerInput, LayoutWriter};

    use super::*;

    const REFERENCE: &str = "registry.invalid/team/tool:1";

    fn layout(dir: &Path) -> Result<String> {
        let mut layout = LayoutWriter::create(dir)?;
        layout.add_image(ImageSpec {
            reference: REFERENCE.into(),
            config: ImageConfig::default(),
            layers: vec![LayerInput::Entries(vec![Entry::file("a", 0o644, "a")])],
            compression: Compression::Zstd(1),
        })?;
        let index = fs_err::read_to_string(dir.join("index.json"))?;
        let index: serde_json::Value = serde_json::from_str(&index)?;
        let digest = index["manifests"][0]["digest"].as_str();
        Ok(digest.context("a manifest")?.to_owned())
    }

    fn absent(locked: Option<&str>) -> Result<Vec<String>> {
        let dir = tempfile::tempdir()?;
        let digest = layout(dir.path())?;
        let lock_file = dir.path().join("os.lock");
        let mut lock = Lock::default();
        if let Some(other) = locked {
            lock.set(REFERENCE, if other.is_empty() { &digest } else { other });
        }
        lock.write(&lock_file)?;
        let pull = Pull {
            root: dir.path(),
            cancel: &Cancel::default(),
            definitions: &[],
            lock: &lock_file,
            local: &[],
            except: &[],
            locking: Locking::Keep,
            reach: &Reach::default(),
        };
        let references = [REFERENCE.to_owned()];
        let absent = pull.absent(&references, dir.path())?;
        Ok(absent.into_iter().map(str::to_owned).collect())
    }

    #[test]
    fn an_image_with_its_locked_digest_is_there() -> Result<()> {
        assert!(absent(Some(""))?.is_empty());
        Ok(())
    }

    #[test]
    fn an_image_with_another_digest_than_the_locked_one_is_absent() -> Result<()> {
        let other = format!("sha256:{}", "0".repeat(64));
        assert_eq!(absent(Some(&other))?, [REFERENCE]);
        Ok(())
    }

    #[test]
    fn an_image_that_is_not_locked_is_absent() -> Result<()> {
        assert_eq!(absent(None)?, [REFERENCE]);
        Ok(())
    }
}
