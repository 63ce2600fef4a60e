//! Which partition of the OS image is which, in the manifest and on the disk that it was written to.

use std::path::{Path, PathBuf};

use arch::ARCH;

use crate::error::{Error, Kind, Result};
use crate::image::OsImage;

/// GPT type of an EFI system partition (UEFI specification, 5.3.3).
const ESP: &str = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";
/// GPT name of the root partition where none has the type of one.
const ROOT_NAME: &str = "rootfs";
/// GPT name of the partition of what outlives a restart of a system with an immutable root.
const PERSISTENT_NAME: &str = "edge_persistent";

/// What a partition is told by: GUID of the type, and name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label<'a> {
    /// GUID of the type, in whatever case.
    pub kind: &'a str,
    /// GPT name.
    pub name: &'a str,
}

/// The places of ESP, root and persistent partition in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    /// The ESP.
    pub esp: usize,
    /// The root partition.
    pub root: usize,
    /// The persistent partition.
    pub persistent: Option<usize>,
}

impl Roles {
    /// Finds them: the first of the type or, failing that, the first of the name.
    ///
    /// # Errors
    /// There is no ESP, or no root partition.
    pub fn of(labels: &[Label<'_>]) -> Result<Self> {
        let typed = |kind: &str| {
            let mut labels = labels.iter();
            labels.position(|one| one.kind.eq_ignore_ascii_case(kind))
        };
        let named = |name| labels.iter().position(|one| one.name == name);
        let missing = |what: String| {
            Error::new(Kind::Medium, format!("the OS image has no {what}"))
                .advice("Make the USB drive again with another OS image.")
        };
        let root = typed(ARCH.root_type).or_else(|| named(ROOT_NAME));
        let root_type = ARCH.root_type;
        let no_root = || {
            missing(format!(
                "root partition (type {root_type} or name {ROOT_NAME})"
            ))
        };
        Ok(Self {
            esp: typed(ESP).ok_or_else(|| missing("EFI system partition".into()))?,
            root: root.ok_or_else(no_root)?,
            persistent: named(PERSISTENT_NAME),
        })
    }
}

/// Whether an image has the partitions that the installer works with.
///
/// # Errors
/// It lacks one.
pub fn in_image(image: &OsImage) -> Result<Roles> {
    let partitions = image.partitions.iter();
    let labels: Vec<_> = partitions
        .map(|one| Label {
            kind: &one.kind,
            name: &one.name,
        })
        .collect();
    Roles::of(&labels)
}

/// The node of a disk's partition, by the kernel's rule.
pub fn node(disk: &Path, number: u32) -> PathBuf {
    let name = disk.to_string_lossy();
    let between = match name.ends_with(|last: char| last.is_ascii_digit()) {
        true => "p",
        false => "",
    };
    format!("{name}{between}{number}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER: &str = "0FC63DAF-8483-4772-8E79-3D69D8477DE4";

    fn label(kind: &'static str, name: &'static str) -> Label<'static> {
        Label { kind, name }
    }

    #[test]
    fn a_root_partition_is_told_by_its_type_and_else_by_its_name() {
        let esp = label("c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "any");
        let named = label(OTHER, "rootfs");
        let typed = label(ARCH.root_type, "any");
        let root = |labels: &[Label<'_>]| Roles::of(labels).map(|roles| (roles.esp, roles.root));
        assert_eq!(root(&[esp, named, typed]), Ok((0, 2)));
        assert_eq!(root(&[named, esp]), Ok((1, 0)));
    }

    #[test]
    fn a_persistent_partition_is_told_by_its_name() {
        let both = [label(ESP, ""), label(OTHER, "rootfs")];
        let with = [both[0], both[1], label(OTHER, "edge_persistent")];
        assert_eq!(Roles::of(&both).map(|roles| roles.persistent), Ok(None));
        assert_eq!(Roles::of(&with).map(|roles| roles.persistent), Ok(Some(2)));
    }

    #[test]
    fn an_image_that_lacks_one_is_the_medium_s_fault() {
        let error = Roles::of(&[label(ESP, "esp")]).expect_err("no root");
        assert_eq!(error.kind, Kind::Medium);
        let expected = format!(
            "the OS image has no root partition (type {} or name rootfs)",
            ARCH.root_type
        );
        assert_eq!(error.reason, expected);
        let error = Roles::of(&[label(OTHER, "rootfs")]).expect_err("no ESP");
        assert_eq!(error.reason, "the OS image has no EFI system partition");
    }

    #[test]
    fn partitions_are_named_by_the_kernel_s_rule() {
        for (disk, expected) in [
            ("/dev/sda", "/dev/sda2"),
            ("/dev/nvme0n1", "/dev/nvme0n1p2"),
            ("/dev/mmcblk0", "/dev/mmcblk0p2"),
        ] {
            assert_eq!(node(Path::new(disk), 2), Path::new(expected));
        }
    }
}
