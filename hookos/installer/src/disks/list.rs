//! The list of disks, from sysfs alone: no disk is read.

use std::fs;
use std::path::{Path, PathBuf};

use super::disk::{Class, Disk, Partition};
use super::sysfs::{Sysfs, entries, link, number, text};
use super::{bus, identity};

/// Bytes of a sector as sysfs counts sizes, whatever the disk's own sectors are.
const SYSFS_SECTOR: u64 = 512;
/// Bytes of a logical sector where the kernel does not say.
const DEFAULT_SECTOR: u32 = 512;

/// Where the kernel shows its devices: this machine's, or a tree that a test has made.
#[derive(Debug, Clone)]
pub struct Host {
    /// `/sys`
    pub sysfs: PathBuf,
    /// `/dev`
    pub dev: PathBuf,
    /// `/proc`
    pub proc: PathBuf,
}

impl Default for Host {
    fn default() -> Self {
        Self {
            sysfs: "/sys".into(),
            dev: "/dev".into(),
            proc: "/proc".into(),
        }
    }
}

impl Host {
    /// All block devices that are not part of another one, by their names.
    pub fn disks(&self) -> Vec<Disk> {
        let sysfs = Sysfs::at(&self.sysfs);
        let names = entries(&self.sysfs.join("class/block"));
        names
            .iter()
            .filter(|name| is_whole(&sysfs.block(name)))
            .map(|name| self.disk(&sysfs, name))
            .collect()
    }

    /// What may still bring disks, in words for people: controllers without a driver, and those that start.
    pub fn pending(&self) -> Vec<String> {
        let sysfs = Sysfs::at(&self.sysfs);
        let pci = sysfs.directory("bus/pci/devices");
        let unbound = entries(&pci).into_iter().filter(|name| {
            let device = pci.join(name);
            is_storage(&text(&device.join("class"))) && !device.join("driver").exists()
        });
        let nvme = sysfs.directory("class/nvme");
        let starting = entries(&nvme).into_iter().filter(|name| {
            matches!(
                &*text(&nvme.join(name).join("state")),
                "new" | "connecting" | "resetting"
            )
        });
        unbound
            .map(|name| format!("a driver for the storage controller {name}"))
            .chain(starting.map(|name| format!("the NVMe controller {name}")))
            .collect()
    }

    /// NVMe disks that an AHCI controller hides, because the firmware is set to Intel's RAID mode.
    pub fn hidden_nvme(&self) -> u64 {
        let pci = self.sysfs.join("bus/pci/devices");
        let hidden = entries(&pci).into_iter();
        hidden
            .filter_map(|name| number(&pci.join(name).join("remapped_nvme")))
            .sum()
    }

    fn disk(&self, sysfs: &Sysfs, name: &str) -> Disk {
        let block = sysfs.block(name);
        let hardware = sysfs.hardware(name);
        let sector = number(&block.join("queue/logical_block_size"));
        let flag = |file: &str| number(&block.join(file)).is_some_and(|flag| flag != 0);
        Disk {
            path: self.dev.join(name.replace('!', "/")),
            number: text(&block.join("dev")),
            size: size(&block),
            sector_size: sector
                .and_then(|size| size.try_into().ok())
                .unwrap_or(DEFAULT_SECTOR),
            read_only: flag("ro"),
            removable: flag("removable"),
            class: class(&block, name),
            transport: hardware
                .as_ref()
                .map(|at| bus::transport(sysfs, name, at))
                .unwrap_or_default(),
            outside: hardware
                .as_ref()
                .is_some_and(|at| bus::is_outside(sysfs, at)),
            identity: identity::of(sysfs, name),
            drivers: hardware
                .as_ref()
                .map(|at| bus::drivers(sysfs, at))
                .unwrap_or_default(),
            partitions: self.partitions(&block),
            name: name.to_owned(),
        }
    }

    fn partitions(&self, block: &Path) -> Vec<Partition> {
        let names = entries(block).into_iter();
        let mut partitions: Vec<_> = names
            .filter_map(|name| Some((number(&block.join(&name).join("partition"))?, name)))
            .collect();
        partitions.sort();
        let partition = |name: String| {
            let at = block.join(&name);
            Partition {
                path: self.dev.join(name.replace('!', "/")),
                number: text(&at.join("dev")),
                size: size(&at),
                label: event(&at, "PARTNAME"),
                name,
            }
        };
        partitions
            .into_iter()
            .map(|(_, name)| partition(name))
            .collect()
    }
}

