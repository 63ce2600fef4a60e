//! The machine of a scenario's workstation, from its files to the stick that it leaves.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use run_request::WorkstationParts;
use vm::firmware::Kind;
use vm::machine::{Bus, Disk, DiskFormat, Mebibytes};

use super::context::{Context, Cycle, MACHINE};
use super::cycle::run_machine;
use super::machine::Hardware;
use super::machine_definition::Workstation;
use super::step::Step;
use super::stick::copy_sparse;
use super::workstation::{ROOT, ROOT_SERIAL, WORK};
use crate::evidence::Report;
use crate::tool::{run, tool};

const WORK_SIZE: Mebibytes = Mebibytes(3072);

/// Does all that the scenario does on its workstation; the image of the stick that it leaves.
///
/// # Errors
/// The workstation does not start, or something on it does not come to an end.
pub(super) async fn make_stick(
    context: &Context<'_>,
    workstation: &Workstation,
    report: &mut Report,
) -> Result<PathBuf> {
    let parts = context.options.request.workstation.as_ref();
    let parts = parts.context("the scenario has a workstation, and the request has none")?;
    let folder = context.evidence.path(MACHINE).join("workstation");
    let hardware = build(context, workstation, parts, &folder)?;
    let cycle = Cycle {
        steps: &[Step::MakeStick],
        folder: context.evidence.path("workstation"),
        label: "workstation: ".to_owned(),
        power_cut: false,
        turns: None,
    };
    run_machine(context, &hardware, &cycle, report).await?;
    Ok(hardware.stick)
}

/// The workstation's files in `folder`.
fn build(
    context: &Context<'_>,
    workstation: &Workstation,
    parts: &WorkstationParts,
    folder: &Path,
) -> Result<Hardware> {
    fs_err::create_dir_all(folder)?;
    let root = folder.join("root.raw");
    copy_sparse(&parts.image, &root).context("cannot copy the workstation's disk")?;
    let work = folder.join("work.raw");
    make_work_disk(context, parts, &work).context("cannot make the workstation's work disk")?;
    let disks = [(ROOT, &root, ROOT_SERIAL), (WORK, &work, "EMTS-WORK")]
        .map(|(name, file, serial)| Disk::new(name, file, DiskFormat::Raw, Bus::Virtio, serial));
    let stick = folder.join(format!("{}.raw", workstation.stick));
    Hardware::of_disks(folder, stick, disks.into(), &workstation.disks, Kind::Plain)
}

/// An ext4 file system with what a user has downloaded and written.
fn make_work_disk(context: &Context<'_>, parts: &WorkstationParts, disk: &Path) -> Result<()> {
    let options = context.options;
    let files = tempfile::tempdir()?;
    let name = parts
        .installation_files
        .file_name()
        .context("an archive has a name")?;
    fs_err::copy(&parts.installation_files, files.path().join(name))?;
    let config_file = options.config_file.as_ref();
    let config_file = config_file.context("a stick is made with a config-file")?;
    fs_err::copy(config_file, files.path().join("config-file"))?;
    let mut make = tool("mke2fs");
    make.args(["-q", "-t", "ext4", "-L", "work", "-d"])
        .arg(files.path())
        .arg(disk)
        .arg(format!("{}M", WORK_SIZE.0));
    run(make).map(drop)
}
