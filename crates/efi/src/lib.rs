//! Structures of the UEFI specification that more than one program reads or writes, as values and bytes alone: nothing
//! here knows where variables are kept.
//!
//! The crates that exist read the variables of the running system only, and have no load option that they cannot parse.

mod boot_file;
mod load_option;
mod signature_database;

pub use boot_file::{BootFile, Role, Signature};
pub use load_option::{ACTIVE, DevicePathNode, HardDrive, LoadOption, order, order_bytes};
pub use signature_database::SignatureDatabase;
pub use uuid::{Uuid, uuid};

/// EFI_GLOBAL_VARIABLE, the namespace of `BootOrder` and `SecureBoot`.
pub const GLOBAL_VARIABLE: Uuid = uuid!("8be4df61-93ca-11d2-aa0d-00e098032b8c");
/// EFI_IMAGE_SECURITY_DATABASE_GUID, the namespace of `db` and `dbx`.
pub const IMAGE_SECURITY_DATABASE: Uuid = uuid!("d719b2cb-3d3a-4596-a3bc-dad00e67656f");

/// A number of `N` bytes in little-endian order at an offset; nothing where the bytes end before.
fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    number(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    number(bytes, at).map(u32::from_le_bytes)
}

/// A GUID in memory order.
fn guid_at(bytes: &[u8], at: usize) -> Option<Uuid> {
    number(bytes, at).map(Uuid::from_bytes_le)
}

/// UTF-16 in little-endian order with a NUL behind it.
fn utf16_bytes(text: &str) -> Vec<u8> {
    text.encode_utf16()
        .chain([0])
        .flat_map(u16::to_le_bytes)
        .collect()
}

/// UTF-16 in little-endian order up to its NUL, or to the end where there is none.
fn utf16_text(bytes: &[u8]) -> String {
    let units: Vec<u16> = bytes
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .take_while(|unit| *unit != 0)
        .collect();
    String::from_utf16_lossy(&units)
}
