//! The parts of HookOS as a user chooses them: the LinuxKit file, whose init it has, what puts it together, and where
//! its images are.

use std::path::{Path, PathBuf};

use ::hookos::oci::ImageSource;
use anyhow::{Result, ensure};
use artifacts::profile::Profile;
use clap::{Args, ValueEnum};
use pipeline::cache;
use pipeline::choice::Hookos as Choice;
use pipeline::linuxkit::LinuxKit;
use pipeline::linuxkit_files::{self, with_init};
use pipeline::stages::hookos;

use crate::named::{self, Takes};
use crate::project::Project;
use crate::registry::{self, Locking, Pull, Reach};
use crate::sources::{Network, Sources};

/// The profile that names LinuxKit's images, below the checkout.
const PROFILE: &str = "configs/profiles/upstream.yaml";

/// The parts on the command line.
#[derive(Args, Clone, Debug, Default)]
pub struct HookosParts {
    /// Whose PID 1, runc and containerd HookOS has [default: reference]
    #[arg(long, value_enum, value_name = "WHOSE")]
    pub hookos_init: Option<Init>,
    /// LinuxKit file in place of hookos/hook-os.yaml; its `source:` is relative to its directory
    #[arg(long, value_name = "FILE")]
    pub hook_os: Option<PathBuf>,
    /// Images of HookOS that are taken before those that the stages make: OCI layout directories or tars, or
    /// docker-archive tars; may be given several times
    #[arg(long, value_name = "PATH")]
    pub images: Vec<PathBuf>,
    /// What puts HookOS together
    #[arg(long, value_enum, default_value_t)]
    pub assembler: Assembler,
    /// The real linuxkit [default: the one in PATH]
    #[arg(long, value_name = "PATH")]
    pub linuxkit: Option<PathBuf>,
    /// Registry asked before another (REGISTRY=URL) or before all (URL)
    #[arg(long, value_name = "[REGISTRY=]URL", value_parser = registry::mirror)]
    pub registry_mirror: Vec<String>,
    /// Registry that is spoken to without TLS
    #[arg(long, value_name = "HOST[:PORT]")]
    pub plain_http: Vec<String>,
}

/// Whose images are in the `init` list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Init {
    /// Those of the LinuxKit file: the project's own
    Reference,
    /// LinuxKit's init, runc and containerd, as configs/profiles/upstream.yaml names them
    Linuxkit,
}

impl Init {
    /// What takes the place of the LinuxKit file's list; nothing does for [`Init::Reference`].
    pub fn images(self, root: &Path) -> Result<Option<Vec<String>>> {
        match self {
            Self::Reference => Ok(None),
            Self::Linuxkit => of_profile(&root.join(PROFILE)).map(Some),
        }
    }
}

/// What puts the boot files together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Assembler {
    /// The crate `hookos`
    #[default]
    Builtin,
    /// The real linuxkit
    Linuxkit,
}

fn of_profile(path: &Path) -> Result<Vec<String>> {
    let profile = Profile::read(path)?;
    let init = profile.hookos.map(|hookos| hookos.init).unwrap_or_default();
    ensure!(
        !init.is_empty(),
        "{} names no images at hookos.init",
        path.display()
    );
    Ok(init)
}

impl HookosParts {
    /// Looks at the files and directories that the user names.
    ///
    /// # Errors
    /// One is not there, or of another kind.
    pub fn check(&self) -> Result<()> {
        let files = [("--hook-os", &self.hook_os), ("--linuxkit", &self.linuxkit)];
        for (option, path) in files {
            if let Some(path) = path {
                named::check(option, Takes::File, path)?;
            }
        }
        let mut images = self.images.iter();
        images.try_for_each(|path| named::check("--images", Takes::Any, path))
    }

