//! Fetching artifacts: sums that are not known are learned from the publishers first, what comes is checked, kept in
//! the store and noted in the lock file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use artifacts::Sha256;
use artifacts::checksums::Checksums;
use artifacts::lock::Locked;
use artifacts::plan::{Artifact, OS_IMAGE, Source};
use artifacts::request::{Download, Fetched, Outcome, Request};
use pipeline::cache;
use pipeline::digest;
use xshell::{Shell, cmd};

use crate::catalogue::Catalogue;
use crate::fetcher::Fetcher;
use crate::shelf::{Place, Present, Shelf};

/// The most that an artifact may have: OS images are larger than any file of K3s.
const MAX_SIZE: u64 = 64 << 30;
/// The most that a checksum file or a signature may have.
const MAX_SMALL: u64 = 1 << 20;

/// How servers are reached.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    /// PEM files with certificates that are trusted beside the system's.
    pub ca: Vec<PathBuf>,
    /// The proxy, in place of the environment's.
    pub proxy: Option<String>,
}

/// Fetches artifacts of a catalogue.
pub struct Acquirer<'a> {
    fetcher: Fetcher,
    shelf: &'a Shelf<'a>,
    reach: Reach,
    directory: PathBuf,
}

impl<'a> Acquirer<'a> {
    /// Compiles the downloader, if it is not.
    pub fn new(root: &Path, shelf: &'a Shelf<'a>, reach: Reach) -> Result<Self> {
        let directory = cache::directory()?.join("downloads");
        fs_err::create_dir_all(&directory)?;
        Ok(Self {
            fetcher: Fetcher::build(root, shelf.cancel, reach.proxy.as_deref())?,
            shelf,
            reach,
            directory,
        })
    }

    /// Has all of `wanted` on this machine, and returns it in that order. The lock file learns what was not known before.
    ///
    /// # Errors
    /// Something cannot be had or is not what it has to be; what could be fetched is in the store all the same.
    pub fn fetch(&self, catalogue: &mut Catalogue, wanted: &[Artifact]) -> Result<Vec<Present>> {
        let mut wanted = wanted.to_vec();
        let origins = self.learn_sums(&mut wanted)?;
        let mut here = Vec::new();
        for artifact in &wanted {
            here.push(self.shelf.find(artifact)?);
        }
        let missing = wanted.iter().zip(&here).filter(|(_, here)| here.is_none());
        let downloads = missing.map(|(artifact, _)| self.download(artifact));
        let (fetched, failures) = self.run(downloads.collect())?;
        let mut all = Vec::new();
        for (artifact, here) in wanted.iter().zip(here) {
            let of_artifact = fetched.get(&artifact.file);
            let present = match (here, of_artifact) {
                (Some(present), _) => present,
                (None, Some(fetched)) => self.keep(artifact, fetched)?,
                (None, None) => continue,
            };
            let from = origins.get(&artifact.file);
            let url = of_artifact.and_then(|it| it.url.as_ref());
            let from = from.or(url).cloned();
            note(catalogue, artifact, &present, from)?;
            all.push(present);
        }
        ensure!(failures.is_empty(), "not fetched: {}", failures.join(", "));
        Ok(all)
    }

    /// Moves what was fetched into the store, if its signature fits.
    fn keep(&self, artifact: &Artifact, fetched: &Fetched) -> Result<Present> {
        let file = self.target(artifact);
        self.check_signature(artifact, &file)?;
        self.shelf.keep(&artifact.file, fetched.sha256, &file)
    }

    /// The publishers' sums of what is not known yet. Returns where each sum is from.
    ///
    /// # Errors
    /// A checksum file cannot be had, or contradicts a known sum.
    pub fn learn_sums(&self, wanted: &mut [Artifact]) -> Result<BTreeMap<String, String>> {
        let mut origins = BTreeMap::new();
        let unknown =
            |artifact: &&Artifact| artifact.sha256.is_none() && !artifact.checksums.is_empty();
        let mut files: Vec<Vec<String>> = wanted
            .iter()
            .filter(unknown)
            .map(|it| it.checksums.clone())
            .collect();
        files.sort();
        files.dedup();
        for urls in files {
            let sums = self.checksums(&urls)?;
            let of_file = |artifact: &&mut Artifact| artifact.checksums == urls;
            for artifact in wanted.iter_mut().filter(of_file) {
                let url = urls.last().map_or("", String::as_str);
                apply(artifact, &sums, url)?;
                if sums.get(&artifact.file).is_some() {
                    origins.insert(artifact.file.clone(), url.to_owned());
                }
            }
        }
        Ok(origins)
    }

    /// A publisher's checksum file.
    pub fn checksums(&self, urls: &[String]) -> Result<Checksums> {
        let name = urls
            .last()
            .and_then(|url| url.rsplit('/').next())
            .unwrap_or("checksums");
        let bytes = self.small(name, urls)?;
        let text = String::from_utf8_lossy(&bytes);
        Checksums::parse(&text).with_context(|| format!("reading {}", urls.join(", ")))
    }

    /// A file of at most [`MAX_SMALL`] bytes.
    fn small(&self, name: &str, urls: &[String]) -> Result<Vec<u8>> {
        let directory = tempfile::tempdir_in(&self.directory)?;
        let target = directory.path().join("file");
        let (_, failures) = self.run(vec![Download {
            name: name.to_owned(),
            urls: urls.to_vec(),
            sha256: None,
            size: None,
            max_size: MAX_SMALL,
            partial: directory.path().join("partial"),
            target: target.clone(),
        }])?;
        ensure!(failures.is_empty(), "not fetched: {name}");
        Ok(fs_err::read(target)?)
    }

