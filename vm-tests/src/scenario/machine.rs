//! The scenario's machine: its disks in a working folder, its plan.

use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::machine_definition::{DiskContent, DiskDefinition, ForeignEntry, MachineDefinition};
use super::one_machine::Scenario;
use super::stick::{copy_sparse, debugfs, inflict, place_of};
use crate::access::{Access, CREDENTIAL};
use crate::tool::{run, tool};
use vm::accel::Accelerator;
use vm::firmware::{Firmware, Kind};
use vm::machine::{
    Bus, Disk, DiskFormat, LanPort, VmConfig, VmPlan, create_empty_disk, create_overlay,
    fingerprint,
};
use vm::nvram::{self, BootVariables};

/// The name of the stick's disk, and of its device without `-device`.
pub(super) const STICK: &str = "stick";
/// The serial number of the stick.
const STICK_SERIAL: &str = "EMTS-STICK-0";

/// How guest code is executed, by how many processors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Processors {
    pub accelerator: Accelerator,
    pub count: u8,
}

/// From where the machine is reached.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reached<'a> {
    /// The harness's way into it.
    pub access: Option<&'a Access>,
    /// The socket of the network that it shares with other machines.
    pub hub: Option<&'a Path>,
    /// Somebody sits before it.
    pub person: bool,
}

/// The files that make up the machine between power cycles.
#[derive(Debug)]
pub(super) struct Hardware {
    /// The stick's file: an overlay over the image, which stays as it is.
    pub stick: PathBuf,
    /// The firmware.
    pub firmware: Firmware,
    /// The stick and the disks beside it, as they are attached.
    pub disks: Vec<Disk>,
    /// What each disk besides the sticks held at first, by name.
    before: Vec<(String, String)>,
}

impl Hardware {
    /// Makes the files in `folder`: a variable store, the disks, the stick from `usb`. `scenario_folder` is what
    /// paths in the scenario are relative to.
    ///
    /// # Errors
    /// A tool is missing, or there is no room for the files.
    pub fn build(
        machine: &MachineDefinition,
        usb: &Path,
        folder: &Path,
        scenario_folder: &Path,
    ) -> Result<Self> {
        fs_err::create_dir_all(folder)?;
        let (stick, disks) = sticks(machine, usb, folder, scenario_folder)?;
        let kind = if machine.secure_boot {
            Kind::SecureBoot
        } else {
            Kind::Plain
        };
        let hardware = Self::of_disks(folder, stick, disks, &machine.disks, kind)?;
        add_entries(&hardware.firmware.vars, &machine.boot_entries)?;
        if machine.full_variables {
            let mut bytes = fs_err::read(&hardware.firmware.vars)?;
            nvram::fill(&mut bytes, FIRMWARE_ROOM)?;
            fs_err::write(&hardware.firmware.vars, bytes)?;
        }
        Ok(hardware)
    }

    /// Makes a variable store and the disks of `definitions` in `folder`, beside `disks` that are there already.
    ///
    /// # Errors
    /// As for [`Hardware::build`].
    pub fn of_disks(
        folder: &Path,
        stick: PathBuf,
        mut disks: Vec<Disk>,
        definitions: &[DiskDefinition],
        kind: Kind,
    ) -> Result<Self> {
        let firmware = Firmware::new_machine(kind, &folder.join("firmware-vars.fd"))?;
        let mut before = Vec::new();
        for disk in definitions {
            let file = folder.join(format!("{}.raw", disk.name));
            create_empty_disk(&file, disk.size.bytes())
                .with_context(|| format!("cannot make the disk `{}`", disk.name))?;
            fill(&file, disk.content)
                .with_context(|| format!("cannot fill the disk `{}`", disk.name))?;
            before.push((disk.name.clone(), fingerprint(&file)?));
            let mut attached =
                Disk::new(&disk.name, &file, DiskFormat::Raw, disk.bus, &disk.serial);
            attached.fault = disk.fault;
            attached.sector_size = disk.sector_size;
            disks.push(attached);
        }
        Ok(Self {
            stick,
            firmware,
            disks,
            before,
        })
    }

    /// The machine as it is switched on, with the ways into it that it has. Its consoles' logs go to `logs`.
    ///
    /// # Errors
    /// A file is missing.
    pub fn plan(
        &self,
        scenario: &Scenario,
        processors: Processors,
        reached: Reached<'_>,
        logs: &Path,
        sockets: &Path,
    ) -> Result<VmPlan> {
        let mut config = VmConfig::new(
            &match &scenario.on {
                Some(machine) => format!("emts-{}-{machine}", scenario.name),
                None => format!("emts-{}", scenario.name),
            },
            self.firmware.clone(),
            logs,
            sockets,
        )
        .accelerator(processors.accelerator)
        .cpus(processors.count)
        .memory(scenario.machine.memory)
        .network(scenario.machine.network);
        for disk in &self.disks {
            config = config.disk(disk.clone());
        }
        if reached.person {
            config = config.interactive();
        }
        if let Some(access) = reached.access {
            config = config.credential(CREDENTIAL, &access.lines);
        }
        if let (Some(number), Some(hub)) = (scenario.machine.lan, reached.hub) {
            config = config.lan(LanPort {
                hub: hub.to_owned(),
                number: number.get(),
            });
        }
        Ok(config.plan()?)
    }

