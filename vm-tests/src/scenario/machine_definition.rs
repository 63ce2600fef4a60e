//! Machines of a scenario, as its file describes them: hardware, what is installed, the workstation.

use std::num::NonZeroU8;
use std::path::PathBuf;

use run_request::{OsImage, Role};
use schemars::JsonSchema;
use serde::Deserialize;
use vm::machine::{AtReset, Bus, ClockTime, DiskFault, Mebibytes, Network};
use vm::nvram::Quirk;

use super::stick::Damage;

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
    /// Bytes of its sectors, 512 or 4096; 512 when left out.
    #[serde(default = "sectors_of_512")]
    pub sector_size: u32,
    /// Whether it gives back what is discarded; `true` when left out. If not, it does not offer to, or (NVMe, SD) does
    /// nothing then.
    #[serde(default = "yes")]
    pub discard: bool,
    /// It is not there at power-on; the step `attach-disk` attaches it.
    #[serde(default)]
    pub late: bool,
    /// What is wrong with it.
    #[serde(default)]
    pub fault: Option<DiskFault>,
}

impl DiskDefinition {
    /// Whether QEMU has such a disk; what is wrong.
    pub(super) fn check(&self) -> Result<(), String> {
        let Self { name, bus, .. } = self;
        if !bus.takes_sectors_of(self.sector_size) {
            return Err(format!(
                "the disk `{name}` has `sectorSize: {}`: 512, or 4096 on another bus than sata and sd",
                self.sector_size
            ));
        }
        if self.late && !bus.takes_late_disks() {
            return Err(format!(
                "the disk `{name}` has `late: true`, which is for another bus than sata and sd"
            ));
        }
        if *bus == Bus::Sd && !self.size.0.is_power_of_two() {
            return Err(format!(
                "the disk `{name}` is an SD card: its `sizeMiB` is a power of two"
            ));
        }
        Ok(())
    }
}

fn sectors_of_512() -> u32 {
    512
}

fn yes() -> bool {
    true
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
    /// No partition table, and the superblock of a RAID, of format 0.90, where the last partition of an installed system
    /// ends: a disk that was wiped at its begin alone.
    StaleSuperblock,
    /// The OS image that the stick installs, as on a disk that was copied from another one.
    OsImage,
}

/// The machine's stick.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct StickDefinition {
    /// Writes to it fail.
    #[serde(default)]
    pub read_only: bool,
    /// What was done to it after it was made.
    #[serde(default)]
    pub damage: Vec<Damage>,
    /// A second, equal stick is attached, with this serial number.
    #[serde(default)]
    pub second: Option<String>,
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
    /// What it is there for; `node` when left out.
    #[serde(default)]
    pub role: Role,
    /// The config-file that it is installed with, relative to the scenario file; `--config-file` takes its place. The
    /// sample when left out.
    #[serde(default)]
    pub config_file: Option<PathBuf>,
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
    /// Number of CPUs, 2 when left out.
    #[serde(default = "two_cpus")]
    pub cpus: u8,
    /// Memory, 4 GiB when left out.
    #[serde(default = "four_gibibytes", rename = "memoryMiB")]
    pub memory: Mebibytes,
    /// What its network card reaches; `restricted` when left out.
    #[serde(default)]
    pub network: Network,
    /// It has another card, on a network that it shares with the scenario's other machines and with nobody else. This is
    /// its number there, the last byte of the card's MAC address, 52:54:00:e0:00:NN.
    #[serde(default)]
    #[schemars(range(min = 1, max = 99))]
    pub lan: Option<NonZeroU8>,
    /// Its disks besides the stick.
    #[serde(default)]
    pub disks: Vec<DiskDefinition>,
    /// The stick.
    #[serde(default)]
    pub stick: StickDefinition,
    /// Its firmware starts only what is signed with the test key.
    #[serde(default)]
    pub secure_boot: bool,
    /// What its firmware does otherwise than the UEFI specification says.
    #[serde(default)]
    pub firmware: Vec<Quirk>,
    /// Entries that the firmware has already.
    #[serde(default)]
    pub boot_entries: Vec<ForeignEntry>,
    /// What its clock shows at power-on, such as `1970-01-01T00:00:00`; the time of the host when left out.
    #[serde(default)]
    pub clock: Option<ClockTime>,
    /// It has a TPM 2.0.
    #[serde(default)]
    pub tpm: bool,
}

impl MachineDefinition {
    /// Whether it is stopped where its guest resets it, and then started by the harness: its firmware does something to
    /// its variables at each start.
    #[must_use]
    pub fn stops_at_reset(&self) -> bool {
        self.firmware.iter().any(|quirk| quirk.shows_at_start())
    }

    /// What becomes of it at a reset.
    #[must_use]
    pub fn at_reset(&self) -> AtReset {
        if self.stops_at_reset() {
            AtReset::Stops
        } else {
            AtReset::Restarts
        }
    }

    /// Whether its firmware keeps the installer's boot entry and starts by it; if not, it starts disks by themselves.
    #[must_use]
    pub fn keeps_boot_entry(&self) -> bool {
        let without = [Quirk::NoRoom, Quirk::StartsFallbackOnly];
        !self.firmware.iter().any(|quirk| without.contains(quirk))
    }
}

fn two_cpus() -> u8 {
    2
}

fn four_gibibytes() -> Mebibytes {
    Mebibytes(4096)
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
