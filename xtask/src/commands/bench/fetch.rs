//! `bench fetch`: what it costs to fetch an artifact over HTTPS from loopback, beside curl in the same run.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use ::artifacts::request::{Download, Request};
use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use tempfile::TempDir;
use xshell::{Shell, cmd};

use super::measure::{self, Run};
use super::{Figure, Unit};
use crate::fetcher::Fetcher;
use crate::project::Project;
use crate::release_server::{CA, Server};

/// The version that the server has.
const VERSION: &str = "v1";
/// The file that is fetched.
const FILE: &str = "artifact";
/// How much longer than curl a fetch may take: at least 80 % of its rate.
const SLOWER: f64 = 1.25;
/// The memory that a fetch may have, MiB.
const MEMORY: f64 = 64.0;

/// What `bench fetch` takes.
#[derive(Args)]
pub struct Arguments {
    /// Number of measurements, one fetch by each program
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Size of the artifact in MiB
    #[arg(long, default_value_t = 600)]
    size: u64,
}

/// Fetches one file with both programs in turn.
pub fn run(project: Project<'_>, arguments: &Arguments) -> Result<Vec<Figure>> {
    let directory = tempfile::tempdir()?;
    fs_err::create_dir(directory.path().join("files"))?;
    write_file(&directory.path().join("files").join(FILE), arguments.size)?;
    let server = Server::start(project, directory.path(), VERSION)?;
    let url = format!(
        "{}/k3s-io/k3s/releases/download/{VERSION}/{FILE}",
        server.ready.url
    );
    let fetcher = Fetcher::build(project.root, project.cancel, None)?;
    let (mut ratios, mut memory) = (Vec::new(), Vec::new());
    // The first run of each reads the file for the first time.
    for number in 0..=arguments.runs.max(1) {
        let theirs = by_curl(&url, &directory)?;
        let ours = by_us(&fetcher, &url, &directory)?;
        if number > 0 {
            ratios.push(ours.elapsed.as_secs_f64() / theirs.elapsed.as_secs_f64());
            memory.push(ours.peak_memory as f64 / f64::from(1 << 20));
        }
    }
    let size = arguments.size;
    Ok(vec![
        Figure::new(
            format!("fetching {size} MiB: time beside curl's"),
            Unit::Ratio,
            SLOWER,
            ratios,
        ),
        Figure::new("fetching: memory", Unit::Mebibytes, MEMORY, memory),
    ])
}

/// Bytes that do not compress, made in no time.
fn write_file(path: &Path, size: u64) -> Result<()> {
    let mut file = fs_err::File::create(path)?;
    let mut state = 1_u64;
    let block: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    })
    .take(1 << 20)
    .collect();
    for _ in 0..size {
        file.write_all(&block)?;
    }
    Ok(())
}

fn by_curl(url: &str, directory: &TempDir) -> Result<Run> {
    let (shell, directory) = (Shell::new()?, directory.path());
    let (ca, target) = (directory.join(CA), directory.join("by-curl"));
    let command = cmd!(
        shell,
        "curl --silent --show-error --fail --location --cacert {ca} --output {target} {url}"
    );
    let run = measure::run(&mut command.into());
    let run = run.context("not run: the comparison needs curl (apt-get install curl)")?;
    expect_success(run, "curl")
}

fn by_us(fetcher: &Fetcher, url: &str, directory: &TempDir) -> Result<Run> {
    let path = |name: &str| -> PathBuf { directory.path().join(name) };
    let target = path("by-artifacts");
    if target.exists() {
        fs_err::remove_file(&target)?;
    }
    let mut request = Request::new(vec![Download {
        name: FILE.into(),
        urls: vec![url.into()],
        sha256: None,
        size: None,
        max_size: u64::MAX,
        partial: path("by-artifacts.part"),
        target: target.clone(),
    }]);
    request.ca = vec![path(CA)];
    let file = path("request.json");
    fs_err::write(&file, serde_json::to_vec(&request)?)?;
    let run = expect_success(
        measure::run(&mut fetcher.command("fetch", &file))?,
        "artifacts fetch",
    )?;
    ensure!(
        target.is_file(),
        "artifacts fetch ended with 0 but fetched nothing"
    );
    Ok(run)
}

fn expect_success(run: Run, what: &str) -> Result<Run> {
    if run.status.success() {
        return Ok(run);
    }
    bail!("{what} ended with {}", run.status)
}
