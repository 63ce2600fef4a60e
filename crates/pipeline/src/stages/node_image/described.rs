//! What `os-image.json` says of the disk that an image is. The installer reads it (hookos/installer/src/image.rs).

use serde::Serialize;

/// What `os-image.json` says of the disk that the image is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Disk {
    /// Bytes of a logical sector.
    pub sector_size: u64,
    /// As Rust's targets call the processors.
    pub architecture: &'static str,
    /// GUID of the partition table.
    pub disk_guid: String,
    /// In the order of their numbers.
    pub partitions: Vec<Partition>,
    /// Identities that the installer leaves as they are.
    pub kept: Vec<Kept>,
    /// Identities that texts name, which the installer writes anew.
    pub named: Vec<Named>,
    /// Seconds since 1970: the newest time that a file system has.
    pub not_before: u64,
}

/// A disk of nothing for tests of what is said besides.
#[cfg(test)]
pub fn nothing() -> Disk {
    Disk {
        sector_size: 512,
        architecture: "any",
        disk_guid: String::new(),
        partitions: vec![],
        kept: vec![],
        named: vec![],
        not_before: 0,
    }
}

/// A partition.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Partition {
    pub number: u32,
    pub name: String,
    /// GUID of its type.
    #[serde(rename = "type")]
    pub kind: String,
    pub guid: String,
    /// Bytes from the begin of the image.
    pub start: u64,
    /// Bytes.
    pub size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_system: Option<FileSystem>,
}

/// What is on a partition.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileSystem {
    /// As libblkid calls it.
    #[serde(rename = "type")]
    pub kind: String,
    pub uuid: Option<String>,
    /// Bytes that it can grow to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_size: Option<u64>,
}

impl FileSystem {
    pub fn is_ext(&self) -> bool {
        matches!(self.kind.as_str(), "ext2" | "ext3" | "ext4")
    }
}

/// An identity that stays.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Kept {
    pub uuid: String,
    pub by: String,
}

/// An identity that texts name, at these bytes of the image.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Named {
    pub uuid: String,
    pub offsets: Vec<u64>,
}