    /// Makes the stick again from `usb` and puts the firmware's entry of it first in BootOrder, as somebody would
    /// in the firmware's menu.
    ///
    /// # Errors
    /// The firmware has no such entry.
    pub fn put_new_stick_first(&self, usb: &Path) -> Result<()> {
        create_overlay(usb, &self.stick).context("cannot make the stick")?;
        let mut bytes = fs_err::read(&self.firmware.vars)?;
        let boot = BootVariables::from_file_content(&bytes)?;
        let stick = boot
            .entries
            .iter()
            .find(|entry| entry.is_usb())
            .context("the firmware has no entry of the stick")?
            .number;
        let others = boot.order.iter().filter(|number| **number != stick);
        let order: Vec<u8> = std::iter::once(&stick)
            .chain(others)
            .flat_map(|number| number.to_le_bytes())
            .collect();
        nvram::add_variable(&mut bytes, "BootOrder", &order)?;
        Ok(fs_err::write(&self.firmware.vars, bytes)?)
    }

    /// What each raw disk holds now, by name.
    ///
    /// # Errors
    /// A disk cannot be read.
    pub fn fingerprints(&self) -> Result<Vec<(String, String)>> {
        let raw = self
            .disks
            .iter()
            .filter(|disk| disk.format == DiskFormat::Raw);
        raw.map(|disk| Ok((disk.name.clone(), fingerprint(&disk.file)?)))
            .collect()
    }

    /// A disk by its name.
    pub fn disk(&self, name: &str) -> Option<&Disk> {
        self.disks.iter().find(|disk| disk.name == name)
    }

    /// The disks besides the sticks whose content is another than at first.
    ///
    /// # Errors
    /// A disk cannot be read.
    pub fn changed(&self) -> Result<Vec<&str>> {
        let mut changed = Vec::new();
        for (name, before) in &self.before {
            let disk = self.disk(name).context("a disk is gone")?;
            if fingerprint(&disk.file)? != *before {
                changed.push(name.as_str());
            }
        }
        Ok(changed)
    }
}

/// The stick, damaged as the scenario says, and a second one if it has one.
fn sticks(
    machine: &MachineDefinition,
    usb: &Path,
    folder: &Path,
    scenario_folder: &Path,
) -> Result<(PathBuf, Vec<Disk>)> {
    let mut backing = usb.to_owned();
    if !machine.stick.damage.is_empty() {
        backing = folder.join("damaged.img");
        copy_sparse(usb, &backing).context("cannot copy the stick")?;
        for damage in &machine.stick.damage {
            inflict(&backing, damage, scenario_folder)?;
        }
    }
    let mut disks = Vec::new();
    let serials = [Some(STICK_SERIAL), machine.stick.second.as_deref()];
    for (name, serial) in [STICK, "second-stick"].into_iter().zip(serials) {
        let Some(serial) = serial else { continue };
        let file = folder.join(format!("{name}.qcow2"));
        create_overlay(&backing, &file).context("cannot make the stick")?;
        let mut disk = Disk::new(name, &file, DiskFormat::Qcow2, Bus::Usb, serial);
        disk.read_only = machine.stick.read_only;
        disk.starts_first = machine.stick.starts_first;
        disks.push(disk);
    }
    Ok((disks[0].file.clone(), disks))
}

/// The number of the first entry that a scenario adds; the firmware's own are below.
pub(super) const FIRST_FOREIGN: u16 = 0x0100;

/// Adds entries to the variable store. Those in BootOrder come first in it; a broken one is not in it, as OVMF
/// deletes what it finds there and cannot read.
fn add_entries(vars: &Path, entries: &[ForeignEntry]) -> Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let mut bytes = fs_err::read(vars)?;
    let mut order = Vec::new();
    for (entry, number) in entries.iter().zip(FIRST_FOREIGN..) {
        let option = match entry {
            ForeignEntry::OtherSystem => nvram::load_option("Other System", OTHER_ESP),
            ForeignEntry::Broken => vec![1, 0, 0, 0, 4, 0, b'b', 0],
        };
        nvram::add_variable(&mut bytes, &format!("Boot{number:04X}"), &option)?;
        if *entry != ForeignEntry::Broken {
            order.extend(number.to_le_bytes());
        }
    }
    nvram::add_variable(&mut bytes, "BootOrder", &order)?;
    Ok(fs_err::write(vars, bytes)?)
}

/// Bytes of a full variable store that the firmware itself has: OVMF fills 12 KiB of them at its first start.
const FIRMWARE_ROOM: usize = 16_000;