/// A path of an NVMe disk that has several is hidden; the disk itself is listed beside it.
fn is_whole(block: &Path) -> bool {
    !block.join("partition").exists() && number(&block.join("hidden")) != Some(1)
}

fn size(block: &Path) -> u64 {
    number(&block.join("size"))
        .unwrap_or_default()
        .saturating_mul(SYSFS_SECTOR)
}

/// A value of the event that announced a device.
fn event(block: &Path, key: &str) -> String {
    let text = text(&block.join("uevent"));
    let values = text.lines().filter_map(|line| line.split_once('='));
    let value = values.into_iter().find(|(seen, _)| *seen == key);
    value.map(|(_, value)| value.to_owned()).unwrap_or_default()
}

/// Class codes of PCI: mass storage, and SD host controllers.
fn is_storage(class: &str) -> bool {
    class.starts_with("0x01") || class.starts_with("0x0805")
}

fn class(block: &Path, name: &str) -> Class {
    let real = fs::canonicalize(block).unwrap_or_default();
    let device = block.join("device");
    let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
    if name.starts_with("mmcblk") && !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Class::Other("a boot or hidden area of an eMMC");
    }
    // Of SCSI: 5 is a CD or DVD.
    if name.starts_with("sr") || (!name.starts_with("mmc") && text(&device.join("type")) == "5") {
        return Class::Other("an optical drive");
    }
    if name.starts_with("mtdblock") || name.starts_with("fd") {
        return Class::Other("no disk for a system");
    }
    let is_virtual = real.to_string_lossy().contains("/devices/virtual/block/");
    if is_virtual || (link(&device).is_none() && !name.starts_with("nvme")) {
        return Class::Other("a virtual device of the kernel");
    }
    match &*text(&device.join("type")) {
        "SD" | "SDcombo" => Class::Card,
        _ => Class::Disk,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disks::fake::{Fake, PCI};

    fn classes(fake: &Fake) -> Vec<(String, Class)> {
        let disks = fake.host().disks().into_iter();
        disks.map(|disk| (disk.name, disk.class)).collect()
    }

    #[test]
    fn what_is_no_disk_is_known_by_what_it_is() {
        let fake = Fake::new();
        for name in ["zram0", "loop0", "ram0", "nbd0", "md127", "dm-0"] {
            fake.loop_device(name);
        }
        let optical = fake.sata("sr0", 1);
        fake.write(&optical, "type", "5\n");
        let cd = fake.sata("sdq", 2);
        fake.write(&cd, "type", "5\n");
        fake.sata("fd0", 3);
        fake.sata("mtdblock0", 4);
        let emmc = fake.mmc("mmcblk0", "MMC");
        fake.block("mmcblk0boot0", &emmc);
        fake.block("mmcblk0gp1", &emmc);
        let made = "a virtual device of the kernel";
        let area = "a boot or hidden area of an eMMC";
        let other = |name: &str, what| (name.to_owned(), Class::Other(what));
        assert_eq!(
            classes(&fake),
            [
                other("dm-0", made),
                other("fd0", "no disk for a system"),
                other("loop0", made),
                other("md127", made),
                ("mmcblk0".to_owned(), Class::Disk),
                other("mmcblk0boot0", area),
                other("mmcblk0gp1", area),
                other("mtdblock0", "no disk for a system"),
                other("nbd0", made),
                other("ram0", made),
                other("sdq", "an optical drive"),
                other("sr0", "an optical drive"),
                other("zram0", made),
            ]
        );
    }

    #[test]
    fn a_card_is_told_from_an_emmc() {
        let fake = Fake::new();
        fake.mmc("mmcblk0", "SD");
        fake.mmc("mmcblk1", "MMC");
        fake.mmc("mmcblk2", "SDcombo");
        let classes: Vec<_> = classes(&fake).into_iter().map(|(_, class)| class).collect();
        assert_eq!(classes, [Class::Card, Class::Disk, Class::Card]);
    }

    #[test]
    fn an_nvme_disk_with_several_paths_is_listed_once() {
        let fake = Fake::new();
        fake.nvme_with_paths("nvme0n1");
        let [disk] = &fake.host().disks()[..] else {
            panic!("one disk")
        };
        assert_eq!(
            (&*disk.name, &disk.class, &*disk.transport),
            ("nvme0n1", &Class::Disk, "nvme")
        );
    }

    #[test]
    fn reads_what_the_kernel_says_of_a_disk_and_its_partitions() {
        let fake = Fake::new();
        fake.nvme("nvme0n1");
        let block = fake.sysfs().block("nvme0n1");
        let attributes = [
            ("dev", "259:0"),
            ("ro", "1"),
            ("removable", "0"),
            ("size", "8192"),
        ];
        attributes
            .iter()
            .for_each(|(name, text)| fake.write(&block, name, text));
        fake.write(&block.join("queue"), "logical_block_size", "4096\n");
        for name in ["nvme0n1p10", "nvme0n1p2"] {
            fake.partition("nvme0n1", name, &format!("label {name}"));
        }
        fake.write(&block.join("nvme0n1p2"), "dev", "259:2\n");
        let mut host = fake.host();
        host.dev = "/dev".into();
        let [disk] = &host.disks()[..] else {
            panic!("one disk")
        };
        assert_eq!(
            (&*disk.path, &*disk.number),
            (Path::new("/dev/nvme0n1"), "259:0")
        );
        assert_eq!((disk.size, disk.sector_size), (4 << 20, 4096));
        assert_eq!(
            (disk.read_only, disk.removable, disk.outside),
            (true, false, false)
        );
        let second = Partition {
            name: "nvme0n1p2".into(),
            path: "/dev/nvme0n1p2".into(),
            number: "259:2".into(),
            size: 1 << 20,
            label: "label nvme0n1p2".into(),
        };
        assert_eq!((disk.partitions.len(), &disk.partitions[0]), (2, &second));
        assert_eq!(disk.partitions[1].name, "nvme0n1p10", "by their numbers");
    }

    #[test]
    fn without_its_attributes_a_disk_is_an_ordinary_one_without_a_medium() {
        let fake = Fake::new();
        fake.scsi("cciss!c0d0", &format!("{PCI}:05.0/c0d0"));
        fs::remove_file(fake.sysfs().block("cciss!c0d0").join("size")).expect("is there");
        let disk = &fake.host().disks()[0];
        assert_eq!(
            (disk.size, disk.sector_size, disk.read_only),
            (0, 512, false)
        );
        assert!(disk.path.ends_with("dev/cciss/c0d0"));
    }

    #[test]
    fn what_may_bring_more_disks_is_named() {
        let fake = Fake::new();
        let host = fake.host();
        assert_eq!(host.pending(), [""; 0]);
        let pci = host.sysfs.join("bus/pci/devices");
        let rows = [
            ("0000:00:02.0", "0x030000"),
            ("0000:00:17.0", "0x010601"),
            ("0000:00:1a.0", "0x080501"),
        ];
        rows.iter()
            .for_each(|(name, class)| fake.write(&pci.join(name), "class", class));
        for (name, state) in [
            ("nvme0", "live"),
            ("nvme1", "connecting"),
            ("nvme2", "new"),
            ("nvme3", "resetting"),
        ] {
            fake.write(&host.sysfs.join("class/nvme").join(name), "state", state);
        }
        let expected = [
            "a driver for the storage controller 0000:00:17.0",
            "a driver for the storage controller 0000:00:1a.0",
            "the NVMe controller nvme1",
            "the NVMe controller nvme2",
            "the NVMe controller nvme3",
        ];
        assert_eq!(host.pending(), expected);
        fake.driver(&pci.join("0000:00:17.0"), "ahci", None);
        assert_eq!(host.pending(), expected[1..]);
    }

    #[test]
    fn nvme_disks_that_the_firmware_hides_are_counted() {
        let fake = Fake::new();
        let pci = fake.host().sysfs.join("bus/pci/devices");
        assert_eq!(fake.host().hidden_nvme(), 0);
        fake.write(&pci.join("0000:00:17.0"), "remapped_nvme", "2\n");
        fake.write(&pci.join("0000:00:18.0"), "remapped_nvme", "1\n");
        assert_eq!(fake.host().hidden_nvme(), 3);
    }
}
