//! Which disk the system is written to: why each of the others is not, and the order of those that can be.

use std::path::Path;

use cluster_bootstrapper::model::InstallDisk;

use super::content::Content;
use super::disk::{Class, Disk};
use super::list::Host;
use super::selector::{mismatch, names_one};
use super::usage::Usage;
use crate::error::{Error, Kind, Result, escaped};

/// What the disk is wanted for.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// Bytes of the OS image.
    pub bytes: u64,
    /// Bytes of a sector that the OS image is laid out for.
    pub sector_size: u32,
    /// Drivers or modules that the OS image has when it starts; `None` where nobody knows.
    pub drivers: Option<&'a [String]>,
    /// The installation medium.
    pub stick: &'a Path,
    /// `operatingSystem.installDisk`.
    pub selector: &'a InstallDisk,
}

/// A disk, and why it cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The disk.
    pub disk: Disk,
    /// What is on it; not read where the disk itself is refused.
    pub content: Content,
    /// Who uses it; not asked where the disk itself is refused.
    pub usage: Usage,
    /// Why it is not taken; `None` for a candidate.
    pub refusal: Option<String>,
}

/// All disks, the best candidate first.
///
/// # Errors
/// The kernel does not say what is mounted.
pub fn judge(host: &Host, disks: Vec<Disk>, wanted: &Wanted<'_>) -> Result<Vec<Judged>> {
    let judged = disks.into_iter().map(|disk| {
        let refusal = refused_by_itself(&disk, wanted);
        let read = refusal.is_none();
        let usage = if read {
            Usage::of(host, &disk)?
        } else {
            Usage::default()
        };
        let content = if read {
            Content::of(&disk)
        } else {
            Content::default()
        };
        Ok(judged(disk, content, usage, refusal, wanted.selector.wipe))
    });
    let mut judged = judged.collect::<Result<Vec<_>>>()?;
    sort(&mut judged);
    Ok(judged)
}

fn judged(
    disk: Disk,
    content: Content,
    usage: Usage,
    refusal: Option<String>,
    wipe: bool,
) -> Judged {
    Judged {
        refusal: refusal.or_else(|| refused_by_content(&content, &usage, wipe)),
        disk,
        content,
        usage,
    }
}

fn sort(judged: &mut [Judged]) {
    judged.sort_by_cached_key(|one| (one.refusal.is_some(), one.rank(), one.disk.path.clone()));
}

/// Why a disk cannot be taken whatever is on it.
pub fn refused_by_itself(disk: &Disk, wanted: &Wanted<'_>) -> Option<String> {
    let named = names_one(wanted.selector);
    match disk {
        disk if disk.path == wanted.stick => Some("the installer stick".into()),
        Disk { class: Class::Other(what), .. } => Some(format!("not an internal disk ({what})")),
        Disk { size: 0, .. } => Some("no medium".into()),
        Disk { read_only: true, .. } => Some("read-only".into()),
        disk if !is_internal(&disk.transport) => {
            Some(format!("attached by {}, not internal", disk.transport))
        }
        Disk { outside: true, .. } => {
            Some("behind Thunderbolt or another port at the outside, not internal".into())
        }
        // Firmware marks ports of internal SATA disks as hot-pluggable, which the kernel shows as removable.
        disk if disk.removable && disk.class == Class::Disk && disk.transport != "sata" => {
            Some("removable".into())
        }
        disk if disk.size < wanted.bytes => {
            Some(format!("too small: {} bytes, {} needed", disk.size, wanted.bytes))
        }
        disk => mismatch(wanted.selector, disk).or_else(|| match disk {
            Disk { class: Class::Card, .. } if !named => {
                Some("an SD card; installDisk has to name it by serial, wwn, model or byPath".into())
            }
            disk if disk.sector_size != wanted.sector_size => Some(format!(
                "has sectors of {} bytes, the OS image is laid out for {}",
                disk.sector_size, wanted.sector_size
            )),
            disk => missing_driver(disk, wanted.drivers?).map(|driver| {
                format!("behind the driver {driver}, which the OS image does not have: it would not start")
            }),
        }),
    }
}

/// Whether it is a disk that belongs to the machine, whatever is on it.
pub fn is_in_machine(disk: &Disk) -> bool {
    !matches!(disk.class, Class::Other(_)) && is_internal(&disk.transport)
}

fn is_internal(transport: &str) -> bool {
    !matches!(transport, "usb" | "ieee1394") && !transport.starts_with("nvme-")
}

fn missing_driver<'a>(disk: &'a Disk, known: &[String]) -> Option<&'a str> {
    let plain = |name: &str| name.replace('-', "_");
    let known: Vec<_> = known.iter().map(|name| plain(name)).collect();
    let missing = disk.drivers.iter().find(|driver| {
        let module = driver.module.as_deref().unwrap_or(&driver.name);
        !known.contains(&plain(&driver.name)) && !known.contains(&plain(module))
    });
    missing.map(|driver| driver.name.as_str())
}

