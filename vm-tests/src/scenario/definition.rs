//! Scenario files, `configs/scenarios/*.yaml`.

use std::path::{Path, PathBuf};

use diagnostics::decode::decode;
use schemars::JsonSchema;
use serde::Deserialize;
use thiserror::Error;

use super::budgets::Budgets;
use super::step::Step;
use super::stick::Damage;
use vm::machine::{Bus, DiskFault, Mebibytes, Network};

/// Why a scenario file cannot be used.
#[derive(Debug, Error)]
pub enum ScenarioError {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// It is not a scenario.
    #[error("{path} is no scenario\n{message}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong and where.
        message: String,
    },
}

/// One disk of the machine besides the stick.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct DiskDefinition {
    /// Its name.
    pub name: String,
    /// Its bus.
    pub bus: Bus,
    /// Its size.
    #[serde(rename = "sizeMiB")]
    pub size: Mebibytes,
    /// The serial number that the guest sees.
    pub serial: String,
    /// What is on it before the machine is switched on.
    #[serde(default)]
    pub content: DiskContent,
    /// What is wrong with it.
    #[serde(default)]
    pub fault: Option<DiskFault>,
}

/// What is on a disk before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DiskContent {
    /// Nothing.
    #[default]
    Empty,
    /// Another operating system: GPT with an ESP and an ext4 file system.
    ForeignOs,
    /// A LUKS volume of another system over the whole disk.
    Luks,
    /// What [`DiskContent::ForeignOs`] is, as a member of a Linux software RAID: its superblock, of format 0.90, lies
    /// at the end of the disk.
    RaidMember,
    /// A partition that is a physical volume of LVM.
    LvmMember,
}

/// The machine's stick.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct StickDefinition {
    /// Writes to it fail.
    #[serde(default)]
    pub read_only: bool,
    /// The firmware starts it before everything else, whatever its boot order was.
    #[serde(default)]
    pub starts_first: bool,
    /// What was done to it after it was made.
    #[serde(default)]
    pub damage: Vec<Damage>,
    /// A second, equal stick is attached, with this serial number.
    #[serde(default)]
    pub second: Option<String>,
}

/// What is done on a workstation before the machine of the scenario is switched on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Workstation {
    /// The disks besides the ones that it runs from. Each is `/run/disk/<name>` in its scripts.
    pub disks: Vec<DiskDefinition>,
    /// The disk that becomes the stick.
    pub stick: String,
    /// Shell script that brings the disks into use, run as root in `/work`.
    pub set_up: String,
    /// What must not change a byte of any disk.
    pub refusals: Vec<Attempt>,
    /// What is then done to the stick, in order. No other disk may change.
    pub writes: Vec<Attempt>,
}

/// One call of `bootable-usb-prepare.sh`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Attempt {
    /// What it is about.
    pub name: String,
    /// Shell script with the call, run as root in `/work`.
    pub run: String,
    /// How it has to end.
    pub exit_code: i32,
    /// What its output has to contain.
    pub says: String,
    /// Whether the stick has to boot afterwards; not looked at when left out.
    #[serde(default)]
    pub boots: Option<bool>,
}

/// An entry that the firmware has before the installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ForeignEntry {
    /// An entry of another system's boot loader on a disk that is not there; first in BootOrder.
    OtherSystem,
    /// A load option that ends in the middle of its description; not in BootOrder.
    Broken,
}

/// The machine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct MachineDefinition {
    /// Number of CPUs, 2 when left out.
    #[serde(default = "two_cpus")]
    pub cpus: u8,
    /// Memory, 4 GiB when left out.
    #[serde(default = "four_gibibytes", rename = "memoryMiB")]
    pub memory: Mebibytes,
    /// What its network card reaches; `restricted` when left out.
    #[serde(default)]
    pub network: Network,
    /// Its disks besides the stick.
    #[serde(default)]
    pub disks: Vec<DiskDefinition>,
    /// The stick.
    #[serde(default)]
    pub stick: StickDefinition,
    /// Its firmware starts only what is signed with the test key.
    #[serde(default)]
    pub secure_boot: bool,
    /// Its firmware's variable store has room for what the firmware itself writes, and for no boot entry: Linux keeps
    /// 5 KiB of it free (`EFI_MIN_RESERVE`).
    #[serde(default)]
    pub full_variables: bool,
    /// Entries that the firmware has already.
    #[serde(default)]
    pub boot_entries: Vec<ForeignEntry>,
}

