//! systemd's EFI programs, which the host has in the package systemd-boot-efi.

use crate::input::Source;

/// The stub, which makes an EFI executable of a kernel.
pub fn stub() -> Source {
    host_file("linuxx64.efi.stub")
}

/// The boot loader.
pub(super) fn loader() -> Source {
    host_file("systemd-bootx64.efi")
}

fn host_file(name: &str) -> Source {
    Source::named(name, format!("/usr/lib/systemd/boot/efi/{name}"))
}
