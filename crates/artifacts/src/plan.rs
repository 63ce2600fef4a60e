//! The plan: which files a profile takes, from where, and what is known of them. A value, made without a network.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::Sha256;
use crate::lock::Lock;
use crate::profile::{File, OsImage, Profile, Release, Signature};

/// The part that an OS image is.
pub const OS_IMAGE: &str = "os-image";

/// A plan that contradicts itself.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// The profile and its lock file disagree.
    #[error(
        "{file}: the profile has sha256 {profile}, its lock file has {locked}; one of them is wrong"
    )]
    Contradiction {
        /// The file, with part and version.
        file: String,
        /// The sum in the profile.
        profile: Sha256,
        /// The sum in the lock file.
        locked: Sha256,
    },
    /// A replacement names no file of the profile.
    #[error("--artifact {name}: the profile has no file of that name; it has {known}")]
    NoSuchFile {
        /// The name given.
        name: String,
        /// The names that there are.
        known: String,
    },
}

/// What a caller wants otherwise than the profile has it.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// Servers asked before the publishers.
    pub mirrors: Vec<Mirror>,
    /// Another version of K3s.
    pub k3s_version: Option<String>,
    /// Single files from elsewhere.
    pub replaced: Vec<Replacement>,
}

/// A server that has the files below one URL below another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    from: String,
    to: String,
}

/// One file from elsewhere: `NAME=PATH` or `NAME=URL`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// The file's name in the profile.
    pub name: String,
    /// Where it is taken from.
    pub source: Source,
}

/// Where a file comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Servers, in the order in which they are asked.
    Urls(Vec<String>),
    /// A file on this machine.
    Path(PathBuf),
}

/// One file that a build takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Name of the part that it belongs to.
    pub part: String,
    /// The part's version; empty for an OS image whose K3s is not known.
    pub version: String,
    /// Its name.
    pub file: String,
    /// SPDX expression of its licence.
    pub licence: String,
    /// Where it comes from.
    pub source: Source,
    /// Its sum, when the profile or the lock file has one.
    pub sha256: Option<Sha256>,
    /// Its size in bytes, when it is known.
    pub size: Option<u64>,
    /// URLs of the publisher's checksum file, in the order in which they are asked.
    pub checksums: Vec<String>,
    /// The publisher's signature.
    pub signature: Option<Signature>,
    /// Whether it is not the one that the profile names.
    pub replaced: bool,
}

impl FromStr for Mirror {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parted = text.match_indices('=').find_map(|(at, _)| {
            let (from, to) = (&text[..at], &text[at + 1..]);
            (is_url(from) && is_url(to)).then(|| (from.to_owned(), to.to_owned()))
        });
        let Some((from, to)) = parted else {
            return Err(
                "expected URL=URL, such as https://github.com/=https://mirror.example/github/"
                    .into(),
            );
        };
        if from.ends_with('/') != to.ends_with('/') {
            return Err("both URLs, or neither, have to end with `/`".into());
        }
        Ok(Self { from, to })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Urls(urls) => f.write_str(&urls.join(" or ")),
            Self::Path(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Display for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.from, self.to)
    }
}

impl FromStr for Replacement {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parted = text.split_once('=');
        let Some((name, source)) =
            parted.filter(|(name, source)| !name.is_empty() && !source.is_empty())
        else {
            return Err("expected NAME=PATH or NAME=URL, such as k3s=./k3s".into());
        };
        Ok(Self {
            name: name.into(),
            source: if is_url(source) {
                Source::Urls(vec![source.into()])
            } else {
                Source::Path(source.into())
            },
        })
    }
}

fn is_url(text: &str) -> bool {
    ["https://", "http://"].iter().any(|scheme| {
        text.strip_prefix(scheme)
            .is_some_and(|rest| !rest.is_empty())
    })
}

