//! What the project needs from the host, and which package brings it.

use std::path::Path;

use arch::ARCH;

/// Distributions that have the same packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Debian, Ubuntu and what is made of them.
    Debian,
    /// Fedora and what is made of it.
    Fedora,
}

impl Family {
    /// That of this host; Debian's where it is none of the known ones.
    pub fn of_host() -> Self {
        Self::of(&fs_err::read_to_string("/etc/os-release").unwrap_or_default())
    }

    /// By `ID` and `ID_LIKE` of os-release(5).
    fn of(os_release: &str) -> Self {
        let value = |line: &str| {
            let (key, value) = line.split_once('=')?;
            ["ID", "ID_LIKE"]
                .contains(&key)
                .then(|| value.trim_matches('"').to_owned())
        };
        let ids: Vec<String> = os_release.lines().filter_map(value).collect();
        let is = |id: &str| ids.iter().any(|it| it.split(' ').any(|word| word == id));
        match is("fedora") {
            true => Self::Fedora,
            false => Self::Debian,
        }
    }

    /// How its packages are installed by hand.
    pub fn advice(self, packages: &[&str]) -> String {
        let command = match self {
            Self::Debian => "apt-get install",
            Self::Fedora => "dnf install",
        };
        format!("{command} {}", packages.join(" "))
    }
}

/// Something the project needs from the host.
#[derive(Debug)]
pub struct Need {
    /// Package that brings it on Debian and on Ubuntu.
    debian: &'static str,
    /// Package that brings it on Fedora.
    fedora: &'static str,
    /// A program to be found in PATH, `/usr/sbin` or `/sbin`, or an absolute path.
    pub provides: &'static str,
    /// What it is for.
    pub purpose: &'static str,
}

const fn need(
    debian: &'static str,
    fedora: &'static str,
    provides: &'static str,
    purpose: &'static str,
) -> Need {
    Need {
        debian,
        fedora,
        provides,
        purpose,
    }
}

/// All needs, in the order in which `doctor` lists them.
pub const NEEDS: &[Need] = &[
    need(
        "mmdebstrap",
        "mmdebstrap",
        "mmdebstrap",
        "root file systems of the reference parts",
    ),
    // Debian always has the keys, and trusts them; elsewhere mmdebstrap finds out by gpg that it has to name them to apt.
    need(
        "debian-archive-keyring",
        "debian-keyring",
        "/usr/share/keyrings/debian-archive-keyring.gpg",
        "keys of Debian's archive",
    ),
    need("gpg", "gnupg2", "gpg", "keys of Debian's archive"),
    need("kmod", "kmod", "depmod", "indexes of kernel modules"),
    need(
        "fakeroot",
        "fakeroot",
        "fakeroot",
        "owners of files in the node image",
    ),
    need(
        "systemd-boot-efi",
        "systemd-boot-unsigned",
        ARCH.boot_stub,
        "unified kernel images",
    ),
    need("e2fsprogs", "e2fsprogs", "mke2fs", "ext4 partitions"),
    need("dosfstools", "dosfstools", "mkfs.vfat", "FAT partitions"),
    need("mtools", "mtools", "mcopy", "files in FAT partitions"),
    need("gdisk", "gdisk", "sgdisk", "partition tables"),
    need("fdisk", "util-linux", "sfdisk", "partition tables"),
    need("xxhash", "xxhash", "xxhsum", "tests of the installer"),
    need("zstd", "zstd", "zstd", "compressed images"),
    need("xz-utils", "xz", "xz", "compressed images"),
    need(
        "cryptsetup-bin",
        "cryptsetup",
        "cryptsetup",
        "a scenario with an encrypted disk",
    ),
    need("jq", "jq", "jq", "JSON in the installer's scripts"),
    need(
        ARCH.qemu_package.debian,
        ARCH.qemu_package.fedora,
        ARCH.qemu,
        "the virtual machine",
    ),
    need(
        "qemu-utils",
        "qemu-img",
        "qemu-img",
        "the virtual machine's disks",
    ),
    need(
        ARCH.firmware_package.debian,
        ARCH.firmware_package.fedora,
        ARCH.plain.code,
        "the virtual machine's UEFI firmware",
    ),
    need("swtpm", "swtpm", "swtpm", "the virtual machine's TPM"),
    need(
        "openssh-client",
        "openssh-clients",
        "ssh-keygen",
        "the key pair of a test run",
    ),
    need(
        "libssl-dev",
        "openssl-devel",
        "/usr/include/openssl/ssl.h",
        "building the SSH client of the tests",
    ),
    need(
        "pkg-config",
        "pkgconf-pkg-config",
        "pkg-config",
        "building the SSH client of the tests",
    ),
    need(
        "docker-registry",
        "docker-distribution",
        "docker-registry",
        "tests that pull images",
    ),
    need("sbsigntool", "sbsigntools", "sbsign", "signed boot files"),
    need("cpio", "cpio", "cpio", "tests that unpack an initrd"),
    need(
        "shellcheck",
        "ShellCheck",
        "shellcheck",
        "checks of shell scripts",
    ),
    need("bats", "bats", "bats", "tests of shell scripts"),
    need(
        // Brings Python's module venv, which is in a package with Python's version in its name.
        "pipx",
        "pipx",
        "pipx",
        "the linter of the workflows",
    ),
    need(
        "sudo",
        "sudo",
        "/usr/sbin/visudo",
        "tests of what an installation refuses",
    ),
    need(
        "pamtester",
        "pamtester",
        "pamtester",
        "tests of the node's environment",
    ),
    need(
        "cloud-init",
        "cloud-init",
        "cloud-init",
        "tests of the generated cloud-config",
    ),
    need(
        "openssl",
        "openssl",
        "openssl",
        "tests of password hashes and certificates",
    ),
];

