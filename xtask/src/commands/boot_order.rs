//! The boot test of PID 1: a small LinuxKit file in a virtual machine without a disk to install on.

use std::path::Path;
use std::process::Command;

use ::hookos::oci::ImageSource;
use ::hookos::{Request, assemble};
use anyhow::{Context, Result};

use crate::build;
use crate::qemu;
use crate::stages::Options;
use crate::store::{Store, cache_dir};

/// Makes the boot files and the command that boots them and checks what is on the serial port.
pub fn prepare(root: &Path) -> Result<Command> {
    let stage = "reference-images";
    let outputs = build::produce(root, &Store::of_user()?, &Options::default(), &[stage])?;
    let images = ImageSource::open([outputs.folder(stage)?])?;
    let tests = root.join("hookos/tests");
    let mut request = Request::new(
        tests.join("boot-order.yaml"),
        images,
        root.join("target/boot-order"),
    );
    request.cache = Some(cache_dir()?.join("hookos"));
    let report = assemble(&request)?;
    let kernel = report
        .kernel
        .context("boot-order.yaml has no kernel section")?;
    let mut command = Command::new(tests.join("boot-order.sh"));
    let cpus = qemu::emulated_processors()?;
    command.arg(kernel).arg(report.initrd).arg(cpus.to_string());
    Ok(command)
}
