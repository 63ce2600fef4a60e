//! How long HookOS takes from the firmware's hand-over to the first step of the installer.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use arch::ARCH;
use vm::accel::Accelerator;
use vm::firmware::{Firmware, Kind};
use vm::machine::{Bus, Disk, DiskFormat, VmConfig};

use super::Watched;
use crate::tool;

/// Bytes of the stick beside HookOS: a FAT32 file system has at least 33 MB.
const MARGIN: u64 = 40 << 20;

/// Boots `efi` from a stick in an emulated machine of `cpus` processors: the seconds from the line with which the firmware
/// starts it to the installer's first marker. The consoles are read ten times a second.
///
/// # Errors
/// A tool is missing, or the installer does not start.
pub async fn seconds_to_installer(efi: &Path, cpus: u8) -> Result<f64> {
    let directory = tempfile::tempdir()?;
    let directory = directory.path();
    let stick = stick(efi, directory)?;
    let stick = Disk::new("stick", &stick, DiskFormat::Raw, Bus::Usb, "EMTS-STICK-0");
    let firmware = Firmware::new_machine(Kind::Plain, &directory.join("vars.fd"))?;
    let config = VmConfig::new("emts-boot-time", firmware, directory, directory)
        .accelerator(Accelerator::Tcg)
        .cpus(cpus)
        .disk(stick);
    let machine = Watched::start(&config, directory).await?;
    let started = |state: &vm::console::ConsoleState| (!state.boots.is_empty()).then(Instant::now);
    let begun = machine
        .wait_for("the firmware starts no boot entry", started)
        .await?;
    let installs =
        |state: &vm::console::ConsoleState| (!state.markers.is_empty()).then(Instant::now);
    let reached = machine
        .wait_for("the installer does not start", installs)
        .await?;
    machine.vm.stop().await?;
    Ok(reached.duration_since(begun).as_secs_f64())
}

/// The image of a stick that has nothing but `efi`.
fn stick(efi: &Path, directory: &Path) -> Result<PathBuf> {
    let stick = directory.join("stick.img");
    let file = fs_err::File::create(&stick)?;
    file.set_len(fs_err::metadata(efi)?.len().next_multiple_of(1 << 20) + MARGIN)?;
    // mtools has a shell read the name of an image that has a character special to it.
    let run = |program: &str, arguments: &[&str]| {
        let mut command = tool::tool(program);
        command.args(arguments).current_dir(directory);
        tool::run(command).map(drop)
    };
    let copied = directory.join("copied.efi");
    fs_err::copy(efi, &copied)?;
    run("mkfs.vfat", &["-F", "32", "stick.img"])?;
    run("mmd", &["-i", "stick.img", "::/EFI", "::/EFI/BOOT"])?;
    let place = format!("::/{}", ARCH.boot_file);
    run("mcopy", &["-i", "stick.img", "copied.efi", &place])?;
    Ok(stick)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_stick_has_the_file_where_firmware_looks_for_it() {
        let directory = tempfile::tempdir().unwrap();
        let efi = directory.path().join("hookos.efi");
        fs_err::write(&efi, "an EFI executable").unwrap();
        stick(&efi, directory.path()).unwrap();
        let place = format!("::/{}", ARCH.boot_file);
        let mut read = Command::new("mtype");
        let read = read.args(["-i", "stick.img", &place]);
        let read = read.current_dir(directory.path()).output().unwrap();
        assert_eq!(read.stdout, b"an EFI executable");
    }
}