/// The partition of the entry of another system: no disk of a scenario has it.
const OTHER_ESP: [u8; 16] = *b"other system ESP";

/// Bytes at the end of a disk, in whole multiples of themselves, that begin with the superblock of a Linux software RAID
/// (`MD_RESERVED_BYTES` in Linux' include/uapi/linux/raid/md_p.h).
const RAID_RESERVED: u64 = 64 << 10;
/// Its first words: `MD_SB_MAGIC`, `major_version`, `minor_version`.
const RAID_MAGIC_AND_FORMAT: [u32; 3] = [0xa92b_4efc, 0, 90];

const MIB: u64 = 1 << 20;
/// Bytes of the second partition table.
const TABLE: u64 = 33 * 512;

/// The label of a physical volume of LVM, for the second sector of its disk or partition: that of a volume without
/// metadata (LVM2, lib/format_text/layout.h and lib/label/label.c).
fn lvm_label() -> [u8; 512] {
    let mut label = [0; 512];
    label[..8].copy_from_slice(b"LABELONE");
    label[8..16].copy_from_slice(&1u64.to_le_bytes()); // its sector
    label[20..24].copy_from_slice(&32u32.to_le_bytes()); // where the volume's header begins
    label[24..32].copy_from_slice(b"LVM2 001");
    label[32..64].copy_from_slice(b"0123456789abcdefghijklmnopqrstuv"); // its UUID
    // LVM inverts neither the first value nor the last one.
    let mut crc = crc32fast::Hasher::new_with_initial(!0xf597_a6cf);
    crc.update(&label[20..]);
    label[16..20].copy_from_slice(&(!crc.finalize()).to_le_bytes());
    label
}

/// Writes the superblock of a member of a RAID that ends there.
fn raid_superblock(file: &Path, end: u64) -> Result<()> {
    let disk = fs_err::OpenOptions::new().write(true).open(file)?;
    let words = RAID_MAGIC_AND_FORMAT.iter();
    let superblock: Vec<u8> = words.flat_map(|word| word.to_le_bytes()).collect();
    Ok(disk.file().write_all_at(&superblock, end - RAID_RESERVED)?)
}

/// Puts something on an empty disk.
fn fill(file: &Path, content: DiskContent) -> Result<()> {
    match content {
        DiskContent::Empty => Ok(()),
        DiskContent::ForeignOs => {
            let mut table = tool("sgdisk");
            table
                .args([
                    "--new=1:2048:+32M",
                    "--typecode=1:ef00",
                    "--change-name=1:ESP",
                ])
                .args([
                    "--new=2:0:+64M",
                    "--typecode=2:8300",
                    "--change-name=2:other-root",
                ])
                .arg(file);
            run(table)?;
            let place = place_of(file, "other-root")?;
            let mut root = tool("mke2fs");
            root.args(["-q", "-t", "ext4", "-L", "other", "-E"])
                .arg(format!("offset={}", place.start))
                .arg(file)
                .arg(format!("{}k", place.length >> 10));
            run(root)?;
            debugfs(file, place, "mkdir home")
        }
        DiskContent::RaidMember => {
            fill(file, DiskContent::ForeignOs)?;
            let end = fs_err::metadata(file)?.len() & !(RAID_RESERVED - 1);
            raid_superblock(file, end)
        }
        // Partitions end at whole MiB, before the second partition table.
        DiskContent::StaleSuperblock => {
            let end = fs_err::metadata(file)?.len() - TABLE;
            raid_superblock(file, end & !(MIB - 1))
        }
        DiskContent::LvmMember => {
            let mut table = tool("sgdisk");
            table
                .args([
                    "--new=1:2048:0",
                    "--typecode=1:8e00",
                    "--change-name=1:volumes",
                ])
                .arg(file);
            run(table)?;
            let place = place_of(file, "volumes")?;
            let disk = fs_err::OpenOptions::new().write(true).open(file)?;
            Ok(disk.file().write_all_at(&lvm_label(), place.start + 512)?)
        }
        DiskContent::Luks => {
            let key = tempfile::NamedTempFile::new()?;
            fs_err::write(key.path(), "key of the other system")?;
            let mut luks = tool("cryptsetup");
            luks.args(["luksFormat", "--batch-mode", "--pbkdf", "pbkdf2"])
                .args(["--pbkdf-force-iterations", "1000", "--key-file"])
                .arg(key.path())
                .arg(file);
            if run(luks).is_err() {
                bail!("cryptsetup cannot make a LUKS volume in {}", file.display());
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::lvm_label;

    #[test]
    fn a_label_of_lvm_has_the_checksum_that_lvm_computes() {
        // By the loop of `calc_crc` in LVM2's lib/misc/crc.c.
        assert_eq!(lvm_label()[16..20], 0x3de7_a8a5_u32.to_le_bytes());
    }
}
