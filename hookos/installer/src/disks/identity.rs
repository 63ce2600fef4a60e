//! Serial number, world-wide name and model of a disk.

use std::fs;
use std::path::Path;

use super::disk::Identity;
use super::place;
use super::sysfs::{Sysfs, as_text, text};

/// Bytes before the first one of a page of vital product data (SPC-4, 7.8.1).
const PAGE_HEADER: usize = 4;
/// Where the page ATA Information has the answer to IDENTIFY DEVICE (SAT-3, 12.4.2).
const IDENTIFY: usize = 60;
/// Words 27 to 46 of that answer are the model: 40 characters, two to a word, the first in the high byte (ACS-3, 7.12.7).
const MODEL: std::ops::Range<usize> = IDENTIFY + 2 * 27..IDENTIFY + 2 * 47;

/// What a disk is recognised by.
pub fn of(sysfs: &Sysfs, name: &str) -> Identity {
    Identity {
        serial: serial(sysfs, name),
        wwn: wwn(sysfs, name),
        model: model(sysfs, name),
        places: place::of(sysfs, name),
    }
}

/// NVMe, MMC and virtio show the serial number as text; SCSI and SATA in the vital product data; a USB device above the
/// disk has its own.
fn serial(sysfs: &Sysfs, name: &str) -> String {
    let block = sysfs.block(name);
    let hardware = sysfs.hardware(name);
    let above = hardware.iter().flat_map(|at| sysfs.upwards(at));
    let usb = above
        .filter(|at| at.join("idVendor").exists())
        .map(|at| at.join("serial"));
    let files = [block.join("device/serial"), block.join("serial")];
    files
        .into_iter()
        .chain(usb)
        .map(|file| text(&file))
        .find(|serial| !serial.is_empty())
        .unwrap_or_else(|| {
            let page = page(&block.join("device/vpd_pg80"), 0x80);
            as_text(&page)
        })
}

fn wwn(sysfs: &Sysfs, name: &str) -> String {
    let block = sysfs.block(name);
    let files = ["wwid", "device/wwid"].map(|file| text(&block.join(file)));
    files
        .into_iter()
        .find(|wwn| !wwn.is_empty())
        .unwrap_or_default()
}

/// SCSI has room for 16 characters; of a SATA disk the page with what it said itself has all 40. An eMMC has a name.
fn model(sysfs: &Sysfs, name: &str) -> String {
    let device = sysfs.block(name).join("device");
    let whole = ata_model(&fs::read(device.join("vpd_pg89")).unwrap_or_default());
    let files = ["model", "name"].map(|file| text(&device.join(file)));
    std::iter::once(whole)
        .chain(files)
        .find(|model| !model.is_empty())
        .unwrap_or_default()
}

/// What is in a page of vital product data: as much as its header says and is there.
fn page(path: &Path, code: u8) -> Vec<u8> {
    let Ok(page) = fs::read(path) else {
        return Vec::new();
    };
    match page.get(..PAGE_HEADER) {
        Some(&[_, seen, high, low]) if seen == code => {
            let length = usize::from(u16::from_be_bytes([high, low]));
            page[PAGE_HEADER..].iter().copied().take(length).collect()
        }
        _ => Vec::new(),
    }
}

/// The model in the page ATA Information; empty where it has none.
fn ata_model(page: &[u8]) -> String {
    if page.get(1) != Some(&0x89) {
        return String::new();
    }
    let words = page.get(MODEL).unwrap_or_default().as_chunks::<2>().0;
    let bytes: Vec<u8> = words.iter().flat_map(|[low, high]| [*high, *low]).collect();
    as_text(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disks::fake::{Fake, ata_information};

    #[test]
    fn a_sata_disk_has_its_whole_model_and_not_the_sixteen_characters_of_scsi() {
        let fake = Fake::new();
        let device = fake.sata("sda", 1);
        fake.write(&device, "model", "Samsung SSD 870 \n");
        fake.write_bytes(
            &device,
            "vpd_pg89",
            &ata_information("Samsung SSD 870 EVO 500GB"),
        );
        assert_eq!(of(&fake.sysfs(), "sda").model, "Samsung SSD 870 EVO 500GB");
    }

    #[test]
    fn a_page_without_a_model_leaves_that_of_scsi() {
        let fake = Fake::new();
        let device = fake.sata("sda", 1);
        fake.write(&device, "model", "QEMU HARDDISK\n");
        for page in [&[][..], &[0, 0x89, 0, 4], &[0; 600]] {
            fake.write_bytes(&device, "vpd_pg89", page);
            assert_eq!(of(&fake.sysfs(), "sda").model, "QEMU HARDDISK");
        }
    }

    #[test]
    fn an_emmc_has_its_name_as_model() {
        let fake = Fake::new();
        let device = fake.mmc("mmcblk0", "MMC");
        fake.write(&device, "name", "DG4064\n");
        fake.write(&device, "serial", "0x1a2b3c4d\n");
        let identity = of(&fake.sysfs(), "mmcblk0");
        assert_eq!(
            (&*identity.model, &*identity.serial),
            ("DG4064", "0x1a2b3c4d")
        );
    }

    #[test]
    fn the_serial_number_of_scsi_has_the_length_that_its_page_says() {
        let fake = Fake::new();
        let device = fake.sata("sda", 1);
        fake.write_bytes(
            &device,
            "vpd_pg80",
            b"\0\x80\0\x0e  EMTS-SATA-0 \0and what is behind",
        );
        assert_eq!(of(&fake.sysfs(), "sda").serial, "EMTS-SATA-0");
        fake.write_bytes(&device, "vpd_pg80", b"\0\x83\0\x04S123");
        assert_eq!(of(&fake.sysfs(), "sda").serial, "", "another page");
        fake.write_bytes(&device, "vpd_pg80", b"\0\x80");
        assert_eq!(of(&fake.sysfs(), "sda").serial, "", "cut off");
    }

    #[test]
    fn a_usb_disk_has_the_serial_number_of_its_device() {
        let fake = Fake::new();
        let device = fake.usb("sdb");
        fake.write_bytes(&device, "vpd_pg80", b"\0\x80\0\x02xx");
        assert_eq!(of(&fake.sysfs(), "sdb").serial, "USB-1");
    }

    #[test]
    fn odd_serial_numbers_are_kept_byte_by_byte() {
        for odd in [
            "-S123",
            "-h",
            "--arg",
            r"A\tB",
            "0012345",
            "12345678901234567",
            "a\"'$(x)`",
        ] {
            let fake = Fake::new();
            let device = fake.virtio("vda");
            fake.write(&fake.sysfs().block("vda"), "serial", &format!(" {odd}\n"));
            assert_eq!(of(&fake.sysfs(), "vda").serial, odd);
            assert!(device.exists());
        }
    }

    #[test]
    fn the_world_wide_name_is_that_of_the_disk_before_that_of_the_device() {
        let fake = Fake::new();
        let device = fake.sata("sda", 1);
        fake.write(&device, "wwid", "naa.5000c500a1b2c3d4\n");
        assert_eq!(of(&fake.sysfs(), "sda").wwn, "naa.5000c500a1b2c3d4");
        fake.write(&fake.sysfs().block("sda"), "wwid", "eui.0025388b71b2c3d4\n");
        assert_eq!(of(&fake.sysfs(), "sda").wwn, "eui.0025388b71b2c3d4");
    }
}
