//! What a scenario does, step by step.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

/// How the installer has to refuse.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// The step that fails.
    pub step: String,
    /// A part of the reason that it gives.
    pub reason: String,
}

/// Power cuts in the middle of an installation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PowerCuts {
    /// Seed of all that is drawn; `EMTS_SEED` takes its place.
    pub seed: u64,
    /// How many of the begins and ends of steps are taken; all when left out.
    #[serde(default)]
    pub boundaries: Option<usize>,
    /// How many random moments inside each of `moments_in` are taken besides.
    #[serde(default)]
    pub moments: usize,
    /// The steps that have random moments.
    #[serde(default)]
    pub moments_in: Vec<String>,
    /// What is done after the recovery from each cut, such as `first-boot` and `ready`.
    #[serde(default)]
    pub then: Vec<Step>,
}

/// What is done, in order.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The machine is switched on and installs from the stick, until it resets.
    Install,
    /// The installer runs until this step begins.
    InstallUntil(String),
    /// The installer ends with a failure that it explains.
    Refuse(Refusal),
    /// The firmware does not start the stick, because it does not trust it.
    FirmwareRefuses,
    /// After the reset the firmware starts the installed disk.
    StartDisk,
    /// The firmware starts the disk; SSH answers, cloud-init ends.
    FirstBoot,
    /// K3s becomes ready with its workloads.
    Ready,
    /// Every check that the config-file calls for.
    Verify,
    /// The node itself writes this text to a console, by a command of its config-file: for one that nobody can log in
    /// to.
    NodeSays(String),
    /// A machine without a network card gets one.
    ConnectNetwork,
    /// The node is rebooted and must come back as the same node.
    Reboot,
    /// Whatever the firmware starts: the installed disk, or the stick, which then installs it and it is
    /// started.
    Recover,
    /// The stick is pulled.
    UnplugStick,
    /// The power is cut and comes back; the stick is attached.
    PowerCycle,
    /// As `power-cycle`, and somebody has made the stick again and put it first in the boot order.
    PowerCycleToStick,
    /// Installations with power cuts, each in a machine of its own.
    PowerCuts(PowerCuts),
    /// All that is done on the scenario's workstation, before the steps of its file.
    #[serde(skip)]
    MakeStick,
}

impl Step {
    /// Its name, as in the scenario file.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::InstallUntil(_) => "install-until",
            Self::Refuse(_) => "refuse",
            Self::FirmwareRefuses => "firmware-refuses",
            Self::StartDisk => "start-disk",
            Self::FirstBoot => "first-boot",
            Self::Ready => "ready",
            Self::Verify => "verify",
            Self::NodeSays(_) => "node-says",
            Self::ConnectNetwork => "connect-network",
            Self::Reboot => "reboot",
            Self::Recover => "recover",
            Self::UnplugStick => "unplug-stick",
            Self::PowerCycle => "power-cycle",
            Self::PowerCycleToStick => "power-cycle-to-stick",
            Self::PowerCuts(_) => "power-cuts",
            Self::MakeStick => "make-stick",
        }
    }

    /// True where one run of the machine ends and the next begins.
    #[must_use]
    pub fn ends_cycle(&self) -> bool {
        matches!(self, Self::PowerCycle | Self::PowerCycleToStick)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InstallUntil(step) => write!(f, "install until {step}"),
            Self::Refuse(refusal) => write!(f, "refuse in {}", refusal.step),
            _ => f.write_str(self.name()),
        }
    }
}
