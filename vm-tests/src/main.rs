//! `vm-tests`: the harness as a program. The library has all that it does.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser;
use run_request::{BootRequest, RunRequest};
use serde::de::DeserializeOwned;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use vm_tests::boot::{check_order, seconds_to_installer};
use vm_tests::cli::{Cli, Command};
use vm_tests::config_file;
use vm_tests::output::Output;
use vm_tests::scenario::{self, ScenarioFile, by_hand, machines_of, run};

/// Exit status after Ctrl-C, as shells have it.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match start(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(1)
        }
    }
}

fn start(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        Command::ConfigFile { file, out } => {
            config_file::copy(&file, &out)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Schema => {
            print!("{}", scenario::schema());
            Ok(ExitCode::SUCCESS)
        }
        Command::BootOrder {
            kernel,
            initrd,
            expected,
            cpus,
        } => block_on(async move {
            let seen = check_order(&kernel, &initrd, &expected, cpus).await?;
            println!("{seen}");
            Ok(ExitCode::SUCCESS)
        }),
        Command::BootTime { efi, cpus } => block_on(async move {
            println!("{:.3}", seconds_to_installer(&efi, cpus).await?);
            Ok(ExitCode::SUCCESS)
        }),
        Command::Check { scenarios } => {
            for file in scenarios {
                ScenarioFile::check_with_alterations(&file)?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Boot { request } => block_on(async move {
            let request: BootRequest = read(&request)?;
            by_hand(request, &Output::new(), watch_interruption()?).await?;
            Ok(ExitCode::SUCCESS)
        }),
        Command::Run { request } => block_on(run_scenario(&request)),
    }
}

fn block_on(work: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new()?;
    let result = runtime.block_on(work);
    // A thread that waits for a silent guest must not hold up the end.
    runtime.shutdown_background();
    result
}

/// Reads a request.
fn read<R: DeserializeOwned>(file: &Path) -> Result<R> {
    let text = fs_err::read_to_string(file)?;
    serde_json::from_str(&text).with_context(|| format!("{} is no request", file.display()))
}

async fn run_scenario(request: &Path) -> Result<ExitCode> {
    let request: RunRequest = read(request)?;
    let (machines, says) = machines_of(request)?;
    let interrupted = watch_interruption()?;
    let output = Output::new();
    let report = run(&machines, says.as_deref(), &output, interrupted.clone()).await;
    drop(output);
    let report = report?;
    print!("{}", report.summary());
    println!("evidence: {}", machines[0].evidence.display());
    println!(
        "{} passed, {} failed",
        u8::from(report.passed),
        u8::from(!report.passed)
    );
    let interrupted = *interrupted.borrow();
    Ok(if report.passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(if interrupted { INTERRUPTED } else { 1 })
    })
}

/// The first Ctrl-C (or SIGTERM) ends the run in order, with its evidence; the
/// second ends it at once: the machine dies with this process.
fn watch_interruption() -> Result<watch::Receiver<bool>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if *sender.borrow() {
                std::process::exit(i32::from(INTERRUPTED));
            }
            eprintln!(
                "interrupted: switching the machine off and keeping the evidence; once more to end at once"
            );
            sender.send_replace(true);
        }
    });
    Ok(receiver)
}
