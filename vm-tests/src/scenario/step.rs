//! What a scenario does, step by step.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::budgets::duration;

/// The name of [`Step::FirstBoot`], which has moments of power cuts as the installer's steps have.
pub(super) const FIRST_BOOT: &str = "first-boot";

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
    /// The installer's steps that have random moments, and `first-boot`: from the reset after the installation to the end
    /// of cloud-init.
    #[serde(default)]
    pub moments_in: Vec<String>,
    /// What is done after the recovery from each cut, such as `first-boot` and `ready`.
    #[serde(default)]
    pub then: Vec<Step>,
}

impl PowerCuts {
    /// Whether there are cuts in the first boot, too.
    #[must_use]
    pub fn reach_first_boot(&self) -> bool {
        self.moments > 0 && self.moments_in.iter().any(|step| step == FIRST_BOOT)
    }
}

/// Steps of one machine of several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OnMachine {
    /// The machine's name.
    pub machine: String,
    /// What it does.
    pub steps: Vec<Step>,
}

/// A step, and what is done meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Disturbed {
    /// The step. It must not end before all of `actions` is done.
    pub step: Box<Step>,
    /// What is done meanwhile, in order.
    pub actions: Vec<Timed>,
}

/// What is done to the machine from outside while a step goes on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timed {
    /// How long after the step's begin, such as `30s`.
    #[serde(deserialize_with = "duration")]
    #[schemars(with = "String")]
    pub after: Duration,
    /// `unplug-network`, `plug-network`, `slow-network` or `attach-disk`.
    #[serde(rename = "do")]
    pub action: Step,
}

/// How much slower a network is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Delay(
    /// How long a frame waits at most, such as `300ms`; `0s` for none.
    #[serde(deserialize_with = "duration")]
    #[schemars(with = "String")]
    pub Duration,
);

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
    /// Every network cable of the machine is pulled: its cards have no carrier.
    UnplugNetwork,
    /// Every network cable of the machine is plugged in again.
    PlugNetwork,
    /// Frames from and to the machine wait for up to this time; `0s` ends that.
    SlowNetwork(Delay),
    /// A disk with `late: true` is attached.
    AttachDisk(String),
    /// A step, and what is done to the machine from outside meanwhile.
    While(Disturbed),
    /// A pod of this image becomes ready on the node, which has to pull it.
    RunImage(String),
    /// The cluster gets a ready node of this name.
    NodeJoins(String),
    /// The registry has the image of the harness's pods and answers.
    ServeImages,
    /// Steps of one of several machines.
    On(OnMachine),
    /// A command is run on the node as root, for what a node may not be and `mustFail` makes of it.
    RunOnNode(String),
    /// The node is rebooted and must come back as the same node.
    Reboot,
    /// Whatever the firmware starts: the installed disk, or the stick, which then installs it and it is
    /// started.
    Recover,
    /// The stick is pulled.
    UnplugStick,
    /// Keys are pressed on the machine's keyboard, in the words of QEMU's `sendkey`, such as `ctrl-s`.
    PressKeys(String),
    /// The power is cut and comes back; the stick is attached.
    PowerCycle,
    /// As `power-cycle`, and somebody has made the stick again and put it first in the boot order.
    PowerCycleToStick,
    /// As `power-cycle`, and the stick is pulled meanwhile.
    PowerCycleWithoutStick,
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
            Self::FirstBoot => FIRST_BOOT,
            Self::Ready => "ready",
            Self::Verify => "verify",
            Self::NodeSays(_) => "node-says",
            Self::ConnectNetwork => "connect-network",
            Self::UnplugNetwork => "unplug-network",
            Self::PlugNetwork => "plug-network",
            Self::SlowNetwork(_) => "slow-network",
            Self::AttachDisk(_) => "attach-disk",
            Self::While(disturbed) => disturbed.step.name(),
            Self::RunImage(_) => "run-image",
            Self::NodeJoins(_) => "node-joins",
            Self::ServeImages => "serve-images",
            Self::On(_) => "on",
            Self::RunOnNode(_) => "run-on-node",
            Self::Reboot => "reboot",
            Self::Recover => "recover",
            Self::UnplugStick => "unplug-stick",
            Self::PressKeys(_) => "press-keys",
            Self::PowerCycle => "power-cycle",
            Self::PowerCycleToStick => "power-cycle-to-stick",
            Self::PowerCycleWithoutStick => "power-cycle-without-stick",
            Self::PowerCuts(_) => "power-cuts",
            Self::MakeStick => "make-stick",
        }
    }

    /// True for what is done to the machine from outside, at once.
    #[must_use]
    pub fn is_from_outside(&self) -> bool {
        matches!(
            self,
            Self::UnplugNetwork | Self::PlugNetwork | Self::SlowNetwork(_) | Self::AttachDisk(_)
        )
    }

    /// The step itself, whatever is done meanwhile.
    #[must_use]
    pub fn undisturbed(&self) -> &Self {
        match self {
            Self::While(disturbed) => &disturbed.step,
            step => step,
        }
    }

    /// True where one run of the machine ends and the next begins.
    #[must_use]
    pub fn ends_cycle(&self) -> bool {
        matches!(
            self,
            Self::PowerCycle | Self::PowerCycleToStick | Self::PowerCycleWithoutStick
        )
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InstallUntil(step) => write!(f, "install until {step}"),
            Self::Refuse(refusal) => write!(f, "refuse in {}", refusal.step),
            Self::While(disturbed) => {
                write!(f, "{} while", disturbed.step)?;
                disturbed
                    .actions
                    .iter()
                    .try_for_each(|timed| write!(f, " {}", timed.action))
            }
            Self::AttachDisk(disk) => write!(f, "attach-disk {disk}"),
            Self::RunImage(image) => write!(f, "run-image {image}"),
            Self::NodeJoins(node) => write!(f, "node-joins {node}"),
            _ => f.write_str(self.name()),
        }
    }
}