impl Changes {
    /// The files that `profile` takes, in the order of their parts and names.
    ///
    /// # Errors
    /// [`Error`]: the lock file contradicts the profile, or a replacement names no file.
    pub fn plan(&self, profile: &Profile, lock: &Lock) -> Result<Vec<Artifact>, Error> {
        let mut all = Vec::new();
        for (part, release) in profile.releases() {
            let release = match &self.k3s_version {
                Some(version) if part == "k3s" => release.clone().at_version(version),
                _ => release.clone(),
            };
            for (name, file) in &release.files {
                all.push(self.of_release(part, &release, name, file, lock)?);
            }
        }
        all.extend(profile.os_image.iter().map(|image| self.of_image(image)));
        for replacement in &self.replaced {
            replace(&mut all, replacement)?;
        }
        Ok(all)
    }

    fn of_release(
        &self,
        part: &str,
        release: &Release,
        name: &str,
        file: &File,
        lock: &Lock,
    ) -> Result<Artifact, Error> {
        let locked = lock.get(part, &release.version, name);
        if let (Some(profile), Some(locked)) = (&file.sha256, locked)
            && *profile != locked.sha256
        {
            return Err(Error::Contradiction {
                file: format!("{name} of {part} {}", release.version),
                profile: *profile,
                locked: locked.sha256,
            });
        }
        let sums = release.checksums.as_ref();
        Ok(Artifact {
            part: part.into(),
            version: release.version.clone(),
            file: name.into(),
            licence: release.licence.clone(),
            source: Source::Urls(self.mirrored(&release.url(&file.url))),
            sha256: file.sha256.or(locked.map(|locked| locked.sha256)),
            size: file.size.or(locked.map(|locked| locked.size)),
            checksums: sums.map_or_else(Vec::new, |sums| self.mirrored(&release.url(&sums.url))),
            signature: None,
            replaced: false,
        })
    }

    fn of_image(&self, image: &OsImage) -> Artifact {
        Artifact {
            part: OS_IMAGE.into(),
            version: image.k3s_version.clone().unwrap_or_default(),
            file: image.file.clone(),
            licence: image.licence.clone(),
            source: Source::Urls(self.mirrored(&image.url)),
            sha256: Some(image.sha256),
            size: Some(image.size),
            checksums: Vec::new(),
            signature: image.signature.clone(),
            replaced: false,
        }
    }

    /// The URLs under which a publisher's file is to be had: the mirrors' first, then its own.
    #[must_use]
    pub fn mirrored(&self, url: &str) -> Vec<String> {
        let mirrors = self.mirrors.iter().filter_map(|mirror| {
            let rest = url.strip_prefix(&mirror.from)?;
            Some(format!("{}{rest}", mirror.to))
        });
        mirrors.chain([url.to_owned()]).collect()
    }
}