fn two_cpus() -> u8 {
    2
}

fn four_gibibytes() -> Mebibytes {
    Mebibytes(4096)
}

/// What is installed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OsImage {
    /// The node image.
    #[default]
    Reference,
    /// The node image with an immutable root.
    Immutable,
    /// An image of the same layout without an operating system.
    Small,
}

/// A scenario.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Scenario {
    /// Its name, also in reports and folder names.
    pub name: String,
    /// What it proves, for people.
    pub description: String,
    /// The config-file it is about, relative to the scenario file; `--config-file` takes its place.
    #[serde(default)]
    pub config_file: Option<PathBuf>,
    /// The sets that it belongs to, such as `quick`, by which it can be asked for.
    #[serde(default)]
    pub sets: Vec<String>,
    /// What is installed.
    #[serde(default)]
    pub os_image: OsImage,
    /// The boot files of the stick and of the OS image are signed with the test key.
    #[serde(default)]
    pub signed: bool,
    /// The disk that the installer writes to; the only one when left out. Every other disk must keep its bytes.
    #[serde(default)]
    pub installs_to: Option<String>,
    /// Texts that a console has to show, each in one line.
    #[serde(default)]
    pub console_shows: Vec<String>,
    /// Where the machine's stick is made first; without it the stick is made on the host.
    #[serde(default)]
    pub workstation: Option<Workstation>,
    /// The machine.
    pub machine: MachineDefinition,
    /// What is done.
    pub steps: Vec<Step>,
    /// How long it may take.
    #[serde(default)]
    pub budgets: Budgets,
    /// The folder of the file, which paths in it are relative to.
    #[serde(skip)]
    pub folder: PathBuf,
}

