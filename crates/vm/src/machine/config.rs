//! What a virtual machine consists of, in the terms of the person who wants one.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use arch::ARCH;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

use super::network::{LanPort, Network};
use crate::firmware::Start;

/// An accelerator of QEMU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accelerator {
    /// The host's CPU through /dev/kvm.
    Kvm,
    /// Software emulation.
    Tcg,
}

impl Accelerator {
    /// QEMU's name of it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }
}

/// An amount of memory, or a disk's size, in MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Mebibytes(pub u32);

impl Mebibytes {
    /// The amount in bytes.
    #[must_use]
    pub fn bytes(self) -> u64 {
        u64::from(self.0) << 20
    }
}

/// How a disk is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Bus {
    /// An NVMe controller with one namespace.
    Nvme,
    /// AHCI, as an internal disk.
    Sata,
    /// virtio-blk.
    Virtio,
    /// virtio-scsi.
    Scsi,
    /// USB mass storage on the xHCI controller, as a removable stick.
    Usb,
    /// USB mass storage that says of itself that it is not removable.
    #[serde(rename = "usb-fixed")]
    UsbFixed,
    /// A card in a reader of its own, which Linux shows as it shows a soldered eMMC (`mmcblk0`). Its size is a power of
    /// two, its serial number QEMU's own; Debian's OVMF has no driver for it.
    Sd,
}

impl Bus {
    /// Whether QEMU's disks on it can have sectors of this size, in bytes.
    #[must_use]
    pub fn takes_sectors_of(self, bytes: u32) -> bool {
        bytes == 512 || bytes == 4096 && !matches!(self, Self::Sata | Self::Sd)
    }

    /// Whether it takes a disk while the machine runs.
    #[must_use]
    pub fn takes_late_disks(self) -> bool {
        !matches!(self, Self::Sata | Self::Sd)
    }
}

/// The time that a machine's clock shows at power-on, without a time zone, as `1970-01-01T00:00:00`; from 1970 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
pub struct ClockTime(#[schemars(with = "String")] SystemTime);

impl ClockTime {
    /// As QEMU reads it.
    pub(super) fn text(self) -> String {
        let text = humantime::format_rfc3339_seconds(self.0).to_string();
        text.trim_end_matches('Z').to_owned()
    }
}

impl<'de> Deserialize<'de> for ClockTime {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let time = humantime::parse_rfc3339(&format!("{text}Z"));
        time.map(Self).map_err(|error| {
            de::Error::custom(format!(
                "`{text}` is no time such as 1970-01-01T00:00:00: {error}"
            ))
        })
    }
}

/// What becomes of the machine when its guest resets it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AtReset {
    /// It starts again.
    #[default]
    Restarts,
    /// QEMU ends.
    Ends,
    /// It stands still for good; QEMU still answers.
    Stops,
}

/// What a disk does wrong, from power-on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DiskFault {
    /// Every write to this place, in MiB from the disk's begin, ends with an I/O error.
    WriteErrorAtMiB(u32),
    /// Every flush of its cache ends with an I/O error.
    FlushError,
}

/// How a disk's bytes are stored in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFormat {
    /// The file is the disk.
    Raw,
    /// QEMU's own format, used for overlays.
    Qcow2,
}

impl DiskFormat {
    /// The name that QEMU has for it.
    #[must_use]
    pub fn driver(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
        }
    }
}

/// One disk of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Unique in the machine; QEMU's node and device names come from it.
    pub name: String,
    /// The file that holds its content.
    pub file: PathBuf,
    /// The file's format.
    pub format: DiskFormat,
    /// The bus it hangs on.
    pub bus: Bus,
    /// The serial number that the guest sees.
    pub serial: String,
    /// Writes to it fail.
    pub read_only: bool,
    /// The firmware starts it first, whatever its boot order was.
    pub starts_first: bool,
    /// Bytes of its sectors: 512 or 4096 ([`Bus::takes_sectors_of`]).
    pub sector_size: u32,
    /// It gives back what the guest discards. If not, it does not offer to, or (NVMe, SD) does nothing then.
    pub discard: bool,
    /// It is not there at power-on; [`attach`](super::RunningVm::attach) attaches it.
    pub late: bool,
    /// What it does wrong.
    pub fault: Option<DiskFault>,
    /// The file in which every write is noted, in the form of dm-log-writes.
    pub write_log: Option<PathBuf>,
}

impl Disk {
    /// A disk that works.
    #[must_use]
    pub fn new(name: &str, file: &Path, format: DiskFormat, bus: Bus, serial: &str) -> Self {
        Self {
            name: name.to_owned(),
            file: file.to_owned(),
            format,
            bus,
            serial: serial.to_owned(),
            read_only: false,
            starts_first: false,
            sector_size: 512,
            discard: true,
            late: false,
            fault: None,
            write_log: None,
        }
    }
}

