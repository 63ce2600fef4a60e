//! What the machine's other disks, their partitions and file systems are called.

use std::fs;
use std::path::{Path, PathBuf};

use gpt::GptConfig;
use gpt::disk::LogicalBlockSize;
use serde_json::Value;

use crate::error::{Error, Kind, Result};
use crate::program::{Call, Program};

/// A disk and all identities on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Its node.
    pub path: PathBuf,
    /// GUIDs of the table and the partitions, UUIDs of the file systems.
    pub uuids: Vec<String>,
}

impl Disk {
    /// All disks but the one with this kernel's name.
    ///
    /// # Errors
    /// sysfs cannot be read. A disk that cannot be read has no identity: nothing starts from it either.
    pub fn all_but(name: &str, sysfs: &Path) -> Result<Vec<Self>> {
        let class = sysfs.join("class/block");
        let failed = |error: std::io::Error| {
            Error::new(
                Kind::Bug,
                format!("{} cannot be read: {error}", class.display()),
            )
        };
        let mut disks = Vec::new();
        for entry in fs::read_dir(&class).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let other = entry.file_name().to_string_lossy().into_owned();
            let is_disk = !entry.path().join("partition").exists();
            if is_disk && other != name && !other.starts_with("zram") {
                disks.push(Self::read(&other, &entry.path()));
            }
        }
        disks.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(disks)
    }

    fn read(name: &str, sysfs: &Path) -> Self {
        let path = Path::new("/dev").join(name);
        let sector = fs::read_to_string(sysfs.join("queue/logical_block_size"));
        let sector = sector.ok().and_then(|text| text.trim().parse().ok());
        let mut uuids = table(&path, sector.unwrap_or(512));
        let parts = fs::read_dir(sysfs).into_iter().flatten().flatten();
        let parts = parts.filter(|entry| entry.path().join("partition").exists());
        let nodes = parts.map(|entry| Path::new("/dev").join(entry.file_name()));
        for node in std::iter::once(path.clone()).chain(nodes) {
            uuids.extend(file_systems(&node));
        }
        Self { path, uuids }
    }
}

/// The GUIDs of a partition table, if there is one.
fn table(disk: &Path, sector: u64) -> Vec<String> {
    let Ok(size) = LogicalBlockSize::try_from(sector) else {
        return vec![];
    };
    let Ok(table) = GptConfig::new().logical_block_size(size).open(disk) else {
        return vec![];
    };
    let partitions = table.partitions().values();
    let guids = partitions.map(|partition| partition.part_guid.to_string());
    guids.chain([table.guid().to_string()]).collect()
}

/// The UUIDs of all signatures of a node.
fn file_systems(node: &Path) -> Vec<String> {
    let call = Call::new(Program::Wipefs).args(["--no-act", "--json", "--"]);
    let found = call.args([node]).run().map(|output| output.text());
    found.map_or_else(|_| vec![], |text| uuids(&text))
}

fn uuids(wipefs: &str) -> Vec<String> {
    let found: Value = serde_json::from_str(wipefs).unwrap_or_default();
    let signatures = found["signatures"].as_array().into_iter().flatten();
    signatures
        .filter_map(|one| Some(one["uuid"].as_str()?.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wipefs_names_the_file_systems() {
        let text = r#"{"signatures": [
            {"device":"sda1", "offset":"0x52", "type":"vfat", "uuid":"12AB-34CD", "label":null},
            {"device":"sda1", "offset":"0x0", "type":"gpt", "uuid":null, "label":null}]}"#;
        assert_eq!(uuids(text), ["12AB-34CD"]);
        assert!(uuids("").is_empty());
    }
}
