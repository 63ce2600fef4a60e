//! EFI_LOAD_OPTION (UEFI specification 2.10, section 3.1.3), the content of `Boot0000`, `Boot0001`, ..., and the device
//! path in it (chapter 10). `BootOrder` names these variables by their numbers.

use serde::Serialize;
use uuid::Uuid;

use crate::{guid_at, number, u16_at, u32_at, utf16_bytes, utf16_text};

/// LOAD_OPTION_ACTIVE: the firmware tries the entry.
pub const ACTIVE: u32 = 1;

/// The parts of a device path that tell what an entry starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum DevicePathNode {
    /// An NVMe namespace.
    Nvme,
    /// A SATA port.
    Sata,
    /// A USB port.
    Usb,
    /// A GPT partition, by its unique GUID.
    Partition(Uuid),
    /// A file on the partition.
    File(String),
    /// A network card.
    Network,
    /// A program inside the firmware, such as its shell or set-up.
    Firmware,
    /// Anything else: type and sub-type.
    Other(u8, u8),
}

/// What a boot entry starts, and how it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadOption {
    /// [`ACTIVE`] and others.
    pub attributes: u32,
    /// Its name for people.
    pub description: String,
    /// The first of its device paths, without roots and bridges, which say nothing of the device at the end.
    pub path: Vec<DevicePathNode>,
    /// What is handed to the program. Firmware marks here the entries that it makes by itself.
    pub optional_data: Vec<u8>,
}

impl LoadOption {
    /// Reads the content of a variable. Nothing for one that ends too early; nodes of any kind, or with less in them
    /// than their kind has, are [`DevicePathNode::Other`].
    #[must_use]
    pub fn read(data: &[u8]) -> Option<Self> {
        let attributes = u32_at(data, 0)?;
        let length = usize::from(u16_at(data, 4)?);
        let rest = data.get(6..)?;
        let end = rest.chunks_exact(2).position(|pair| pair == [0, 0])? * 2;
        let (path, optional_data) = rest.get(end + 2..)?.split_at_checked(length)?;
        Some(Self {
            attributes,
            description: utf16_text(&rest[..end]),
            path: device_path(path)?,
            optional_data: optional_data.to_vec(),
        })
    }

    /// True when the firmware tries it.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.attributes & ACTIVE != 0
    }

    /// True when it starts this file of this partition, whatever leads to the partition. Names on a FAT file system
    /// have no case.
    #[must_use]
    pub fn starts(&self, partition: Uuid, file: &str) -> bool {
        let nodes = self.path.iter();
        let mut nodes = nodes.skip_while(|node| **node != DevicePathNode::Partition(partition));
        if nodes.next().is_none() {
            return false;
        }
        // A path may be parted into several nodes.
        let mut whole = String::new();
        for node in nodes {
            let DevicePathNode::File(part) = node else {
                return false;
            };
            whole.push('\\');
            whole.push_str(part);
        }
        parts(&whole).eq(parts(file))
    }
}

fn parts(path: &str) -> impl Iterator<Item = String> {
    let parts = path.split(['\\', '/']).filter(|part| !part.is_empty());
    parts.map(str::to_uppercase)
}

/// A GPT partition as a device path names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HardDrive {
    /// Its number in the table, from 1.
    pub number: u32,
    /// Its first sector.
    pub start: u64,
    /// Sectors.
    pub size: u64,
    /// Its unique GUID.
    pub guid: Uuid,
}

impl HardDrive {
    /// The content of the active entry that starts `file` of this partition.
    #[must_use]
    pub fn load_option(&self, description: &str, file: &str) -> Vec<u8> {
        let mut hard_drive = Vec::new();
        hard_drive.extend(self.number.to_le_bytes());
        hard_drive.extend(self.start.to_le_bytes());
        hard_drive.extend(self.size.to_le_bytes());
        hard_drive.extend(self.guid.to_bytes_le());
        // Of a GPT, and so named by a GUID.
        hard_drive.extend([2, 2]);
        let mut path = node(4, 1, &hard_drive);
        path.extend(node(4, 4, &utf16_bytes(file)));
        path.extend(node(0x7f, 0xff, &[]));
        let mut option = ACTIVE.to_le_bytes().to_vec();
        option.extend(length(path.len()));
        option.extend(utf16_bytes(description));
        option.extend(path);
        option
    }
}

/// A node: type, sub-type, length with these four bytes, content.
fn node(kind: u8, sub: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, sub];
    bytes.extend(length(content.len() + 4));
    bytes.extend(content);
    bytes
}