    /// Whether a linuxkit is asked for that is neither named nor in PATH.
    pub fn needs_linuxkit(&self) -> Result<bool> {
        let asked = self.assembler == Assembler::Linuxkit && self.linuxkit.is_none();
        Ok(asked && LinuxKit::find(None, cache::directory()?.join("linuxkit"))?.is_none())
    }

    fn reach(&self, sources: &Sources) -> Reach {
        Reach {
            mirror: self.registry_mirror.clone(),
            ca: sources.ca.clone(),
            plain_http: self.plain_http.clone(),
        }
    }

    /// The choice as the stage takes it. Nothing is pulled.
    ///
    /// # Errors
    /// A file that is not there, a profile that cannot be read, and [`NotRun`](pipeline::not_run::NotRun) without a
    /// linuxkit that is asked for.
    pub fn choice(&self, root: &Path) -> Result<Choice> {
        let absolute = |path: &PathBuf| -> Result<PathBuf> { Ok(fs_err::canonicalize(path)?) };
        let init = self.hookos_init.unwrap_or(Init::Reference).images(root)?;
        let linuxkit = match self.assembler {
            Assembler::Builtin => None,
            Assembler::Linuxkit => Some(LinuxKit::needed(self.linuxkit.as_deref())?.program),
        };
        Ok(Choice {
            definition: self.hook_os.as_ref().map(absolute).transpose()?,
            init,
            images: self.images.iter().map(absolute).collect::<Result<_>>()?,
            pulled: Some(cache::directory()?.join("pulled"))
                .filter(|layout| layout.join("index.json").exists()),
            linuxkit,
        })
    }

    /// The choice, with all images at hand that the stages do not make, as far as the network may be asked.
    ///
    /// # Errors
    /// Those of [`HookosParts::choice`] and [`Pull::layout`].
    pub fn prepare(
        &self,
        project: Project<'_>,
        sources: &Sources,
        network: Network,
    ) -> Result<Choice> {
        let root = project.root;
        let mut choice = self.choice(root)?;
        if network == Network::Never && !sources.offline {
            return Ok(choice);
        }
        let derived = tempfile::tempdir()?;
        let definitions = with_init(
            vec![linuxkit_files::original(&choice, root)],
            choice.init.as_deref(),
            derived.path(),
        )?;
        let made = hookos::made(root)?;
        let local = ImageSource::open(&choice.images)?;
        let mut missing = ::hookos::references(&definitions)?;
        missing.retain(|reference| !local.has(reference) && !made.contains(reference));
        if !missing.is_empty() {
            let pull = Pull {
                root,
                cancel: project.cancel,
                definitions: &definitions,
                lock: &linuxkit_files::lock(&choice, root),
                local: &choice.images,
                except: &made,
                locking: Locking::Keep,
                reach: &self.reach(sources),
            };
            choice.pulled = Some(if sources.offline {
                pull.present(&missing)?
            } else {
                pull.layout(&missing)?
            });
        }
        Ok(choice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(hookos: &str) -> Result<Vec<String>> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("mine.yaml");
        let text = format!("name: mine\nsummary: x\nk3s: {{double: refk3s}}\n{hookos}");
        fs_err::write(&path, text)?;
        of_profile(&path)
    }

    #[test]
    fn the_images_are_those_of_the_profile_in_their_order() -> Result<()> {
        let images = read("hookos:\n  init: [linuxkit/init:b, linuxkit/runc:a]\n")?;
        assert_eq!(images, ["linuxkit/init:b", "linuxkit/runc:a"]);
        Ok(())
    }

    #[test]
    fn a_profile_without_images_is_an_error_and_not_an_empty_list() {
        for hookos in ["", "hookos: {init: []}\n"] {
            let error = read(hookos).unwrap_err().to_string();
            assert!(error.contains("hookos.init"), "{error}");
        }
    }

    #[test]
    fn the_projects_own_init_leaves_the_file_as_it_is() -> Result<()> {
        assert_eq!(Init::Reference.images(Path::new("/none"))?, None);
        Ok(())
    }
}
