//! A bootable disk of a Debian machine that scenarios have beside the node: its root file system is read-only, what it
//! writes is in memory. Its content is a directory of `vm-tests/reference/`.

use anyhow::{Context as _, Result};
use arch::ARCH;
use serde::{Deserialize, Serialize};

use super::debian::Wanted;
use super::node_image::disk::{self, EspFile};
use super::node_image::{Packages, collect_packages};
use super::{assemble, boot_files};
use crate::input::{Source, Sources};
use crate::process;
use crate::stage::{Request, Work};

const ESP_SIZE: u64 = 64 << 20;
/// `no_timer_check` as on the reference node: under emulation on a busy host the kernel's check fails.
const ARGUMENTS: &str = "rootflags=ro loglevel=5 no_timer_check systemd.gpt_auto=no console=tty0";

/// What the disk is made of.
#[derive(Serialize, Deserialize)]
pub struct Inputs {
    content: Sources,
    packages: Packages,
    stub: Source,
}

/// Which machine it is.
pub(super) struct Machine {
    /// The directory in `vm-tests/reference/`.
    pub name: &'static str,
    /// The locked versions of its packages, a file in the checkout.
    pub lock: &'static str,
    /// Name of the disk in the stage's output.
    pub image: &'static str,
}

impl Machine {
    pub fn inputs(&self, request: &Request<'_>) -> Result<Inputs> {
        let name = self.name;
        let own = [
            format!("{name}/configure.sh"),
            format!("{name}/rootfs"),
            "read-only/configure.sh".to_owned(),
            "read-only/rootfs".to_owned(),
        ];
        Ok(Inputs {
            content: assemble::content(request, &own.each_ref().map(String::as_str)),
            packages: Packages {
                list: request.source(&format!("vm-tests/reference/{name}/packages.txt")),
                dpkg_settings: request.source("vm-tests/reference/read-only/dpkg.conf"),
                versions: Wanted::of(request, self.lock),
            },
            stub: boot_files::stub(),
        })
    }

    pub fn build(&self, inputs: &Inputs, work: &Work) -> Result<()> {
        let name = self.name;
        let directory = tempfile::tempdir_in(&work.scratch)?;
        let directory = directory.path();
        let base = directory.join("base.tar.zst");
        collect_packages(&inputs.packages, work, &base)?;
        let mut command = assemble::command(&inputs.content, name, &base, directory)?;
        process::run(&mut command)
            .with_context(|| format!("assembling the root file system of the {name}"))?;
        let loader = directory.join("machine.efi");
        let [console, _] = ARCH.serial;
        hookos::uki::build(
            inputs.stub.path(),
            &directory.join("vmlinuz"),
            &directory.join("initrd.img"),
            &format!(
                "root=UUID={} {ARGUMENTS} console={console}",
                disk::ROOT_UUID
            ),
            &format!("ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"emts {name}\"\n"),
            &loader,
        )?;
        let loader = EspFile::boot_loader(&loader);
        let image = work.out.join(self.image);
        disk::compose(directory, &[loader], ESP_SIZE, &[disk::ROOT], &image)
    }
}
