//! The choice of a profile, and the artifacts that a build takes of it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use artifacts::plan::{Artifact, OS_IMAGE, Source};
use artifacts::profile;
use artifacts::request::Probe;
use pipeline::cache;
use pipeline::choice::{Hookos, K3s, Release};
use pipeline::input;
use pipeline::store::Store;

use crate::acquire::Acquirer;
use crate::catalogue::Catalogue;
use crate::fetcher::Fetcher;
use crate::k3s_directory;
use crate::parts::Parts;
use crate::project::Project;
use crate::reach;
use crate::selection::Selection;
use crate::shelf::{Place, Present, Shelf};
use crate::sources::{Network, Sources};

/// The profile that is taken where it can be had.
const UPSTREAM: &str = "upstream";
/// The profile that can always be had.
const REFERENCE: &str = "reference";
/// The part that the node's Kubernetes is.
const K3S: &str = "k3s";
/// The part that the program linuxkit is.
const LINUXKIT: &str = "linuxkit";

/// Chooses the profile and has its artifacts on this machine. A named profile never falls back to another.
///
/// # Errors
/// The profile that is asked for cannot be had.
pub fn select(
    project: Project<'_>,
    store: &Store,
    parts: &Parts,
    network: Network,
) -> Result<Selection> {
    let chooser = Chooser {
        project,
        parts,
        sources: &parts.sources,
        shelf: Shelf {
            store,
            directory: parts.sources.artifacts.as_deref(),
            cancel: project.cancel,
        },
        network: if parts.sources.offline {
            Network::Never
        } else {
            network
        },
    };
    let mut selection = chooser.choose()?;
    let mut hookos = parts.hookos.clone();
    if hookos.needs_linuxkit()? {
        hookos.linuxkit = chooser.linuxkit()?;
    }
    selection.hookos = hookos.prepare(project, &parts.sources, chooser.network)?;
    Ok(selection)
}

struct Chooser<'a> {
    project: Project<'a>,
    parts: &'a Parts,
    sources: &'a Sources,
    shelf: Shelf<'a>,
    network: Network,
}

