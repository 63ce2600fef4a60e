//! `bench install`: what an installation of the node image costs, in a virtual machine.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use pipeline::choice::Options;
use serde_json::Value;

use super::{Figure, Unit};
use crate::commands::e2e;
use crate::project::Project;

/// The scenario that is run.
const SCENARIO: &str = "install-only";
/// Bytes per block of the image's file system.
const BLOCK: usize = 4096;

/// What `bench install` takes.
#[derive(Args)]
pub struct Arguments {
    /// Number of measurements, two installations each
    #[arg(long, default_value_t = 3)]
    runs: usize,
}

/// Installs and reads the figures from the runs' evidence.
pub fn run(project: Project<'_>, arguments: &Arguments) -> Result<Vec<Figure>> {
    let (mut seconds, mut written, mut slower) = (Vec::new(), Vec::new(), Vec::new());
    let definition = project.root.join("hookos/bench/plain-dd.yaml");
    for _ in 0..arguments.runs.max(1) {
        let evidence = install(project, &e2e::Arguments::of_scenarios(SCENARIO))?;
        let path = evidence.join("report.json");
        let report: Value = serde_json::from_slice(&fs_err::read(&path)?)?;
        let figure = |name: &str| {
            report["installation"][name]
                .as_f64()
                .with_context(|| format!("{} has no installation.{name}", path.display()))
        };
        seconds.push(figure("seconds")?);
        written.push(figure("writtenBytes")?);

        // In a machine of its own: what dd writes must not count among the installer's bytes.
        let beside = e2e::Arguments::of_scenarios(SCENARIO).before_hookos(definition.clone());
        let path = install(project, &beside)?.join("consoles.log");
        let consoles = fs_err::read_to_string(&path)?;
        slower.push(
            times_slower(&consoles)
                .with_context(|| format!("{} does not tell both times", path.display()))?,
        );
    }
    let outputs = project.produce(&Options::default(), &["node-image"])?;
    let used = used_bytes(&outputs.directory("node-image")?.join("os-image.raw.zst"))?;
    let ratios = written.iter().map(|bytes| bytes / used).collect();
    Ok(vec![
        Figure::new(
            "installation, first marker to restart",
            Unit::Seconds,
            60.0,
            seconds,
        ),
        Figure::new(
            "bytes written to the disk, of the image's used blocks",
            Unit::Ratio,
            1.05,
            ratios,
        ),
        // At least 80 % of its rate.
        Figure::new(
            "time of writing, of a plain dd of the same blocks from memory",
            Unit::Ratio,
            1.25,
            slower,
        ),
    ])
}

/// Runs the scenario; the directory of its evidence.
fn install(project: Project<'_>, arguments: &e2e::Arguments) -> Result<PathBuf> {
    if e2e::run(project, arguments)? != std::process::ExitCode::SUCCESS {
        bail!("the scenario {SCENARIO} did not pass; its evidence is in target/e2e/latest");
    }
    Ok(project.root.join("target/e2e/latest"))
}

/// The installer's time of writing divided by that of the dd before it, both until the disk's cache was flushed.
fn times_slower(consoles: &str) -> Option<f64> {
    let time = |said: &str| {
        let line = consoles.lines().find_map(|line| line.split_once(said))?.1;
        line.split(' ').next()?.parse::<f64>().ok()
    };
    Some(time("EMTS progress: written in ")? / time("EMTS plain-dd: written in ")?)
}

/// Bytes of all blocks of the image that are not zeros.
fn used_bytes(image: &Path) -> Result<f64> {
    let mut raw = zstd::Decoder::new(fs_err::File::open(image)?)?;
    let mut block = [0; BLOCK];
    let mut used = 0u32;
    loop {
        let mut filled = 0;
        while filled < BLOCK {
            match raw.read(&mut block[filled..])? {
                0 => break,
                read => filled += read,
            }
        }
        if filled == 0 {
            return Ok(f64::from(used) * 4096.0);
        }
        if block[..filled].iter().any(|byte| *byte != 0) {
            used += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_the_times_that_the_consoles_tell() {
        let consoles = "12.1 ttyS0 EMTS plain-dd: written in 4.00 s\n\
            12.1 ttyS1 EMTS plain-dd: written in 4.00 s\n\
            30.0 ttyS1 EMTS progress: written in 5.00 s, reading back\n";
        assert_eq!(times_slower(consoles), Some(1.25));
        assert_eq!(times_slower("EMTS plain-dd: written in 4.00 s"), None);
    }

    #[test]
    fn counts_the_blocks_that_are_not_zeros() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("image");
        let mut content = vec![0; 5 * BLOCK];
        content[BLOCK] = 1;
        content[5 * BLOCK - 1] = 1;
        fs_err::write(&path, zstd::encode_all(content.as_slice(), 1)?)?;
        assert_eq!(used_bytes(&path)?, 2.0 * 4096.0);
        Ok(())
    }
}
