//! The boot entry of the installed system: found or made, and put first. What has to change is planned as a value and
//! then done, so that a refusal leaves the firmware as it was.

use std::collections::BTreeSet;
use std::io::ErrorKind;

use arch::ARCH;
use efi::{GLOBAL_VARIABLE, HardDrive, LoadOption, Uuid};

use super::variables::{Variables, refused};
use crate::error::{Error, Kind, Result};

/// The name of the installed system's entry.
pub const DESCRIPTION: &str = "EMTS";

const BOOT_ORDER: &str = "BootOrder";
const BOOT_NEXT: &str = "BootNext";

/// What the firmware starts of the disk, as load options write it.
pub fn loader() -> String {
    format!("\\{}", ARCH.boot_file.replace('/', "\\"))
}

/// The name of an entry's variable.
pub fn variable(number: u16) -> String {
    format!("Boot{number:04X}")
}

/// The number of a boot entry's variable. Some firmware writes its digits in lower case.
fn entry_number(name: &str) -> Option<u16> {
    let digits = name.strip_prefix("Boot")?;
    let is_number = digits.len() == 4 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_number.then(|| u16::from_str_radix(digits, 16).ok())?
}

/// A boot entry as it is. What cannot be read or parsed is no entry of anybody's that is known, and stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub number: u16,
    name: String,
    option: Option<LoadOption>,
}

impl Entry {
    /// Whether it is the installer's, of this partition: what starts the same and was made by a person or a program. The
    /// firmware's own entries have data by which it knows them, and it would make them again.
    fn is_of(&self, partition: Uuid) -> bool {
        let option = self.option.as_ref();
        option.is_some_and(|option| {
            option.optional_data.is_empty() && option.starts(partition, &loader())
        })
    }

    fn is_called(&self, description: &str) -> bool {
        self.option
            .as_ref()
            .is_some_and(|option| option.description == description)
    }

    fn is_active(&self) -> bool {
        self.option.as_ref().is_some_and(LoadOption::is_active)
    }
}

/// The boot variables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Boot {
    /// All entries, by number.
    pub entries: Vec<Entry>,
    /// `BootOrder`, empty where there is none.
    pub order: Vec<u16>,
    /// `BootNext`.
    pub next: Option<u16>,
    current: Option<u16>,
}

impl Boot {
    /// Reads them.
    ///
    /// # Errors
    /// The variables cannot be listed, or `BootOrder` is there and cannot be read: it must not be replaced then.
    pub fn read(variables: &impl Variables) -> Result<Self> {
        let names = variables
            .names()
            .map_err(|error| refused("listing the variables", &error))?;
        let mut entries: Vec<Entry> = names
            .into_iter()
            .filter_map(|name| {
                let number = entry_number(&name)?;
                let content = variables.read(&name, GLOBAL_VARIABLE).ok().flatten();
                let option = content.and_then(|content| LoadOption::read(&content));
                Some(Entry {
                    number,
                    name,
                    option,
                })
            })
            .collect();
        entries.sort_by_key(|entry| entry.number);
        let order = variables.read(BOOT_ORDER, GLOBAL_VARIABLE);
        let order = order.map_err(|error| refused("reading BootOrder", &error))?;
        let number = |name| variables.read(name, GLOBAL_VARIABLE).ok().flatten();
        let number = |name| number(name).and_then(|content| efi::order(&content).first().copied());
        Ok(Self {
            entries,
            order: efi::order(&order.unwrap_or_default()),
            next: number(BOOT_NEXT),
            current: number("BootCurrent"),
        })
    }

    /// An entry by its number, with its name where it can be parsed.
    pub fn shown(&self, number: u16) -> String {
        let entry = self.entries.iter().find(|entry| entry.number == number);
        let option = entry.and_then(|entry| entry.option.as_ref());
        match option {
            Some(option) => format!("{} ({})", variable(number), option.description),
            None => variable(number),
        }
    }

    /// What makes the entry of this ESP the first. `replaced` are the partitions that were on its disk before.
    ///
    /// # Errors
    /// All numbers are taken.
    pub fn plan(&self, esp: &HardDrive, replaced: &[Uuid]) -> Result<Plan> {
        let is_left_over = |entry: &Entry| {
            entry.is_called(DESCRIPTION) && replaced.iter().any(|partition| entry.is_of(*partition))
        };
        let place = |number| {
            self.order
                .iter()
                .position(|other| *other == number)
                .unwrap_or(usize::MAX)
        };
        let mut ours: Vec<&Entry> = self.entries.iter().collect();
        ours.retain(|entry| entry.is_of(esp.guid) || is_left_over(entry));
        ours.sort_by_key(|entry| {
            let (ours, named) = (entry.is_of(esp.guid), entry.is_called(DESCRIPTION));
            (!ours, !named, place(entry.number), entry.number)
        });
        let kept = ours.first();
        let is_right = |entry: &Entry| {
            entry.is_of(esp.guid) && entry.is_called(DESCRIPTION) && entry.is_active()
        };
        let (number, name) = match kept {
            Some(entry) => (entry.number, entry.name.clone()),
            None => self.free().map(|number| (number, variable(number)))?,
        };
        let remove: Vec<&Entry> = ours.iter().skip(1).copied().collect();
        let others = self.order.iter().copied();
        let mut order = vec![number];
        order.extend(others.filter(|other| {
            *other != number && !remove.iter().any(|entry| entry.number == *other)
        }));
        Ok(Plan {
            number,
            content: (!kept.is_some_and(|entry| is_right(entry)))
                .then(|| esp.load_option(DESCRIPTION, &loader())),
            is_new: kept.is_none(),
            order: (order != self.order).then_some(order),
            remove: remove.into_iter().map(|entry| entry.name.clone()).collect(),
            name,
        })
    }

