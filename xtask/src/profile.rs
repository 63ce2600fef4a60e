//! Profiles: where the parts of a build come from.

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::commands::stages::Parts;

/// A named source of parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// Parts built from Debian packages and from this project's own reference doubles
    Reference,
    /// The K3s release, from the folder that --k3s-dir names
    Upstream,
}

/// The profile of a run, and why it was chosen.
#[derive(Debug)]
pub struct Choice {
    /// Name, as the report carries it.
    pub name: &'static str,
    /// Reason, for the first line of the output.
    pub reason: &'static str,
}

/// Chooses the profile. A named one never falls back to another.
pub fn choose(asked: Option<Profile>, parts: &Parts) -> Result<Choice> {
    match (asked, parts.k3s_dir.is_some()) {
        (Some(Profile::Upstream), false) => {
            bail!(
                "profile upstream: not run: it takes a K3s release from a folder; name it with --k3s-dir"
            )
        }
        (Some(Profile::Upstream), true) => Ok(Choice {
            name: "upstream",
            reason: "asked for",
        }),
        (None, true) => Ok(Choice {
            name: "upstream",
            reason: "--k3s-dir names a K3s release",
        }),
        (Some(Profile::Reference), true) => {
            bail!("profile reference builds refk3s; leave out --k3s-dir")
        }
        (Some(Profile::Reference), false) => Ok(Choice {
            name: "reference",
            reason: "asked for",
        }),
        (None, false) => Ok(Choice {
            name: "reference",
            reason: "upstream not run: no --k3s-dir with a K3s release",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_profile_never_falls_back() {
        let parts = Parts::default();
        assert!(choose(Some(Profile::Upstream), &parts).is_err());
        assert_eq!(
            choose(None, &parts).map(|choice| choice.name).ok(),
            Some("reference")
        );
    }
}
