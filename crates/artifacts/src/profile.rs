//! Profiles: files that say where the parts of a build come from. Nothing here reaches a network.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use diagnostics::decode::decode;
use serde::Deserialize;

use crate::Sha256;

/// What stands in a URL for the version of its release.
const VERSION: &str = "{version}";

/// A profile that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading failed; the message names the file.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The file is not a profile.
    #[error("{} is not a profile: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, with line and column where the parser knows them.
        reason: String,
    },
}

/// Where the parts of a build come from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Profile {
    /// Its name, as reports and bundles carry it.
    pub name: String,
    /// One line for people.
    pub summary: String,
    /// The node's Kubernetes.
    pub k3s: K3s,
    /// The container images that replace those of hook-os.yaml with `--hookos-init linuxkit`.
    #[serde(default)]
    pub hookos: Option<Hookos>,
    /// The program linuxkit, for `--assembler linuxkit`.
    #[serde(default)]
    pub linuxkit: Option<Release>,
    /// The OS image; without it the reference node image is built, with this profile's K3s in it.
    #[serde(default)]
    pub os_image: Option<OsImage>,
}

/// The node's Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum K3s {
    /// A test double, built from the checkout.
    Double(Double),
    /// A release of K3s.
    Release(Release),
}

/// A test double of K3s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Double {
    /// `vm-tests/reference/refk3s`.
    Refk3s,
}

/// The files of one version that a publisher offers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// The version, as the publisher writes it.
    pub version: String,
    /// SPDX expression of the licence.
    pub licence: String,
    /// The publisher's own sums, in the format of `sha256sum`.
    #[serde(default)]
    pub checksums: Option<Checksums>,
    /// The files by name.
    pub files: BTreeMap<String, File>,
}

/// A publisher's file of sums.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checksums {
    /// Where it is; `{version}` stands for the version.
    pub url: String,
}

/// One file of a release.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Where it is; `{version}` stands for the version.
    pub url: String,
    /// The sum that the file of this version has.
    #[serde(default)]
    pub sha256: Option<Sha256>,
    /// Its size in bytes.
    #[serde(default)]
    pub size: Option<u64>,
}

/// LinuxKit's own images for HookOS.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hookos {
    /// The images of the section `init`, in order.
    pub init: Vec<String>,
}

/// A disk image from a publisher.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct OsImage {
    /// The file's name.
    pub file: String,
    /// Where it is.
    pub url: String,
    /// SPDX expression of the licence.
    pub licence: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its sum.
    pub sha256: Sha256,
    /// The version of the K3s inside, where the publisher says it.
    #[serde(default)]
    pub k3s_version: Option<String>,
    /// The publisher's signature.
    #[serde(default)]
    pub signature: Option<Signature>,
}

/// A detached signature over the SHA-256 of a file, as `openssl dgst -sha256 -sign` makes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Signature {
    /// Where it is.
    pub url: String,
    /// The publisher's public key, PEM; relative to the profile.
    pub public_key: PathBuf,
}

impl Profile {
    /// Reads a profile.
    ///
    /// # Errors
    /// [`Error::Malformed`] for an unknown key, a value of the wrong type, or a file name that is a path; [`Error::Io`].
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = fs_err::read_to_string(path)?;
        let malformed = |reason: String| Error::Malformed {
            path: path.into(),
            reason,
        };
        let mut profile: Self = decode(&text).map_err(|error| malformed(error.to_string()))?;
        profile.check().map_err(malformed)?;
        if let (Some(image), Some(folder)) = (&mut profile.os_image, path.parent())
            && let Some(signature) = &mut image.signature
        {
            signature.public_key = folder.join(&signature.public_key);
        }
        Ok(profile)
    }

    /// Names end up as file names in the store and in exported folders.
    fn check(&self) -> Result<(), String> {
        let releases = self.releases();
        let files = releases
            .iter()
            .flat_map(|(_, release)| release.files.keys());
        let image = self.os_image.iter().map(|image| &image.file);
        for name in files.chain(image).chain([&self.name]) {
            if !is_file_name(name) {
                return Err(format!(
                    "`{name}` has to be a plain file name of ASCII letters, digits and `._+-`"
                ));
            }
        }
        Ok(())
    }

    /// Its releases, by the name of their part.
    #[must_use]
    pub fn releases(&self) -> Vec<(&'static str, &Release)> {
        let mut all = Vec::new();
        if let K3s::Release(release) = &self.k3s {
            all.push(("k3s", release));
        }
        if let Some(release) = &self.linuxkit {
            all.push(("linuxkit", release));
        }
        all
    }
}

impl Release {
    /// Another version of the same publisher: what is known of the files of this one says nothing of that.
    #[must_use]
    pub fn at_version(mut self, version: &str) -> Self {
        if self.version != version {
            for file in self.files.values_mut() {
                (file.sha256, file.size) = (None, None);
            }
            version.clone_into(&mut self.version);
        }
        self
    }

    /// `url` with this release's version in it.
    #[must_use]
    pub fn url(&self, url: &str) -> String {
        url.replace(VERSION, &self.version)
    }
}

fn is_file_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(['.', '-'])
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._+-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs/profiles");

    fn read(text: &str) -> Result<Profile, Error> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("mine.yaml");
        fs_err::write(&path, text)?;
        Profile::read(&path)
    }

    const SMALL: &str = "name: mine\nsummary: x\nk3s:\n  release:\n    version: v1\n    licence: MIT\n    files:\n      \
                         k3s: {url: 'https://h/{version}/k3s', size: 5}\n";

    #[test]
    fn the_shipped_profiles_are_read_and_named_as_their_files() {
        for name in ["upstream", "reference"] {
            let profile = Profile::read(&Path::new(PROFILES).join(format!("{name}.yaml"))).unwrap();
            assert_eq!(profile.name, name);
        }
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let error = read(&SMALL.replace("licence", "license"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("license") && error.contains("mine.yaml"),
            "{error}"
        );
    }

    #[test]
    fn a_file_name_that_is_a_path_is_refused() {
        for name in ["../k3s", ".hidden", "-option", "a/b", "a b"] {
            let error =
                read(&SMALL.replace("      k3s:", &format!("      '{name}':"))).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn another_version_forgets_what_is_known_of_this_ones_files() {
        let profile = read(SMALL).unwrap();
        let K3s::Release(release) = profile.k3s else {
            panic!("a release")
        };
        assert_eq!(release.clone().at_version("v1").files["k3s"].size, Some(5));
        let other = release.at_version("v2");
        assert_eq!(other.files["k3s"].size, None);
        assert_eq!(other.url(&other.files["k3s"].url), "https://h/v2/k3s");
    }
}
