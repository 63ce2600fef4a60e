//! Stage `workstation`: a bootable disk of a Debian machine on which scenarios run `bootable-usb-prepare.sh`
//! as users do. Its content is defined in `vm-tests/workstation/`.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::node_image::collect_packages;
use super::node_image::disk::{self, EspFile};
use super::{Context, Input, Stage, sources};
use crate::process;

/// Name of the disk in the stage's output.
pub const IMAGE: &str = "workstation.raw";
/// Where its content is defined, below the checkout.
const SOURCE: &str = "vm-tests/workstation";
/// How it finds and starts its root file system, which the node's does, too.
const INITRAMFS: &str = "vm-tests/reference-node/initramfs";
/// systemd's EFI stub, from the Debian package systemd-boot-efi.
const STUB: &str = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";
const ESP_SIZE: u64 = 64 << 20;
const OS_RELEASE: &str = "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"emts workstation\"\n";
/// `no_timer_check` as on the reference node: under emulation on a busy host the kernel's check fails.
const ARGUMENTS: &str =
    "rootflags=ro console=tty0 console=ttyS0 loglevel=5 no_timer_check systemd.gpt_auto=no";

pub const STAGE: Stage = Stage {
    name: "workstation",
    summary: "workstation.raw: a Debian machine that makes sticks, for scenarios of bootable-usb-prepare.sh",
    compiles: false,
    needs: |_| &[],
    inputs: |root, _| {
        let mut inputs = sources(
            root,
            &[
                "xtask/src/stages/workstation.rs",
                "xtask/src/stages/node_image/disk.rs",
                "xtask/src/stages/node_image/root.rs",
                "hookos/assembler/src/uki.rs",
                INITRAMFS,
                SOURCE,
            ],
        );
        inputs.push(Input::Path(STUB.into()));
        Ok(inputs)
    },
    build,
};

fn build(context: &Context) -> Result<()> {
    let work = tempfile::tempdir_in(&context.scratch)?;
    let work = work.path();
    let base = work.join("base.tar.zst");
    collect_packages(&context.root.join(SOURCE), &context.scratch, &base)?;
    assemble(&context.root, &base, work)?;
    let loader = work.join("workstation.efi");
    hookos::uki::build(
        Path::new(STUB),
        &work.join("vmlinuz"),
        &work.join("initrd.img"),
        &format!("root=UUID={} {ARGUMENTS}", disk::ROOT_UUID),
        OS_RELEASE,
        &loader,
    )?;
    let loader = EspFile {
        from: loader,
        to: "EFI/BOOT/BOOTX64.EFI".to_owned(),
    };
    disk::compose(
        work,
        &[loader],
        ESP_SIZE,
        &[disk::ROOT],
        &context.out.join(IMAGE),
    )
}

fn assemble(root: &Path, base: &Path, work: &Path) -> Result<()> {
    let script = root.join(SOURCE).join("assemble.sh");
    let mut command = process::with_files_of_root(&script);
    command
        .arg(base)
        .arg(root.join(INITRAMFS))
        .arg(work)
        .env("ROOT_UUID", disk::ROOT_UUID);
    process::run(&mut command).context("assembling the workstation's root file system")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workstation_has_the_packages_that_the_readme_asks_for_and_no_other_of_its_tools()
    -> Result<()> {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
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
