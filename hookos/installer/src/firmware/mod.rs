//! The machine's firmware: the boot entry of the installed system, one restart into it where the firmware starts the
//! installation medium first, and what Secure Boot will say of the OS image.

mod entries;
mod esp;
mod restart;
mod secure_boot;
mod variables;

use std::fs::File;
use std::path::{Path, PathBuf};

use clap::Args;
use efi::{HardDrive, Uuid};
use gpt::GptDisk;

use self::entries::{Boot, shown_order};
use self::variables::Efivarfs;
use crate::error::{Error, Kind, Result};
use crate::state::{Installation, State, Target};

/// Where the kernel shows the firmware's variables.
const EFIVARFS: &str = "/sys/firmware/efi/efivars";

/// The bundle's manifest, as find-media copies it from the medium.
const MANIFEST: &str = "manifest.json";

/// The firmware's variables, and the disk that they have to name.
#[derive(Debug, Args)]
pub struct Firmware {
    /// The directory of the firmware's variables
    #[arg(long, value_name = "DIRECTORY", default_value = EFIVARFS)]
    efivars: PathBuf,
    /// Another disk than an earlier command has noted
    #[arg(long)]
    disk: Option<PathBuf>,
}

/// A disk, its ESP, and the partitions that were on it before.
struct Installed {
    disk: PathBuf,
    esp: HardDrive,
    replaced: Vec<Uuid>,
}

impl Firmware {
    fn installed(&self, state: &State) -> Result<Installed> {
        let (disk, replaced) = match &self.disk {
            Some(disk) => (disk.clone(), Vec::new()),
            None => {
                let target: Target = state.read()?;
                (target.path, target.partitions)
            }
        };
        let esp = esp::of(&disk)?;
        Ok(Installed {
            disk,
            esp,
            replaced,
        })
    }

    /// Puts the disk's entry first in the boot order. A firmware that does not keep it is a warning: the system is
    /// installed all the same.
    ///
    /// # Errors
    /// The disk has no EFI system partition.
    pub fn set_boot_order(&self, state: &State, say: &mut dyn FnMut(&str)) -> Result<()> {
        let installed = self.installed(state)?;
        if let Err(error) = self.put_first(&installed, say) {
            let advice = error.advice.map(|advice| format!("; {advice}"));
            say(&format!(
                "warning: the firmware did not keep the boot entry: {}{}; until then set it to start from {}, or \
                 remove the installation medium",
                error.reason,
                advice.unwrap_or_default(),
                installed.disk.display()
            ));
        }
        Ok(())
    }

    fn put_first(&self, installed: &Installed, say: &mut dyn FnMut(&str)) -> Result<()> {
        let variables = Efivarfs::open(&self.efivars)?;
        let plan = Boot::read(&variables)?.plan(&installed.esp, &installed.replaced)?;
        plan.carry_out(&variables, installed.esp.guid)?;
        let boot = Boot::read(&variables)?;
        say(&format!(
            "{} starts {} and is first in BootOrder: {}",
            boot.shown(plan.number),
            installed.disk.display(),
            shown_order(&boot.order)
        ));
        if let Some(next) = boot.next.filter(|next| *next != plan.number) {
            say(&format!(
                "warning: the firmware starts {} once before the installed system: BootNext is set to it",
                boot.shown(next)
            ));
        }
        Ok(())
    }

    /// Has the firmware start the disk that refuse-installed has found at the next start, whatever its boot order says,
    /// unless this was tried and nothing but the medium started since. `mark` is the file on the medium that remembers it.
    ///
    /// # Errors
    /// It was tried, the firmware does not keep it, or something else is to be started next.
    pub fn boot_next(&self, state: &State, mark: &Path, say: &mut dyn FnMut(&str)) -> Result<()> {
        let disk = match &self.disk {
            Some(disk) => disk.clone(),
            None => state.read::<Installation>()?.path,
        };
        let esp = esp::of(&disk)?;
        let fingerprint = restart::fingerprint(&disk)?;
        let variables = Efivarfs::open(&self.efivars)?;
        let boot = Boot::read(&variables)?;
        let plan = boot.plan(&esp, &[])?;
        restart::allowed(mark, &fingerprint)?;
        if let Some(other) = boot.next.filter(|next| *next != plan.number) {
            let reason = format!("BootNext is set to {} already", boot.shown(other));
            return Err(Error::new(Kind::Environment, reason));
        }
        plan.carry_out(&variables, esp.guid)?;
        restart::remember(mark, &fingerprint)?;
        entries::start_next(&variables, plan.number)?;
        say(&format!(
            "BootNext is {}: the firmware starts {} next",
            Boot::read(&variables)?.shown(plan.number),
            disk.display()
        ));
        Ok(())
    }

    /// Says whether Secure Boot is on.
    ///
    /// # Errors
    /// It is, and the firmware will refuse the boot loader or the kernel of the image that the manifest describes; or its
    /// variables cannot be read.
    pub fn check_secure_boot(&self, state: &State, say: &mut dyn FnMut(&str)) -> Result<()> {
        let variables = match Efivarfs::open(&self.efivars) {
            Ok(variables) => variables,
            Err(error) => {
                say(&format!("Secure Boot: not known, {}", error.reason));
                return Ok(());
            }
        };
        let secure_boot = secure_boot::State::read(&variables)?;
        say(&format!("Secure Boot: {}", secure_boot.shown()));
        if secure_boot != secure_boot::State::On {
            return Ok(());
        }
        let Some(files) = secure_boot::boot_files(&state.directory().join(MANIFEST))? else {
            say(
                "warning: Secure Boot is on, and the manifest does not say how the OS image is signed: the firmware may \
                 refuse to start it",
            );
            return Ok(());
        };
        for refused in secure_boot::check(&files, &secure_boot::Keys::read(&variables)?)? {
            say(&format!("warning: {refused}"));
        }
        Ok(())
    }
}

/// The unique GUIDs of a disk's partitions; none where it has no partition table.
pub fn partitions(disk: &Path) -> Vec<Uuid> {
    let guids = |table: GptDisk<File>| {
        let partitions = table.partitions().values();
        partitions.map(|partition| partition.part_guid).collect()
    };
    esp::table(disk).map_or_else(|_| Vec::new(), guids)
}

#[cfg(test)]
mod tests;
