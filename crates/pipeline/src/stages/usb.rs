//! Stage `usb`: an image file of a stick, made by the very script that users run, from the very archive
//! that they download.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::bundle::{self, SCRIPT, USB_ARCHIVE};
use crate::choice::Options;
use crate::input::{Output, Source};
use crate::process;
use crate::stage::{Recipe, Request, Stage, Work};

/// Name of the image in the stage's output.
pub const IMAGE: &str = "usb.img";

/// The stage.
pub const STAGE: Stage = Stage::of::<Stick>();

/// How the stick is made.
pub struct Stick;

/// What the stick is made of.
#[derive(Serialize, Deserialize)]
pub struct Inputs {
    bundle: Output,
    config_file: Source,
}

impl Recipe for Stick {
    type Inputs = Inputs;
    const NAME: &'static str = "usb";
    const SUMMARY: &'static str = "usb.img, made by bootable-usb-prepare.sh from the bundle";
    const MODULE: &'static str = module_path!();
    const USUAL: Duration = Duration::from_secs(12);

    fn needs(_: &Options) -> &'static [&'static str] {
        &["bundle"]
    }

    fn inputs(request: &Request<'_>) -> Result<Inputs> {
        let own = request.options.config_file.as_ref();
        Ok(Inputs {
            bundle: request.output("bundle")?,
            config_file: match own {
                Some(path) => Source::named("the config-file", path),
                None => request.source("configs/config-file.yaml"),
            },
        })
    }

    fn build(inputs: Inputs, work: &Work) -> Result<()> {
        let archive = bundle::user_archive(&inputs.bundle.directory)?;
        let image = work.out.join(IMAGE);
        build(&archive, inputs.config_file.path(), &work.scratch, &image)?;
        // The config-file on it has passwords.
        Ok(fs_err::set_permissions(
            &image,
            PermissionsExt::from_mode(0o600),
        )?)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The arguments that the script in the archive called `name` gets, without paths.
    fn options_for(name: &str) -> Result<Vec<String>> {
        let dir = tempfile::tempdir()?;
        let (archive, image) = (dir.path().join(name), dir.path().join(IMAGE));
        let script =
            "#!/bin/sh\nfor last in \"$@\"; do :; done\nprintf '%s\\n' \"$@\" >\"$last\"\n";
        let file = flate2::write::GzEncoder::new(
            fs_err::File::create(&archive)?,
            flate2::Compression::fast(),
        );
        let mut members = tar::Builder::new(file);
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        header.set_size(script.len() as u64);
        members.append_data(&mut header, SCRIPT, script.as_bytes())?;
        members.into_inner()?.finish()?;
        let config = dir.path().join("config-file");
        build(&archive, &config, dir.path(), &image)?;
        let arguments = fs_err::read_to_string(&config)?;
        let options = arguments.lines().filter(|line| line.starts_with('-'));
        Ok(options.map(str::to_owned).collect())
    }

    #[test]
    fn a_test_double_is_allowed_where_the_archive_says_that_it_holds_one() -> Result<()> {
        let options = options_for("sen-installation-files-reference.tar.gz")?;
        assert_eq!(options, ["--yes", "--allow-reference"]);
        Ok(())
    }

    #[test]
    fn a_test_double_in_an_archive_of_a_release_would_be_refused() -> Result<()> {
        let options = options_for("sen-installation-files.tar.gz")?;
        assert_eq!(options, ["--yes"]);
        Ok(())
    }
}
