//! Stage `workstation`: a bootable disk of a Debian machine on which scenarios run `bootable-usb-prepare.sh`
//! as users do. Its content is defined in `vm-tests/reference/workstation/`.

use std::time::Duration;

use anyhow::{Context as _, Result};
use arch::ARCH;
use serde::{Deserialize, Serialize};

use super::node_image::disk::{self, EspFile};
use super::node_image::{Packages, collect_packages};
use super::{assemble, boot_files};
use crate::input::{Source, Sources};
use crate::process;
use crate::stage::{Recipe, Request, Stage, Work};

/// Name of the disk in the stage's output.
pub const IMAGE: &str = "workstation.raw";
/// Where its content is defined, below the checkout.
const SOURCE: &str = "vm-tests/reference/workstation";
const CONTENT: [&str; 2] = ["workstation/configure.sh", "workstation/rootfs"];
/// The locked versions of its packages.
pub const LOCK: &str = "vm-tests/reference/workstation/packages.lock";
const ESP_SIZE: u64 = 64 << 20;
const OS_RELEASE: &str = "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"emts workstation\"\n";
/// `no_timer_check` as on the reference node: under emulation on a busy host the kernel's check fails.
const ARGUMENTS: &str = "rootflags=ro loglevel=5 no_timer_check systemd.gpt_auto=no console=tty0";

/// The stage.
pub const STAGE: Stage = Stage::of::<Workstation>();

/// How the machine's disk is made.
pub struct Workstation;

/// What the disk is made of.
#[derive(Serialize, Deserialize)]
pub struct Inputs {
    content: Sources,
    packages: Packages,
    stub: Source,
}

impl Recipe for Workstation {
    type Inputs = Inputs;
    const NAME: &'static str = "workstation";
    const SUMMARY: &'static str = "workstation.raw: a Debian machine that makes sticks, for scenarios of bootable-usb-prepare.sh";
    const MODULE: &'static str = module_path!();
    const USUAL: Duration = Duration::from_secs(240);

    fn inputs(request: &Request<'_>) -> Result<Inputs> {
        Ok(Inputs {
            content: assemble::content(request, &CONTENT),
            packages: Packages::of(request, SOURCE, LOCK),
            stub: boot_files::stub(),
        })
    }

    fn build(inputs: Inputs, work: &Work) -> Result<()> {
        build(&inputs, work)
    }
}

fn build(inputs: &Inputs, work: &Work) -> Result<()> {
    let directory = tempfile::tempdir_in(&work.scratch)?;
    let directory = directory.path();
    let base = directory.join("base.tar.zst");
    collect_packages(&inputs.packages, work, &base)?;
    let mut command = assemble::command(&inputs.content, "workstation", &base, directory)?;
    process::run(&mut command).context("assembling the workstation's root file system")?;
    let loader = directory.join("workstation.efi");
    let [console, _] = ARCH.serial;
    hookos::uki::build(
        inputs.stub.path(),
        &directory.join("vmlinuz"),
        &directory.join("initrd.img"),
        &format!(
            "root=UUID={} {ARGUMENTS} console={console}",
            disk::ROOT_UUID
        ),
        OS_RELEASE,
        &loader,
    )?;
    let loader = EspFile::boot_loader(&loader);
    let image = work.out.join(IMAGE);
    disk::compose(directory, &[loader], ESP_SIZE, &[disk::ROOT], &image)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_workstation_has_the_packages_that_the_readme_asks_for_and_no_other_of_its_tools()
    -> Result<()> {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let readme = fs_err::read_to_string(root.join("hookos/usb/README"))?;
        let needed = readme
            .lines()
            .find_map(|line| line.strip_prefix("Needed on Debian or Ubuntu: "))
            .context("the README tells what is needed")?;
        let list = fs_err::read_to_string(root.join(SOURCE).join("packages.txt"))?;
        let first_group: Vec<&str> = list
            .split("\n\n")
            .nth(1)
            .context("the second paragraph is the README's list")?
            .lines()
            .filter(|line| !line.starts_with('#'))
            .collect();
        assert_eq!(first_group, needed.split_whitespace().collect::<Vec<_>>());
        Ok(())
    }
}
