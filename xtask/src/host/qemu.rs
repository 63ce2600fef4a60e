//! The host's QEMU: its version, what it means for emulated guests, and a newer one from Debian's backports.

use std::num::NonZeroU8;
use std::path::Path;

use anyhow::{Context, Result, bail};
use arch::ARCH;
use pipeline::process;
use xshell::{Shell, cmd};

/// A version of QEMU: major and minor number.
pub type Version = (u32, u32);

/// The first version that emulates several processors without a race: it locks the pages that it translates
/// (QEMU commit deba78709ae8, "accel/tcg: Always lock pages before translation"). Before, a processor can keep the
/// breakpoint that Linux puts into its own code for a moment, and hang in it for ever.
pub const WITHOUT_RACE: Version = (8, 1);

/// Processors of an emulated guest when QEMU emulates several without a race.
const PROCESSORS: NonZeroU8 = NonZeroU8::new(2).expect("it is not zero");

/// The Debian release whose own QEMU is too old and whose backports have a newer one.
const OLD_RELEASE: &str = "bookworm";
/// The packages that are taken from the backports.
pub const PACKAGES: [&str; 2] = [ARCH.qemu_package.debian, "qemu-utils"];
/// Where apt is told of the backports.
const SOURCES: &str = "/etc/apt/sources.list.d/emts-backports.list";

/// How many processors an emulated guest gets.
///
/// # Errors
/// QEMU is not there, or its version cannot be read.
pub fn emulated_processors() -> Result<NonZeroU8> {
    Ok(match version()? < WITHOUT_RACE {
        true => NonZeroU8::MIN,
        false => PROCESSORS,
    })
}

/// The version of the QEMU in `PATH`.
///
/// # Errors
/// QEMU is not there, or its version cannot be read.
pub fn version() -> Result<Version> {
    let (shell, qemu) = (Shell::new()?, ARCH.qemu);
    let text = cmd!(shell, "{qemu} --version")
        .read()
        .context("asking QEMU for its version (`cargo xtask setup` installs it)")?;
    parse(&text).with_context(|| format!("QEMU does not tell its version: {text}"))
}

/// Major and minor number of `QEMU emulator version 7.2.22 (Debian …)`.
fn parse(text: &str) -> Option<Version> {
    let version = text.split_once("version ")?.1;
    let mut numbers = version.split(['.', ' ', '-', '\n']).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Whether QEMU has to come from Debian's backports: the release's own is too old, and no newer one is there.
pub fn wants_backport() -> bool {
    let release = fs_err::read_to_string("/etc/os-release").unwrap_or_default();
    let new_enough = version().is_ok_and(|version| version >= WITHOUT_RACE);
    is_old_release(&release) && !new_enough
}

/// What `install_backport` does, for the person who is asked.
pub fn backport_notice() -> String {
    format!(
        "QEMU from {OLD_RELEASE}-backports, because {OLD_RELEASE}'s own hangs emulated guests that have two processors: \
         {}; written: {SOURCES}",
        PACKAGES.join(" ")
    )
}

fn is_old_release(os_release: &str) -> bool {
    let has = |wanted: &str| os_release.lines().any(|line| line == wanted);
    has("ID=debian") && has(&format!("VERSION_CODENAME={OLD_RELEASE}"))
}

/// Tells apt of the backports, on the mirror that the host has for the release. What is there already stays; `wrote` says
/// whether a file was written.
///
/// # Errors
/// apt has no mirror of the release, or the file cannot be written.
pub fn add_backports(wrote: &mut bool) -> Result<()> {
    if Path::new(SOURCES).exists() {
        return Ok(());
    }
    let format = "$(REPO_URI) $(CODENAME) $(ORIGIN) $(COMPONENT)";
    let shell = Shell::new()?;
    let targets = cmd!(shell, "apt-get indextargets --format {format}").read()?;
    let file = tempfile::NamedTempFile::new()?;
    fs_err::write(file.path(), sources(&targets)?)?;
    *wrote = true;
    let (sudo, file) = (process::sudo(), file.path());
    cmd!(shell, "{sudo} install -m 0644 {file} {SOURCES}")
        .read()
        .with_context(|| format!("writing {SOURCES}"))?;
    Ok(())
}

/// What apt-get installs QEMU from the backports by.
pub fn from_backports() -> Vec<&'static str> {
    [&["--target-release", "bookworm-backports"][..], &PACKAGES].concat()
}

/// Takes back what [`add_backports`] wrote.
///
/// # Errors
/// The file cannot be removed.
pub fn remove_backports() -> Result<()> {
    let (shell, sudo) = (Shell::new()?, process::sudo());
    cmd!(shell, "{sudo} rm -f {SOURCES}")
        .read()
        .with_context(|| format!("removing {SOURCES}"))?;
    Ok(())
}

/// The line of sources for apt, from what `apt-get indextargets` says.
fn sources(targets: &str) -> Result<String> {
    let mirror = targets.lines().find_map(|line| {
        let mut words = line.split(' ');
        let uri = words.next()?;
        words.eq([OLD_RELEASE, "Debian", "main"]).then_some(uri)
    });
    let Some(mirror) = mirror else {
        bail!("apt has no mirror of Debian's release {OLD_RELEASE}");
    };
    Ok(format!(
        "# QEMU for `cargo xtask` of EMT-S, which wrote this file. Nothing else is installed from here by itself.\n\
         deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {mirror} {OLD_RELEASE}-backports main\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_qemu_says() {
        for (text, version) in [
            (
                "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)\nCopyright",
                Some((7, 2)),
            ),
            (
                "QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)",
                Some((10, 0)),
            ),
            ("QEMU emulator version 8.1-rc1", Some((8, 1))),
            ("QEMU emulator version 9.0\n", Some((9, 0))),
            ("QEMU emulator", None),
        ] {
            assert_eq!(parse(text), version, "{text}");
        }
        assert!((8, 0) < WITHOUT_RACE);
        assert!((10, 0) > WITHOUT_RACE);
    }

    #[test]
    fn the_backports_are_taken_from_the_mirror_of_the_release() -> Result<()> {
        let targets = "http://security.example/debian-security/ bookworm-security Debian main\n\
            http://mirror.example/debian/ bookworm Debian contrib\n\
            http://mirror.example/debian/ bookworm Debian main\n";
        let line = "http://mirror.example/debian/ bookworm-backports main\n";
        assert!(sources(targets)?.ends_with(line));
        assert!(sources("http://mirror.example/ubuntu/ noble Ubuntu main\n").is_err());
        Ok(())
    }

    #[test]
    fn only_the_old_release_wants_the_backports() {
        assert!(is_old_release("ID=debian\nVERSION_CODENAME=bookworm\n"));
        assert!(!is_old_release("ID=debian\nVERSION_CODENAME=trixie\n"));
        assert!(!is_old_release("ID=raspbian\nVERSION_CODENAME=bookworm\n"));
    }
}
