//! The scenario's machine: its disks in a working folder, its plan.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::definition::Scenario;
use crate::accel::Accelerator;
use crate::firmware::Firmware;
use crate::machine::{Bus, Disk, DiskFormat, VmConfig, VmPlan, create_empty_disk, create_overlay};

/// The files that make up the machine between power cycles.
#[derive(Debug)]
pub(super) struct Hardware {
    /// The stick: an overlay over the image, which stays as it is.
    pub stick: PathBuf,
    /// The firmware.
    pub firmware: Firmware,
    /// The disks besides the stick, by name.
    disks: Vec<Disk>,
}

impl Hardware {
    /// Makes the files in `folder`: an empty variable store, empty disks, the
    /// stick over `usb`.
    pub fn build(scenario: &Scenario, usb: &Path, folder: &Path) -> Result<Self> {
        fs_err::create_dir_all(folder)?;
        let stick = folder.join("stick.qcow2");
        create_overlay(usb, &stick).context("cannot make the stick")?;
        let firmware = Firmware::new_machine(&folder.join("firmware-vars.fd"))?;
        let mut disks = Vec::new();
        for disk in &scenario.machine.disks {
            let file = folder.join(format!("{}.raw", disk.name));
            create_empty_disk(&file, u64::from(disk.size_gib) << 30)
                .with_context(|| format!("cannot make the disk `{}`", disk.name))?;
            disks.push(Disk {
                name: disk.name.clone(),
                file,
                format: DiskFormat::Raw,
                bus: disk.bus,
                serial: disk.serial.clone(),
            });
        }
        Ok(Self {
            stick,
            firmware,
            disks,
        })
    }

    /// The machine as it is switched on: the stick attached and all disks.
    pub fn plan(
        &self,
        scenario: &Scenario,
        accelerator: Accelerator,
        logs: &Path,
        sockets: &Path,
    ) -> Result<VmPlan> {
        let stick = Disk {
            name: "stick".into(),
            file: self.stick.clone(),
            format: DiskFormat::Qcow2,
            bus: Bus::Usb,
            serial: "EMTS-STICK-0".into(),
        };
        let mut config = VmConfig::new(
            &format!("emts-{}", scenario.name),
            self.firmware.clone(),
            logs,
            sockets,
        )
        .accelerator(accelerator)
        .cpus(scenario.machine.cpus)
        .memory(scenario.machine.memory)
        .network(scenario.machine.network)
        .disk(stick);
        for disk in &self.disks {
            config = config.disk(disk.clone());
        }
        Ok(config.plan()?)
    }
}
