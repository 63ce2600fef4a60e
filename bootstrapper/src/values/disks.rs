//! What a disk is recognised by: identities, names with wildcards, sizes, the place it is plugged in.

use super::{Complaint, TextValue, display_text, text_value};
use crate::codes;

/// A serial number or world-wide name of a disk, compared as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskId(String);

impl TextValue for DiskId {
    const FORMAT: &'static str = "disk-id";
    const DESCRIPTION: &'static str = "A disk's serial number or world-wide name.";
    const EXAMPLES: &'static [&'static str] = &["S4EVNX0M123456"];
    const PATTERN: &'static str = r"\S";
    // Serial numbers may be all digits.
    const NUMERIC: bool = true;

    fn parse(text: &str) -> Result<Self, Complaint> {
        let bad = |reason: &str| {
            Complaint::new(
                codes::DiskId,
                format!("`{text}` is not a disk's serial number or world-wide name: {reason}"),
            )
            .help("write what lsblk -o NAME,SERIAL,WWN shows")
        };
        if !is_disk_text(text) {
            return Err(bad("it is empty, too long or not printable ASCII"));
        }
        if text.contains(['*', '?']) {
            return Err(bad("it is compared as a whole; only `model` has wildcards"));
        }
        Ok(Self(text.trim().to_owned()))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

/// A model of a disk in which `*` and `?` stand for any text and any character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskGlob(String);

impl TextValue for DiskGlob {
    const FORMAT: &'static str = "disk-glob";
    const DESCRIPTION: &'static str =
        "A disk's model; `*` stands for any text, `?` for a character.";
    const EXAMPLES: &'static [&'static str] = &["Samsung SSD 9?0 PRO*"];
    const PATTERN: &'static str = r"\S";
    const NUMERIC: bool = true;

    fn parse(text: &str) -> Result<Self, Complaint> {
        if !is_disk_text(text) {
            return Err(
                Complaint::new(codes::DiskGlob, format!("`{text}` is not a disk's model"))
                    .help("write what lsblk -o NAME,MODEL shows; `*` and `?` are wildcards"),
            );
        }
        Ok(Self(text.trim().to_owned()))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

/// What disks call themselves: printable ASCII. SCSI has 16 and 20 characters for a name, NVMe 40 and 20.
fn is_disk_text(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= 128 && text.chars().all(|c| matches!(c, ' '..='~'))
}

/// A size of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskSize {
    bytes: u64,
    text: String,
}

/// Units and their bytes; decimal as disks are sold, binary with an `i`.
const UNITS: &[(&str, u64)] = &[
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
    ("", 1),
];

/// A number below it without a unit was not meant as bytes.
const SMALLEST: u64 = 1_000_000;

/// Largest size in bytes: beyond it jq, which compares in the installer, does not tell neighbours apart.
const LARGEST: u64 = 1 << 53;

impl DiskSize {
    /// The size in bytes, at most 2^53.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl TextValue for DiskSize {
    const FORMAT: &'static str = "disk-size";
    const DESCRIPTION: &'static str =
        "A size: a whole number and B, KB, MB, GB, TB (decimal), KiB, MiB, GiB or TiB (binary).";
    const EXAMPLES: &'static [&'static str] = &["64GB", "500GiB"];
    const PATTERN: &'static str = r"^[0-9]+ ?([KMGT]i?)?B?$";
    const NUMERIC: bool = true;

    fn parse(text: &str) -> Result<Self, Complaint> {
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let unit = text[digits.len()..].trim_start();
        let factor = UNITS.iter().find(|(name, _)| *name == unit);
        let number = digits.parse::<u64>().ok();
        let bytes = number
            .zip(factor)
            .and_then(|(number, (_, factor))| number.checked_mul(*factor))
            .filter(|bytes| *bytes <= LARGEST);
        let bytes = bytes.ok_or_else(|| {
            Complaint::new(codes::DiskSize, format!("`{text}` is not a size"))
                .help("write a whole number and a unit, such as 64GB or 500GiB")
        })?;
        if unit.is_empty() && bytes < SMALLEST {
            let message =
                format!("`{text}` has no unit, and a disk of so few bytes does not exist");
            return Err(Complaint::new(codes::DiskSize, message)
                .help(format!("write a unit, such as {text}GB")));
        }
        Ok(Self {
            bytes,
            text: text.to_owned(),
        })
    }

    fn as_str(&self) -> &str {
        &self.text
    }
}

/// The place a disk is plugged in: its name in /dev/disk/by-path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskByPath(String);

impl TextValue for DiskByPath {
    const FORMAT: &'static str = "disk-by-path";
    const DESCRIPTION: &'static str =
        "The place a disk is plugged in, as ls /dev/disk/by-path shows it.";
    const EXAMPLES: &'static [&'static str] = &["/dev/disk/by-path/pci-0000:00:1f.2-ata-1"];
    const PATTERN: &'static str = r"^(/dev/disk/by-path/)?[A-Za-z0-9:._+@=-]+$";

    fn parse(text: &str) -> Result<Self, Complaint> {
        let name = text.strip_prefix("/dev/disk/by-path/").unwrap_or(text);
        let bad = |reason: &str| {
            Complaint::new(
                codes::DiskByPath,
                format!("`{text}` is not a name in /dev/disk/by-path: {reason}"),
            )
            .help("write what ls /dev/disk/by-path shows, such as pci-0000:00:1f.2-ata-1")
        };
        if name.starts_with("/dev/") {
            return Err(bad("other names of a disk change at reboot"));
        }
        let fine = |c: char| c.is_ascii_alphanumeric() || ":._+@=-".contains(c);
        if name.is_empty() || name.starts_with('.') || !name.chars().all(fine) {
            return Err(bad("it has characters that such a name does not have"));
        }
        let number = name.rsplit_once("-part").map(|(_, number)| number);
        if number.is_some_and(|number| number.chars().all(|c| c.is_ascii_digit())) {
            return Err(bad("it is a partition"));
        }
        Ok(Self(name.to_owned()))
    }

    /// The name without its folder.
    fn as_str(&self) -> &str {
        &self.0
    }
}

text_value!(DiskId, DiskGlob, DiskSize, DiskByPath);
display_text!(DiskId, DiskGlob, DiskSize, DiskByPath);
