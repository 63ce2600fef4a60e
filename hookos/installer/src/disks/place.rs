//! The names that udev gives a disk in `/dev/disk/by-path`, which HookOS has to make itself.
//!
//! As far as udev's path_id knows the bus: PCI or a platform device, and on it NVMe, SATA, virtio or SCSI. None for
//! other buses.

use std::path::{Path, PathBuf};

use super::sysfs::{Sysfs, entries, link, numbered, text};

/// The names of a disk, older ones too, which SATA and virtio disks have besides.
pub fn of(sysfs: &Sysfs, name: &str) -> Vec<String> {
    sysfs
        .hardware(name)
        .and_then(|device| names(sysfs, name, &device))
        .unwrap_or_default()
}

fn names(sysfs: &Sysfs, name: &str, device: &Path) -> Option<Vec<String>> {
    // The places on the controller, the newer name first; with none the controller itself is the place.
    let mut places: Option<Vec<String>> = None;
    for at in sysfs.upwards(device) {
        match link(&at.join("subsystem")).as_deref() {
            Some("nvme") => {
                let id = text(&sysfs.block(name).join("nsid"));
                places = Some(vec![format!("nvme-{id}")]).filter(|_| !id.is_empty());
                places.as_ref()?;
            }
            Some("virtio") => places = places.or(Some(Vec::new())),
            Some("scsi") => {
                if is_remote(&at) {
                    return None;
                }
                if let Some(address) = address(&at) {
                    places = Some(scsi(&at, address)?);
                }
            }
            Some("usb") => return None,
            Some(bus @ ("pci" | "platform")) => {
                let controller = format!("{bus}-{}", file_name(&at));
                return Some(joined(name, &controller, &places?));
            }
            _ => {}
        }
    }
    None
}

fn joined(name: &str, controller: &str, places: &[String]) -> Vec<String> {
    let mut names: Vec<_> = match places {
        [] => vec![controller.to_owned()],
        places => places
            .iter()
            .map(|place| format!("{controller}-{place}"))
            .collect(),
    };
    if name.starts_with("vd") {
        names.push(format!("virtio-{}", names[0]));
    }
    names
}

/// Fibre Channel, SAS and iSCSI have names by another rule.
fn is_remote(at: &Path) -> bool {
    at.components().any(|one| {
        let one = one.as_os_str().to_string_lossy();
        ["rport-", "end_device-", "session"]
            .iter()
            .any(|prefix| one.starts_with(prefix))
    })
}

/// Host, channel, target and LUN of a SCSI device; `None` for what is above one.
fn address(at: &Path) -> Option<[u64; 4]> {
    let parts: Result<Vec<u64>, _> = file_name(at).split(':').map(str::parse).collect();
    parts.ok()?.try_into().ok()
}

/// `ata-PORT.TARGET` for what hangs on an ATA port, and the older `ata-PORT`; else `scsi-HOST:CHANNEL:TARGET:LUN`, the
/// host counted from the first of its controller.
fn scsi(at: &Path, [host, channel, target, lun]: [u64; 4]) -> Option<Vec<String>> {
    if let Some(ata) = at.ancestors().find(|at| numbered(&file_name(at), "ata")) {
        let port = text(&ata.join("ata_port").join(file_name(ata)).join("port_no"));
        if port.is_empty() {
            return None;
        }
        // Behind a port multiplier the channel is the place, else the target (master or slave).
        let place = match channel {
            0 => format!("ata-{port}.{target}"),
            channel => format!("ata-{port}.{channel}.0"),
        };
        return Some(vec![place, format!("ata-{port}")]);
    }
    let controller: PathBuf = at
        .ancestors()
        .skip_while(|at| file_name(at) != format!("host{host}"))
        .nth(1)?
        .to_owned();
    let hosts = entries(&controller);
    let numbers = hosts.iter().filter(|name| numbered(name, "host"));
    let first = numbers.filter_map(|name| name[4..].parse().ok()).min();
    let host = host.checked_sub(first.unwrap_or(host))?;
    Some(vec![format!("scsi-{host}:{channel}:{target}:{lun}")])
}

