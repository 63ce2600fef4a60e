//! What the host has to have, which Debian package brings it, and its installation.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{process, qemu};

/// Something the project needs from the host.
#[derive(Debug)]
pub struct Need {
    /// Debian package that brings it.
    pub package: &'static str,
    /// A program to be found in PATH, `/usr/sbin` or `/sbin`, or an absolute path.
    pub provides: &'static str,
    /// What it is for.
    pub purpose: &'static str,
}

const fn need(package: &'static str, provides: &'static str, purpose: &'static str) -> Need {
    Need {
        package,
        provides,
        purpose,
    }
}

/// All needs, in the order in which `doctor` lists them.
pub const NEEDS: &[Need] = &[
    need(
        "mmdebstrap",
        "mmdebstrap",
        "root file systems of the reference parts",
    ),
    need("kmod", "depmod", "indexes of kernel modules"),
    need("fakeroot", "fakeroot", "owners of files in the node image"),
    need(
        "systemd-boot-efi",
        "/usr/lib/systemd/boot/efi/linuxx64.efi.stub",
        "unified kernel images",
    ),
    need("e2fsprogs", "mke2fs", "ext4 partitions"),
    need("dosfstools", "mkfs.vfat", "FAT partitions"),
    need("mtools", "mcopy", "files in FAT partitions"),
    need("gdisk", "sgdisk", "partition tables"),
    need("fdisk", "sfdisk", "partition tables"),
    need("xxhash", "xxhsum", "tests of the installer"),
    need("zstd", "zstd", "compressed images"),
    need("xz-utils", "xz", "compressed images"),
    need(
        "cryptsetup-bin",
        "cryptsetup",
        "a scenario with an encrypted disk",
    ),
    need("jq", "jq", "JSON in the installer's scripts"),
    need(
        "qemu-system-x86",
        "qemu-system-x86_64",
        "the virtual machine",
    ),
    need("qemu-utils", "qemu-img", "the virtual machine's disks"),
    need(
        "ovmf",
        "/usr/share/OVMF/OVMF_CODE_4M.fd",
        "the virtual machine's UEFI firmware",
    ),
    need("openssh-client", "ssh-keygen", "the key pair of a test run"),
    need(
        "libssl-dev",
        "/usr/include/openssl/ssl.h",
        "building the SSH client of the tests",
    ),
    need(
        "pkg-config",
        "pkg-config",
        "building the SSH client of the tests",
    ),
    need(
        "docker-registry",
        "docker-registry",
        "tests that pull images",
    ),
    need("sbsigntool", "sbsign", "signed boot files"),
    need("cpio", "cpio", "tests that unpack an initrd"),
    need("shellcheck", "shellcheck", "checks of shell scripts"),
    need("bats", "bats", "tests of shell scripts"),
    need(
        "sudo",
        "/usr/sbin/visudo",
        "tests of what an installation refuses",
    ),
    need("pamtester", "pamtester", "tests of the node's environment"),
    need(
        "cloud-init",
        "cloud-init",
        "tests of the generated cloud-config",
    ),
    need(
        "openssl",
        "openssl",
        "tests of password hashes and certificates",
    ),
];

/// A program that the project cannot install by itself.
#[derive(Debug)]
struct Toolchain {
    program: &'static str,
    /// What to do where it is missing.
    advice: &'static str,
}

const CC: Toolchain = Toolchain {
    program: "cc",
    advice: "apt-get install gcc",
};
const GO: Toolchain = Toolchain {
    program: "go",
    advice: "Go 1.24 or later from https://go.dev/dl/; it compiles refk3s, a profile with a real K3s does without",
};

/// Whether a command needs Go: only refk3s is compiled with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Go {
    /// It does.
    Needed,
    /// It does not.
    Spared,
}

impl Go {
    /// Needed when something is.
    pub fn when(needed: bool) -> Self {
        if needed { Self::Needed } else { Self::Spared }
    }

    fn toolchains(self) -> Vec<&'static Toolchain> {
        match self {
            Self::Needed => vec![&CC, &GO],
            Self::Spared => vec![&CC],
        }
    }
}

impl Need {
    /// Whether it is there.
    pub fn met(&self) -> bool {
        if self.provides.starts_with('/') {
            return Path::new(self.provides).exists();
        }
        in_path(self.provides)
    }
}

fn in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|dir| dir.join(program).is_file())
}

/// What is missing.
pub fn missing() -> Vec<&'static Need> {
    NEEDS.iter().filter(|need| !need.met()).collect()
}

