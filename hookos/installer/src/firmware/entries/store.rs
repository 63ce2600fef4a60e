//! Variables of a firmware for tests, and entries for them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

use efi::{GLOBAL_VARIABLE, HardDrive, Uuid, uuid};
use rustix::io::Errno;

use super::{BOOT_ORDER, Boot, DESCRIPTION, loader, variable};
use crate::error::Result;
use crate::firmware::variables::Variables;

/// Variables in memory, of a firmware that refuses some of them or makes something else of them.
#[derive(Default)]
pub struct Store {
    variables: RefCell<BTreeMap<String, Vec<u8>>>,
    refuses: Option<(&'static str, Errno)>,
    becomes: Option<(&'static str, Vec<u8>)>,
}

impl Store {
    pub fn new(order: &[u16], entries: &[(u16, Vec<u8>)]) -> Self {
        let mut variables: BTreeMap<String, Vec<u8>> = entries
            .iter()
            .map(|(number, content)| (variable(*number), content.clone()))
            .collect();
        variables.insert(BOOT_ORDER.into(), efi::order_bytes(order));
        Self {
            variables: RefCell::new(variables),
            ..Self::default()
        }
    }

    /// Writing a variable is refused; reading or removing it with `read ` or `remove ` before its name.
    pub fn refusing(self, name: &'static str, errno: Errno) -> Self {
        Self {
            refuses: Some((name, errno)),
            ..self
        }
    }

    pub fn with(self, name: &str, content: &[u8]) -> Self {
        self.variables
            .borrow_mut()
            .insert(name.into(), content.to_vec());
        self
    }

    pub fn content(&self) -> BTreeMap<String, Vec<u8>> {
        self.variables.borrow().clone()
    }

    pub fn order(&self) -> Vec<u16> {
        efi::order(&self.variables.borrow()[BOOT_ORDER])
    }

    /// What is written to a variable becomes something else.
    pub fn making(self, name: &'static str, content: Vec<u8>) -> Self {
        Self {
            becomes: Some((name, content)),
            ..self
        }
    }

    fn refused(&self, name: &str) -> io::Result<()> {
        match self.refuses {
            Some((refused, errno)) if refused == name => Err(errno.into()),
            _ => Ok(()),
        }
    }

    /// Puts the entry of [`ESP`] first.
    pub fn put_first(&self) -> Result<u16> {
        self.put_first_after(&[])
    }

    pub fn put_first_after(&self, replaced: &[Uuid]) -> Result<u16> {
        let plan = Boot::read(self)?.plan(&ESP, replaced)?;
        plan.carry_out(self, ESP.guid)?;
        Ok(plan.number)
    }
}

impl Variables for Store {
    fn names(&self) -> io::Result<BTreeSet<String>> {
        Ok(self.variables.borrow().keys().cloned().collect())
    }

    fn read(&self, name: &str, vendor: Uuid) -> io::Result<Option<Vec<u8>>> {
        assert_eq!(vendor, GLOBAL_VARIABLE);
        match self.refuses {
            Some((refused, errno)) if refused.strip_prefix("read ") == Some(name) => {
                Err(errno.into())
            }
            _ => Ok(self.variables.borrow().get(name).cloned()),
        }
    }

    fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        self.refused(name)?;
        let content = match &self.becomes {
            Some((changed, other)) if *changed == name => other,
            _ => content,
        };
        self.variables
            .borrow_mut()
            .insert(name.into(), content.to_vec());
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match self.refuses {
            Some((refused, errno)) if refused.strip_prefix("remove ") == Some(name) => {
                Err(errno.into())
            }
            _ => {
                self.variables.borrow_mut().remove(name);
                Ok(())
            }
        }
    }
}

pub const ESP: HardDrive = HardDrive {
    number: 1,
    start: 2048,
    size: 1_048_576,
    guid: uuid!("52d7e60c-d263-4bab-9d3c-8dd83aba16b2"),
};
/// The ESP that was on the same disk before.
pub const OLD: HardDrive = HardDrive {
    guid: uuid!("00000000-1111-2222-3333-444444444444"),
    ..ESP
};

pub fn ours() -> Vec<u8> {
    ESP.load_option(DESCRIPTION, &loader())
}

/// A load option of this name that starts a USB device.
pub fn usb(description: &str) -> Vec<u8> {
    option(description, &[3, 5, 6, 0, 1, 0, 0x7f, 0xff, 4, 0])
}

pub fn option(description: &str, path: &[u8]) -> Vec<u8> {
    let mut bytes = vec![1, 0, 0, 0];
    bytes.extend(
        u16::try_from(path.len())
            .expect("it is short")
            .to_le_bytes(),
    );
    bytes.extend(
        description
            .encode_utf16()
            .chain([0])
            .flat_map(u16::to_le_bytes),
    );
    bytes.extend(path);
    bytes
}
