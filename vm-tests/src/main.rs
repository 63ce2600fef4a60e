//! `vm-tests`: the harness as a program. The library has all that it does.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use vm_tests::cli::{Cli, Command, RunArgs};
use vm_tests::config_file;
use vm_tests::evidence::{StageRecord, new_run_folder};
use vm_tests::output::Output;
use vm_tests::scenario::{self, ListedChecks, RunOptions, Scenario, WorkstationParts, run};

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
        Command::Run(args) => block_on(run_scenario(*args)),
    }
}

fn block_on(work: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new()?;
    let result = runtime.block_on(work);
    // A thread that waits for a silent guest must not hold up the end.
    runtime.shutdown_background();
    result
}

async fn run_scenario(args: RunArgs) -> Result<ExitCode> {
    let options = options(args)?;
    let interrupted = watch_interruption()?;
    let output = Output::new();
    let report = run(&options, &output, interrupted.clone()).await;
    drop(output);
    let report = report?;
    print!("{}", report.summary());
    println!("evidence: {}", options.evidence.display());
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

fn options(args: RunArgs) -> Result<RunOptions> {
    anyhow::ensure!(
        args.usb.is_file(),
        "the USB image {} does not exist; `cargo xtask e2e` builds one",
        args.usb.display()
    );
    let stages: Vec<StageRecord> = match &args.stages {
        None => Vec::new(),
        Some(path) => serde_json::from_str(&fs_err::read_to_string(path)?)
            .with_context(|| format!("{} is no list of stages", path.display()))?,
    };
    let scenario = Scenario::load(&args.scenario)?;
    anyhow::ensure!(
        args.workload.is_some() || !scenario.starts_pods(),
        "the scenario {} starts pods: give their image with --workload; `cargo xtask e2e` builds it",
        scenario.name
    );
    Ok(RunOptions {
        evidence: new_run_folder(&args.evidence, &scenario.name)?,
        scenario,
        config_file: args.config_file,
        usb: args.usb,
        workstation: args.workstation.zip(args.installation_files).map(
            |(image, installation_files)| WorkstationParts {
                image,
                installation_files,
            },
        ),
        workload: args.workload,
        cache: args.cache,
        profile: args.profile,
        replaced: args.replaced,
        accelerator: args.accel,
        leases: args.leases,
        emulated_cpus: args.emulated_cpus,
        stages,
        listed: match args.checks {
            None => ListedChecks::Ignored,
            Some(file) if args.bless => ListedChecks::Written(file),
            Some(file) => ListedChecks::Compared(file),
        },
        keep: args.keep,
        timeout: args.timeout,
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
