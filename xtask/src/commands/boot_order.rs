//! The boot test of PID 1: a small LinuxKit file in a virtual machine without a disk to install on.

use std::process::Command;

use ::hookos::oci::ImageSource;
use ::hookos::{Request, assemble};
use anyhow::{Context, Result};
use pipeline::cache;
use pipeline::choice::Options;

use crate::harness;
use crate::host::qemu;
use crate::project::Project;

/// Makes the boot files and the command that boots them and checks what is on the serial port.
pub fn prepare(project: Project<'_>) -> Result<Command> {
    let stage = "reference-images";
    let outputs = project.produce(&Options::default(), &[stage])?;
    let images = ImageSource::open([outputs.directory(stage)?])?;
    let root = project.root;
    let tests = root.join("hookos/tests");
    let mut request = Request::new(
        tests.join("boot-order.yaml"),
        images,
        root.join("target/boot-order"),
    );
    request.cache = Some(cache::directory()?.join("hookos"));
    let report = assemble(&request)?;
    let kernel = report
        .kernel
        .context("boot-order.yaml has no kernel section")?;
    let mut command = Command::new(harness::build(project)?);
    let cpus = qemu::emulated_processors()?;
    command
        .arg("boot-order")
        .arg("--kernel")
        .arg(kernel)
        .arg("--initrd")
        .arg(report.initrd)
        .arg("--expected")
        .arg(tests.join("boot-order.lines.yaml"))
        .args(["--cpus", &cpus.to_string()]);
    Ok(command)
}