/// Why a disk cannot be taken because of what is on it and who uses it.
fn refused_by_content(content: &Content, usage: &Usage, wipe: bool) -> Option<String> {
    let members = content.members();
    if !content.unreadable.is_empty() {
        return Some(format!("cannot be read: {}", content.unreadable.join(", ")));
    }
    if !usage.holders.is_empty() {
        return Some(format!("in use by {}", usage.holders.join(", ")));
    }
    if usage.busy {
        return Some("in use, the kernel does not say by what".into());
    }
    if wipe {
        return None;
    }
    let places = usage.mounts.iter().map(|place| place.display().to_string());
    let places: Vec<_> = places
        .chain(usage.swaps.iter().map(|_| "[SWAP]".into()))
        .collect();
    if !places.is_empty() {
        let places = places.join(", ");
        return Some(format!(
            "in use: mounted at {places}; installDisk.wipe allows to unmount and overwrite it"
        ));
    }
    if !members.is_empty() {
        let members = members.join(", ");
        return Some(format!(
            "belongs to another system ({members}); installDisk.wipe allows to overwrite it"
        ));
    }
    let mark = content.mark.as_ref()?;
    Some(format!(
        "holds a node that was installed from the bundle {}; installDisk.wipe allows to overwrite it",
        mark.bundle
    ))
}

impl Judged {
    /// An empty disk before one with content, then NVMe, SATA, others, then the smallest. Equal ranks are equally good.
    fn rank(&self) -> (bool, u8, u64) {
        let bus = match &*self.disk.transport {
            "nvme" => 0,
            "sata" => 1,
            _ => 2,
        };
        (!self.content.is_empty(), bus, self.disk.size)
    }
}

/// The only best candidate.
///
/// # Errors
/// There is none, or several are equally good.
pub fn pick<'a>(judged: &'a [Judged], wanted: &Wanted<'_>) -> Result<&'a Judged> {
    let mut candidates = judged.iter().filter(|one| one.refusal.is_none());
    let Some(best) = candidates.next() else {
        return Err(none(judged, wanted));
    };
    let equal: Vec<_> = candidates.filter(|one| one.rank() == best.rank()).collect();
    if equal.is_empty() {
        return Ok(best);
    }
    let all = std::iter::once(best).chain(equal.iter().copied());
    let paths: Vec<_> = all.map(|one| one.disk.path.display().to_string()).collect();
    let wwn = &best.disk.identity.wwn;
    let twice = !wwn.is_empty() && equal.iter().any(|one| one.disk.identity.wwn == *wwn);
    let hint = if twice {
        ", some with the same WWN, as one disk with two paths has"
    } else {
        ""
    };
    let reason = format!(
        "several disks are equally good: {}{hint}: {}",
        paths.join(", "),
        lines(judged)
    );
    Err(Error::new(Kind::User, reason).advice(
        "Name the disk in the config-file, by operatingSystem.installDisk with serial, wwn, model or byPath as listed above.",
    ))
}

fn none(judged: &[Judged], wanted: &Wanted<'_>) -> Error {
    let error = Error::new(
        Kind::Environment,
        format!("no disk can be used: {}", lines(judged)),
    );
    let mut disks = judged.iter().map(|one| &one.disk);
    let seen = disks.any(|disk| is_in_machine(disk) && disk.path != wanted.stick);
    if seen {
        return error;
    }
    error.advice(
        "No disk but the stick is visible. If the machine has one, set its controller from RAID, RST or VMD to AHCI or NVMe in the firmware's setup, or check its cable.",
    )
}

fn lines(judged: &[Judged]) -> String {
    let lines: Vec<_> = judged
        .iter()
        .map(|one| format!("  {}", describe(one)))
        .collect();
    lines.join(";")
}

/// A disk on one line, for people.
pub fn describe(judged: &Judged) -> String {
    let disk = &judged.disk;
    let serial = match &*disk.identity.serial {
        "" => "unknown",
        serial => serial,
    };
    let verdict = judged.refusal.clone().unwrap_or_else(|| {
        let losses = judged.content.losses();
        let losses = losses
            .iter()
            .map(|loss| format!("{}: {}", loss.label, loss.kind));
        match losses.collect::<Vec<_>>() {
            none if none.is_empty() => "can be used, empty".into(),
            losses => format!("can be used, has {}", losses.join(", ")),
        }
    });
    escaped(&format!(
        "{}  {}  {}  {}  serial {serial}: {verdict}",
        disk.path.display(),
        gigabytes(disk.size),
        disk.transport,
        disk.identity.model,
    ))
}

/// A size as disks are sold, such as `500.1 GB`.
pub fn gigabytes(bytes: u64) -> String {
    let tenths = bytes.saturating_add(50_000_000) / 100_000_000;
    match tenths % 10 {
        0 => format!("{} GB", tenths / 10),
        tenth => format!("{}.{tenth} GB", tenths / 10),
    }
}

#[cfg(test)]
#[path = "rank_tests.rs"]
pub(super) mod tests;
