//! Which profile a user names, how its artifacts are reached, and what is to be otherwise than it says.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use artifacts::plan::{Changes, Mirror, Replacement, Source};
use clap::Args;

use crate::acquire::Reach;
use crate::catalogue;
use crate::named::{self, Takes};

/// Whether publishers and registries may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Unless the user says --offline.
    Allowed,
    /// Only what is on this machine counts, for commands that only look.
    Never,
}

/// Which profile, and how its artifacts are reached.
#[derive(Args, Clone, Default)]
pub struct Sources {
    /// Profile: `upstream`, `reference` or a file; it never falls back [default: upstream if it can be had]
    #[arg(long, value_name = "NAME|FILE")]
    pub profile: Option<String>,
    /// Directory with the profile's artifacts, as `cargo xtask artifacts export` makes it or all in one
    #[arg(long, value_name = "DIR")]
    pub artifacts: Option<PathBuf>,
    /// Open no connection to publishers and mirrors
    #[arg(long)]
    pub offline: bool,
    /// Server asked before a publisher: `https://github.com/=https://mirror.example/github/`
    #[arg(long, value_name = "URL=URL")]
    pub mirror: Vec<Mirror>,
    /// PEM file with certificates to trust beside the system's
    #[arg(long, value_name = "FILE")]
    pub ca: Vec<PathBuf>,
    /// Another version of K3s than the profile's; of an OS image of your own, the version of the K3s inside
    #[arg(long, value_name = "VERSION", value_parser = k3s_version)]
    pub k3s_version: Option<String>,
    /// The proxy in front of publishers, in place of the environment's.
    #[arg(skip)]
    pub proxy: Option<String>,
    /// One file of the profile from elsewhere: k3s=./k3s
    #[arg(long, value_name = "NAME=PATH|URL")]
    pub artifact: Vec<Replacement>,
}

/// The first line of a certificate in a PEM file.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";

/// The tag of a release, such as `v1.33.5+k3s1`; what follows its three numbers may be one's own.
fn k3s_version(text: &str) -> Result<String, String> {
    let numbers = text.strip_prefix('v').map(|rest| {
        let end = rest.find(['+', '-']).unwrap_or(rest.len());
        rest[..end]
            .split('.')
            .map(str::parse::<u32>)
            .collect::<Vec<_>>()
    });
    match numbers {
        Some(all) if all.len() == 3 && all.iter().all(Result::is_ok) => Ok(text.to_owned()),
        _ => Err("expected the tag of a release, such as v1.33.5+k3s1".to_owned()),
    }
}

impl Sources {
    /// Looks at the files and directories that the user names.
    ///
    /// # Errors
    /// One is not there, or of another kind.
    pub fn check(&self) -> Result<()> {
        if let Some(name) = self
            .profile
            .as_deref()
            .filter(|name| catalogue::is_path(name))
        {
            named::check("--profile", Takes::File, Path::new(name))?;
        }
        if let Some(directory) = &self.artifacts {
            named::check("--artifacts", Takes::Directory, directory)?;
        }
        for file in &self.ca {
            named::check("--ca", Takes::File, file)?;
            ensure!(
                fs_err::read_to_string(file).is_ok_and(|text| text.contains(CERTIFICATE)),
                "--ca {}: it has no certificate; the option takes a PEM file, in which a certificate begins with `{CERTIFICATE}`",
                file.display()
            );
        }
        for Replacement { name, source } in &self.artifact {
            if let Source::Path(file) = source {
                named::check(&format!("--artifact {name}, file"), Takes::File, file)?;
            }
        }
        Ok(())
    }

    /// What the user wants otherwise than the profile has it.
    pub fn changes(&self) -> Changes {
        Changes {
            mirrors: self.mirror.clone(),
            k3s_version: self.k3s_version.clone(),
            replaced: self.artifact.clone(),
        }
    }

    /// How servers are reached.
    pub fn reach(&self) -> Result<Reach> {
        let ca = self.ca.iter().map(|path| Ok(fs_err::canonicalize(path)?));
        Ok(Reach {
            ca: ca.collect::<Result<_>>()?,
            proxy: self.proxy.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_of_k3s_is_the_tag_of_a_release() {
        for good in ["v1.33.5+k3s1", "v1.34.0-rc2+k3s1", "v1.33.9+mine"] {
            assert_eq!(k3s_version(good), Ok(good.to_owned()));
        }
        for bad in ["abc", "1.33.5+k3s1", "v1.33+k3s1", "v1.33.x+k3s1", ""] {
            assert!(k3s_version(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_named_has_to_be_there_and_a_ca_has_to_be_one() -> Result<()> {
        let file = tempfile::NamedTempFile::new()?;
        let of_ca = || {
            let ca = vec![file.path().to_owned()];
            Sources {
                ca,
                ..Sources::default()
            }
            .check()
        };
        let error = of_ca().expect_err("no certificate").to_string();
        assert!(
            error.contains("--ca ") && error.contains("BEGIN CERTIFICATE"),
            "{error}"
        );
        fs_err::write(file.path(), format!("{CERTIFICATE}\n"))?;
        of_ca()?;
        let artifacts = Some("/nonexistent".into());
        let error = Sources {
            artifacts,
            ..Sources::default()
        }
        .check();
        assert!(
            error
                .expect_err("no directory")
                .to_string()
                .contains("--artifacts /nonexistent")
        );
        let replaced = "k3s=/nonexistent".parse().map_err(anyhow::Error::msg)?;
        let error = Sources {
            artifact: vec![replaced],
            ..Sources::default()
        }
        .check();
        assert!(
            error
                .expect_err("no file")
                .to_string()
                .contains("--artifact k3s")
        );
        Ok(())
    }
}