/// A virtual machine as it is wanted. `plan` turns it into a command line.
#[derive(Debug, Clone)]
pub struct VmConfig {
    pub(crate) name: String,
    pub(crate) accelerator: Accelerator,
    pub(crate) cpus: u8,
    pub(crate) memory: Mebibytes,
    pub(crate) start: Start,
    pub(crate) is_resumed: bool,
    pub(crate) is_interactive: bool,
    pub(crate) at_reset: AtReset,
    pub(crate) clock: Option<ClockTime>,
    pub(crate) tpm: Option<PathBuf>,
    pub(crate) domain: Option<String>,
    pub(crate) disks: Vec<Disk>,
    pub(crate) network: Network,
    pub(crate) lan: Option<LanPort>,
    pub(crate) logs: PathBuf,
    pub(crate) sockets: PathBuf,
    pub(crate) qemu: PathBuf,
    pub(crate) credentials: Vec<(&'static str, String)>,
}

impl VmConfig {
    /// A machine with 2 CPUs, 4 GiB and no disk. Its serial logs go to
    /// `logs`, its control socket to `sockets` (a short path: the kernel takes
    /// at most 107 bytes for a socket's name).
    #[must_use]
    pub fn new(name: &str, start: impl Into<Start>, logs: &Path, sockets: &Path) -> Self {
        Self {
            name: name.to_owned(),
            accelerator: Accelerator::Tcg,
            cpus: 2,
            memory: Mebibytes(4096),
            start: start.into(),
            is_resumed: false,
            is_interactive: false,
            at_reset: AtReset::default(),
            clock: None,
            tpm: None,
            domain: None,
            disks: Vec::new(),
            network: Network::Restricted,
            lan: None,
            logs: logs.to_owned(),
            sockets: sockets.to_owned(),
            qemu: PathBuf::from(ARCH.qemu),
            credentials: Vec::new(),
        }
    }

    /// Chooses how guest code is executed.
    #[must_use]
    pub fn accelerator(mut self, accelerator: Accelerator) -> Self {
        self.accelerator = accelerator;
        self
    }

    /// Sets the number of CPUs.
    #[must_use]
    pub fn cpus(mut self, cpus: u8) -> Self {
        self.cpus = cpus;
        self
    }

    /// Sets the size of the memory.
    #[must_use]
    pub fn memory(mut self, memory: Mebibytes) -> Self {
        self.memory = memory;
        self
    }

    /// Adds a disk. The order is the order of the devices on their buses.
    #[must_use]
    pub fn disk(mut self, disk: Disk) -> Self {
        self.disks.push(disk);
        self
    }

    /// Sets what the network card reaches.
    #[must_use]
    pub fn network(mut self, network: Network) -> Self {
        self.network = network;
        self
    }

    /// Adds a card on the network that the machine shares with others.
    #[must_use]
    pub fn lan(mut self, port: LanPort) -> Self {
        self.lan = Some(port);
        self
    }

    /// Chooses what becomes of the machine when its guest resets it.
    #[must_use]
    pub fn at_reset(mut self, at_reset: AtReset) -> Self {
        self.at_reset = at_reset;
        self
    }

    /// Sets the clock at power-on; the host's time without it.
    #[must_use]
    pub fn clock(mut self, time: Option<ClockTime>) -> Self {
        self.clock = time;
        self
    }

    /// Gives the machine a TPM 2.0 (swtpm) that keeps its state in this directory.
    #[must_use]
    pub fn tpm(mut self, state: &Path) -> Self {
        self.tpm = Some(state.to_owned());
        self
    }

    /// Does not switch the machine on: it goes on from a saved state, by [`super::RunningVm::resume`].
    #[must_use]
    pub fn resumed(mut self) -> Self {
        self.is_resumed = true;
        self
    }

    /// Somebody sits before it: its first serial port can be written to, its screen is seen by VNC on the host's loopback.
    #[must_use]
    pub fn interactive(mut self) -> Self {
        self.is_interactive = true;
        self
    }

    /// Gives the guest's network this domain name by DHCP.
    #[must_use]
    pub fn domain(mut self, name: &str) -> Self {
        self.domain = Some(name.to_owned());
        self
    }

    /// Adds a credential that systemd in the guest takes from the firmware's SMBIOS tables
    /// (systemd.system-credentials(7)). It is in the command line: no secret.
    #[must_use]
    pub fn credential(mut self, name: &'static str, value: &str) -> Self {
        self.credentials.push((name, value.to_owned()));
        self
    }

    /// Takes another QEMU executable than the one in `PATH`.
    #[must_use]
    pub fn qemu(mut self, program: &Path) -> Self {
        self.qemu = program.to_owned();
        self
    }
}