impl Chooser<'_> {
    fn choose(&self) -> Result<Selection> {
        if let Some(directory) = &self.parts.k3s_dir {
            return self.of_directory(directory);
        }
        match &self.sources.profile {
            Some(name) => {
                let catalogue = self.read(name)?;
                self.named(catalogue, "asked for".into())
            }
            None => self.upstream_or_reference(),
        }
    }

    fn read(&self, name: &str) -> Result<Catalogue> {
        Catalogue::read(self.project.root, name, &self.sources.changes())
    }

    /// The profile that the user names, or that was found to be reachable.
    fn named(&self, mut catalogue: Catalogue, reason: String) -> Result<Selection> {
        let wanted = self.wanted(&catalogue);
        let present = match self.all_present(&wanted)? {
            Ok(present) => present,
            Err(missing) if self.network == Network::Never => bail!(
                "profile {}: not run: {} not on this machine, and no connection is opened: fetch with `cargo xtask \
                 artifacts fetch` where there is a network, or name a directory with --artifacts",
                catalogue.profile.name,
                are(&missing)
            ),
            Err(_) => {
                let acquirer =
                    Acquirer::new(self.project.root, &self.shelf, self.sources.reach()?)?;
                acquirer.fetch(&mut catalogue, &wanted)?
            }
        };
        self.selection(&catalogue, present, reason)
    }

    fn upstream_or_reference(&self) -> Result<Selection> {
        let catalogue = self.read(UPSTREAM)?;
        let missing = match self.all_present(&self.wanted(&catalogue))? {
            Ok(present) => {
                let reason = if present.iter().all(|it| it.place == Place::Store) {
                    "its artifacts are in the store".to_owned()
                } else {
                    "its artifacts are on this machine".to_owned()
                };
                return self.selection(&catalogue, present, reason);
            }
            Err(missing) => missing,
        };
        let unreachable = match self.network {
            Network::Never => "no connection is opened".to_owned(),
            Network::Allowed => match self.reachable(&catalogue)? {
                Ok(url) => return self.named(catalogue, format!("{url} answers")),
                Err(reason) => reason,
            },
        };
        let reason = format!(
            "not upstream: {} not on this machine, and {unreachable}",
            are(&missing)
        );
        let reference = self.read(REFERENCE)?;
        self.selection(&reference, Vec::new(), reason)
    }

    /// Whether a publisher or a mirror answers; the URL, or why none does.
    fn reachable(&self, catalogue: &Catalogue) -> Result<Result<String, String>> {
        let artifacts = catalogue.of_part(K3S);
        let Some(first) = artifacts.iter().find(|it| !it.checksums.is_empty()) else {
            return Ok(Err(
                "the profile names no checksum file to ask for".to_owned()
            ));
        };
        // A machine without any network is told so at once, before an HTTP client is compiled.
        if let Err(reason) = reach::any(&first.checksums) {
            return Ok(Err(reason));
        }
        let mut probe = Probe::new(first.checksums.clone());
        probe.ca = self.sources.reach()?.ca;
        let report = Fetcher::build(
            self.project.root,
            self.project.cancel,
            self.sources.proxy.as_deref(),
        )?
        .probe(&probe)?;
        let why = report
            .failed
            .iter()
            .map(|it| format!("{}: {}", it.url, it.seen));
        Ok(report
            .answered
            .ok_or_else(|| why.collect::<Vec<_>>().join("; ")))
    }

    /// The linuxkit of the profile upstream, if it can be had.
    fn linuxkit(&self) -> Result<Option<PathBuf>> {
        let mut catalogue = self.read(UPSTREAM)?;
        let wanted = catalogue.of_part(LINUXKIT);
        let present = match self.all_present(&wanted)? {
            Ok(present) => present,
            Err(_) if self.network == Network::Never => return Ok(None),
            Err(_) => {
                let acquirer =
                    Acquirer::new(self.project.root, &self.shelf, self.sources.reach()?)?;
                acquirer.fetch(&mut catalogue, &wanted)?
            }
        };
        let program = present.into_iter().next();
        program.map(|it| executable(&it)).transpose()
    }

    /// What a build takes of a profile. An OS image of one's own has its Kubernetes inside.
    fn wanted(&self, catalogue: &Catalogue) -> Vec<Artifact> {
        if self.parts.os_image.is_some() {
            return Vec::new();
        }
        let image = catalogue.of_part(OS_IMAGE);
        if image.is_empty() {
            catalogue.of_part(K3S)
        } else {
            image
        }
    }

    /// All of them, or the names of those that are not on this machine.
    fn all_present(&self, wanted: &[Artifact]) -> Result<Result<Vec<Present>, Vec<String>>> {
        let mut present = Vec::new();
        let mut missing = Vec::new();
        for artifact in wanted {
            match self.shelf.find(artifact)? {
                Some(it) => present.push(it),
                None => missing.push(artifact.file.clone()),
            }
        }
        Ok(if missing.is_empty() {
            Ok(present)
        } else {
            Err(missing)
        })
    }

    fn selection(
        &self,
        catalogue: &Catalogue,
        present: Vec<Present>,
        reason: String,
    ) -> Result<Selection> {
        let mut selection = Selection {
            name: catalogue.profile.name.clone(),
            reason,
            replaced: self.parts.replaced(),
            k3s: K3s::Double,
            os_image: self.parts.os_image()?,
            k3s_version: self.sources.k3s_version.clone(),
            hookos: Hookos::default(),
        };
        if selection.os_image.is_some() {
            return Ok(selection);
        }
        if let Some(image) = &catalogue.profile.os_image {
            selection.os_image = present.first().map(|it| it.path.clone());
            selection.k3s_version = selection.k3s_version.or_else(|| image.k3s_version.clone());
        } else if let profile::K3s::Release(release) = &catalogue.profile.k3s {
            let version = self
                .sources
                .k3s_version
                .as_ref()
                .unwrap_or(&release.version);
            selection.k3s = K3s::Release(Box::new(release_of(
                &self.wanted(catalogue),
                &present,
                version,
            )?));
        }
        Ok(selection)
    }

    fn of_directory(&self, directory: &Path) -> Result<Selection> {
        if self.sources.profile.as_deref() == Some(REFERENCE) {
            bail!(
                "--profile reference builds refk3s: leave out --k3s-dir, or name another profile"
            );
        }
        Ok(Selection {
            name: self
                .sources
                .profile
                .clone()
                .unwrap_or_else(|| UPSTREAM.into()),
            reason: "--k3s-dir names the files of a K3s release".into(),
            replaced: self.parts.replaced(),
            k3s: K3s::Release(Box::new(k3s_directory::read(directory)?)),
            os_image: self.parts.os_image()?,
            k3s_version: None,
            hookos: Hookos::default(),
        })
    }
}

/// A copy that can be run: what the store has is data to it.
fn executable(present: &Present) -> Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = cache::directory()?.join("programs");
    fs_err::create_dir_all(&directory)?;
    let copy = tempfile::NamedTempFile::new_in(&directory)?;
    fs_err::copy(&present.path, copy.path())?;
    fs_err::set_permissions(copy.path(), std::fs::Permissions::from_mode(0o755))?;
    let program = directory.join(format!("linuxkit-{}", &present.sha256.to_string()[..16]));
    copy.persist(&program)?;
    Ok(program)
}

