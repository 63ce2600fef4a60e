//! Boot variables decoded: BootOrder and the load options Boot0000, Boot0001, ...

use serde::Serialize;

use super::store::{NvramError, Variable, read_store, utf16};

/// LOAD_OPTION_ACTIVE of the UEFI specification.
const ACTIVE: u32 = 1;

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
    /// A GPT partition, by its unique GUID as text.
    Partition(String),
    /// A file on the partition.
    File(String),
    /// A network card.
    Network,
    /// A program inside the firmware, such as its shell or set-up.
    Firmware,
    /// Anything else: type and sub-type.
    Other(u8, u8),
}

/// One boot entry. An entry that cannot be decoded is kept with its number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BootEntry {
    /// Its number, as in `Boot0003`.
    pub number: u16,
    /// Its name.
    pub description: String,
    /// True when the firmware tries it.
    pub active: bool,
    /// Its device path.
    pub path: Vec<DevicePathNode>,
    /// True when its content was understood.
    pub decoded: bool,
}

impl BootEntry {
    /// True for an entry that starts a USB device.
    #[must_use]
    pub fn is_usb(&self) -> bool {
        self.path.contains(&DevicePathNode::Usb)
    }
}

/// The boot variables of a store.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct BootVariables {
    /// The order in which entries are tried.
    pub order: Vec<u16>,
    /// All entries, by number.
    pub entries: Vec<BootEntry>,
}

impl BootVariables {
    /// Decodes the content of a variable file.
    ///
    /// # Errors
    /// The content is no variable store.
    pub fn from_file_content(bytes: &[u8]) -> Result<Self, NvramError> {
        Ok(Self::from_variables(&read_store(bytes)?))
    }

    fn from_variables(variables: &[Variable]) -> Self {
        let order = variables
            .iter()
            .find(|variable| variable.name == "BootOrder");
        let order = order.map_or_else(Vec::new, |variable| {
            variable
                .data
                .chunks_exact(2)
                .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
                .collect()
        });
        let mut entries: Vec<BootEntry> = variables.iter().filter_map(entry).collect();
        entries.sort_by_key(|entry| entry.number);
        Self { order, entries }
    }

    /// The entry of a number.
    #[must_use]
    pub fn entry(&self, number: u16) -> Option<&BootEntry> {
        self.entries.iter().find(|entry| entry.number == number)
    }

    /// The entry that is tried first.
    #[must_use]
    pub fn first(&self) -> Option<&BootEntry> {
        self.order.first().and_then(|number| self.entry(*number))
    }

    /// The order in words, such as `Boot0003 EMTS, Boot0001 UEFI QEMU USB`.
    #[must_use]
    pub fn order_text(&self) -> String {
        let names = self.order.iter().map(|number| {
            let description = self
                .entry(*number)
                .map_or("(no such entry)", |entry| entry.description.as_str());
            format!("Boot{number:04X} {description}")
        });
        names.collect::<Vec<_>>().join(", ")
    }
}

fn entry(variable: &Variable) -> Option<BootEntry> {
    let digits = variable
        .name
        .strip_prefix("Boot")
        .filter(|digits| digits.len() == 4)?;
    let number = u16::from_str_radix(digits, 16).ok()?;
    let decoded = read_load_option(&variable.data);
    let ok = decoded.is_some();
    let (attributes, description, path) = decoded.unwrap_or_default();
    Some(BootEntry {
        number,
        description,
        active: attributes & ACTIVE != 0,
        path,
        decoded: ok,
    })
}

/// EFI_LOAD_OPTION: attributes u32, length of the device path u16, description
/// (UTF-16, NUL), device path, optional data.
fn read_load_option(data: &[u8]) -> Option<(u32, String, Vec<DevicePathNode>)> {
    let attributes = u32::from_le_bytes(data.get(..4)?.try_into().ok()?);
    let length = usize::from(u16::from_le_bytes(data.get(4..6)?.try_into().ok()?));
    let rest = &data[6..];
    let end = rest.chunks_exact(2).position(|pair| pair == [0, 0])? * 2;
    let description = utf16(&rest[..end]);
    let path = rest.get(end + 2..end + 2 + length)?;
    Some((attributes, description, device_path(path)?))
}

/// The load option of a boot loader on a GPT partition, which it names by its unique GUID (in memory order).
#[must_use]
pub fn load_option(description: &str, partition: [u8; 16]) -> Vec<u8> {
    // Hard drive: number u32, start u64, size u64, signature, format 2 (GPT), signature type 2 (GUID).
    let mut path = vec![4, 1, 42, 0];
    path.extend(1u32.to_le_bytes());
    path.extend(2048u64.to_le_bytes());
    path.extend(65536u64.to_le_bytes());
    path.extend(partition);
    path.extend([2, 2]);
    let file: Vec<u8> = "\\EFI\\other\\grubx64.efi"
        .encode_utf16()
        .chain([0])
        .flat_map(u16::to_le_bytes)
        .collect();
    path.extend([4, 4]);
    path.extend(u16::try_from(file.len() + 4).unwrap_or(0).to_le_bytes());
    path.extend(file);
    path.extend([0x7f, 0xff, 4, 0]);
    let mut option = ACTIVE.to_le_bytes().to_vec();
    option.extend(u16::try_from(path.len()).unwrap_or(0).to_le_bytes());
    option.extend(
        description
            .encode_utf16()
            .chain([0])
            .flat_map(u16::to_le_bytes),
    );
    option.extend(path);
    option
}

