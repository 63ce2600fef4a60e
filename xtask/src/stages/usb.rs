//! Stage `usb`: an image file of a stick, made by the very script that users run, from the very archive
//! that they download.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::bundle::{self, SCRIPT, USB_ARCHIVE};
use super::{Input, Options, Stage, sources};
use crate::process;

/// Name of the image in the stage's output.
pub const IMAGE: &str = "usb.img";

pub const STAGE: Stage = Stage {
    name: "usb",
    summary: "usb.img, made by bootable-usb-prepare.sh from the bundle",
    needs: |_| &["bundle"],
    inputs: |root, options| {
        let mut inputs = sources(root, &["xtask/src/stages/usb.rs"]);
        inputs.push(Input::Path(config_file(root, options)));
        Ok(inputs)
    },
    build: |context| {
        let archive = bundle::user_archive(context.need("bundle")?)?;
        build(
            &archive,
            &config_file(&context.root, &context.options),
            &context.scratch,
            &context.out.join(IMAGE),
        )
    },
};

fn config_file(root: &Path, options: &Options) -> PathBuf {
    options
        .config_file
        .clone()
        .unwrap_or_else(|| root.join("configs/config-file.yaml"))
}

/// Unpacks the users' archive below `scratch` and makes `image` with the script and `config_file`.
pub fn build(user_archive: &Path, config_file: &Path, scratch: &Path, image: &Path) -> Result<()> {
    let dir = scratch.join("sen-installation-files");
    unpack(user_archive, &dir).with_context(|| format!("unpacking {}", user_archive.display()))?;
    let mut command = Command::new(dir.join(SCRIPT));
    command.arg("--yes");
    if bundle::is_reference(user_archive) {
        command.arg("--allow-reference");
    }
    command
        .arg(image)
        .arg(dir.join(USB_ARCHIVE))
        .arg(config_file)
        .env("TMPDIR", scratch);
    process::run(&mut command)
}

fn unpack(archive: &Path, dir: &Path) -> Result<()> {
    let file = fs_err::File::open(archive)?;
    tar::Archive::new(flate2::read::GzDecoder::new(file)).unpack(dir)?;
    Ok(())
}
