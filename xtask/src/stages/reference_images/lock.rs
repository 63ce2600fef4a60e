//! hookos/images.lock: the version and the SHA-256 of every Debian package in the reference images.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

/// Where it is in the checkout.
pub const FILE: &str = "hookos/images.lock";
const HEADER: &str = "# Debian packages of the reference images: name, version, architecture, SHA-256.\n\
    # Written by `cargo xtask hookos --update-lock`.\n";

/// One package, as its .deb file was taken.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    pub name: String,
    pub version: String,
    pub architecture: String,
    /// Of the .deb file, in hexadecimal digits.
    pub sha256: String,
}

impl std::fmt::Display for Package {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            name,
            version,
            architecture,
            sha256,
        } = self;
        write!(f, "{name} {version} {architecture} {sha256}")
    }
}

impl Package {
    fn parse(line: &str) -> Result<Self> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [name, version, architecture, sha256] = fields[..] else {
            bail!("{line:?} is not `name version architecture sha256`");
        };
        let valid = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        ensure!(valid, "{line:?} has no SHA-256");
        Ok(Self {
            name: name.into(),
            version: version.into(),
            architecture: architecture.into(),
            sha256: sha256.into(),
        })
    }

    /// All lines but empty ones and comments.
    pub fn list(text: &str) -> Result<Vec<Self>> {
        text.lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(Self::parse)
            .collect()
    }
}

/// The locked packages by name.
#[derive(Debug, Default)]
pub struct Lock(BTreeMap<String, Package>);

impl Lock {
    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs_err::read_to_string(path)?;
        Self::parse(&text).with_context(|| format!("reading {}", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let mut lock = BTreeMap::new();
        for package in Package::list(text)? {
            if let Some(other) = lock.insert(package.name.clone(), package) {
                bail!("{} is there twice", other.name);
            }
        }
        Ok(Self(lock))
    }

    /// What makes apt take the locked versions where the archive has them (apt_preferences(5)).
    pub fn preferences(&self) -> String {
        let pins = self.0.values().map(|Package { name, version, .. }| {
            format!("Package: {name}\nPin: version {version}\nPin-Priority: 1001\n\n")
        });
        pins.collect()
    }

    /// One line for each package that is not the locked one.
    ///
    /// # Errors
    /// A package of the locked version with another content: that is no update.
    pub fn differences(&self, taken: &BTreeSet<Package>) -> Result<Vec<String>> {
        let mut all = Vec::new();
        for package in taken {
            let Package { name, version, .. } = package;
            match self.0.get(name) {
                None => all.push(format!("not pinned: {name} {version} is not in {FILE}")),
                Some(locked) if locked.version != *version => all.push(format!(
                    "not pinned: {name} {version} was taken, {FILE} has {}",
                    locked.version
                )),
                Some(locked) => ensure!(
                    locked == package,
                    "the archive's package {name} {version} is another one than {FILE} has: \
                     {} {} was taken, {} {} is locked; if the archive is to be trusted, \
                     `cargo xtask hookos --update-lock` writes what it has",
                    package.architecture,
                    package.sha256,
                    locked.architecture,
                    locked.sha256
                ),
            }
        }
        Ok(all)
    }
}

/// The file with these packages locked.
pub fn write(taken: &BTreeSet<Package>) -> String {
    let lines = taken.iter().map(|package| format!("{package}\n"));
    HEADER.to_owned() + &lines.collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, version: &str, digit: char) -> Package {
        Package {
            name: name.into(),
            version: version.into(),
            architecture: "amd64".into(),
            sha256: digit.to_string().repeat(64),
        }
    }

    fn locked() -> Lock {
        let taken = BTreeSet::from([package("a", "1", '1'), package("b", "1:2-3", '2')]);
        Lock::parse(&write(&taken)).unwrap()
    }

    #[test]
    fn what_was_taken_and_locked_differs_in_nothing() {
        let taken = BTreeSet::from([package("a", "1", '1')]);
        assert!(locked().differences(&taken).unwrap().is_empty());
    }

    #[test]
    fn other_versions_and_other_packages_are_named() {
        let taken = BTreeSet::from([package("b", "1:2-4", '3'), package("c", "1", '4')]);
        let differences = locked().differences(&taken).unwrap();
        assert_eq!(
            differences,
            [
                "not pinned: b 1:2-4 was taken, hookos/images.lock has 1:2-3",
                "not pinned: c 1 is not in hookos/images.lock"
            ]
        );
    }

    #[test]
    fn the_same_version_with_other_bytes_is_an_error() {
        let taken = BTreeSet::from([package("a", "1", '9')]);
        let error = locked().differences(&taken).unwrap_err().to_string();
        assert!(
            error.contains("package a 1") && error.contains("--update-lock"),
            "{error}"
        );
    }

    #[test]
    fn apt_is_told_the_locked_versions() {
        assert!(
            locked()
                .preferences()
                .contains("Package: b\nPin: version 1:2-3\nPin-Priority: 1001\n")
        );
    }

    #[test]
    fn a_line_that_is_no_package_is_shown() {
        for text in ["a 1\n", "a 1 amd64 12\n"] {
            let error = Lock::parse(text).unwrap_err().to_string();
            assert!(error.contains("a 1"), "{error}");
        }
    }
}
