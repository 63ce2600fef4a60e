//! The commands that `install-os.sh` calls for the steps find-media and choose-disk, and for what the medium remembers.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cluster_bootstrapper::model::InstallDisk;

use super::disk::Disk;
use super::installed::{Again, By, Known, again};
use super::list::Host;
use super::rank::{self, Judged, Wanted, describe, refused_by_itself};
use super::selector::selects;
use super::settle::{Clock, Look, seen, settled, until};
use super::{mark, stick};
use crate::error::{Error, Kind, Result, escaped};
use crate::firmware;
use crate::state::{Installation, Manifest, Seen, State, Stick, Target};

/// A medium behind a slow hub, or in an emulated machine, appears late.
const MEDIUM: Duration = Duration::from_secs(60);

/// Waits for the medium and notes where it is.
///
/// # Errors
/// There is none, or more than one.
pub fn find_media(host: &Host, state: &State, clock: &mut impl Clock) -> Result<()> {
    let look = || host.disks();
    let wanted = |disks: &[Disk]| stick::only(disks).transpose();
    let (stick, disks) = until(MEDIUM, clock, look, wanted).map_err(|disks| {
        let [boot, conf, os] = stick::PARTITIONS;
        let seconds = MEDIUM.as_secs();
        let seen = stick::seen(&disks);
        let reason = format!(
            "no disk with the partitions {boot}, {os} and {conf} within {seconds} s; seen: {seen}"
        );
        Error::new(Kind::Medium, reason)
    })?;
    state.write(&seen(&disks, clock.now()))?;
    state.write(&stick?)
}

/// Chooses the disk and notes it; each line for people goes to `say`.
///
/// # Errors
/// No disk can be taken, or several are equally good, or the medium has gone.
pub fn choose_disk(
    host: &Host,
    state: &State,
    selector: &str,
    clock: &mut impl Clock,
    say: &mut dyn FnMut(&str),
) -> Result<()> {
    let image = state.read::<Manifest>()?.os_image;
    let before = state.read::<Seen>().ok();
    let selector = parse_selector(selector)?;
    let medium = state.read::<Stick>()?;
    let wanted = Wanted {
        bytes: image.raw_size,
        sector_size: image.sector_size,
        drivers: image.drivers.as_deref(),
        stick: &medium.path,
        selector: &selector,
    };
    let look = || Look {
        disks: host.disks(),
        pending: host.pending(),
    };
    let can_be_taken = |disk: &Disk| refused_by_itself(disk, &wanted).is_none();
    let disks = settled(before, clock, look, can_be_taken, &mut *say);
    if stick::only(&disks)?.is_none_or(|stick| stick != medium) {
        return Err(Error::new(Kind::Medium, "the stick has gone"));
    }
    let judged = rank::judge(host, disks, &wanted)?;
    say("Disks:");
    judged
        .iter()
        .for_each(|one| say(&format!("  {}", describe(one))));
    if host.hidden_nvme() > 0 {
        say(
            "warning: the firmware's RAID mode (Intel RST) hides NVMe disks from this system; set it to AHCI to use them",
        );
    }
    let target = target(rank::pick(&judged, &wanted)?, &selector);
    say(&format!("Target disk: {}", target.path.display()));
    state.write(&target)
}

fn target(chosen: &Judged, selector: &InstallDisk) -> Target {
    let Judged {
        disk,
        content,
        usage,
        ..
    } = chosen;
    Target {
        path: disk.path.clone(),
        name: disk.name.clone(),
        size: disk.size,
        sector_size: disk.sector_size,
        transport: disk.transport.clone(),
        model: disk.identity.model.clone(),
        serial: disk.identity.serial.clone(),
        wwn: disk.identity.wwn.clone(),
        mounts: usage.mounts.clone(),
        swaps: usage.swaps.clone(),
        loses: content.losses(),
        partitions: firmware::partitions(&disk.path),
        selected: selects(selector),
    }
}

/// The selector as `cluster-bootstrapper show install-disk` prints it: sizes are numbers, `null` is no selector.
fn parse_selector(json: &str) -> Result<InstallDisk> {
    let failed = |error: serde_json::Error| {
        Error::new(
            Kind::Bug,
            format!("cluster-bootstrapper shows an installDisk that cannot be read: {error}"),
        )
    };
    let mut value: serde_json::Value = serde_json::from_str(json).map_err(failed)?;
    for value in value
        .as_object_mut()
        .into_iter()
        .flat_map(|object| object.values_mut())
    {
        if let Some(number) = value.as_u64() {
            *value = number.to_string().into();
        }
    }
    let selector: Option<InstallDisk> = serde_json::from_value(value).map_err(failed)?;
    Ok(selector.unwrap_or_default())
}