impl Need {
    /// Whether it is there.
    pub fn met(&self) -> bool {
        if self.provides.starts_with('/') {
            return Path::new(self.provides).exists();
        }
        in_path(self.provides)
    }

    /// The package that brings it.
    pub fn package(&self, family: Family) -> &'static str {
        match family {
            Family::Debian => self.debian,
            Family::Fedora => self.fedora,
        }
    }
}

/// Whether a program is where commands look for it.
pub fn in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|dir| dir.join(program).is_file())
}

/// What is missing.
pub fn missing() -> Vec<&'static Need> {
    NEEDS.iter().filter(|need| !need.met()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_need_is_met_by_a_program_or_a_file_and_by_nothing_else() {
        let met = |provides| need("bash", "bash", provides, "").met();
        assert!(met("sh") && met("/bin/sh"));
        assert!(!met("no-such-program-at-all") && !met("/no/such/file"));
    }

    /// On hosts with dpkg, for what its packages have brought.
    #[test]
    fn what_this_host_has_is_of_the_package_that_the_table_names() {
        if !in_path("dpkg-query") {
            return;
        }
        let query = |arguments: &[&str]| {
            let output = std::process::Command::new("dpkg-query")
                .args(arguments)
                .output()
                .expect("dpkg-query starts");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        for need in NEEDS.iter().filter(|need| need.met()) {
            let name = need.provides.rsplit('/').next().unwrap_or(need.provides);
            let owners = query(&["--search", &format!("*/{name}")]);
            if owners.is_empty() {
                continue;
            }
            let package = need.package(Family::Debian);
            let state = query(&["--show", "--showformat=${db:Status-Status}", package]);
            assert_eq!(
                state, "installed",
                "{package} for {name}, which is of {owners}"
            );
        }
    }

    #[test]
    fn a_distribution_belongs_to_what_it_is_made_of() {
        for (os_release, family) in [
            ("ID=debian\n", Family::Debian),
            (
                "NAME=\"Ubuntu\"\nID=ubuntu\nID_LIKE=debian\n",
                Family::Debian,
            ),
            ("ID=fedora\n", Family::Fedora),
            (
                "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n",
                Family::Fedora,
            ),
            ("", Family::Debian),
        ] {
            assert_eq!(Family::of(os_release), family, "{os_release}");
        }
        assert_eq!(Family::Fedora.advice(&["jq", "xz"]), "dnf install jq xz");
    }
}
