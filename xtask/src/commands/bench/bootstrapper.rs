//! The figures of cluster-bootstrapper, measured on the static binary that is shipped.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};
use clap::Args;
use pipeline::choice::Options;

use super::inputs;
use super::measure::{self, Run};
use super::{Figure, Unit};
use crate::project::Project;

/// Limits as the project promises them.
const SAMPLE_MS: f64 = 5.0;
const FILES_MS: f64 = 100.0;
const FILES_MIB: f64 = 64.0;
const HOSTILE_MS: f64 = 100.0;
const HOSTILE_MIB: f64 = 50.0;
const BINARY_MIB: f64 = 6.0;

const FILES: usize = 1000;
const FILE_BYTES: usize = 10 * 1024;
const MIB: f64 = 1024.0 * 1024.0;
/// Exit code of a run that refuses the config-file, which is an answer, too.
const REFUSED: i32 = 1;

/// What `bench bootstrapper` takes.
#[derive(Args)]
pub struct Arguments {
    /// Runs of each measurement
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Measure this binary [default: the static one of the stage `bootstrapper`]
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

/// Measures all figures.
pub fn run(project: Project<'_>, arguments: &Arguments) -> Result<Vec<Figure>> {
    let binary = match &arguments.binary {
        Some(path) => fs_err::canonicalize(path)?,
        None => {
            let outputs = project.produce(&Options::default(), &["bootstrapper"])?;
            outputs
                .directory("bootstrapper")?
                .join("cluster-bootstrapper")
        }
    };
    let directory = tempfile::tempdir()?;
    let bench = Bench {
        binary: &binary,
        directory: directory.path(),
        runs: arguments.runs,
    };
    // The sample with passwords; its placeholders are refused.
    let filled = directory.path().join("sample.yaml");
    let sample = fs_err::read_to_string(project.root.join("configs/config-file.yaml"))?;
    fs_err::write(&filled, sample.replace("CHANGE-ME", "c2VjcmV0LXdvcmQ="))?;
    let sample = bench.convert(&filled)?;
    let mut figures = vec![time("the sample, converted", SAMPLE_MS, &sample)];

    let many = directory.path().join("many-files.yaml");
    write_files(&many, FILES, FILE_BYTES)?;
    let converted = bench.convert(&many)?;
    let name = format!("{FILES} files of {} KiB, converted", FILE_BYTES / 1024);
    figures.push(time(&name, FILES_MS, &converted));
    figures.push(memory(&name, FILES_MIB, &converted));

    let path = directory.path().join("1-mib.yaml");
    write_files(&path, inputs::HOSTILE_SIZE / FILE_BYTES, FILE_BYTES)?;
    figures.extend(bench.hostile("files", &path)?);
    for (kind, make) in inputs::HOSTILE {
        fs_err::write(&path, make())?;
        figures.extend(bench.hostile(kind, &path)?);
    }
    let size = fs_err::metadata(&binary)?.len() as f64 / MIB;
    figures.push(Figure::new(
        "the static binary",
        Unit::Mebibytes,
        BINARY_MIB,
        vec![size],
    ));
    Ok(figures)
}

fn write_files(path: &Path, count: usize, size: usize) -> Result<()> {
    let mut out = std::io::BufWriter::new(fs_err::File::create(path)?);
    inputs::many_files(&mut out, count, size)?;
    Ok(out.flush()?)
}

struct Bench<'a> {
    binary: &'a Path,
    directory: &'a Path,
    runs: u32,
}

impl Bench<'_> {
    fn convert(&self, config_file: &Path) -> Result<Vec<Run>> {
        let mut command = Command::new(self.binary);
        command.arg("-config-file").arg(config_file);
        command.arg("-out").arg(self.directory.join("k8s.cfg"));
        self.repeat(&mut command, &[0])
    }

    fn validate(&self, config_file: &Path) -> Result<Vec<Run>> {
        let mut command = Command::new(self.binary);
        command.args(["validate", "--config-file"]).arg(config_file);
        self.repeat(&mut command, &[0, REFUSED])
    }

    fn hostile(&self, kind: &str, path: &Path) -> Result<[Figure; 2]> {
        let runs = self.validate(path)?;
        let name = format!("1 MiB of {kind}, validated");
        Ok([
            time(&name, HOSTILE_MS, &runs),
            memory(&name, HOSTILE_MIB, &runs),
        ])
    }

    fn repeat(&self, command: &mut Command, expected: &[i32]) -> Result<Vec<Run>> {
        // The first run reads the program and the input from the disk.
        measure::run(command)?;
        let runs: Vec<Run> = (0..self.runs)
            .map(|_| measure::run(command))
            .collect::<Result<_>>()?;
        for run in &runs {
            if !run
                .status
                .code()
                .is_some_and(|code| expected.contains(&code))
            {
                bail!(
                    "{} ended with {}; run it by hand to see why",
                    pipeline::process::display(command),
                    run.status
                );
            }
        }
        Ok(runs)
    }
}

fn time(name: &str, target: f64, runs: &[Run]) -> Figure {
    let samples = runs.iter().map(|run| run.elapsed.as_secs_f64() * 1e3);
    Figure::new(
        format!("{name}: time"),
        Unit::Milliseconds,
        target,
        samples.collect(),
    )
    .with_cpu(runs.iter().map(|run| run.cpu.as_secs_f64() * 1e3))
}

fn memory(name: &str, target: f64, runs: &[Run]) -> Figure {
    let samples = runs.iter().map(|run| run.peak_memory as f64 / MIB);
    Figure::new(
        format!("{name}: peak memory"),
        Unit::Mebibytes,
        target,
        samples.collect(),
    )
}