fn file_name(at: &Path) -> String {
    at.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disks::fake::{Fake, PCI};

    #[test]
    fn names_a_virtio_disk_by_its_controller() {
        let fake = Fake::new();
        fake.virtio("vda");
        assert_eq!(
            of(&fake.sysfs(), "vda"),
            ["pci-0000:00:02.0", "virtio-pci-0000:00:02.0"]
        );
    }

    #[test]
    fn names_an_nvme_disk_by_its_namespace() {
        let fake = Fake::new();
        fake.nvme("nvme0n1");
        assert_eq!(of(&fake.sysfs(), "nvme0n1"), ["pci-0000:01:00.0-nvme-1"]);
    }

    #[test]
    fn an_nvme_disk_with_several_paths_is_named_by_its_first_controller() {
        let fake = Fake::new();
        fake.nvme_with_paths("nvme0n2");
        assert_eq!(of(&fake.sysfs(), "nvme0n2"), ["pci-0000:01:00.0-nvme-2"]);
    }

    #[test]
    fn names_a_sata_disk_by_its_port_and_by_the_older_name() {
        let fake = Fake::new();
        fake.sata("sda", 1);
        assert_eq!(
            of(&fake.sysfs(), "sda"),
            ["pci-0000:00:1f.2-ata-1.0", "pci-0000:00:1f.2-ata-1"]
        );
    }

    #[test]
    fn behind_a_port_multiplier_the_channel_is_the_place() {
        let fake = Fake::new();
        fake.scsi("sda", &format!("{PCI}:1f.2/ata3/host2/target2:4:0/2:4:0:0"));
        let port = fake.directory(&format!("{PCI}:1f.2/ata3/ata_port/ata3"));
        fake.write(&port, "port_no", "2\n");
        assert_eq!(
            of(&fake.sysfs(), "sda"),
            ["pci-0000:00:1f.2-ata-2.4.0", "pci-0000:00:1f.2-ata-2"]
        );
    }

    #[test]
    fn counts_the_host_of_scsi_from_the_first_of_its_controller() {
        let fake = Fake::new();
        let virtio = format!("{PCI}:05.0/virtio2");
        fake.device(&virtio, "virtio");
        fake.directory(&format!("{virtio}/host6"));
        fake.scsi("sdb", &format!("{virtio}/host8/target8:0:1/8:0:1:3"));
        assert_eq!(of(&fake.sysfs(), "sdb"), ["pci-0000:00:05.0-scsi-2:0:1:3"]);
    }

    #[test]
    fn names_no_disk_on_a_bus_that_it_does_not_know() {
        let fake = Fake::new();
        fake.usb("sdc");
        fake.scsi(
            "sdd",
            &format!("{PCI}:05.0/host1/port-1:0/end_device-1:0/target1:0:0/1:0:0:0"),
        );
        fake.loop_device("loop0");
        fake.mmc("mmcblk0", "MMC");
        for name in ["sdc", "sdd", "loop0", "mmcblk0", "none"] {
            assert_eq!(of(&fake.sysfs(), name), [""; 0], "{name}");
        }
    }

    #[test]
    fn a_place_without_its_attribute_is_unknown() {
        let fake = Fake::new();
        fake.scsi("sda", &format!("{PCI}:1f.2/ata3/host2/target2:0:0/2:0:0:0"));
        fake.nvme("nvme0n1");
        std::fs::remove_file(fake.sysfs().block("nvme0n1").join("nsid")).expect("it is there");
        assert_eq!(of(&fake.sysfs(), "sda"), [""; 0]);
        assert_eq!(of(&fake.sysfs(), "nvme0n1"), [""; 0]);
    }
}
