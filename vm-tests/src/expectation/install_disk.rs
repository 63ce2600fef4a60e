//! The disk that the system was installed on, as `operatingSystem.installDisk` selects it.

use cluster_bootstrapper::model::InstallDisk;
use installer::disks::selector::{matches_glob, same_wwn, transport_of};
use serde_json::Value;

use super::judge::{Verdict, failed};
use super::{Expectation, Source};
use crate::node::Probe;
use vm::shell::quote;

const SECTION: &str = "/operatingSystem/installDisk";
/// Sets `d` to the disk below the root file system, whatever lies between (partition, LVM, dm-verity).
const ROOT_DISK: &str = "d=$(lsblk -nsrpo NAME,TYPE \"$(findmnt -nvo SOURCE /)\" | awk '$2 == \"disk\" { print $1; exit }') && [ -n \"$d\" ] && ";

pub(super) fn expectations(source: &Source) -> Vec<Expectation> {
    let Some(disk) = &source.config.operating_system.install_disk else {
        return Vec::new();
    };
    let mut all = identity(disk);
    all.extend(size(disk));
    if let Some(place) = &disk.by_path {
        let link = quote(&format!("/dev/disk/by-path/{place}"));
        all.push(Expectation::new(
            format!("{SECTION}/byPath"),
            "the root disk is plugged in there",
            place.as_str(),
            Probe::shell(format!(
                "{ROOT_DISK}if [ \"$(readlink -f {link})\" = \"$d\" ]; then echo same; else find /dev/disk/by-path -lname \"*/${{d##*/}}\"; fi"
            )),
            super::judge::equals("same"),
        ));
    }
    all
}

/// A check of what lsblk says of the root disk in one of its columns.
fn column(
    key: &str,
    name: &'static str,
    expected: String,
    fits: impl Fn(&Value, &str) -> bool + Send + Sync + 'static,
) -> Expectation {
    Expectation::new(
        format!("{SECTION}/{key}"),
        format!("{name} of the root disk"),
        expected,
        Probe::shell(format!(
            "{ROOT_DISK}lsblk --json --bytes --nodeps --output NAME,SIZE,SERIAL,WWN,MODEL,TRAN \"$d\""
        )),
        move |answer| {
            if answer.status != 0 {
                return failed(answer);
            }
            let tree: Value = serde_json::from_slice(&answer.stdout).unwrap_or_default();
            let disk = &tree["blockdevices"][0];
            let found = &disk[name.to_ascii_lowercase()];
            let text = found.as_str().unwrap_or_default().trim();
            Verdict::when(fits(disk, text), found.to_string())
        },
    )
}

fn identity(disk: &InstallDisk) -> Vec<Expectation> {
    let mut all = Vec::new();
    if let Some(serial) = disk.serial.clone() {
        all.push(column(
            "serial",
            "SERIAL",
            serial.to_string(),
            move |_, text| text == serial.as_str(),
        ));
    }
    if let Some(wwn) = disk.wwn.clone() {
        all.push(column("wwn", "WWN", wwn.to_string(), move |_, text| {
            same_wwn(text, wwn.as_str())
        }));
    }
    if let Some(model) = disk.model.clone() {
        all.push(column(
            "model",
            "MODEL",
            model.to_string(),
            move |_, text| matches_glob(model.as_str(), text),
        ));
    }
    if let Some(transport) = disk.transport {
        let wanted = transport.as_str();
        all.push(column(
            "transport",
            "TRAN",
            wanted.to_owned(),
            move |disk, text| {
                let name = disk["name"].as_str().unwrap_or_default();
                transport_of(name, text) == wanted
            },
        ));
    }
    all
}

fn size(disk: &InstallDisk) -> Vec<Expectation> {
    let bytes = |disk: &Value| disk["size"].as_u64().unwrap_or_default();
    let mut all = Vec::new();
    if let Some(min) = disk.min_size.as_ref().map(|size| size.bytes()) {
        all.push(column(
            "minSize",
            "SIZE",
            format!("at least {min} bytes"),
            move |disk, _| bytes(disk) >= min,
        ));
    }
    if let Some(max) = disk.max_size.as_ref().map(|size| size.bytes()) {
        all.push(column(
            "maxSize",
            "SIZE",
            format!("at most {max} bytes"),
            move |disk, _| (1..=max).contains(&bytes(disk)),
        ));
    }
    all
}