/// File names are shorter than FAT allows, far below what two bytes can say.
fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).unwrap_or(u16::MAX).to_le_bytes()
}

/// The nodes up to the end of the first path. Nothing where a node ends behind the last byte.
fn device_path(mut bytes: &[u8]) -> Option<Vec<DevicePathNode>> {
    let mut nodes = Vec::new();
    while bytes.len() >= 4 && bytes[0] != 0x7f {
        let length = usize::from(u16::from_le_bytes([bytes[2], bytes[3]]));
        nodes.extend(read_node(bytes[0], bytes[1], bytes.get(4..length)?));
        bytes = &bytes[length..];
    }
    Some(nodes)
}

fn read_node(kind: u8, sub: u8, content: &[u8]) -> Option<DevicePathNode> {
    Some(match (kind, sub) {
        // Roots and bridges.
        (1 | 2, _) => return None,
        (3, 5) => DevicePathNode::Usb,
        (3, 11) => DevicePathNode::Network,
        (3, 18) => DevicePathNode::Sata,
        (3, 23) => DevicePathNode::Nvme,
        (4, 1) => partition(content).unwrap_or(DevicePathNode::Other(kind, sub)),
        (4, 4) => DevicePathNode::File(utf16_text(content)),
        (4, 6 | 7) => DevicePathNode::Firmware,
        _ => DevicePathNode::Other(kind, sub),
    })
}

/// Number u32, start u64, size u64, signature of 16 bytes, format, type of the signature: 2 is a GUID.
fn partition(content: &[u8]) -> Option<DevicePathNode> {
    let is_guid = number(content, 37) == Some([2]);
    is_guid.then(|| guid_at(content, 20).map(DevicePathNode::Partition))?
}

/// The numbers in the content of `BootOrder`; also that of `BootNext`, which has one.
#[must_use]
pub fn order(data: &[u8]) -> Vec<u16> {
    let pairs = data.chunks_exact(2);
    pairs
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect()
}

/// The content of `BootOrder` with these numbers.
#[must_use]
pub fn order_bytes(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().copied().flat_map(u16::to_le_bytes).collect()
}

#[cfg(test)]
mod tests {
    use uuid::uuid;

    use super::*;

    const LOADER: &str = r"\EFI\BOOT\LOADER.EFI";
    const ESP: Uuid = uuid!("01234567-89ab-cdef-0123-456789abcdef");
    const OURS: HardDrive = HardDrive {
        number: 1,
        start: 0x800,
        size: 0x10_0000,
        guid: ESP,
    };

    /// A load option with this device path.
    fn option(path: &[u8]) -> Vec<u8> {
        let mut bytes = vec![1, 0, 0, 0];
        bytes.extend(length(path.len()));
        bytes.extend(utf16_bytes("x"));
        bytes.extend(path);
        bytes
    }

    fn path(nodes: &[Vec<u8>]) -> Vec<u8> {
        option(&[nodes.concat(), node(0x7f, 0xff, &[])].concat())
    }

    fn hard_drive() -> Vec<u8> {
        let made = OURS.load_option("", "");
        made[8..8 + 42].to_vec()
    }

    #[test]
    fn is_written_as_the_specification_says() {
        let expected = "010000003a00 45004d0054005300 0000 \
            04012a00 01000000 0008000000000000 0000100000000000 67452301ab89efcd 0123456789abcdef 0202 \
            04040c00 5c00 61002e00 0000 7fff0400"
            .replace(' ', "");
        let made = OURS.load_option("EMTS", r"\a.");
        let hex: String = made.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let read = LoadOption::read(&OURS.load_option("Größe 日", LOADER)).unwrap();
        assert_eq!(read.description, "Größe 日");
        assert!(read.is_active() && read.starts(ESP, LOADER) && read.optional_data.is_empty());
        assert_eq!(
            read.path,
            [
                DevicePathNode::Partition(ESP),
                DevicePathNode::File(LOADER.into())
            ]
        );
    }

    #[test]
    fn optional_data_is_what_follows_the_paths() {
        let mut bytes = OURS.load_option("EMTS", LOADER);
        bytes.extend(b"\0\0BO");
        assert_eq!(LoadOption::read(&bytes).unwrap().optional_data, b"\0\0BO");
    }

    #[test]
    fn an_entry_is_active_by_its_lowest_bit() {
        let mut bytes = OURS.load_option("EMTS", LOADER);
        bytes[0] = 0x0a;
        assert!(!LoadOption::read(&bytes).unwrap().is_active());
        bytes[0] = 0x0b;
        assert!(LoadOption::read(&bytes).unwrap().is_active());
    }

