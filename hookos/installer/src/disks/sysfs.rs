//! Attributes and links of sysfs.

use std::fs;
use std::path::{Path, PathBuf};

/// A tree of sysfs: `/sys`, or one that a test has made.
#[derive(Debug, Clone)]
pub struct Sysfs {
    root: PathBuf,
}

impl Sysfs {
    /// The tree at this place.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The directory of a block device.
    pub fn block(&self, name: &str) -> PathBuf {
        self.root.join("class/block").join(name)
    }

    /// A directory below the root.
    pub fn directory(&self, below: &str) -> PathBuf {
        self.root.join(below)
    }

    /// The device that a disk belongs to, without links; of an NVMe disk with several paths the first controller, as
    /// the subsystem that it hangs on has no place of its own.
    pub fn hardware(&self, name: &str) -> Option<PathBuf> {
        let device = fs::canonicalize(self.block(name).join("device")).ok()?;
        if !device
            .components()
            .any(|one| one.as_os_str() == "nvme-subsystem")
        {
            return Some(device);
        }
        let mut controllers = entries(&device);
        controllers.retain(|entry| numbered(entry, "nvme"));
        controllers.sort_by_key(|name| (name.len(), name.clone()));
        let first = controllers.first().map(|name| device.join(name));
        Some(
            first
                .and_then(|link| fs::canonicalize(link).ok())
                .unwrap_or(device),
        )
    }

    /// A device and all above it, up to the root of the devices.
    pub fn upwards(&self, device: &Path) -> Vec<PathBuf> {
        let top = self.root.join("devices");
        let above = device.ancestors();
        above
            .take_while(|at| at.starts_with(&top) && **at != top)
            .map(Path::to_owned)
            .collect()
    }
}

/// The names in a directory; none where it is not there.
pub fn entries(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut names: Vec<_> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// An attribute without blanks around it; empty where it is not there or the kernel refuses to read it.
pub fn text(path: &Path) -> String {
    fs::read(path).map_or_else(|_| String::new(), |bytes| as_text(&bytes))
}

/// A number; `None` where it is not there or is none.
pub fn number(path: &Path) -> Option<u64> {
    text(path).parse().ok()
}

/// The name of what a link leads to.
pub fn link(path: &Path) -> Option<String> {
    let target = fs::read_link(path).ok()?;
    Some(target.file_name()?.to_string_lossy().into_owned())
}

/// What a device calls itself as text: without the blanks and NULs around it. Two names that differ in a byte differ.
pub fn as_text(bytes: &[u8]) -> String {
    let empty = |byte: &u8| *byte == 0 || byte.is_ascii_whitespace();
    let start = bytes
        .iter()
        .position(|byte| !empty(byte))
        .unwrap_or(bytes.len());
    let end = bytes
        .iter()
        .rposition(|byte| !empty(byte))
        .map_or(start, |at| at + 1);
    let bytes: Vec<u8> = bytes[start..end]
        .iter()
        .copied()
        .filter(|byte| *byte != 0)
        .collect();
    String::from_utf8(bytes).unwrap_or_else(|error| {
        let byte = |byte: &u8| match byte {
            byte if byte.is_ascii() => char::from(*byte).to_string(),
            byte => format!("\\x{byte:02x}"),
        };
        error.as_bytes().iter().map(byte).collect()
    })
}

/// Whether a name is a prefix and a number.
pub fn numbered(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix)
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_in_a_byte_differ_as_text() {
        assert_eq!(as_text(b"\0 A\0B \n"), "AB");
        assert_eq!(as_text(b"A\\tB"), "A\\tB");
        assert_eq!(as_text("é".as_bytes()), "é");
        assert_eq!(as_text(b"a\xe9"), "a\\xe9");
        assert_eq!(as_text(b" \0"), "");
    }

    #[test]
    fn a_name_with_a_number_has_nothing_else() {
        assert!(numbered("nvme0", "nvme") && numbered("ata12", "ata"));
        assert!(
            !numbered("nvme0n1", "nvme") && !numbered("nvme", "nvme") && !numbered("host0", "nvme")
        );
    }
}
