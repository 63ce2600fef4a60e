//! systemd's EFI programs, which the host has in the package systemd-boot-efi.

use arch::ARCH;

use crate::input::Source;

/// The stub, which makes an EFI executable of a kernel.
pub fn stub() -> Source {
    host_file(ARCH.boot_stub)
}

/// The boot loader.
pub(super) fn loader() -> Source {
    host_file(ARCH.boot_loader)
}

fn host_file(path: &str) -> Source {
    let (_, name) = path.rsplit_once('/').unwrap_or_default();
    Source::named(name, path)
}