/// The release that these artifacts are: the program, the script, and the archive of images, which is what remains.
fn release_of(wanted: &[Artifact], present: &[Present], version: &str) -> Result<Release> {
    let find = |matches: &dyn Fn(&str) -> bool, what: &str| -> Result<input::Source> {
        let at = wanted.iter().position(|artifact| matches(&artifact.file));
        let it = at.and_then(|at| present.get(at));
        let it = it.with_context(|| format!("the profile's K3s has no file {what}"))?;
        Ok(input::Source::known(what, &it.path, &it.sha256.to_string()))
    };
    let airgap = find(&k3s_directory::is_airgap_archive, "with airgap images")?;
    let replaced = wanted
        .iter()
        .any(|it| it.file == "k3s" && matches!(it.source, Source::Path(_)));
    Ok(Release {
        // A program of the user's own may have any version.
        version: (!replaced).then(|| version.to_owned()),
        k3s: find(&|name| name == "k3s", "k3s")?,
        install: find(&|name| name == "install.sh", "install.sh")?,
        airgap_name: k3s_directory::file_name(airgap.path()),
        airgap,
    })
}

fn are(names: &[String]) -> String {
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use pipeline::cancel::Cancel;

    use super::*;

    struct Machine {
        _dir: tempfile::TempDir,
        store: Store,
        files: PathBuf,
    }

    impl Machine {
        /// A machine with these files in a directory.
        fn with(names: &[&str]) -> Result<Self> {
            let dir = tempfile::tempdir()?;
            let files = dir.path().join("files");
            fs_err::create_dir(&files)?;
            for name in names {
                fs_err::write(files.join(name), name)?;
            }
            Ok(Self {
                store: Store::at(dir.path().join("store"))?,
                files,
                _dir: dir,
            })
        }

        fn select(&self, change: impl FnOnce(&mut Parts, &Path)) -> Result<Selection> {
            let mut parts = Parts::default();
            parts.sources.offline = true;
            change(&mut parts, &self.files);
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
            let project = Project {
                root: &root,
                cancel: &Cancel::default(),
                workspace: &OnceLock::new(),
            };
            select(project, &self.store, &parts, Network::Allowed)
        }
    }

    const RELEASE: [&str; 3] = ["k3s", "install.sh", "k3s-airgap-images-amd64.tar.zst"];

    #[test]
    fn without_artifacts_and_network_the_reference_is_taken_and_says_why() -> Result<()> {
        let selection = Machine::with(&[])?.select(|_, _| {})?;
        assert_eq!(selection.name, REFERENCE);
        assert!(selection.builds_double());
        assert!(
            selection.reason.starts_with("not upstream: ")
                && selection.reason.contains("install.sh"),
            "{}",
            selection.reason
        );
        Ok(())
    }

    #[test]
    fn a_named_profile_never_falls_back() -> Result<()> {
        let error = Machine::with(&[])?
            .select(|parts, _| parts.sources.profile = Some(UPSTREAM.into()))
            .expect_err("nothing is there");
        assert!(
            error.to_string().starts_with("profile upstream: not run: "),
            "{error}"
        );
        Ok(())
    }

    #[test]
    fn a_directory_with_all_artifacts_makes_it_upstream() -> Result<()> {
        let selection = Machine::with(&RELEASE)?.select(|parts, files| {
            parts.sources.artifacts = Some(files.into());
            parts.sources.k3s_version = Some("v1.33.9+mine".into());
        })?;
        assert_eq!(selection.name, UPSTREAM);
        assert!(!selection.builds_double());
        assert_eq!(selection.replaced, ["version of K3s: v1.33.9+mine"]);
        Ok(())
    }

    #[test]
    fn a_damaged_artifact_is_an_error_and_no_reason_to_fall_back() -> Result<()> {
        let error = Machine::with(&RELEASE)?
            .select(|parts, files| parts.sources.artifacts = Some(files.into()))
            .expect_err("the sum of the archive is pinned");
        assert!(error.to_string().contains("airgap"), "{error}");
        Ok(())
    }

    #[test]
    fn a_directory_of_k3s_is_no_reference() -> Result<()> {
        let machine = Machine::with(&RELEASE)?;
        let choose = |profile: Option<&str>| {
            machine.select(|parts, files| {
                parts.k3s_dir = Some(files.into());
                parts.sources.profile = profile.map(Into::into);
            })
        };
        assert_eq!(choose(None)?.name, UPSTREAM);
        assert!(choose(Some(REFERENCE)).is_err());
        Ok(())
    }

    #[test]
    fn an_os_image_of_ones_own_needs_no_artifact() -> Result<()> {
        let selection = Machine::with(&["image"])?.select(|parts, files| {
            parts.os_image = Some(files.join("image"));
            parts.sources.profile = Some(UPSTREAM.into());
        })?;
        assert!(!selection.builds_double());
        Ok(())
    }
}
