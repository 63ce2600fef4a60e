//! The scenario's machine: its disks in a working folder, its plan.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::disk_content;
use super::machine_definition::{DiskDefinition, ForeignEntry, MachineDefinition};
use super::one_machine::Scenario;
use super::stick::{copy_sparse, inflict};
use crate::access::{Access, CREDENTIAL};
use vm::accel::Accelerator;
use vm::firmware::{Firmware, Kind};
use vm::machine::{
    AtReset, Bus, Disk, DiskFormat, LanPort, VmConfig, VmPlan, create_empty_disk, create_overlay,
    fingerprint,
};
use vm::nvram::{self, BootVariables, NvramError, Quirk};

/// The name of the stick's disk, and of its device without `-device`.
pub(super) const STICK: &str = "stick";
/// The names of all sticks.
const STICKS: [&str; 2] = [STICK, "second-stick"];
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
#[derive(Debug, Clone)]
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
        hardware.change_variables(&machine.firmware, Quirk::prepare)?;
        Ok(hardware)
    }

    /// What the firmware does to its variables when it starts. To be called before each start of the machine.
    ///
    /// # Errors
    /// The variable store cannot be read or written, or is full.
    pub fn firmware_starts(&self, machine: &MachineDefinition) -> Result<()> {
        self.change_variables(&machine.firmware, Quirk::start)
    }

    fn change_variables(
        &self,
        quirks: &[Quirk],
        change: impl Fn(Quirk, &mut [u8]) -> Result<(), NvramError>,
    ) -> Result<()> {
        if quirks.is_empty() {
            return Ok(());
        }
        let mut bytes = fs_err::read(&self.firmware.vars)?;
        for quirk in quirks {
            change(*quirk, &mut bytes)?;
        }
        Ok(fs_err::write(&self.firmware.vars, bytes)?)
    }

    /// The machine without its sticks.
    #[must_use]
    pub fn without_sticks(&self) -> Self {
        let mut machine = self.clone();
        machine
            .disks
            .retain(|disk| !STICKS.contains(&disk.name.as_str()));
        machine
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
            disk_content::fill(&file, disk.content, &stick)
                .with_context(|| format!("cannot fill the disk `{}`", disk.name))?;
            before.push((disk.name.clone(), fingerprint(&file)?));
            let mut attached =
                Disk::new(&disk.name, &file, DiskFormat::Raw, disk.bus, &disk.serial);
            attached.sector_size = disk.sector_size;
            attached.discard = disk.discard;
            attached.late = disk.late;
            attached.fault = disk.fault;
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
        .network(scenario.machine.network)
        .clock(scenario.machine.clock)
        .at_reset(scenario.machine.at_reset());
        if scenario.machine.tpm {
            config = config.tpm(&self.firmware.vars.with_file_name("tpm"));
        }
        for disk in &self.disks {
            config = config.disk(disk.clone());
        }
        if reached.person {
            // Nobody would start it again at a reset.
            config = config.interactive().at_reset(AtReset::Restarts);
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
    for (name, serial) in STICKS.into_iter().zip(serials) {
        let Some(serial) = serial else { continue };
        let file = folder.join(format!("{name}.qcow2"));
        create_overlay(&backing, &file).context("cannot make the stick")?;
        let mut disk = Disk::new(name, &file, DiskFormat::Qcow2, Bus::Usb, serial);
        disk.read_only = machine.stick.read_only;
        disk.starts_first = machine.firmware.contains(&Quirk::StartsStickFirst);
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

/// The partition of the entry of another system: no disk of a scenario has it.
const OTHER_ESP: [u8; 16] = *b"other system ESP";
