//! QEMU's devices of a disk: what it hangs on, and the disk itself, from power-on or later.

use super::config::{Bus, Disk};

/// Values of `-device`, in order. `number` parts the disk from the machine's others.
pub(super) fn devices(disk: &Disk, number: usize) -> Vec<String> {
    let name = &disk.name;
    let below = match disk.bus {
        Bus::Scsi => Some(format!("virtio-scsi-pci,id={name}-bus")),
        Bus::Sd => Some(format!("sdhci-pci,id={name}-bus")),
        // The root bus takes no card while the machine runs. 1 is the network's port.
        Bus::Nvme | Bus::Virtio if disk.late => Some(format!(
            "pcie-root-port,id={name}-port,chassis={}",
            number + 2
        )),
        _ => None,
    };
    let disk = (!disk.late).then(|| device(disk));
    below.into_iter().chain(disk).collect()
}

/// What attaches a disk that was left out at power-on: a command of QEMU's monitor.
pub(super) fn attaching(disk: &Disk) -> String {
    format!("device_add {}", device(disk))
}

/// The disk itself. It has no `bootindex`, the boot order is the firmware's own, unless the firmware shall ignore it.
fn device(disk: &Disk) -> String {
    let Disk { name, serial, .. } = disk;
    let mut device = match disk.bus {
        Bus::Nvme => "nvme",
        Bus::Sata => "ide-hd",
        Bus::Virtio => "virtio-blk-pci",
        Bus::Scsi => "scsi-hd",
        Bus::Sd => "sd-card",
        Bus::Usb | Bus::UsbFixed => "usb-storage",
    }
    .to_owned();
    device += &format!(",id={name}-device,drive={name}");
    // The number of a card is QEMU's own.
    if disk.bus != Bus::Sd {
        device += &format!(",serial={serial}");
    }
    if disk.starts_first {
        device += ",bootindex=0";
    }
    device += match disk.bus {
        Bus::Nvme | Bus::Virtio if disk.late => format!(",bus={name}-port"),
        Bus::Scsi => format!(",bus={name}-bus.0"),
        Bus::Usb => ",bus=xhci.0,removable=on".to_owned(),
        Bus::UsbFixed => ",bus=xhci.0,removable=off".to_owned(),
        Bus::Nvme | Bus::Sata | Bus::Virtio | Bus::Sd => String::new(),
    }
    .as_str();
    if disk.sector_size != 512 {
        let size = disk.sector_size;
        device += &format!(",logical_block_size={size},physical_block_size={size}");
    }
    if !disk.discard {
        device += match disk.bus {
            Bus::Virtio => ",discard=off,write-zeroes=off",
            Bus::Sata | Bus::Scsi | Bus::Usb | Bus::UsbFixed => ",discard_granularity=0",
            // QEMU's controller always offers it: its block node does nothing then.
            Bus::Nvme | Bus::Sd => "",
        };
    }
    device
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::machine::DiskFormat;

    fn disk(bus: Bus) -> Disk {
        Disk::new("a", Path::new("a.img"), DiskFormat::Raw, bus, "S1")
    }

    #[test]
    fn a_disk_that_comes_late_finds_its_place_from_power_on() {
        for (bus, place, device) in [
            (
                Bus::Nvme,
                Some("pcie-root-port,id=a-port,chassis=3"),
                "device_add nvme,id=a-device,drive=a,serial=S1,bus=a-port",
            ),
            (
                Bus::Scsi,
                Some("virtio-scsi-pci,id=a-bus"),
                "device_add scsi-hd,id=a-device,drive=a,serial=S1,bus=a-bus.0",
            ),
            (
                Bus::Usb,
                None,
                "device_add usb-storage,id=a-device,drive=a,serial=S1,bus=xhci.0,removable=on",
            ),
        ] {
            let mut late = disk(bus);
            late.late = true;
            let place: Vec<_> = place.into_iter().collect();
            assert_eq!(devices(&late, 1), place);
            assert_eq!(attaching(&late), device);
        }
    }

    #[test]
    fn a_card_has_its_reader_and_no_number_of_ours() {
        assert_eq!(
            devices(&disk(Bus::Sd), 0),
            ["sdhci-pci,id=a-bus", "sd-card,id=a-device,drive=a"]
        );
    }

    #[test]
    fn sectors_of_another_size_are_those_of_the_medium_too() {
        let mut large = disk(Bus::Nvme);
        large.sector_size = 4096;
        let [device] = devices(&large, 0).try_into().unwrap();
        assert!(
            device.ends_with(",logical_block_size=4096,physical_block_size=4096"),
            "{device}"
        );
    }

    #[test]
    fn a_disk_without_discard_does_not_offer_it_where_qemu_lets_it() {
        for (bus, wanted) in [
            (Bus::Virtio, Some(",discard=off,write-zeroes=off")),
            (Bus::Scsi, Some(",discard_granularity=0")),
            (Bus::Sata, Some(",discard_granularity=0")),
            (Bus::Nvme, None),
        ] {
            let mut without = disk(bus);
            without.discard = false;
            let device = device(&without);
            match wanted {
                Some(wanted) => assert!(device.ends_with(wanted), "{device}"),
                None => assert!(!device.contains("discard"), "{device}"),
            }
        }
    }
}