fn missing_toolchain(go: Go) -> Option<&'static Toolchain> {
    let mut toolchains = go.toolchains().into_iter();
    toolchains.find(|toolchain| !in_path(toolchain.program))
}

/// Prints what the host has and lacks; returns whether all is there that every build needs.
pub fn report() -> bool {
    for Toolchain { program, advice } in Go::Needed.toolchains() {
        let state = if in_path(program) {
            "ok".to_owned()
        } else {
            format!("MISSING: {advice}")
        };
        println!("{program:<24} toolchain          {state}");
    }
    if qemu::wants_backport() {
        println!(
            "{:<24} {:<18} {:<8} emulated guests get one processor; `cargo xtask setup` installs a newer one",
            "qemu-system-x86_64", "qemu-system-x86", "OLD"
        );
    }
    for need in NEEDS {
        let state = if need.met() { "ok" } else { "MISSING" };
        let name = need.provides.rsplit('/').next().unwrap_or(need.provides);
        println!(
            "{name:<24} {:<18} {state:<8} {}",
            need.package, need.purpose
        );
    }
    missing().is_empty() && missing_toolchain(Go::Spared).is_none()
}

/// Installs what is missing with apt. Asks on a terminal unless `yes`.
pub fn install(yes: bool, go: Go) -> Result<()> {
    if let Some(Toolchain { program, advice }) = missing_toolchain(go) {
        bail!("{program} is missing and is not installed by this command: {advice}");
    }
    let missing = missing();
    let backport = qemu::wants_backport();
    let packages: Vec<&str> = missing
        .iter()
        .map(|need| need.package)
        .filter(|package| !(backport && qemu::PACKAGES.contains(package)))
        .collect();
    if missing.is_empty() && !backport {
        return Ok(());
    }
    if !in_path("apt-get") {
        bail!(
            "this host has no apt-get; install what these Debian packages bring: {}",
            packages.join(" ")
        );
    }
    if !packages.is_empty() {
        println!("Debian packages to install: {}", packages.join(" "));
    }
    if backport {
        println!("{}", qemu::backport_notice());
    }
    if !yes && !confirmed()? {
        bail!("nothing was installed; `cargo xtask setup --yes` installs without a question");
    }
    if !packages.is_empty() {
        apt(&["update", "--quiet"])?;
        apt_install(&packages)?;
    }
    if backport {
        install_qemu()?;
    }
    match self::missing().first() {
        None => Ok(()),
        Some(need) => bail!(
            "{} is still missing after its package {} was installed",
            need.provides,
            need.package
        ),
    }
}

/// QEMU from the backports. A mirror may not have them: then the release's own, with which emulated guests get one
/// processor.
fn install_qemu() -> Result<()> {
    let Err(error) = qemu::install_backport(apt, apt_install) else {
        return Ok(());
    };
    eprintln!(
        "warning: there is no QEMU from the backports, so emulated guests get one processor: {error:#}"
    );
    qemu::remove_sources()?;
    if qemu::version().is_ok() {
        return Ok(());
    }
    apt(&["update", "--quiet"])?;
    apt_install(&qemu::PACKAGES)
}

/// `install` for commands that only need the set-up to be there: without a terminal nobody can be asked.
///
/// On a terminal nobody is asked for a newer QEMU alone: emulated guests have one processor without it.
pub fn ensure(go: Go) -> Result<()> {
    let unattended = !std::io::stdin().is_terminal();
    if !unattended && missing().is_empty() && missing_toolchain(go).is_none() {
        return Ok(());
    }
    install(unattended, go)
}

fn confirmed() -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("no terminal to ask on: `cargo xtask setup --yes` installs without a question");
    }
    print!("Install them with apt-get? [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Installs packages; options of apt-get may stand before them.
fn apt_install(packages: &[&str]) -> Result<()> {
    let options = ["install", "--yes", "--quiet", "--no-install-recommends"];
    apt(&[&options, packages].concat())
}

fn apt(arguments: &[&str]) -> Result<()> {
    // `env` carries the setting through sudo, which clears the environment.
    let mut command: Command = process::privileged("env");
    command
        .arg("DEBIAN_FRONTEND=noninteractive")
        .arg("apt-get")
        .args(arguments);
    process::run(&mut command).context("installing Debian packages")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_need_is_met_by_a_program_or_a_file_and_by_nothing_else() {
        assert!(need("bash", "sh", "").met());
        assert!(need("bash", "/bin/sh", "").met());
        assert!(!need("bash", "no-such-program-at-all", "").met());
        assert!(!need("bash", "/no/such/file", "").met());
    }
}
