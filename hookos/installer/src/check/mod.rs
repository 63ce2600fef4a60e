//! What would keep the OS image from being installed on the chosen disk of this machine, before the first byte is written.
//! What keeps a disk from being chosen (its size, its sectors, its driver) is looked at with all disks.

mod others;

use std::path::Path;

use crate::error::{Error, Kind, Result};
use crate::image::{Manifest, OsImage};
use crate::layout;
use crate::state::{State, Target};
use crate::write::PART;
pub use others::Disk;

/// What counts of the machine.
#[derive(Debug)]
pub struct Machine {
    /// Its processors, as Rust's targets call them.
    pub architecture: &'static str,
    /// Bytes of memory that can be had.
    pub memory: u64,
    /// How many processors write.
    pub writers: usize,
    /// All disks but the target.
    pub others: Vec<Disk>,
}

/// Refuses a target before anything of it is changed. `sysfs` is where that file system is mounted.
///
/// # Errors
/// The image does not fit disk or machine; the first reason.
pub fn target(state: &State, sysfs: &Path) -> Result<()> {
    let image = Manifest::read(state)?.os_image;
    let target: Target = state.read()?;
    // Only then does it matter what others are called.
    let others = match image.kept.is_empty() {
        true => vec![],
        false => Disk::all_but(&target.name, sysfs)?,
    };
    let machine = Machine {
        architecture: std::env::consts::ARCH,
        memory: available_memory()?,
        writers: crate::write::writers(),
        others,
    };
    fits(&image, &target, &machine)
}

/// Whether the image can be installed.
///
/// # Errors
/// It cannot; the first reason.
pub fn fits(image: &OsImage, target: &Target, machine: &Machine) -> Result<()> {
    layout::in_image(image)?;
    format(image, machine)?;
    memory(image, machine)?;
    identities(image, target, machine)
}

fn format(image: &OsImage, machine: &Machine) -> Result<()> {
    if image.compression != "zstd" {
        let reason = format!("this installer cannot decompress '{}'", image.compression);
        return Err(Error::new(Kind::Medium, reason));
    }
    if image.architecture != machine.architecture {
        let reason = format!(
            "the OS image is made for {} processors, this machine has {}",
            image.architecture, machine.architecture
        );
        return Err(Error::new(Kind::Medium, reason)
            .advice("Make the USB drive again with an OS image for this machine."));
    }
    Ok(())
}

fn memory(image: &OsImage, machine: &Machine) -> Result<()> {
    let window = 1u64.checked_shl(image.window_log).unwrap_or(u64::MAX);
    let need = window.saturating_add(2 * (machine.writers * PART) as u64);
    if need > machine.memory {
        let reason = format!(
            "decompressing the OS image takes {} MiB of memory, this machine has {} MiB left",
            need.div_ceil(1 << 20),
            machine.memory >> 20
        );
        return Err(Error::new(Kind::Environment, reason).advice(
            "Give the machine more memory, or compress the OS image with a smaller window.",
        ));
    }
    Ok(())
}

/// Two disks of one machine with the same identity: which of them is started is not said.
fn identities(image: &OsImage, target: &Target, machine: &Machine) -> Result<()> {
    for kept in &image.kept {
        let same = |disk: &&Disk| {
            disk.uuids
                .iter()
                .any(|one| one.eq_ignore_ascii_case(&kept.uuid))
        };
        if let Some(other) = machine.others.iter().find(same) {
            let reason = format!(
                "{} would get {}, which {} has already, and the OS image cannot be given another one: {} names it",
                target.path.display(),
                kept.uuid,
                other.path.display(),
                kept.by
            );
            return Err(Error::new(Kind::Environment, reason).advice(format!(
                "Remove {}, install on it instead (installDisk), or take an OS image that finds its root by the boot \
                 loader.",
                other.path.display()
            )));
        }
    }
    Ok(())
}

/// Bytes that programs can have (`MemAvailable`, proc(5)).
fn available_memory() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let available = parse_available(&text);
    available.ok_or_else(|| Error::new(Kind::Bug, "/proc/meminfo has no MemAvailable"))
}

fn parse_available(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Kept, example};
    use crate::state::example_target;

    fn machine() -> Machine {
        Machine {
            architecture: std::env::consts::ARCH,
            memory: 1 << 30,
            writers: 2,
            others: vec![],
        }
    }

    fn refused(change: impl FnOnce(&mut OsImage, &mut Target, &mut Machine)) -> Error {
        let (mut image, mut target, mut machine) = (example(), example_target(), machine());
        change(&mut image, &mut target, &mut machine);
        fits(&image, &target, &machine).expect_err("it does not fit")
    }

    #[test]
    fn an_image_that_fits_is_taken() {
        assert_eq!(fits(&example(), &example_target(), &machine()), Ok(()));
    }

    #[test]
    fn an_image_for_other_processors_is_refused() {
        let error = refused(|image, _, _| image.architecture = "vax".into());
        assert_eq!(error.kind, Kind::Medium);
        assert!(
            error.reason.contains("is made for vax processors"),
            "{error}"
        );
    }

    #[test]
    fn an_image_of_another_compression_is_refused() {
        let error = refused(|image, _, _| image.compression = "bzip2".into());
        assert_eq!(error.reason, "this installer cannot decompress 'bzip2'");
    }

    #[test]
    fn a_window_that_memory_does_not_hold_is_refused() {
        // 1 GiB for the window, and two parts of 8 MiB for each of two writers.
        let need = (1 << 30) + (32 << 20);
        let with = |memory| {
            let image = OsImage {
                window_log: 30,
                ..example()
            };
            fits(
                &image,
                &example_target(),
                &Machine {
                    memory,
                    ..machine()
                },
            )
        };
        assert_eq!(with(need), Ok(()));
        let error = with(need - 1).expect_err("it does not fit");
        assert_eq!(
            error.reason,
            "decompressing the OS image takes 1056 MiB of memory, this machine has 1055 MiB left"
        );
        let error = refused(|image, _, _| image.window_log = 64);
        assert!(error.reason.contains("MiB of memory"), "{error}");
    }

    #[test]
    fn an_identity_that_stays_and_that_another_disk_has_is_refused_by_both_names() {
        let kept = |image: &mut OsImage| {
            image.kept = vec![Kept {
                uuid: "12ab-34cd".into(),
                by: "EFI/Linux/a.efi".into(),
            }];
        };
        let other = |uuid: &str| Disk {
            path: "/dev/sdb".into(),
            uuids: vec!["other".into(), uuid.into()],
        };
        let error = refused(|image, _, machine| {
            kept(image);
            machine.others = vec![other("12AB-34CD")];
        });
        assert_eq!(
            error.reason,
            "/dev/sda would get 12ab-34cd, which /dev/sdb has already, and the OS image cannot be given another one: \
             EFI/Linux/a.efi names it"
        );
        let mut image = example();
        kept(&mut image);
        let machine = Machine {
            others: vec![other("12AB-34CE")],
            ..machine()
        };
        assert_eq!(fits(&image, &example_target(), &machine), Ok(()));
    }

    #[test]
    fn available_memory_is_that_of_the_kernel() {
        let text = "MemTotal:        1016932 kB\nMemAvailable:     512000 kB\n";
        assert_eq!(parse_available(text), Some(512_000 << 10));
        assert_eq!(parse_available("MemTotal: 1 kB\n"), None);
        assert!(available_memory().is_ok_and(|bytes| bytes > 1 << 20));
    }
}
