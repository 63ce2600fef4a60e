//! What depends on the processor architecture, in one table. Its only row is x86-64, which no other file of Rust code
//! names.

use std::path::{Path, PathBuf};

/// An architecture, as programs and formats name it.
#[derive(Debug)]
pub struct Arch {
    /// In messages.
    pub name: &'static str,
    /// In Debian's packages.
    pub debian: &'static str,
    /// Go's name, which LinuxKit and the configuration of OCI images have, too.
    pub go: &'static str,
    /// The variable and the value by which Go compiles for all processors of the architecture.
    pub go_baseline: (&'static str, &'static str),
    /// The platform of OCI images.
    pub oci: &'static str,
    /// Rust's target.
    pub rust: &'static str,
    /// Machine of an ELF file (`e_machine`, elf(5)).
    pub elf: u16,
    /// Machine of a PE image, which EFI programs are.
    pub pe: u16,
    /// The checksum file of a K3s release.
    pub k3s_sums: &'static str,
    /// The archive of K3s' preloaded images.
    pub k3s_images: &'static str,
    /// GPT type of a root file system (Discoverable Partitions Specification).
    pub root_type: &'static str,
    /// What firmware starts without a boot entry, below the ESP.
    pub boot_file: &'static str,
    /// systemd's boot loader, of Debian's package systemd-boot-efi.
    pub boot_loader: &'static str,
    /// The stub that makes an EFI program of a kernel, of the same package.
    pub boot_stub: &'static str,
    /// Linux' names of the machine's serial ports: the kernel's console, and that of the installer's markers.
    pub serial: [&'static str; 2],
    /// QEMU's program.
    pub qemu: &'static str,
    /// What brings QEMU.
    pub qemu_package: Package,
    /// What brings the firmware.
    pub firmware_package: Package,
    /// A machine without Secure Boot; its variable store is empty.
    pub plain: Machine,
    /// A machine with Secure Boot on; its variable store trusts the test key and nothing else.
    pub secure_boot: Machine,
    /// The test key, of the firmware's package. Everybody has it.
    pub test_key: &'static str,
    /// The test key's certificate.
    pub test_certificate: &'static str,
}

/// A package by its names in families of distributions.
#[derive(Debug)]
pub struct Package {
    /// On Debian and Ubuntu.
    pub debian: &'static str,
    /// On Fedora.
    pub fedora: &'static str,
}

/// A virtual machine of QEMU and the firmware for it.
#[derive(Debug)]
pub struct Machine {
    /// Type and properties.
    pub kind: &'static str,
    /// Settings of drivers.
    pub globals: &'static [&'static str],
    /// The firmware's code, as Debian installs it.
    pub code: &'static str,
    /// The variable store that a new machine begins with.
    pub vars: &'static str,
}

impl Machine {
    /// The firmware's code and variable store; `EMTS_OVMF_DIR` names another directory than Debian's.
    pub fn firmware(&self) -> [PathBuf; 2] {
        let directory = std::env::var_os("EMTS_OVMF_DIR").map(PathBuf::from);
        [self.code, self.vars].map(|file| match (&directory, Path::new(file).file_name()) {
            (Some(directory), Some(name)) => directory.join(name),
            _ => file.into(),
        })
    }
}

/// The architecture of all that is built and of the machines that it runs on.
pub const ARCH: Arch = Arch {
    name: "x86-64",
    debian: "amd64",
    go: "amd64",
    go_baseline: ("GOAMD64", "v1"),
    oci: "linux/amd64",
    rust: "x86_64-unknown-linux-gnu",
    elf: 62,
    pe: 0x8664,
    k3s_sums: "sha256sum-amd64.txt",
    k3s_images: "k3s-airgap-images-amd64.tar.zst",
    root_type: "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",
    boot_file: "EFI/BOOT/BOOTX64.EFI",
    boot_loader: "/usr/lib/systemd/boot/efi/systemd-bootx64.efi",
    boot_stub: "/usr/lib/systemd/boot/efi/linuxx64.efi.stub",
    serial: ["ttyS0", "ttyS1"],
    qemu: "qemu-system-x86_64",
    qemu_package: Package {
        debian: "qemu-system-x86",
        fedora: "qemu-system-x86-core",
    },
    firmware_package: Package {
        debian: "ovmf",
        fedora: "edk2-ovmf",
    },
    plain: Machine {
        kind: "q35",
        globals: &[],
        code: "/usr/share/OVMF/OVMF_CODE_4M.fd",
        vars: "/usr/share/OVMF/OVMF_VARS_4M.fd",
    },
    // Only code in system management mode writes the variable store; OVMF refuses to sleep (S3) then.
    secure_boot: Machine {
        kind: "q35,smm=on",
        globals: &[
            "driver=cfi.pflash01,property=secure,value=on",
            "ICH9-LPC.disable_s3=1",
        ],
        code: "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd",
        vars: "/usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd",
    },
    test_key: "/usr/share/ovmf/PkKek-1-snakeoil.key",
    test_certificate: "/usr/share/ovmf/PkKek-1-snakeoil.pem",
};

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Rust files below a directory that have a word. What cargo makes is left out.
    fn files_with(word: &str, directory: &Path) -> Vec<String> {
        let mut found = Vec::new();
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("target") && !path.is_symlink() {
                found.extend(files_with(word, &path));
            } else if path.extension().is_some_and(|end| end == "rs")
                && fs::read_to_string(&path).unwrap().contains(word)
            {
                found.push(path.display().to_string());
            }
        }
        found
    }

    #[test]
    fn no_other_file_of_rust_code_names_the_architecture() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let (word, _) = ARCH.rust.split_once('-').unwrap();
        let found = files_with(word, &checkout);
        assert!(
            found.len() == 1 && found[0].ends_with("crates/arch/src/lib.rs"),
            "the table is to be used in {found:?}"
        );
    }
}
