//! What the manifest says of the OS image: all that has to be known of it before it is written.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Error, Kind, Result};
use crate::state::State;

/// The copy of `manifest.json` that find-media keeps in memory.
const MANIFEST: &str = "manifest.json";
/// Where EMTS-OS is mounted, below the same directory.
const MEDIA: &str = "media";

/// `manifest.json`, as far as the image goes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// The image.
    pub os_image: OsImage,
    /// Seconds since 1970 at which all of the bundle was there already; 0 where nothing tells.
    #[serde(default)]
    pub not_before: i64,
}

/// The OS image.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OsImage {
    /// Its file on EMTS-OS.
    pub file: String,
    /// How the file is compressed: zstd, and nothing else.
    pub compression: String,
    /// Bytes of the image, decompressed.
    pub raw_size: u64,
    /// Its XXH128 as `xxhsum -H2` prints it.
    pub raw_xxh128: String,
    /// Bytes of a logical sector of the disks that it is laid out for.
    pub sector_size: u32,
    /// Processors that it is made for, as Rust's targets call them.
    pub architecture: String,
    /// Decompressing takes a window of `1 << window_log` bytes.
    pub window_log: u32,
    /// What its partition table has.
    pub partitions: Vec<Partition>,
    /// Identities that stay as they are, since something names them that cannot be changed.
    #[serde(default)]
    pub kept: Vec<Kept>,
    /// Identities that files of plain text name.
    #[serde(default)]
    pub named: Vec<Named>,
}

/// A partition of the image.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Partition {
    /// Its number in the table.
    pub number: u32,
    /// Its GPT name.
    pub name: String,
    /// GUID of its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Bytes from the begin of the image.
    pub start: u64,
    /// Bytes.
    pub size: u64,
    /// What is in it, as far as that is known.
    #[serde(default)]
    pub file_system: Option<FileSystem>,
}

/// The file system of a partition.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileSystem {
    /// As libblkid calls it.
    #[serde(rename = "type")]
    pub kind: String,
    /// Bytes that it can grow to; nothing for one that has no limit below that of disks, or does not grow.
    #[serde(default)]
    pub max_size: Option<u64>,
}

/// A GUID or UUID that stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Kept {
    /// As it is written by those who name it.
    pub uuid: String,
    /// What names it.
    pub by: String,
}

/// A GUID or UUID that plain text names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Named {
    /// As it is written there.
    pub uuid: String,
    /// Where, in bytes from the begin of the image.
    pub offsets: Vec<u64>,
}

impl Manifest {
    /// What find-media has found.
    ///
    /// # Errors
    /// It is not there, or not of a bundle that this installer belongs to.
    pub fn read(state: &State) -> Result<Self> {
        let path = state.directory().join(MANIFEST);
        let failed = |reason: String| {
            let reason = format!("manifest.json on EMTS-OS cannot be used: {reason}");
            Error::new(Kind::Medium, reason)
        };
        let text = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
        serde_json::from_slice(&text).map_err(|error| failed(error.to_string()))
    }
}

impl OsImage {
    /// The file on the mounted medium.
    pub fn path(&self, state: &State) -> PathBuf {
        // The name alone: nothing outside of the medium.
        let name = Path::new(&self.file).file_name().unwrap_or_default();
        state.directory().join(MEDIA).join(name)
    }

    /// The reason why this identity stays as it is.
    pub fn kept_by(&self, uuid: &str) -> Option<&str> {
        let mut kept = self.kept.iter();
        let kept = kept.find(|kept| kept.uuid.eq_ignore_ascii_case(uuid))?;
        Some(&kept.by)
    }
}

/// An image of 8 MiB for tests, of an ESP and a root partition of 2 MiB each.
#[cfg(test)]
pub fn example() -> OsImage {
    let partition = |number: u32, name: &str, kind: &str, file_system: &str| Partition {
        number,
        name: name.into(),
        kind: kind.into(),
        start: u64::from(number) << 20,
        size: 1 << 20,
        file_system: Some(FileSystem {
            kind: file_system.into(),
            max_size: None,
        }),
    };
    OsImage {
        file: "os-image.raw.zst".into(),
        compression: "zstd".into(),
        raw_size: 4 << 20,
        raw_xxh128: String::new(),
        sector_size: 512,
        architecture: std::env::consts::ARCH.into(),
        window_log: 23,
        partitions: vec![
            partition(1, "esp", "C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "vfat"),
            partition(2, "rootfs", arch::ARCH.root_type, "ext4"),
        ],
        kept: vec![],
        named: vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Manifest> {
        let directory = tempfile::tempdir().expect("a directory can be made");
        std::fs::write(directory.path().join(MANIFEST), text).expect("file");
        Manifest::read(&State::at(directory.path()))
    }

    #[test]
    fn reads_what_the_bundle_says_and_passes_over_what_it_does_not_need() {
        let manifest = read(
            r#"{"format": 1, "notBefore": 1758326400, "osImage": {"file": "../os-image.raw.zst",
            "compression": "zstd", "rawSize": 8388608, "rawXxh128": "0f", "sectorSize": 512,
            "architecture": "any", "windowLog": 23, "name": "test", "partitions": [{"number": 2,
            "name": "rootfs", "type": "T", "guid": "G", "start": 1048576, "size": 4096,
            "fileSystem": {"type": "ext4", "uuid": "U", "maxSize": 1099511627776}}],
            "kept": [{"uuid": "abcd", "by": "EFI/Linux/a.efi"}]}}"#,
        )
        .expect("it is a manifest");
        assert_eq!(manifest.not_before, 1_758_326_400);
        let image = manifest.os_image;
        assert_eq!(image.partitions[0].number, 2);
        let file_system = image.partitions[0].file_system.as_ref();
        assert_eq!(
            file_system.and_then(|one| one.max_size),
            Some(1_099_511_627_776)
        );
        assert_eq!(image.kept_by("ABCD"), Some("EFI/Linux/a.efi"));
        assert_eq!(image.kept_by("abce"), None);
        let state = State::at("/run/here");
        assert_eq!(
            image.path(&state),
            Path::new("/run/here/media/os-image.raw.zst")
        );
    }

    #[test]
    fn a_manifest_without_a_field_is_the_medium_s_fault_and_names_it() {
        let error = read(r#"{"osImage": {"file": "a"}}"#).expect_err("fields are missing");
        assert_eq!(error.kind, Kind::Medium);
        assert!(
            error.reason.contains("missing field `compression`"),
            "{error}"
        );
    }
}
