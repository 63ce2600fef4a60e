//! Which disk the installer writes the operating system to.

use crate::values::{DiskByPath, DiskGlob, DiskId, DiskSize};
use schemars::JsonSchema;
use serde::Deserialize;

/// The disk to install on: all that is given must hold for it. Of several that fit, an empty one goes before one with
/// content, then NVMe before SATA before others, then the smallest is taken; equal ones are an error, which lists every
/// disk with its reason. An SD card is taken only where `serial`, `wwn`, `model` or `byPath` is given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstallDisk {
    /// Serial number, as `lsblk -o SERIAL` shows it.
    #[serde(default)]
    pub serial: Option<DiskId>,
    /// World-wide name, as `lsblk -o WWN` shows it.
    #[serde(default)]
    #[schemars(extend("examples" = ["0x5000c500a1b2c3d4"]))]
    pub wwn: Option<DiskId>,
    /// Model, as `lsblk -o MODEL` shows it; `*` and `?` stand for any text and any character.
    #[serde(default)]
    pub model: Option<DiskGlob>,
    /// How the disk is attached, as `lsblk -o TRAN` shows it.
    #[serde(default)]
    pub transport: Option<Transport>,
    /// Smallest size.
    #[serde(default)]
    pub min_size: Option<DiskSize>,
    /// Largest size.
    #[serde(default)]
    #[schemars(extend("examples" = ["2TB"]))]
    pub max_size: Option<DiskSize>,
    /// The place the disk is plugged in: its name in /dev/disk/by-path.
    #[serde(default)]
    pub by_path: Option<DiskByPath>,
    /// Allows to overwrite a disk that has a mounted file system, belongs to another system's RAID, LVM or
    /// encrypted volume, or holds a node that was installed before. Without it such a disk is never taken.
    #[serde(default)]
    pub wipe: bool,
}

/// How a disk is attached. USB is absent: what is plugged in from outside is never installed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// NVMe.
    Nvme,
    /// SATA.
    Sata,
    /// Serial-attached SCSI.
    Sas,
    /// SCSI of other kinds.
    Scsi,
    /// Virtio of a virtual machine.
    Virtio,
    /// eMMC.
    Mmc,
}

impl Transport {
    /// The name in the config-file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nvme => "nvme",
            Self::Sata => "sata",
            Self::Sas => "sas",
            Self::Scsi => "scsi",
            Self::Virtio => "virtio",
            Self::Mmc => "mmc",
        }
    }
}

impl InstallDisk {
    /// The selector for the installer's scripts: every key is there, `null` when it was left out, sizes in bytes,
    /// `byPath` without its folder.
    pub fn to_json(&self) -> serde_json::Value {
        let text = |value: &Option<DiskId>| value.as_ref().map(ToString::to_string);
        serde_json::json!({
            "serial": text(&self.serial),
            "wwn": text(&self.wwn),
            "model": self.model.as_ref().map(ToString::to_string),
            "transport": self.transport.map(Transport::as_str),
            "minSize": self.min_size.as_ref().map(DiskSize::bytes),
            "maxSize": self.max_size.as_ref().map(DiskSize::bytes),
            "byPath": self.by_path.as_ref().map(ToString::to_string),
            "wipe": self.wipe,
        })
    }
}
