//! Debian packages of stages: locked by version and SHA-256, collected by mmdebstrap, and listed.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use arch::ARCH;
use serde::{Deserialize, Serialize};

use crate::input::Source;
use crate::process;
use crate::stage::{NOTES, Request};

/// A stage's list of packages in its output, in the form of the lock file.
pub const PACKAGES: &str = "packages.lock";
const HEADER: &str = "# Debian packages: name, version, architecture, SHA-256.\n\
    # Written by `cargo xtask build --update-lock`.\n";

/// Which packages a stage takes.
#[derive(Debug, Serialize, Deserialize)]
pub enum Wanted {
    /// The locked ones.
    Locked(Source),
    /// Those that the archive has at this moment.
    Newest(String),
}

impl Wanted {
    /// Those of a lock file of the checkout, unless the user wants the newest.
    pub fn of(request: &Request<'_>, lock: &str) -> Self {
        match &request.options.newest_packages {
            Some(moment) => Self::Newest(moment.clone()),
            None => Self::Locked(request.source(lock)),
        }
    }

    /// The locked ones; none where the newest are wanted.
    ///
    /// # Errors
    /// The lock file cannot be read.
    pub fn lock(&self) -> Result<Lock> {
        match self {
            Self::Locked(file) => Lock::read(file),
            Self::Newest(_) => Ok(Lock::default()),
        }
    }
}

/// What mmdebstrap runs in a shell while the downloaded packages are still there, to write the list of them to `target`, a
/// word of that shell; `$1` is the root directory.
pub fn list_hook(target: &str) -> String {
    format!(
        r#"for deb in "$1"/var/cache/apt/archives/*.deb; do
    package=$(dpkg-deb --show --showformat='${{Package}} ${{Version}} ${{Architecture}}' "$deb")
    sum=$(sha256sum <"$deb")
    echo "$package ${{sum%% *}}"
done | LC_ALL=C sort >{target}"#
    )
}

/// Where apt finds the locked versions in the root that is made. Whoever keeps all of that root removes the file.
pub const PINS: &str = "etc/apt/preferences.d/emts";

/// Runs in a shell before packages are chosen; `EMTS_PINS` is the file with the locked versions.
fn pin_hook() -> String {
    format!(r#"mkdir -p "$1/etc/apt/preferences.d" && cp "$EMTS_PINS" "$1/{PINS}""#)
}

/// Variables of the user's environment that apt and mmdebstrap read.
const ENVIRONMENT: [&str; 7] = [
    "TMPDIR",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
];

/// Runs mmdebstrap, whose command `finish` completes, so that it takes the locked versions where the archive has them.
/// Its hooks get the variables `settings`. `scratch` is for the file with the versions. A note where they do not fit
/// together any more, and the archive's were taken.
///
/// # Errors
/// mmdebstrap fails.
pub fn mmdebstrap(
    lock: &Lock,
    scratch: &Path,
    settings: &[(&str, &OsStr)],
    finish: impl Fn(&mut Command) -> Result<()>,
) -> Result<Option<String>> {
    let pins = scratch.join("pins");
    fs_err::write(&pins, lock.preferences())?;
    // Not in the hooks' text, which a shell reads.
    let own = [&[("EMTS_PINS", pins.as_os_str())], settings].concat();
    let names = own.iter().map(|(name, _)| *name).chain(ENVIRONMENT);
    let names: Vec<&str> = names.collect();
    let command = |is_pinned: bool| -> Result<Command> {
        let mut command = process::privileged("mmdebstrap", &names);
        command.envs(own.iter().copied());
        command.arg(format!("--architectures={}", ARCH.debian));
        if is_pinned {
            command.arg(format!("--setup-hook={}", pin_hook()));
        }
        finish(&mut command)?;
        Ok(command)
    };
    if lock.packages.is_empty() {
        process::run(&mut command(false)?)?;
        return Ok(None);
    }
    let Err(error) = process::run(&mut command(true)?) else {
        return Ok(None);
    };
    // Locked and newer versions need not fit together when the archive has only some of the locked.
    eprintln!("with the locked versions: {error:#}; again with those that the archive prefers");
    process::run(&mut command(false)?)?;
    Ok(Some(format!(
        "not pinned: the locked versions of {} do not fit together any more, so all are the archive's",
        lock.name
    )))
}

/// Writes the list of the packages into a stage's output, and into its notes what is not as it was locked.
///
/// # Errors
/// A package of a locked version is another one.
pub fn keep(
    out: &Path,
    lock: &Lock,
    taken: &BTreeSet<Package>,
    note: Option<String>,
) -> Result<()> {
    fs_err::write(out.join(PACKAGES), write(taken))?;
    let mut notes: Vec<String> = note.into_iter().collect();
    notes.extend(lock.differences(taken)?);
    if !notes.is_empty() {
        fs_err::write(out.join(NOTES), notes.join("\n") + "\n")?;
    }
    Ok(())
}

/// One package, as its .deb file was taken.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it is for, or `all`.
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

/// The locked packages.
#[derive(Debug, Default)]
pub struct Lock {
    /// The file, for people; empty where nothing is locked.
    name: String,
    packages: BTreeMap<String, Package>,
}

impl Lock {
    fn read(file: &Source) -> Result<Self> {
        let text = fs_err::read_to_string(file.path())?;
        Self::parse(file.name(), &text).with_context(|| format!("reading {}", file.name()))
    }

    fn parse(name: &str, text: &str) -> Result<Self> {
        let mut packages = BTreeMap::new();
        for package in Package::list(text)? {
            if let Some(other) = packages.insert(package.name.clone(), package) {
                bail!("{} is there twice", other.name);
            }
        }
        let name = name.to_owned();
        Ok(Self { name, packages })
    }

    /// What makes apt take the locked versions where the archive has them (apt_preferences(5)).
    pub fn preferences(&self) -> String {
        let pins = self.packages.values().map(|Package { name, version, .. }| {
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
        if self.name.is_empty() {
            return Ok(all);
        }
        for package in taken {
            let Package { name, version, .. } = package;
            match self.packages.get(name) {
                None => all.push(format!(
                    "not pinned: {name} {version} is not in {}",
                    self.name
                )),
                Some(locked) if locked.version != *version => all.push(format!(
                    "not pinned: {name} {version} was taken, {} has {}",
                    self.name, locked.version
                )),
                Some(locked) => ensure!(
                    locked == package,
                    "the archive's package {name} {version} is another one than {} has: \
                     {} {} was taken, {} {} is locked; if the archive is to be trusted, \
                     `cargo xtask build --update-lock` writes what it has",
                    self.name,
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
            architecture: ARCH.debian.into(),
            sha256: digit.to_string().repeat(64),
        }
    }

    fn locked() -> Lock {
        let taken = BTreeSet::from([package("a", "1", '1'), package("b", "1:2-3", '2')]);
        Lock::parse("hookos/images.lock", &write(&taken)).unwrap()
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
            let error = Lock::parse("a.lock", text).unwrap_err().to_string();
            assert!(error.contains("a 1"), "{error}");
        }
    }
}
