//! Firmwares that do not do as the UEFI specification says, by what they leave of the variable store.
//!
//! The firmware itself is always OVMF. What another one does when it starts is done to the file of its variables
//! before it starts: QEMU reads that file only then, so the machine must not run. A machine of such a firmware stops at
//! each reset ([`AtReset::Stops`](crate::machine::AtReset)) and is started as anew.

use schemars::JsonSchema;
use serde::Deserialize;

use efi::DevicePathNode;

use super::boot::BootVariables;
use super::store::{NvramError, add_variable, delete_variable, fill, named};

/// Something that a machine's firmware does otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Quirk {
    /// It starts the stick before everything else, whatever its boot order says.
    StartsStickFirst,
    /// Its variable store has room for what it writes itself, and for no boot entry: Linux keeps 5 KiB of it free
    /// (`EFI_MIN_RESERVE`).
    NoRoom,
    /// It forgets BootNext without starting what that names.
    IgnoresBootNext,
    /// It deletes every entry that is not in BootOrder, as Dell's do.
    DropsOutsideBootOrder,
    /// It deletes every entry of a file, and starts disks by `EFI/BOOT` only.
    StartsFallbackOnly,
}

/// Bytes of a full variable store that the firmware itself has: OVMF fills 12 KiB of them at its first start.
const FIRMWARE_ROOM: usize = 16_000;

impl Quirk {
    /// Whether it shows each time that the firmware starts, by what becomes of its variables.
    #[must_use]
    pub fn shows_at_start(self) -> bool {
        match self {
            Self::StartsStickFirst | Self::NoRoom => false,
            Self::IgnoresBootNext | Self::DropsOutsideBootOrder | Self::StartsFallbackOnly => true,
        }
    }

    /// Whether what the firmware starts is not what the boot order of the installer says.
    #[must_use]
    pub fn has_its_own_order(self) -> bool {
        match self {
            Self::StartsStickFirst | Self::NoRoom | Self::StartsFallbackOnly => true,
            Self::IgnoresBootNext | Self::DropsOutsideBootOrder => false,
        }
    }

    /// Prepares the variable store of a new machine.
    ///
    /// # Errors
    /// The content is no variable store.
    pub fn prepare(self, bytes: &mut [u8]) -> Result<(), NvramError> {
        match self {
            Self::NoRoom => fill(bytes, FIRMWARE_ROOM),
            _ => Ok(()),
        }
    }

    /// Does to the variable store what the firmware does when it starts. The machine must not run.
    ///
    /// # Errors
    /// The content is no variable store, or it is full.
    pub fn start(self, bytes: &mut [u8]) -> Result<(), NvramError> {
        match self {
            Self::StartsStickFirst | Self::NoRoom => Ok(()),
            Self::IgnoresBootNext => delete_variable(bytes, "BootNext"),
            Self::DropsOutsideBootOrder => {
                let boot = BootVariables::from_file_content(bytes)?;
                keep(bytes, &boot, |entry| boot.order.contains(&entry))
            }
            Self::StartsFallbackOnly => {
                let boot = BootVariables::from_file_content(bytes)?;
                let of_file = |node: &DevicePathNode| matches!(node, DevicePathNode::File(_));
                keep(bytes, &boot, |number| {
                    let entry = boot.entry(number);
                    entry.is_none_or(|entry| !entry.path.iter().any(of_file))
                })
            }
        }
    }
}

/// Deletes the entries that are not `kept`, and their numbers in BootOrder.
fn keep(
    bytes: &mut [u8],
    boot: &BootVariables,
    kept: impl Fn(u16) -> bool,
) -> Result<(), NvramError> {
    let numbers = boot.entries.iter().map(|entry| entry.number);
    for number in numbers.filter(|number| !kept(*number)) {
        delete_variable(bytes, &named(number))?;
    }
    let order: Vec<u16> = boot.order.iter().copied().filter(|n| kept(*n)).collect();
    if order == boot.order {
        return Ok(());
    }
    let order: Vec<u8> = order.into_iter().flat_map(u16::to_le_bytes).collect();
    add_variable(bytes, "BootOrder", &order)
}

#[cfg(test)]
mod tests {
    use super::super::boot::load_option;
    use super::super::store::read_store;
    use super::super::store::tests::store;
    use super::*;

    /// A store with the entries 1 (a disk, without a file) and 2 (a file) in the order, and 3 (a file) outside of it.
    fn entries() -> Vec<u8> {
        let mut bytes = store(&[]);
        let disk = [
            &1u32.to_le_bytes()[..],
            &[10, 0, b'd', 0, 0, 0],
            &[3, 5, 6, 0, 1, 0, 0x7f, 0xff, 4, 0],
        ];
        add_variable(&mut bytes, "Boot0001", &disk.concat()).unwrap();
        for number in [2, 3] {
            let option = load_option("file", [number; 16]);
            add_variable(&mut bytes, &named(number.into()), &option).unwrap();
        }
        add_variable(&mut bytes, "BootOrder", &[2, 0, 1, 0]).unwrap();
        add_variable(&mut bytes, "BootNext", &[1, 0]).unwrap();
        bytes
    }

    /// The order, and the names of all variables, after the firmware has started.
    fn after(quirk: Quirk) -> (Vec<u16>, Vec<String>) {
        let mut bytes = entries();
        quirk.start(&mut bytes).unwrap();
        let boot = BootVariables::from_file_content(&bytes).unwrap();
        let names = read_store(&bytes).unwrap().into_iter();
        let mut names: Vec<_> = names.map(|variable| variable.name).collect();
        names.sort();
        (boot.order, names)
    }

    #[test]
    fn boot_next_is_forgotten() {
        let kept = ["Boot0001", "Boot0002", "Boot0003", "BootOrder"];
        let kept = kept.map(str::to_owned).to_vec();
        assert_eq!(after(Quirk::IgnoresBootNext), (vec![2, 1], kept));
    }

    #[test]
    fn entries_outside_the_order_are_dropped() {
        let kept = ["Boot0001", "Boot0002", "BootNext", "BootOrder"];
        let kept = kept.map(str::to_owned).to_vec();
        assert_eq!(after(Quirk::DropsOutsideBootOrder), (vec![2, 1], kept));
    }

    #[test]
    fn entries_of_files_are_dropped_in_the_order_too() {
        let kept = ["Boot0001", "BootNext", "BootOrder"];
        let kept = kept.map(str::to_owned).to_vec();
        assert_eq!(after(Quirk::StartsFallbackOnly), (vec![1], kept));
    }

    #[test]
    fn quirks_of_another_kind_leave_the_store_alone() {
        for quirk in [Quirk::StartsStickFirst, Quirk::NoRoom] {
            let mut bytes = entries();
            quirk.start(&mut bytes).unwrap();
            assert!(bytes == entries() && !quirk.shows_at_start(), "{quirk:?}");
        }
    }

    #[test]
    fn a_store_without_room_takes_no_large_variable() {
        let mut bytes = entries();
        Quirk::NoRoom.prepare(&mut bytes).unwrap();
        let large = vec![0; FIRMWARE_ROOM];
        let refused = add_variable(&mut bytes, "Boot0004", &large);
        assert_eq!(refused, Err(NvramError::Full));
        add_variable(&mut bytes, "Boot0004", &[0; 64]).unwrap();
    }
}
