//! What a step hands to later ones: one small JSON file each, in a directory of memory.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use efi::Uuid;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};

/// Where the files are by default; `EMTS_RUN` says another place, for tests.
const DIRECTORY: &str = "/run/emts-installer";

/// What is handed on: a file, and the command that writes it.
pub trait Record: Serialize + DeserializeOwned {
    /// Its name.
    const FILE: &'static str;
    /// The command that writes it.
    const WRITTEN_BY: &'static str;
}

/// All files: a row is the type, its file, the command that writes it.
macro_rules! records {
    ($($record:ty, $file:literal, $by:literal;)+) => {
        $(impl Record for $record {
            const FILE: &'static str = $file;
            const WRITTEN_BY: &'static str = $by;
        })+
    };
}

records! {
    Stick, "stick.json", "find-media";
    Seen, "seen.json", "find-media";
    Manifest, "manifest.json", "find-media";
    Target, "disk.json", "choose-disk";
    Layout, "layout.json", "grow-root";
    Installation, "installed.json", "refuse-installed";
    Error, "problem.json", "every command that fails";
}

/// The installation medium.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stick {
    /// The disk, such as `/dev/sda`.
    pub path: PathBuf,
    /// Its partitions by their names: EMTS-BOOT, EMTS-OS, EMTS-CONF.
    pub partitions: BTreeMap<String, PathBuf>,
}

/// The disks as they were seen at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// When, since the machine was started.
    pub milliseconds: u64,
    /// Name, size and serial number of each.
    pub disks: Vec<String>,
}

/// What the choice of the disk needs of the bundle's manifest, which find-media copies from the medium.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Id of the bundle.
    pub id: String,
    /// The OS image.
    pub os_image: ImageNeeds,
}

/// What the OS image needs of a disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageNeeds {
    /// Its bytes, decompressed.
    pub raw_size: u64,
    /// Bytes of a logical sector of the disks that it is laid out for.
    #[serde(default = "sector_size")]
    pub sector_size: u32,
    /// Drivers and modules that it has when it starts, with those that are built into its kernel; absent where nobody
    /// knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drivers: Option<Vec<String>>,
}

fn sector_size() -> u32 {
    512
}

/// The disk that the system is written to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// The disk, such as `/dev/nvme0n1`.
    pub path: PathBuf,
    /// The kernel's name of it, such as `nvme0n1`.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Bytes of a logical sector.
    pub sector_size: u32,
    /// How it is attached, as `installDisk.transport` calls it.
    pub transport: String,
    /// What it calls itself; empty where it does not. As the disk says it: escape it before it is shown.
    pub model: String,
    /// Its serial number; empty where it has none. As the disk says it.
    pub serial: String,
    /// Its world-wide name; empty where it has none.
    pub wwn: String,
    /// What is mounted of it, the innermost first: released before it is written.
    pub mounts: Vec<PathBuf>,
    /// Areas of it that are swapped to: switched off before it is written.
    pub swaps: Vec<PathBuf>,
    /// What is lost when it is overwritten; nothing on an empty disk.
    pub loses: Vec<Loss>,
    /// Unique GUIDs of the partitions that are on it before it is written.
    #[serde(default)]
    pub partitions: Vec<Uuid>,
    /// Whether `installDisk` selects it, by whatever key: then nobody has to be asked.
    pub selected: bool,
}

/// A disk that the medium has installed already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Installation {
    /// The disk.
    pub path: PathBuf,
}

/// A partition, or a whole disk, that will be overwritten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// Label of the file system or name of the partition, with the node in front; ready to be shown.
    pub label: String,
    /// Bytes.
    pub size: u64,
    /// What it is, such as `ntfs`, `BitLocker` or `partition`; ready to be shown.
    pub kind: String,
}

/// The partitions that later steps work with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// What the firmware starts from.
    pub esp: Place,
    /// The root file system.
    pub root: Place,
    /// What outlives a restart of a system with an immutable root; mounted at `/opt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistent: Option<Place>,
}

/// A partition of the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its number in the table.
    pub number: u32,
    /// Its node, such as `/dev/nvme0n1p2`.
    pub node: PathBuf,
    /// Its GUID.
    pub guid: String,
}

/// The directory of the files.
#[derive(Debug, Clone)]
pub struct State {
    directory: PathBuf,
}

impl State {
    /// The files in this directory.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    /// The files in `EMTS_RUN`, or where they are by default.
    pub fn from_environment() -> Self {
        Self::at(std::env::var_os("EMTS_RUN").unwrap_or_else(|| DIRECTORY.into()))
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Writes it beside its place and renames it: a reader sees all of it or what was there before.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn write<R: Record>(&self, record: &R) -> Result<()> {
        let path = self.directory.join(R::FILE);
        let failed = |error: std::io::Error| {
            let reason = format!("{} cannot be written: {error}", path.display());
            Error::new(Kind::Environment, reason)
        };
        let text = serde_json::to_vec(record).map_err(|error| failed(error.into()))?;
        let beside = self.directory.join(format!(".{}", R::FILE));
        let written = fs::File::create(&beside).and_then(|mut file| file.write_all(&text));
        written
            .and_then(|()| fs::rename(&beside, &path))
            .map_err(failed)
    }

    /// Reads it.
    ///
    /// # Errors
    /// The command that writes it has not run, or the file is of something else.
    pub fn read<R: Record>(&self) -> Result<R> {
        let path = self.directory.join(R::FILE);
        let failed = |reason: String| {
            let reason = format!("{} cannot be read: {reason}", path.display());
            Error::new(Kind::Bug, reason)
        };
        let text = fs::read(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => failed(format!("{} comes first", R::WRITTEN_BY)),
            _ => failed(error.to_string()),
        })?;
        serde_json::from_slice(&text).map_err(|error| failed(error.to_string()))
    }
}

/// A SATA disk of 64 GB for tests.
#[cfg(test)]
pub fn example_target() -> Target {
    Target {
        partitions: Vec::new(),
        path: "/dev/sda".into(),
        name: "sda".into(),
        size: 64_000_000_000,
        sector_size: 512,
        transport: "sata".into(),
        model: "Disk".into(),
        serial: "S1".into(),
        wwn: String::new(),
        mounts: vec![],
        swaps: vec![],
        loses: vec![],
        selected: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() -> std::result::Result<(), Box<dyn std::error::Error>> {
        let directory = tempfile::tempdir()?;
        let state = State::at(directory.path());
        let partitions = BTreeMap::from([("EMTS-OS".to_owned(), "/dev/sda2".into())]);
        let stick = Stick {
            path: "/dev/sda".into(),
            partitions,
        };
        state.write(&stick)?;
        assert_eq!(state.read::<Stick>()?, stick);
        let names: Vec<_> = fs::read_dir(directory.path())?.collect::<std::io::Result<_>>()?;
        assert_eq!(names.len(), 1, "nothing is left beside it");
        Ok(())
    }

    #[test]
    fn what_is_missing_names_the_command_that_writes_it() {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let error = State::at(directory.path()).read::<Target>();
        let text = error.expect_err("nothing is there").to_string();
        assert!(
            text.ends_with("disk.json cannot be read: choose-disk comes first"),
            "{text}"
        );
    }

    #[test]
    fn what_is_of_something_else_is_an_error() -> std::io::Result<()> {
        let directory = tempfile::tempdir()?;
        fs::write(directory.path().join("stick.json"), "[]")?;
        let error = State::at(directory.path()).read::<Stick>();
        assert_eq!(error.expect_err("no stick").kind, Kind::Bug);
        Ok(())
    }
}