    fn download(&self, artifact: &Artifact) -> Download {
        let target = self.target(artifact);
        Download {
            name: artifact.file.clone(),
            urls: urls(artifact).to_vec(),
            sha256: artifact.sha256,
            size: artifact.size,
            max_size: artifact.size.unwrap_or(MAX_SIZE),
            partial: self.directory.join(format!("{}.part", self.name(artifact))),
            target,
        }
    }

    fn target(&self, artifact: &Artifact) -> PathBuf {
        self.directory.join(self.name(artifact))
    }

    /// Named by what it is, so that another run goes on where one ended.
    fn name(&self, artifact: &Artifact) -> String {
        let identity = match artifact.sha256 {
            Some(sum) => sum.to_string(),
            None => digest::of_text(&urls(artifact).join("\n")),
        };
        format!("{}-{}", &identity[..16], artifact.file)
    }

    fn run(&self, downloads: Vec<Download>) -> Result<(BTreeMap<String, Fetched>, Vec<String>)> {
        if downloads.is_empty() {
            return Ok(Default::default());
        }
        let mut request = Request::new(downloads);
        request.ca.clone_from(&self.reach.ca);
        let mut fetched = BTreeMap::new();
        let mut failures = Vec::new();
        for outcome in self.fetcher.fetch(&request)?.outcomes {
            match outcome {
                Outcome::Fetched(it) => {
                    fetched.insert(it.name.clone(), it);
                }
                // The program has said why.
                Outcome::Failed(it) => failures.push(it.name),
            }
        }
        Ok((fetched, failures))
    }

    fn check_signature(&self, artifact: &Artifact, file: &Path) -> Result<()> {
        let Some(signature) = &artifact.signature else {
            return Ok(());
        };
        let bytes = self.small(
            &format!("signature of {}", artifact.file),
            std::slice::from_ref(&signature.url),
        )?;
        let detached = tempfile::NamedTempFile::new()?;
        fs_err::write(detached.path(), bytes)?;
        let (shell, detached, key) = (Shell::new()?, detached.path(), &signature.public_key);
        let verify = cmd!(
            shell,
            "openssl dgst -sha256 -verify {key} -signature {detached} {file}"
        );
        verify.read().with_context(|| {
            format!(
                "the signature {} does not fit {} and the key {}",
                signature.url,
                artifact.file,
                key.display()
            )
        })?;
        Ok(())
    }
}

/// What was not known of an artifact before goes into the lock file: `from` is where it was learned.
fn note(
    catalogue: &mut Catalogue,
    artifact: &Artifact,
    present: &Present,
    from: Option<String>,
) -> Result<()> {
    // An OS image has its sum in the profile.
    let is_release = artifact.part != OS_IMAGE && !artifact.replaced;
    if !is_release || present.place != Place::Store {
        return Ok(());
    }
    let locked = Locked {
        sha256: present.sha256,
        size: present.size,
        from: from.unwrap_or_else(|| artifact.source.to_string()),
    };
    let before = catalogue.lock.clone();
    catalogue
        .lock
        .learn(&artifact.part, &artifact.version, &artifact.file, locked)?;
    if catalogue.lock != before {
        let path = catalogue.lock_path();
        catalogue.lock.write(&path)?;
        println!(
            "{}: sha256 {} noted in {}",
            artifact.file,
            present.sha256,
            path.display()
        );
    }
    Ok(())
}

fn urls(artifact: &Artifact) -> &[String] {
    match &artifact.source {
        Source::Urls(urls) => urls,
        Source::Path(_) => &[],
    }
}

/// A publisher's sums have to agree with what is known, and fill in what is not.
pub fn apply(artifact: &mut Artifact, sums: &Checksums, url: &str) -> Result<()> {
    let published: Option<Sha256> = sums.get(&artifact.file);
    match (artifact.sha256, published) {
        (Some(known), Some(published)) if known != published => bail!(
            "{} of {} {}: {url} has sha256 {published}; the profile or its lock file has {known}. The publisher has \
             exchanged the file, or somebody between you and the publisher has",
            artifact.file,
            artifact.part,
            artifact.version
        ),
        (None, published) => artifact.sha256 = published,
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artifact(known: Option<Sha256>) -> Artifact {
        Artifact {
            part: "k3s".into(),
            version: "v1".into(),
            file: "k3s".into(),
            licence: "MIT".into(),
            source: Source::Urls(Vec::new()),
            sha256: known,
            size: None,
            checksums: Vec::new(),
            signature: None,
            replaced: false,
        }
    }

    fn sums(content: &[u8], name: &str) -> Checksums {
        Checksums::parse(&format!("{}  {name}\n", Sha256::of(content))).expect("one line")
    }

    #[test]
    fn a_publishers_sum_fills_in_what_is_not_known() -> Result<()> {
        let mut artifact = artifact(None);
        apply(&mut artifact, &sums(b"a", "k3s"), "u")?;
        assert_eq!(artifact.sha256, Some(Sha256::of(b"a")));
        Ok(())
    }

    #[test]
    fn a_publishers_sum_that_differs_is_an_error_with_both() {
        let mut artifact = artifact(Some(Sha256::of(b"a")));
        let error =
            apply(&mut artifact, &sums(b"b", "k3s"), "https://h/sums").expect_err("it differs");
        for part in [
            Sha256::of(b"a").to_string(),
            Sha256::of(b"b").to_string(),
            "https://h/sums".into(),
        ] {
            assert!(error.to_string().contains(&part), "{error}");
        }
    }

    #[test]
    fn a_file_that_the_publisher_does_not_list_stays_as_it_is() -> Result<()> {
        let mut artifact = artifact(None);
        apply(&mut artifact, &sums(b"a", "other"), "u")?;
        assert_eq!(artifact.sha256, None);
        Ok(())
    }
}
