//! What the harness is asked to run: one value, which `cargo xtask e2e` writes as JSON and `vm-tests run` reads; and the words of
//! scenario files that both programs know. A crate of its own, so that `xtask` need not compile the harness, which needs system
//! libraries.

use std::collections::BTreeMap;
use std::num::NonZeroU8;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One run of a scenario. Paths are absolute; what is at them is not written to, but for `evidence` and `cache`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RunRequest {
    /// The scenario file.
    pub scenario: PathBuf,
    /// The number, from 0, of the alteration among the scenario's `mustFail` that it is run with. The run passes when it
    /// then fails as that says.
    pub must_fail: Option<usize>,
    /// What each machine is installed from, by its name; the name of an only machine is empty.
    pub media: BTreeMap<String, Medium>,
    /// The disk of a registry, where the scenario has one.
    pub registry: Option<PathBuf>,
    /// What the scenario's workstation is made of, where it has one.
    pub workstation: Option<WorkstationParts>,
    /// The archive with the image of the harness's pods, where the scenario starts them.
    pub workload: Option<PathBuf>,
    /// Where the run's own directory `<time>-<scenario>` is made, with its report and all other evidence, and the link
    /// `latest` to it.
    pub evidence: PathBuf,
    /// The directory where the accelerator's answer is remembered.
    pub cache: PathBuf,
    /// The profile's name, for the report.
    pub profile: String,
    /// What is not as the profile has it, for the report.
    pub replaced: Vec<String>,
    /// What runs the guest's instructions; KVM where it works when none, else TCG.
    pub accelerator: Option<AcceleratorChoice>,
    /// The most processors that a guest gets under TCG. More than one needs QEMU 8.1 or later: with an earlier one such a
    /// guest can hang.
    pub emulated_cpus: NonZeroU8,
    /// How long K3s' components keep their leases; long for an emulated machine when none, else K3s' own.
    pub leases: Option<LeaseChoice>,
    /// What is done with the list of the scenario's checks.
    pub checks: ListedChecks,
    /// The stages of the build, for the report.
    pub stages: Vec<StageRecord>,
    /// Keeps the machine's disks also when the run passed.
    pub keep: bool,
}

/// A machine of a scenario that somebody wants to sit before: it is switched on, and nothing is done with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct BootRequest {
    /// The scenario and all that its machine needs. Its steps and checks do not count.
    pub run: RunRequest,
    /// Memory in MiB in place of the scenario's.
    pub memory: Option<u32>,
    /// One empty disk of this size in MiB in place of the scenario's; 0 for none.
    pub disk: Option<u32>,
}

/// What a machine is installed from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Medium {
    /// The config-file that the USB image was made with.
    pub config_file: PathBuf,
    /// The USB image.
    pub usb: PathBuf,
}

/// The files that a workstation is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct WorkstationParts {
    /// The disk that it runs from.
    pub image: PathBuf,
    /// `sen-installation-files.tar.gz`, or `sen-installation-files-reference.tar.gz` where a test double stands in for
    /// K3s.
    pub installation_files: PathBuf,
}

/// An accelerator that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum AcceleratorChoice {
    /// The host's processor, by /dev/kvm
    Kvm,
    /// Emulation
    Tcg,
}

/// How long K3s' components keep their leases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LeaseChoice {
    /// As K3s has them, 15 s: a lost lease fails the run
    Default,
    /// 60 s: a lost lease is reported and does not fail the run
    Long,
}

/// What is done with the list of a scenario's checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ListedChecks {
    /// There is none: what is installed is not the scenario's own.
    Ignored,
    /// What was checked is compared with the list in this file.
    Compared(PathBuf),
    /// A run that passed writes this file.
    Written(PathBuf),
}

/// A stage of the build.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageRecord {
    /// Its name.
    pub name: String,
    /// How long it took.
    pub seconds: f64,
    /// True when its output was in the store already.
    pub cached: bool,
    /// What the builder says of its output, such as packages that are not the pinned ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What is installed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum OsImage {
    /// The node image.
    #[default]
    Reference,
    /// The node image with an immutable root.
    Immutable,
    /// An image of the same layout without an operating system.
    Small,
    /// The small one without signatures, whatever the stick has.
    #[serde(rename = "small-unsigned")]
    SmallUnsigned,
}

impl OsImage {
    /// True for one without an operating system.
    #[must_use]
    pub fn is_small(self) -> bool {
        matches!(self, Self::Small | Self::SmallUnsigned)
    }
}

/// What a machine is there for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It is installed from a stick and becomes a node.
    #[default]
    Node,
    /// It runs a container registry for the others, from a disk that the harness brings.
    Registry,
}

/// What a scenario needs that not every stick has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// K3s itself: with refk3s, its test double, the scenario is not run.
    K3s,
}