/// A file from elsewhere is another one: only where it is a mere other URL do the sums still hold.
fn replace(all: &mut [Artifact], replacement: &Replacement) -> Result<(), Error> {
    let known: Vec<String> = all.iter().map(|artifact| artifact.file.clone()).collect();
    let Some(artifact) = all
        .iter_mut()
        .find(|artifact| artifact.file == replacement.name)
    else {
        return Err(Error::NoSuchFile {
            name: replacement.name.clone(),
            known: known.join(", "),
        });
    };
    artifact.source = replacement.source.clone();
    artifact.replaced = true;
    if let Source::Path(_) = replacement.source {
        (artifact.sha256, artifact.size, artifact.signature) = (None, None, None);
        artifact.checksums.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::lock::Locked;
    use crate::profile::{Checksums, K3s};

    fn sum(digit: &str) -> Sha256 {
        digit.repeat(64).parse().unwrap()
    }

    fn profile() -> Profile {
        let file = |sha256: Option<Sha256>| File {
            url: "https://github.com/k3s/{version}/f".into(),
            sha256,
            size: None,
        };
        Profile {
            name: "mine".into(),
            summary: String::new(),
            k3s: K3s::Release(Release {
                version: "v1".into(),
                licence: "MIT".into(),
                checksums: Some(Checksums {
                    url: "https://github.com/k3s/{version}/sums".into(),
                }),
                files: BTreeMap::from([
                    ("airgap".into(), file(Some(sum("a")))),
                    ("k3s".into(), file(None)),
                ]),
            }),
            hookos: None,
            linuxkit: None,
            os_image: None,
        }
    }

    fn lock(file: &str, digit: &str) -> Lock {
        let mut lock = Lock::default();
        let locked = Locked {
            sha256: sum(digit),
            size: 9,
            from: "x".into(),
        };
        lock.learn("k3s", "v1", file, locked).unwrap();
        lock
    }

    fn changes(mirror: &str, artifact: Option<&str>) -> Changes {
        Changes {
            mirrors: vec![mirror.parse().unwrap()],
            k3s_version: None,
            replaced: artifact.iter().map(|text| text.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn sums_come_from_the_profile_and_from_the_lock_file() {
        let plan = Changes::default()
            .plan(&profile(), &lock("k3s", "b"))
            .unwrap();
        let sums: Vec<_> = plan
            .iter()
            .map(|artifact| (&*artifact.file, artifact.sha256))
            .collect();
        assert_eq!(sums, [("airgap", Some(sum("a"))), ("k3s", Some(sum("b")))]);
        assert_eq!(plan[1].checksums, ["https://github.com/k3s/v1/sums"]);
    }

    #[test]
    fn a_lock_file_that_contradicts_the_profile_is_an_error_with_both_sums() {
        let error = Changes::default()
            .plan(&profile(), &lock("airgap", "b"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(&"a".repeat(64)) && error.contains(&"b".repeat(64)),
            "{error}"
        );
    }

    #[test]
    fn the_sums_of_one_version_say_nothing_of_another() {
        let changes = Changes {
            k3s_version: Some("v2".into()),
            ..Changes::default()
        };
        let plan = changes.plan(&profile(), &lock("k3s", "b")).unwrap();
        assert!(plan.iter().all(|artifact| artifact.sha256.is_none()));
        assert_eq!(
            plan[0].source,
            Source::Urls(vec!["https://github.com/k3s/v2/f".into()])
        );
    }

    #[test]
    fn mirrors_are_asked_first_for_checksums_too() {
        let plan = changes("https://github.com/=http://m/gh/", None)
            .plan(&profile(), &Lock::default())
            .unwrap();
        let urls = ["http://m/gh/k3s/v1/f", "https://github.com/k3s/v1/f"].map(String::from);
        assert_eq!(plan[0].source, Source::Urls(urls.to_vec()));
        assert_eq!(plan[0].checksums[0], "http://m/gh/k3s/v1/sums");
    }

    #[test]
    fn another_url_keeps_the_sum_and_a_file_of_ones_own_has_none() {
        let plan = |artifact| {
            changes("https://x/=https://y/", Some(artifact))
                .plan(&profile(), &Lock::default())
                .unwrap()
        };
        let by_url = &plan("airgap=https://elsewhere/a.tar.zst")[0];
        assert_eq!((by_url.sha256, by_url.replaced), (Some(sum("a")), true));
        let own = &plan("airgap=./a.tar.zst")[0];
        assert_eq!((own.sha256, own.checksums.len()), (None, 0));
    }

    #[test]
    fn a_replacement_of_an_unknown_file_names_the_known_ones() {
        let error = changes("https://x/=https://y/", Some("k3z=./a"))
            .plan(&profile(), &Lock::default())
            .unwrap_err();
        assert!(error.to_string().contains("it has airgap, k3s"), "{error}");
    }

    #[test]
    fn a_mirror_is_two_urls_that_end_alike() {
        for wrong in [
            "https://mirror/",
            "github.com=https://m",
            "https://a/=https://b",
        ] {
            assert!(wrong.parse::<Mirror>().is_err(), "{wrong}");
        }
        assert!("https://a/=https://b/".parse::<Mirror>().is_ok());
    }
}
