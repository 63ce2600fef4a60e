//! A tree of sysfs for tests: devices where the kernel puts them, with their links.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::list::Host;
use super::sysfs::Sysfs;

/// The begin of all PCI devices' places.
pub const PCI: &str = "pci0000:00/0000:00";

/// The tree, with `dev` and `proc` beside it; it goes with the value.
pub struct Fake {
    directory: tempfile::TempDir,
}

impl Fake {
    /// A machine without disks.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory can be made");
        for part in ["sys/class/block", "sys/devices", "dev", "proc/self"] {
            fs::create_dir_all(directory.path().join(part)).expect("is empty");
        }
        Self { directory }
    }

    fn root(&self) -> PathBuf {
        fs::canonicalize(self.directory.path()).expect("is there")
    }

    /// Where the machine's devices are.
    pub fn host(&self) -> Host {
        Host {
            sysfs: self.root().join("sys"),
            dev: self.root().join("dev"),
            proc: self.root().join("proc"),
        }
    }

    /// Its sysfs.
    pub fn sysfs(&self) -> Sysfs {
        Sysfs::at(self.root().join("sys"))
    }

    /// The directory of a device.
    pub fn directory(&self, place: &str) -> PathBuf {
        let path = self.root().join("sys/devices").join(place);
        fs::create_dir_all(&path).expect("can be made");
        path
    }

    /// A device on a bus.
    pub fn device(&self, place: &str, bus: &str) -> PathBuf {
        let path = self.directory(place);
        relink(
            &self.root().join("sys/bus").join(bus),
            &path.join("subsystem"),
        );
        path
    }

    /// An attribute.
    pub fn write(&self, directory: &Path, name: &str, text: &str) {
        self.write_bytes(directory, name, text.as_bytes());
    }

    /// An attribute that is no text.
    pub fn write_bytes(&self, directory: &Path, name: &str, bytes: &[u8]) {
        fs::create_dir_all(directory).expect("can be made");
        fs::write(directory.join(name), bytes).expect("can be written");
    }

    /// The driver that a device is bound to.
    pub fn driver(&self, device: &Path, name: &str, module: Option<&str>) {
        let driver = self.root().join("sys/bus/drivers").join(name);
        fs::create_dir_all(&driver).expect("can be made");
        if let Some(module) = module {
            relink(
                &self.root().join("sys/module").join(module),
                &driver.join("module"),
            );
        }
        relink(&driver, &device.join("driver"));
    }

    /// A block device of 500 GB on a device.
    pub fn block(&self, name: &str, device: &Path) -> PathBuf {
        let block = device.join("block").join(name);
        fs::create_dir_all(&block).expect("can be made");
        relink(device, &block.join("device"));
        relink(&block, &self.root().join("sys/class/block").join(name));
        self.write(&block, "size", "976562500\n");
        block
    }

    /// A partition with a name in the table.
    pub fn partition(&self, disk: &str, name: &str, label: &str) {
        let block = self.sysfs().block(disk);
        let at = block.join(name);
        let number = name
            .rsplit(|c: char| !c.is_ascii_digit())
            .next()
            .unwrap_or_default();
        self.write(&at, "partition", number);
        self.write(&at, "size", "2048\n");
        self.write(
            &at,
            "uevent",
            &format!("DEVTYPE=partition\nPARTNAME={label}\n"),
        );
        let at = fs::canonicalize(at).expect("it was made");
        relink(&at, &self.root().join("sys/class/block").join(name));
    }

    /// A SCSI disk at a place.
    pub fn scsi(&self, name: &str, place: &str) -> PathBuf {
        let controller = place.split('/').take(2).collect::<Vec<_>>().join("/");
        self.device(&controller, "pci");
        let device = self.device(place, "scsi");
        self.block(name, &device);
        device
    }

    /// A SATA disk on a port.
    pub fn sata(&self, name: &str, port: u32) -> PathBuf {
        let ata = format!("{PCI}:1f.2/ata{}", port + 2);
        let device = self.scsi(
            name,
            &format!("{ata}/host{port}/target{port}:0:0/{port}:0:0:0"),
        );
        let attributes = self.directory(&format!("{ata}/ata_port/ata{}", port + 2));
        self.write(&attributes, "port_no", &port.to_string());
        device
    }

    /// A USB disk with the serial number `USB-1`.
    pub fn usb(&self, name: &str) -> PathBuf {
        let usb = format!("{PCI}:14.0/usb1/1-2");
        let device = self.directory(&usb);
        self.write(&device, "idVendor", "0781\n");
        self.write(&device, "serial", "USB-1\n");
        self.device(&format!("{usb}/1-2:1.0"), "usb");
        self.scsi(name, &format!("{usb}/1-2:1.0/host7/target7:0:0/7:0:0:0"))
    }

    /// An NVMe disk; the directory is that of its controller.
    pub fn nvme(&self, name: &str) -> PathBuf {
        self.device(&format!("{PCI}:1c.0"), "pci");
        let pci = format!("{PCI}:1c.0/0000:01:00.0");
        self.device(&pci, "pci");
        let controller = self.device(&format!("{pci}/nvme/nvme0"), "nvme");
        let block = self.block(name, &controller);
        let namespace = name.rsplit('n').next().unwrap_or_default();
        self.write(&block, "nsid", namespace);
        controller
    }

    /// An NVMe disk of a subsystem, as the kernel shows all where it knows of several paths.
    pub fn nvme_with_paths(&self, name: &str) {
        let controller = self.nvme(&name.replacen("nvme0n", "nvme0c0n", 1));
        let hidden = self.sysfs().block(&name.replacen("nvme0n", "nvme0c0n", 1));
        self.write(&hidden, "hidden", "1\n");
        let subsystem = self.device("virtual/nvme-subsystem/nvme-subsys0", "nvme-subsystem");
        relink(&controller, &subsystem.join("nvme0"));
        let block = self.block(name, &subsystem);
        let namespace = name.rsplit('n').next().unwrap_or_default();
        self.write(&block, "nsid", namespace);
    }

    /// A virtio disk.
    pub fn virtio(&self, name: &str) -> PathBuf {
        self.device(&format!("{PCI}:02.0"), "pci");
        let device = self.device(&format!("{PCI}:02.0/virtio1"), "virtio");
        self.block(name, &device);
        device
    }

    /// An eMMC (`MMC`) or a card (`SD`).
    pub fn mmc(&self, name: &str, kind: &str) -> PathBuf {
        self.device(&format!("{PCI}:1a.0"), "pci");
        let device = self.device(&format!("{PCI}:1a.0/mmc_host/mmc0/mmc0:{name}"), "mmc");
        self.write(&device, "type", &format!("{kind}\n"));
        self.block(name, &device);
        device
    }

    /// A device that the kernel makes of something else.
    pub fn loop_device(&self, name: &str) {
        let block = self.directory(&format!("virtual/block/{name}"));
        relink(&block, &self.root().join("sys/class/block").join(name));
        self.write(&block, "size", "1000000\n");
    }
}

fn relink(target: &Path, link: &Path) {
    fs::create_dir_all(link.parent().expect("it has one")).expect("can be made");
    let _ = fs::remove_file(link);
    symlink(target, link).expect("can be made");
}

/// The page ATA Information of a disk with this model.
pub fn ata_information(model: &str) -> Vec<u8> {
    let mut page = vec![0; 572];
    page[1..4].copy_from_slice(&[0x89, 0x02, 0x38]);
    let padded = format!("{model:<40}");
    let swapped = padded.as_bytes().chunks(2).flat_map(|two| [two[1], two[0]]);
    page[114..154].copy_from_slice(&swapped.collect::<Vec<u8>>());
    page
}
