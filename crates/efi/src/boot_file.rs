//! What a bundle's manifest says of the EFI programs on the OS image's ESP: all that firmware with Secure Boot judges
//! them by. The build writes it, where the image can be read, and the installer compares it with `db` and `dbx`.

use serde::{Deserialize, Serialize};

/// An EFI program on the image's ESP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BootFile {
    /// Its path on the ESP, with `/` between its parts.
    pub path: String,
    /// What it is there for.
    pub role: Role,
    /// Its Authenticode digest, SHA-256 in hexadecimal: without its signatures, its checksum and where they are.
    pub sha256: String,
    /// Its signatures, in their order.
    pub signatures: Vec<Signature>,
}

/// What an EFI program does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// It has certificates of its own and checks what it starts by them, too: shim.
    Shim,
    /// A Linux kernel, by itself or as a unified kernel image.
    Kernel,
    /// Anything else, such as a boot loader, which leaves it to the firmware to check what it starts.
    Other,
}

/// One signature of an EFI program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Signature {
    /// The signer's certificate first, then of its issuers those that the signature has: DER in base64.
    pub certificates: Vec<String>,
}