/// Nodes of type u8, sub-type u8, length u16 (with this header), data; the end
/// is type 0x7f.
fn device_path(mut bytes: &[u8]) -> Option<Vec<DevicePathNode>> {
    let mut nodes = Vec::new();
    while bytes.len() >= 4 && bytes[0] != 0x7f {
        let length = usize::from(u16::from_le_bytes([bytes[2], bytes[3]]));
        let data = bytes.get(4..length)?;
        nodes.extend(node(bytes[0], bytes[1], data));
        bytes = &bytes[length..];
    }
    Some(nodes)
}

fn node(kind: u8, sub: u8, data: &[u8]) -> Option<DevicePathNode> {
    Some(match (kind, sub) {
        // Roots and bridges say nothing of the device at their end.
        (1 | 2, _) => return None,
        (3, 5) => DevicePathNode::Usb,
        (3, 11) => DevicePathNode::Network,
        (3, 18) => DevicePathNode::Sata,
        (3, 23) => DevicePathNode::Nvme,
        // Hard drive: number u32, start u64, size u64, signature 16, format, signature type.
        (4, 1) => DevicePathNode::Partition(guid_text(data.get(20..36)?)),
        (4, 4) => DevicePathNode::File(utf16(data)),
        (4, 6 | 7) => DevicePathNode::Firmware,
        _ => DevicePathNode::Other(kind, sub),
    })
}

/// A GUID in memory order as text.
fn guid_text(bytes: &[u8]) -> String {
    let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let mut text = String::with_capacity(36);
    for (at, index) in order.into_iter().enumerate() {
        if [4, 6, 8, 10].contains(&at) {
            text.push('-');
        }
        text.push_str(&format!("{:02x}", bytes[index]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::store::tests::store;
    use super::*;

    fn option(description: &str, path: &[u8]) -> Vec<u8> {
        let mut bytes = 1u32.to_le_bytes().to_vec();
        bytes.extend(u16::try_from(path.len()).unwrap().to_le_bytes());
        bytes.extend(
            description
                .encode_utf16()
                .chain([0])
                .flat_map(u16::to_le_bytes),
        );
        bytes.extend(path);
        bytes
    }

    const USB: &[u8] = &[3, 5, 6, 0, 1, 0, 0x7f, 0xff, 4, 0];

    #[test]
    fn decodes_order_and_entries() {
        let usb = option("UEFI QEMU USB", USB);
        let variables = BootVariables::from_file_content(&store(&[
            ("BootOrder", 0x3f, &[3, 0, 1, 0]),
            ("Boot0001", 0x3f, &usb),
            ("Boot0003", 0x3f, &option("EMTS", &[])),
        ]))
        .unwrap();
        assert_eq!(
            variables.order_text(),
            "Boot0003 EMTS, Boot0001 UEFI QEMU USB"
        );
        assert!(variables.entry(1).unwrap().is_usb());
        assert_eq!(variables.first().unwrap().description, "EMTS");
    }

    #[test]
    fn a_load_option_is_read_as_it_was_made() {
        let option = load_option("Other System", *b"0123456789abcdef");
        let (attributes, description, path) = read_load_option(&option).unwrap();
        assert_eq!((attributes, description.as_str()), (ACTIVE, "Other System"));
        assert_eq!(
            path,
            [
                DevicePathNode::Partition(guid_text(b"0123456789abcdef")),
                DevicePathNode::File("\\EFI\\other\\grubx64.efi".into())
            ]
        );
    }

    #[test]
    fn a_broken_entry_is_kept_undecoded() {
        let variables =
            BootVariables::from_file_content(&store(&[("Boot0007", 0x3f, &[1, 0, 0])])).unwrap();
        let entry = variables.entry(7).unwrap();
        assert!(!entry.decoded && !entry.active);
    }

    #[test]
    fn an_order_may_name_an_entry_that_is_gone() {
        let variables =
            BootVariables::from_file_content(&store(&[("BootOrder", 0x3f, &[9, 0])])).unwrap();
        assert_eq!(
            (variables.order_text().as_str(), variables.first()),
            ("Boot0009 (no such entry)", None)
        );
    }

    #[test]
    fn writes_a_guid_as_gpt_tools_do() {
        let bytes: Vec<u8> = (0..16).collect();
        assert_eq!(guid_text(&bytes), "03020100-0504-0706-0809-0a0b0c0d0e0f");
    }
}
