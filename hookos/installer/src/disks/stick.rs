//! The installation medium: the disk whose partitions have its names, on whatever bus.

use std::path::PathBuf;

use super::disk::Disk;
use crate::error::{Error, Kind, Result};
use crate::state::Stick;

/// The names of its partitions.
pub const PARTITIONS: [&str; 3] = ["EMTS-BOOT", "EMTS-CONF", "EMTS-OS"];

/// The only medium; `None` while there is none that is complete.
///
/// # Errors
/// Several are attached, complete or not.
pub fn only(disks: &[Disk]) -> Result<Option<Stick>> {
    let sticks: Vec<_> = disks
        .iter()
        .filter(|disk| !parts(disk).is_empty())
        .collect();
    let complete = sticks.iter().find(|disk| {
        let mut names: Vec<_> = parts(disk).into_iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names == PARTITIONS
    });
    let Some(disk) = complete else {
        return Ok(None);
    };
    if sticks.len() > 1 {
        let sticks: Vec<_> = sticks.iter().map(|disk| described(disk)).collect();
        let reason = format!(
            "more than one EMTS stick is attached: {}",
            sticks.join(", ")
        );
        return Err(Error::new(Kind::User, reason));
    }
    let partitions = parts(disk).into_iter();
    Ok(Some(Stick {
        path: disk.path.clone(),
        partitions: partitions
            .map(|(name, path)| (name.to_owned(), path))
            .collect(),
    }))
}

/// What is there instead, for the message that there is no medium.
pub fn seen(disks: &[Disk]) -> String {
    let disks = disks.iter().filter(|disk| disk.size > 0).map(|disk| {
        let parts = disk.partitions.iter().map(|part| match &*part.label {
            "" => part.path.display().to_string(),
            label => label.to_owned(),
        });
        format!(
            "{} [{}]",
            disk.path.display(),
            parts.collect::<Vec<_>>().join(" ")
        )
    });
    let disks: Vec<_> = disks.collect();
    if disks.is_empty() {
        "no disk at all".into()
    } else {
        disks.join(", ")
    }
}

fn parts(disk: &Disk) -> Vec<(&str, PathBuf)> {
    let parts = disk.partitions.iter();
    let parts = parts.filter(|part| PARTITIONS.contains(&&*part.label));
    parts
        .map(|part| (&*part.label, part.path.clone()))
        .collect()
}

fn described(disk: &Disk) -> String {
    let serial = Some(&*disk.identity.serial).filter(|serial| !serial.is_empty());
    let serial = serial.unwrap_or("unknown");
    format!(
        "{} ({}, serial {serial})",
        disk.path.display(),
        disk.identity.model
    )
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::disks::disk::Partition;
    use crate::disks::rank::tests::disk;

    pub(crate) fn stick(name: &str, labels: &[&str]) -> Disk {
        let partition = |(at, label): (usize, &&str)| Partition {
            name: format!("{name}{}", at + 1),
            path: format!("/dev/{name}{}", at + 1).into(),
            number: String::new(),
            size: 1,
            label: (*label).into(),
        };
        Disk {
            partitions: labels.iter().enumerate().map(partition).collect(),
            ..disk(name, 8, "usb")
        }
    }

    const ALL: &[&str] = &["EMTS-BOOT", "EMTS-OS", "EMTS-CONF"];

    #[test]
    fn is_found_by_its_partitions_on_any_bus() {
        let mut virtio = stick("vdb", &["EMTS-BOOT", "other", "EMTS-OS", "EMTS-CONF"]);
        virtio.transport = "virtio".into();
        let found = only(&[disk("nvme0n1", 20, "nvme"), virtio]).expect("there is one");
        let partitions = [
            ("EMTS-BOOT", "/dev/vdb1"),
            ("EMTS-OS", "/dev/vdb3"),
            ("EMTS-CONF", "/dev/vdb4"),
        ];
        let expected = Stick {
            path: "/dev/vdb".into(),
            partitions: BTreeMap::from(partitions.map(|(name, path)| (name.into(), path.into()))),
        };
        assert_eq!(found, Some(expected));
    }

    #[test]
    fn without_a_partition_or_with_one_twice_it_is_not_complete() {
        for labels in [
            &ALL[..2],
            &["EMTS-BOOT", "EMTS-OS", "EMTS-CONF", "EMTS-OS"],
            &[],
        ] {
            assert_eq!(only(&[stick("sdb", labels)]), Ok(None), "{labels:?}");
        }
    }

    #[test]
    fn two_are_refused_with_both_serial_numbers_also_when_one_is_incomplete() {
        let mut silent = stick("sdb", &ALL[..1]);
        silent.identity.serial = String::new();
        let error = only(&[stick("sda", ALL), silent]).expect_err("there are two");
        let expected = "more than one EMTS stick is attached: /dev/sda (Model sda, serial S-sda), /dev/sdb (Model sdb, serial unknown)";
        assert_eq!((error.reason.as_str(), error.kind), (expected, Kind::User));
    }

    #[test]
    fn what_is_there_instead_is_listed() {
        let mut empty = disk("sr0", 0, "sata");
        empty.size = 0;
        let disks = [
            stick("sda", &["EMTS-BOOT", ""]),
            empty,
            disk("sdb", 1, "sata"),
        ];
        assert_eq!(seen(&disks), "/dev/sda [EMTS-BOOT /dev/sda2], /dev/sdb []");
        assert_eq!(seen(&[]), "no disk at all");
    }
}
