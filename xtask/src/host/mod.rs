//! What the host has to have, which package brings it, and its installation.

mod kvm;
mod needs;
pub mod qemu;

use std::io::{IsTerminal, Write};

use anyhow::{Context, Result, bail};
use arch::ARCH;
use needs::{Family, NEEDS, in_path, missing};
use pipeline::cancel::Cancel;
use pipeline::{group, process};
use xshell::{Shell, cmd};

/// A program that the project cannot install by itself.
#[derive(Debug)]
struct Toolchain {
    program: &'static str,
    /// What to do where it is missing.
    advice: &'static str,
}

const CC: Toolchain = Toolchain {
    program: "cc",
    advice: "install the package gcc",
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

fn missing_toolchain(go: Go) -> Option<&'static Toolchain> {
    let mut toolchains = go.toolchains().into_iter();
    toolchains.find(|toolchain| !in_path(toolchain.program))
}

/// Prints what the host has and lacks; returns whether all is there that every build needs.
pub fn report() -> bool {
    let family = Family::of_host();
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
            ARCH.qemu, ARCH.qemu_package.debian, "OLD"
        );
    }
    for need in NEEDS {
        let state = if need.met() { "ok" } else { "MISSING" };
        let name = need.provides.rsplit('/').next().unwrap_or(need.provides);
        println!(
            "{name:<24} {:<18} {state:<8} {}",
            need.package(family),
            need.purpose
        );
    }
    println!("{:<24} {:<18} {}", "/dev/kvm", "", kvm::state());
    let lacking: Vec<&str> = missing().iter().map(|need| need.package(family)).collect();
    if !lacking.is_empty() {
        println!("to install them, as root: {}", family.advice(&lacking));
    }
    missing().is_empty() && missing_toolchain(Go::Spared).is_none()
}

/// Installs what is missing with apt. Asks on a terminal unless `yes`.
pub fn install(yes: bool, go: Go, cancel: &Cancel) -> Result<()> {
    if let Some(Toolchain { program, advice }) = missing_toolchain(go) {
        bail!("{program} is missing and is not installed by this command: {advice}");
    }
    let (missing, family) = (missing(), Family::of_host());
    let backport = qemu::wants_backport();
    let packages: Vec<&str> = missing
        .iter()
        .map(|need| need.package(family))
        .filter(|package| !(backport && qemu::PACKAGES.contains(package)))
        .collect();
    if missing.is_empty() && !backport {
        return Ok(());
    }
    if !in_path("apt-get") {
        bail!(
            "this host has no apt-get, so nothing is installed by this command; as root: {}",
            family.advice(&packages)
        );
    }
    if !packages.is_empty() {
        println!("packages to install: {}", packages.join(" "));
    }
    if backport {
        println!("{}", qemu::backport_notice());
    }
    if !yes && !confirmed()? {
        bail!("nothing was installed; `cargo xtask setup --yes` installs without a question");
    }
    if !packages.is_empty() {
        apt(&["update", "--quiet"], cancel)?;
        apt_install(&packages, cancel)?;
    }
    if backport {
        install_qemu(cancel)?;
    }
    match needs::missing().first() {
        None => Ok(()),
        Some(need) => bail!(
            "{} is still missing after its package {} was installed",
            need.provides,
            need.package(family)
        ),
    }
}

/// QEMU from the backports. A mirror may not have them: then the release's own, with which emulated guests get one
/// processor.
fn install_qemu(cancel: &Cancel) -> Result<()> {
    let mut wrote = false;
    let installed = qemu::add_backports(&mut wrote).and_then(|()| {
        apt(&["update", "--quiet"], cancel)?;
        apt_install(&qemu::from_backports(), cancel)
    });
    let Err(error) = installed else {
        return Ok(());
    };
    // What somebody else wrote stays.
    if wrote {
        qemu::remove_backports()?;
    }
    cancel.check("installing QEMU from the backports")?;
    eprintln!(
        "warning: there is no QEMU from the backports, so emulated guests get one processor: {error:#}"
    );
    if qemu::version().is_ok() {
        return Ok(());
    }
    apt(&["update", "--quiet"], cancel)?;
    apt_install(&qemu::PACKAGES, cancel)
}

/// `install` for commands that only need the set-up to be there: without a terminal nobody can be asked.
///
/// On a terminal nobody is asked for a newer QEMU alone: emulated guests have one processor without it.
pub fn ensure(go: Go, cancel: &Cancel) -> Result<()> {
    let unattended = !std::io::stdin().is_terminal();
    if !unattended && missing().is_empty() && missing_toolchain(go).is_none() {
        return Ok(());
    }
    install(unattended, go, cancel)
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
fn apt_install(packages: &[&str], cancel: &Cancel) -> Result<()> {
    let options = ["install", "--yes", "--quiet", "--no-install-recommends"];
    apt(&[&options, packages].concat(), cancel)
}

fn apt(arguments: &[&str], cancel: &Cancel) -> Result<()> {
    // `env` carries the setting through sudo, which clears the environment.
    let (shell, sudo) = (Shell::new()?, process::sudo());
    let command = cmd!(
        shell,
        "{sudo} env DEBIAN_FRONTEND=noninteractive apt-get {arguments...}"
    );
    group::run(&mut command.into(), cancel).context("installing packages")
}
