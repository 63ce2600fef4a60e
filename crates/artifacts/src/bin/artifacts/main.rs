//! `artifacts`: the downloader as a program, so that xtask compiles no HTTP client.

mod interrupt;
mod line;
mod lines;
mod live;
mod text;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use artifacts::fetch::{Observer, fetch, probe};
use artifacts::request::{Probe, Request};
use clap::{Parser, Subcommand};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// An artifact could not be fetched, or nobody answered.
const FAILED: u8 = 1;
/// The command line or the request cannot be used.
const USAGE: u8 = 2;

/// Fetches artifacts, verifies them and gives them their final names.
///
/// Results are printed as JSON on standard output, progress and messages on standard error.
/// Exit status: 0 done, 1 an artifact failed, 2 the request cannot be used, 130 interrupted.
/// Proxies are taken from HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Fetch the downloads of a request; what an earlier run left is continued.
    Fetch {
        /// File with the request, in JSON.
        request: PathBuf,
    },
    /// Find out whether one of several URLs answers with a file.
    Probe {
        /// File with the URLs, in JSON.
        request: PathBuf,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Fetch { request } => run_fetch(&request),
        Command::Probe { request } => run_probe(&request),
    };
    done.unwrap_or_else(|error| {
        eprintln!("artifacts: {error:#}");
        ExitCode::from(USAGE)
    })
}

fn run_fetch(path: &Path) -> Result<ExitCode> {
    let request: Request = read(path)?;
    let names = request.downloads.iter().map(|it| it.name.clone());
    let observer: Arc<dyn Observer> = if std::io::stderr().is_terminal() {
        let live = Arc::new(live::Live::new(names));
        let area = live.clone();
        interrupt::handle(move || area.clear())?;
        live
    } else {
        interrupt::handle(|| ())?;
        Arc::new(lines::Lines::new(names))
    };
    let report = fetch(&request, observer)?;
    print(&report)?;
    Ok(status(report.failures().next().is_none()))
}

fn run_probe(path: &Path) -> Result<ExitCode> {
    let request: Probe = read(path)?;
    interrupt::handle(|| ())?;
    let report = probe(&request)?;
    print(&report)?;
    Ok(status(report.answered.is_some()))
}

fn status(good: bool) -> ExitCode {
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is not a request", path.display()))
}

fn print(report: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string_pretty(report)?);
    Ok(())
}
