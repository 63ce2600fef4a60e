//! Scenario files, `configs/scenarios/*.yaml`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use thiserror::Error;

use crate::machine::{Bus, Mebibytes, Network};

/// Why a scenario file cannot be used.
#[derive(Debug, Error)]
pub enum ScenarioError {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// It is not a scenario.
    #[error("{path} is no scenario: {message}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong and where.
        message: String,
    },
}

/// One disk of the machine besides the stick.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct DiskDefinition {
    /// Its name.
    pub name: String,
    /// Its bus.
    pub bus: Bus,
    /// Its size.
    #[serde(rename = "sizeGiB")]
    pub size_gib: u32,
    /// The serial number that the guest sees.
    pub serial: String,
}

/// The machine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct MachineDefinition {
    /// Number of CPUs.
    pub cpus: u8,
    /// Memory.
    #[serde(rename = "memoryMiB")]
    pub memory: Mebibytes,
    /// What its network card reaches.
    pub network: Network,
    /// Its disks besides the stick.
    pub disks: Vec<DiskDefinition>,
}

/// What is done, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The machine is switched on and installs from the stick, until it resets.
    Install,
    /// The firmware starts the disk; SSH answers, cloud-init ends.
    FirstBoot,
    /// K3s becomes ready with its workloads.
    Ready,
    /// Every check that the config-file calls for.
    Verify,
    /// The node is rebooted and must come back as the same node.
    Reboot,
}

impl Step {
    /// Its name, as in the scenario file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::FirstBoot => "first-boot",
            Self::Ready => "ready",
            Self::Verify => "verify",
            Self::Reboot => "reboot",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How long each phase may take, from its begin. The figures stand in the
/// scenario file, with their units.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Budgets {
    /// From power-on to the installer's first marker.
    #[serde(deserialize_with = "duration")]
    pub first_marker: Duration,
    /// From the first marker to the reset.
    #[serde(deserialize_with = "duration")]
    pub install: Duration,
    /// From a reset to a login by SSH.
    #[serde(deserialize_with = "duration")]
    pub boot: Duration,
    /// From the login to the end of cloud-init, which installs K3s.
    #[serde(deserialize_with = "duration")]
    pub cloud_init: Duration,
    /// From there to a ready node with running workloads.
    #[serde(deserialize_with = "duration")]
    pub ready: Duration,
    /// All questions of one round of checks.
    #[serde(deserialize_with = "duration")]
    pub checks: Duration,
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text).map_err(|error| {
        serde::de::Error::custom(format!("`{text}` is no duration such as `90s`: {error}"))
    })
}

/// A scenario.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Scenario {
    /// Its name, also in reports and folder names.
    pub name: String,
    /// What it proves, for people.
    pub description: String,
    /// The config-file it is about, relative to the scenario file; `--config-file` takes its place.
    #[serde(default)]
    pub config_file: Option<PathBuf>,
    /// The machine.
    pub machine: MachineDefinition,
    /// What is done.
    pub steps: Vec<Step>,
    /// How long it may take.
    pub budgets: Budgets,
}

impl Scenario {
    /// Reads a scenario file.
    ///
    /// # Errors
    /// The file cannot be read or is no scenario.
    pub fn load(path: &Path) -> Result<Self, ScenarioError> {
        let text = fs_err::read_to_string(path)?;
        let format = |message| ScenarioError::Format {
            path: path.to_owned(),
            message,
        };
        let scenario: Self =
            serde_saphyr::from_str(&text).map_err(|error| format(error.to_string()))?;
        scenario.check().map_err(format)?;
        Ok(scenario)
    }

    fn check(&self) -> Result<(), String> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.name.is_empty() || !self.name.chars().all(plain) {
            return Err(format!(
                "`{}` is no name: lower-case letters, digits and `-`",
                self.name
            ));
        }
        if self.steps.first() != Some(&Step::Install) {
            return Err("the first step must be `install`".to_owned());
        }
        if self.machine.network == Network::None && self.steps.len() > 1 {
            return Err("steps after `install` need a network for SSH".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Scenario, ScenarioError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.yaml");
        fs_err::write(&path, text).unwrap();
        Scenario::load(&path)
    }

    fn sample() -> String {
        fs_err::read_to_string(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../configs/scenarios/sample.yaml"
        ))
        .unwrap()
    }

    #[test]
    fn the_sample_is_a_scenario() {
        let scenario = load(&sample()).unwrap();
        assert_eq!(
            (scenario.name.as_str(), scenario.machine.cpus),
            ("sample", 2)
        );
        assert_eq!(scenario.machine.network, Network::Restricted);
    }

    #[test]
    fn an_unknown_key_is_named() {
        let error = load(&format!("{}\npowerCut: true\n", sample()))
            .unwrap_err()
            .to_string();
        assert!(error.contains("powerCut"), "{error}");
    }

    #[test]
    fn a_duration_without_a_unit_is_refused() {
        let error = load(&sample().replace("boot: 3m", "boot: 3"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("no duration"), "{error}");
    }

    #[test]
    fn steps_without_installation_are_refused() {
        let error = load(&sample().replace("  - install\n", ""))
            .unwrap_err()
            .to_string();
        assert!(error.contains("`install`"), "{error}");
    }
}
