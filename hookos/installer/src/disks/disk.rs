//! What sysfs says of a disk.

use std::path::PathBuf;

/// A block device that is not part of another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// The kernel's name.
    pub name: String,
    /// Its node.
    pub path: PathBuf,
    /// Number of the device, such as `8:0`.
    pub number: String,
    /// Bytes; 0 without a medium.
    pub size: u64,
    /// Bytes of a logical sector.
    pub sector_size: u32,
    /// Whether it refuses writes.
    pub read_only: bool,
    /// Whether it says that its medium can be taken out.
    pub removable: bool,
    /// What it is.
    pub class: Class,
    /// How it is attached, as `lsblk -o TRAN` says, and by its name where that says nothing.
    pub transport: String,
    /// Whether it is behind a port at the outside of the machine, such as Thunderbolt or USB4.
    pub outside: bool,
    /// What it is recognised by.
    pub identity: Identity,
    /// The drivers from the disk up to its controller, and of what is above that.
    pub drivers: Vec<Driver>,
    /// Its partitions, by their numbers.
    pub partitions: Vec<Partition>,
}

/// What a block device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Class {
    /// A disk.
    Disk,
    /// A card in a slot.
    Card,
    /// Something else, with the word for it.
    Other(&'static str),
}

/// What a disk is recognised by. As the disk says it, without the blanks around; empty where it says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Serial number.
    pub serial: String,
    /// World-wide name, in the kernel's form.
    pub wwn: String,
    /// What it calls itself.
    pub model: String,
    /// The places where it is plugged in, as in `/dev/disk/by-path`.
    pub places: Vec<String>,
}

/// A driver of the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Driver {
    /// Its name on its bus.
    pub name: String,
    /// Its module; none where it is built into the kernel.
    pub module: Option<String>,
}

/// A partition that the kernel knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// The kernel's name.
    pub name: String,
    /// Its node.
    pub path: PathBuf,
    /// Number of the device, such as `8:1`.
    pub number: String,
    /// Bytes.
    pub size: u64,
    /// Its name in the partition table; empty where that has none.
    pub label: String,
}
