//! How a reference machine's root file system and initramfs are made of its unpacked packages: by
//! `vm-tests/reference/assemble.sh`, which all of them share.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use hookos::oci::T0;

use super::node_image::disk;
use crate::input::Sources;
use crate::process;
use crate::stage::Request;

/// Where the machines are defined, below the checkout, a directory each.
const REFERENCE: &str = "vm-tests/reference";
/// What they share.
const SHARED: [&str; 3] = ["assemble.sh", "initramfs", "make-ext4.sh"];

/// What a machine is assembled from; `own` is below the directory of all machines.
pub fn content(request: &Request<'_>, own: &[&str]) -> Sources {
    request.sources(REFERENCE, &[SHARED.as_slice(), own].concat())
}

/// The command that fills `out` with the file systems, kernel and initramfs of `machine`, from its packages in the archive
/// `base`. What `configure.sh` of the machine takes is appended.
///
/// # Errors
/// The script is no input.
pub fn command(content: &Sources, machine: &str, base: &Path, out: &Path) -> Result<Command> {
    let mut command = process::with_files_of_root(&content.part("assemble.sh")?);
    command
        .arg(machine)
        .arg(base)
        .arg(out)
        .env("ROOT_UUID", disk::ROOT_UUID)
        .env("SOURCE_DATE_EPOCH", T0.to_string());
    Ok(command)
}