    /// The lowest number that nothing names.
    fn free(&self) -> Result<u16> {
        let entries = self.entries.iter().map(|entry| entry.number);
        let named = self
            .order
            .iter()
            .copied()
            .chain(self.next)
            .chain(self.current);
        let taken: BTreeSet<u16> = entries.chain(named).collect();
        let free = (0..=u16::MAX).find(|number| !taken.contains(number));
        free.ok_or_else(|| {
            Error::new(
                Kind::Environment,
                "the firmware has an entry of each number",
            )
        })
    }
}

/// What has to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The entry's number.
    pub number: u16,
    /// Its variable.
    name: String,
    /// What the entry gets, unless it is right.
    content: Option<Vec<u8>>,
    /// Whether there was no variable of the name.
    is_new: bool,
    /// What `BootOrder` gets, unless it is right.
    order: Option<Vec<u16>>,
    /// The variables of further entries of the same system.
    remove: Vec<String>,
}

impl Plan {
    /// Does it: the entry, the order, then what is double. Where one of the first two is refused the entry is again what
    /// it was.
    ///
    /// # Errors
    /// The firmware refuses a variable, or keeps an entry or an order that does not start the system. The reason ends with
    /// what could not be taken back.
    pub fn carry_out(&self, variables: &impl Variables, esp: Uuid) -> Result<()> {
        let before = match self.is_new {
            true => None,
            false => variables.read(&self.name, GLOBAL_VARIABLE).ok().flatten(),
        };
        let undone = |error| self.undone(variables, before.as_deref(), error);
        if let Some(content) = &self.content {
            write(variables, &self.name, content).map_err(undone)?;
            self.check_entry(variables, esp).map_err(undone)?;
        }
        if let Some(order) = &self.order {
            write(variables, BOOT_ORDER, &efi::order_bytes(order)).map_err(undone)?;
            self.check_order(variables)?;
        }
        for name in &self.remove {
            let removed = variables.remove(name);
            removed.map_err(|error| refused(&format!("removing {name}"), &error))?;
        }
        Ok(())
    }

    /// Firmware may complete the device path, or add data of its own.
    fn check_entry(&self, variables: &impl Variables, esp: Uuid) -> Result<()> {
        let content = read_again(variables, &self.name)?;
        let option = LoadOption::read(&content);
        if option.is_some_and(|option| option.is_active() && option.starts(esp, &loader())) {
            return Ok(());
        }
        Err(changed(
            &self.name,
            &format!("{} bytes that do not start the disk", content.len()),
        ))
    }

    /// What follows the first may be in an order of the firmware's.
    fn check_order(&self, variables: &impl Variables) -> Result<()> {
        let order = efi::order(&read_again(variables, BOOT_ORDER)?);
        if order.first() == Some(&self.number) {
            return Ok(());
        }
        Err(changed(BOOT_ORDER, &shown_order(&order)))
    }

    /// The error, once the entry is what it was.
    fn undone(&self, variables: &impl Variables, before: Option<&[u8]>, error: Error) -> Error {
        if self.content.is_none() {
            return error;
        }
        let undone = match before {
            Some(before) => variables.write(&self.name, before),
            None => variables.remove(&self.name),
        };
        match undone {
            Err(undoing) if undoing.kind() != ErrorKind::NotFound => {
                let reason = format!(
                    "{}; {} cannot be taken back: {undoing}",
                    error.reason, self.name
                );
                Error { reason, ..error }
            }
            _ => error,
        }
    }
}

/// Makes an entry the next to be started, once.
///
/// # Errors
/// The firmware refuses it, or keeps another.
pub fn start_next(variables: &impl Variables, number: u16) -> Result<()> {
    write(variables, BOOT_NEXT, &efi::order_bytes(&[number]))?;
    let next = efi::order(&read_again(variables, BOOT_NEXT)?);
    if next == [number] {
        return Ok(());
    }
    Err(changed(BOOT_NEXT, &shown_order(&next)))
}

fn write(variables: &impl Variables, name: &str, content: &[u8]) -> Result<()> {
    let written = variables.write(name, content);
    written.map_err(|error| refused(&format!("writing {name}"), &error))
}

fn read_again(variables: &impl Variables, name: &str) -> Result<Vec<u8>> {
    let content = variables.read(name, GLOBAL_VARIABLE);
    let content = content.map_err(|error| refused(&format!("reading {name} again"), &error))?;
    content.ok_or_else(|| changed(name, "nothing"))
}

fn changed(name: &str, seen: &str) -> Error {
    let reason = format!("writing {name}: the firmware has made it {seen}");
    Error::new(Kind::Environment, reason).advice("update the firmware")
}

/// Numbers of entries as efibootmgr shows them.
pub fn shown_order(order: &[u16]) -> String {
    let numbers = order.iter().map(|number| format!("{number:04X}"));
    numbers.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod refusals;
#[cfg(test)]
mod store;
#[cfg(test)]
mod tests;
