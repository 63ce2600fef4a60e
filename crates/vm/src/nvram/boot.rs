//! Boot variables decoded: BootOrder and the load options Boot0000, Boot0001, ...

use efi::{DevicePathNode, HardDrive, LoadOption, Uuid};
use serde::Serialize;

use super::store::{NvramError, Variable, read_store};

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
        let order = order.map_or_else(Vec::new, |variable| efi::order(&variable.data));
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
    let decoded = LoadOption::read(&variable.data);
    Some(BootEntry {
        number,
        active: decoded.as_ref().is_some_and(LoadOption::is_active),
        decoded: decoded.is_some(),
        description: decoded
            .as_ref()
            .map_or_else(String::new, |option| option.description.clone()),
        path: decoded.map_or_else(Vec::new, |option| option.path),
    })
}

/// The load option of a boot loader on a GPT partition, which it names by its unique GUID (in memory order).
#[must_use]
pub fn load_option(description: &str, partition: [u8; 16]) -> Vec<u8> {
    let esp = HardDrive {
        number: 1,
        start: 2048,
        size: 65536,
        guid: Uuid::from_bytes_le(partition),
    };
    esp.load_option(description, "\\EFI\\other\\grubx64.efi")
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
}