    #[test]
    fn a_file_is_the_same_in_any_case_in_parts_and_behind_hardware() {
        let file = |name: &str| node(4, 4, &utf16_bytes(name));
        let root = node(2, 1, &[0; 8]);
        let nvme = node(3, 23, &[0; 12]);
        for nodes in [
            vec![hard_drive(), file(r"\efi\boot\loader.efi")],
            vec![hard_drive(), file(r"\EFI"), file(r"BOOT\LOADER.EFI")],
            vec![hard_drive(), file(r"EFI/BOOT//LOADER.EFI")],
            vec![root, nvme, hard_drive(), file(LOADER)],
        ] {
            let read = LoadOption::read(&path(&nodes)).unwrap();
            assert!(read.starts(ESP, LOADER), "{read:?}");
        }
    }

    #[test]
    fn another_file_partition_or_nothing_behind_the_partition_is_another_target() {
        let file = |name: &str| node(4, 4, &utf16_bytes(name));
        for nodes in [
            vec![hard_drive()],
            vec![file(LOADER)],
            vec![file(LOADER), hard_drive()],
            vec![hard_drive(), file(r"\EFI\BOOT\LOADER.EFI.old")],
            vec![hard_drive(), file(r"\EFI\BOOT")],
            vec![hard_drive(), file(LOADER), node(3, 5, &[0; 2])],
        ] {
            let read = LoadOption::read(&path(&nodes)).unwrap();
            assert!(!read.starts(ESP, LOADER), "{read:?}");
        }
        let read = LoadOption::read(&OURS.load_option("EMTS", LOADER)).unwrap();
        assert!(!read.starts(uuid!("01234567-89ab-cdef-0123-456789abcdee"), LOADER));
    }

    #[test]
    fn nodes_of_other_kinds_and_of_no_length_that_they_should_have_are_kept() {
        let vendor = node(1, 4, &[7; 16]);
        let bios = node(5, 1, b"\x02\0\0\0Hard Drive\0");
        let message = node(3, 10, &[7; 21]);
        let short = node(4, 1, &[1, 0, 0, 0]);
        let mut by_mbr = hard_drive();
        by_mbr[41] = 1;
        let nodes = [vendor, bios, message, short, by_mbr, node(4, 6, &[7; 16])];
        assert_eq!(
            LoadOption::read(&path(&nodes)).unwrap().path,
            [
                DevicePathNode::Other(5, 1),
                DevicePathNode::Other(3, 10),
                DevicePathNode::Other(4, 1),
                DevicePathNode::Other(4, 1),
                DevicePathNode::Firmware,
            ]
        );
    }

    #[test]
    fn devices_are_told_by_their_last_bus() {
        let nodes = [(3, 5), (3, 11), (3, 18), (3, 23), (4, 7)];
        let nodes = nodes.map(|(kind, sub)| node(kind, sub, &[0; 6]));
        assert_eq!(
            LoadOption::read(&path(&nodes)).unwrap().path,
            [
                DevicePathNode::Usb,
                DevicePathNode::Network,
                DevicePathNode::Sata,
                DevicePathNode::Nvme,
                DevicePathNode::Firmware,
            ]
        );
    }

    #[test]
    fn only_the_first_device_path_counts() {
        let second = [node(0x7f, 1, &[]), hard_drive()].concat();
        let read = LoadOption::read(&path(&[node(3, 5, &[0; 2]), second])).unwrap();
        assert_eq!(read.path, [DevicePathNode::Usb]);
    }

    #[test]
    fn what_ends_too_early_is_no_load_option() {
        let whole = OURS.load_option("EMTS", LOADER);
        for length in 0..whole.len() {
            assert_eq!(LoadOption::read(&whole[..length]), None, "{length} bytes");
        }
        // A node that is longer than what follows, and one shorter than its own header.
        assert_eq!(LoadOption::read(&option(&[4, 1, 200, 0, 1, 1])), None);
        assert_eq!(LoadOption::read(&option(&[4, 1, 3, 0, 1, 1])), None);
        assert_eq!(LoadOption::read(&option(&[4, 1, 0, 0, 1, 1])), None);
    }

    #[test]
    fn an_order_is_a_row_of_numbers() {
        assert_eq!(order(&[3, 0, 1, 0x20, 9]), [3, 0x2001]);
        assert_eq!(order_bytes(&[3, 0x2001]), [3, 0, 1, 0x20]);
    }
}