/// The JSON Schema of scenario files, by which editors complete and check them.
#[must_use]
pub fn schema() -> String {
    let schema = schemars::schema_for!(Scenario);
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
    text.push('\n');
    text
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
        let mut scenario: Self = decode(&text).map_err(|error| format(error.to_string()))?;
        scenario.check().map_err(format)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        scenario.folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
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
        let begins = |step: &Step| {
            matches!(
                step,
                Step::Install
                    | Step::InstallUntil(_)
                    | Step::Refuse(_)
                    | Step::FirmwareRefuses
                    | Step::PowerCuts(_)
            )
        };
        if !self.steps.first().is_some_and(begins) {
            return Err(
                "the first step must be `install` or another of the installer's".to_owned(),
            );
        }
        let by_ssh = |step: &Step| {
            matches!(
                step,
                Step::FirstBoot | Step::Ready | Step::Verify | Step::Reboot
            )
        };
        let on_node = |step: &Step| by_ssh(step) || matches!(step, Step::NodeSays(_));
        let unreachable = self
            .steps
            .iter()
            .take_while(|step| **step != Step::ConnectNetwork)
            .any(by_ssh);
        if !self.machine.network.reaches_ssh() && unreachable {
            return Err(
                "steps on the node need a network for SSH: `connect-network` before them"
                    .to_owned(),
            );
        }
        if self.machine.network.reaches_ssh() && self.steps.contains(&Step::ConnectNetwork) {
            return Err("`connect-network` is for a machine without a network card".to_owned());
        }
        if self.os_image == OsImage::Small && self.steps.iter().any(on_node) {
            return Err("the small OS image has no node".to_owned());
        }
        let cuts = |step: &Step| matches!(step, Step::PowerCuts(_));
        if self.steps.iter().any(cuts) && self.steps.len() > 1 {
            return Err("`power-cuts` is a scenario of its own".to_owned());
        }
        let disks = &self.machine.disks;
        if let Some(name) = &self.installs_to
            && disks.iter().all(|disk| disk.name != *name)
        {
            return Err(format!("`installsTo` names no disk of the machine: {name}"));
        }
        if let Some(workstation) = &self.workstation
            && workstation
                .disks
                .iter()
                .all(|disk| disk.name != workstation.stick)
        {
            return Err(format!(
                "`stick` names no disk of the workstation: {}",
                workstation.stick
            ));
        }
        Ok(())
    }

    /// The disk that the installer may change: none when it refuses before it writes.
    #[must_use]
    pub fn target(&self) -> Option<&str> {
        let writes = |step: &Step| match step {
            Step::Refuse(refusal) => ![
                "find-media",
                "validate-config",
                "verify-image",
                "choose-disk",
            ]
            .contains(&refusal.step.as_str()),
            Step::FirmwareRefuses => false,
            step => !step.ends_cycle(),
        };
        if !self.steps.iter().any(writes) {
            return None;
        }
        match (&self.installs_to, self.machine.disks.as_slice()) {
            (Some(name), _) => Some(name),
            (None, [only]) => Some(&only.name),
            (None, _) => None,
        }
    }

    /// True when a disk fails or the stick is pulled.
    #[must_use]
    pub fn disturbs_disks(&self) -> bool {
        self.machine.disks.iter().any(|disk| disk.fault.is_some())
            || self.steps.contains(&Step::UnplugStick)
    }

    /// True when pods are started on the node.
    #[must_use]
    pub fn starts_pods(&self) -> bool {
        self.steps.iter().any(|step| match step {
            Step::PowerCuts(cuts) => cuts.then.contains(&Step::Ready),
            step => *step == Step::Ready,
        })
    }

    /// The steps of each run of the machine, with what ended the one before.
    #[must_use]
    pub fn cycles(&self) -> Vec<(Option<&Step>, &[Step])> {
        let mut cycles = Vec::new();
        let mut before = None;
        let mut from = 0;
        for (at, step) in self.steps.iter().enumerate() {
            if step.ends_cycle() {
                cycles.push((before, &self.steps[from..at]));
                (before, from) = (Some(step), at + 1);
            }
        }
        cycles.push((before, &self.steps[from..]));
        cycles
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
        let error = load(&format!("{}\nbudgets:\n  boot: 3\n", sample()))
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

    #[test]
    fn every_scenario_of_the_project_can_be_read() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/scenarios");
        let mut count = 0;
        for entry in fs_err::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "yaml") {
                Scenario::load(&path).unwrap();
                count += 1;
            }
        }
        assert!(count > 0);
    }

    #[test]
    fn a_power_cycle_parts_the_steps() {
        let text = sample().replace(
            "  - first-boot\n",
            "  - power-cycle\n  - refuse:\n      step: find-media\n      reason: no disk\n",
        );
        let text = text.replace("  - ready\n  - verify\n  - reboot\n", "");
        let scenario = load(&text).unwrap();
        let cycles = scenario.cycles();
        assert_eq!(cycles.len(), 2);
        assert_eq!(cycles[0], (None, [Step::Install].as_slice()));
        assert_eq!(cycles[1].0, Some(&Step::PowerCycle));
        assert_eq!(scenario.target(), Some("target"));
    }

    #[test]
    fn a_refusal_before_the_disk_is_chosen_has_no_target() {
        let text = sample();
        let (head, rest) = text.split_once("  - install\n").unwrap();
        let (_, tail) = rest.split_once("  - reboot\n").unwrap();
        for steps in [
            "  - refuse:\n      step: verify-image\n      reason: sha256\n",
            "  - firmware-refuses\n",
        ] {
            let scenario = load(&format!("{head}{steps}{tail}")).unwrap();
            assert_eq!(scenario.target(), None);
        }
    }
}