/// All disks on one line each, for people: whether an image of any size without a selector could be written to them.
///
/// # Errors
/// The kernel does not say what is mounted.
pub fn list_disks(host: &Host, say: &mut dyn FnMut(&str)) -> Result<()> {
    let disks = host.disks();
    let stick = stick::only(&disks).ok().flatten().map(|stick| stick.path);
    let wanted = Wanted {
        bytes: 0,
        sector_size: 512,
        drivers: None,
        stick: stick.as_deref().unwrap_or(Path::new("")),
        selector: &InstallDisk::default(),
    };
    let judged = rank::judge(host, disks, &wanted)?;
    judged.iter().for_each(|one| say(&describe(one)));
    Ok(())
}

/// Refuses a machine that this medium has installed, and notes the disk.
///
/// # Errors
/// It has.
pub fn refuse_installed(
    host: &Host,
    state: &State,
    list: &Path,
    say: &mut dyn FnMut(&str),
) -> Result<()> {
    let Ok(lines) = fs::read(list) else {
        return Ok(());
    };
    let lines = String::from_utf8_lossy(&lines);
    let disks = host.disks().into_iter();
    for disk in disks.filter(|disk| rank::is_in_machine(disk) && disk.size > 0) {
        let mark = mark::read(&disk.path, disk.sector_size);
        let known = Known::new(
            &disk.identity,
            disk.size,
            mark.as_ref().map(|mark| &*mark.disk),
        );
        let path = disk.path.display();
        match again(&lines, &known) {
            Again::No => {}
            Again::Yes(by) => {
                state.write(&Installation {
                    path: disk.path.clone(),
                })?;
                return Err(installed(&disk, by, list));
            }
            Again::Perhaps => say(&format!(
                "warning: this stick has installed a disk without a serial number of its own, and cannot tell whether it was {path}"
            )),
        }
    }
    Ok(())
}

fn installed(disk: &Disk, by: By, list: &Path) -> Error {
    let Disk { path, identity, .. } = disk;
    let name = match by {
        By::Serial => format!("the disk with serial number {}", identity.serial),
        By::Wwn => format!("the disk with WWN {}", identity.wwn),
        By::Guid => format!(
            "the disk {}: its partition table has the GUID that was noted",
            path.display()
        ),
    };
    let reason = match by {
        By::Guid => format!("this stick has installed already {name}"),
        By::Serial | By::Wwn => format!("this stick has installed {name} already"),
    };
    let list = list.file_name().unwrap_or_default().to_string_lossy();
    let again = format!("To install again, delete {list} from EMTS-CONF or make the stick again.");
    let error = Error::new(Kind::User, reason);
    error
        .advice(format!("Remove the stick. {again}"))
        .restarting()
}

/// Marks the target as a finished node and notes it in the medium's list.
///
/// # Errors
/// The list cannot be written.
pub fn note_installed(
    state: &State,
    list: &Path,
    time: &str,
    say: &mut dyn FnMut(&str),
) -> Result<()> {
    let target: Target = state.read()?;
    let bundle = state.read::<Manifest>()?.id;
    let mark = mark::write(&target.path, target.sector_size, &bundle);
    if let Err(error) = &mark {
        say(&format!(
            "warning: {error}: another stick will overwrite it without a question"
        ));
    }
    let identity = super::disk::Identity {
        serial: target.serial,
        wwn: target.wwn,
        model: target.model,
        places: Vec::new(),
    };
    let known = Known::new(
        &identity,
        target.size,
        mark.as_ref().ok().map(|mark| &*mark.disk),
    );
    if known.is_nameless() && mark.is_err() {
        say(
            "warning: the disk has no serial number, so the stick cannot know it again: remove the stick before the restart if the firmware starts it first",
        );
    }
    append(list, &known.line(time, &bundle)).map_err(|error| {
        let list: PathBuf = list.into();
        Error::new(
            Kind::Medium,
            format!("{} cannot be written: {error}", list.display()),
        )
    })
}

fn append(list: &Path, line: &str) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(list)?;
    file.write_all(line.as_bytes())?;
    file.sync_all()
}

/// What a command says: each line at once, as it may be shown on a console.
pub fn say(line: &str) {
    println!("{}", escaped(line));
}

#[cfg(test)]
#[path = "steps_tests.rs"]
mod tests;
