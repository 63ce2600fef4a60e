//! How a disk is attached: its transport, the drivers up to the controller, ports at the outside of the machine.

use std::path::Path;

use super::disk::Driver;
use super::selector::transport_by_name;
use super::sysfs::{Sysfs, link, numbered, text};

/// Bridges of PCI: every kernel that starts on such a machine has it.
const BRIDGE: &str = "pcieport";

/// What a directory of sysfs says of the transport of all that is below it.
const TRANSPORTS: &[(&str, Match, &str)] = &[
    ("usb", Match::Numbered, "usb"),
    ("fw", Match::Numbered, "ieee1394"),
    ("ata", Match::Numbered, "sata"),
    ("end_device-", Match::Prefix, "sas"),
    ("rport-", Match::Prefix, "fc"),
    ("session", Match::Numbered, "iscsi"),
];

#[derive(Clone, Copy)]
enum Match {
    Numbered,
    Prefix,
}

/// The transport, as `lsblk -o TRAN` says it; told by the name where nothing else does.
pub fn transport(sysfs: &Sysfs, name: &str, hardware: &Path) -> String {
    // An NVMe disk over a network has no controller in this machine.
    let fabric = text(&hardware.join("transport"));
    if name.starts_with("nvme") && !fabric.is_empty() && fabric != "pcie" {
        return format!("nvme-{fabric}");
    }
    let above = sysfs.upwards(hardware);
    let told = TRANSPORTS.iter().find(|(prefix, how, _)| {
        above.iter().filter_map(|at| at.file_name()).any(|one| {
            let one = one.to_string_lossy();
            match how {
                Match::Numbered => numbered(&one, prefix),
                Match::Prefix => one.starts_with(prefix),
            }
        })
    });
    told.map_or_else(|| transport_by_name(name), |(_, _, transport)| transport)
        .to_owned()
}

/// Whether the disk is behind a port that the firmware says is at the outside, such as Thunderbolt or USB4.
pub fn is_outside(sysfs: &Sysfs, hardware: &Path) -> bool {
    let above = sysfs.upwards(hardware);
    above.iter().any(|at| {
        link(&at.join("subsystem")).as_deref() == Some("pci")
            && text(&at.join("removable")) == "removable"
    })
}

/// The drivers from the disk upwards, without bridges of PCI.
pub fn drivers(sysfs: &Sysfs, hardware: &Path) -> Vec<Driver> {
    let above = sysfs.upwards(hardware);
    let drivers = above.iter().filter_map(|at| {
        Some(Driver {
            name: link(&at.join("driver"))?,
            module: link(&at.join("driver/module")),
        })
    });
    drivers.filter(|driver| driver.name != BRIDGE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disks::fake::{Fake, PCI};

    fn transport_of(fake: &Fake, name: &str) -> String {
        let sysfs = fake.sysfs();
        let hardware = sysfs.hardware(name).expect("it has a device");
        transport(&sysfs, name, &hardware)
    }

    #[test]
    fn the_place_in_the_tree_says_the_transport() {
        let fake = Fake::new();
        let at = |place: &str| format!("{PCI}:05.0/host1/{place}/target1:0:0/1:0:0:0");
        fake.usb("sda");
        fake.sata("sdb", 1);
        fake.scsi("sdc", &at("port-1:0/end_device-1:0"));
        fake.scsi("sdd", &at("rport-1:0-0"));
        fake.scsi("sde", &at("session1"));
        fake.scsi("sdf", &at("fw1"));
        fake.scsi("sdg", &at("more"));
        fake.nvme("nvme0n1");
        fake.virtio("vda");
        fake.mmc("mmcblk0", "MMC");
        let names = [
            "sda", "sdb", "sdc", "sdd", "sde", "sdf", "sdg", "nvme0n1", "vda", "mmcblk0",
        ];
        assert_eq!(
            names.map(|name| transport_of(&fake, name)),
            [
                "usb", "sata", "sas", "fc", "iscsi", "ieee1394", "scsi", "nvme", "virtio", "mmc"
            ]
        );
    }

    #[test]
    fn an_nvme_disk_over_a_network_says_so() {
        let fake = Fake::new();
        let controller = fake.nvme("nvme0n1");
        fake.write(&controller, "transport", "pcie\n");
        assert_eq!(transport_of(&fake, "nvme0n1"), "nvme");
        fake.write(&controller, "transport", "tcp\n");
        assert_eq!(transport_of(&fake, "nvme0n1"), "nvme-tcp");
    }

    #[test]
    fn behind_thunderbolt_the_controller_is_removable_and_inside_it_is_not() {
        let fake = Fake::new();
        let controller = fake.nvme("nvme0n1");
        let sysfs = fake.sysfs();
        assert!(!is_outside(&sysfs, &controller));
        let bridge = fake.directory(&format!("{PCI}:1c.0"));
        fake.write(&bridge, "removable", "fixed\n");
        assert!(!is_outside(&sysfs, &controller));
        fake.write(&bridge, "removable", "removable\n");
        assert!(is_outside(&sysfs, &controller));
    }

    #[test]
    fn the_drivers_are_those_up_to_the_controller_without_bridges() {
        let fake = Fake::new();
        let device = fake.sata("sda", 1);
        fake.driver(&device, "sd", Some("sd_mod"));
        fake.driver(&fake.directory(&format!("{PCI}:1f.2")), "ahci", None);
        fake.driver(&fake.directory("pci0000:00"), "pcieport", None);
        let driver = |name: &str, module: Option<&str>| Driver {
            name: name.into(),
            module: module.map(Into::into),
        };
        assert_eq!(
            drivers(&fake.sysfs(), &device),
            [driver("sd", Some("sd_mod")), driver("ahci", None)]
        );
    }
}
