//! `vm-tests`: the harness as a program. The library has all that it does.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use vm_tests::boot::{check_order, seconds_to_installer};
use vm_tests::cli::{Cli, Command, RunArgs};
use vm_tests::config_file;
use vm_tests::evidence::{StageRecord, new_run_folder};
use vm_tests::output::Output;
use vm_tests::scenario::{
    self, ListedChecks, Role, RunOptions, Scenario, ScenarioFile, WorkstationParts, run,
};

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
    let (file, says) = match args.must_fail {
        None => (ScenarioFile::load(&args.scenario)?, None),
        Some(number) => {
            let (file, says) = ScenarioFile::load_altered(&args.scenario, number)?;
            (file, Some(says))
        }
    };
    let machines = options(args, &file)?;
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

/// What each machine's part of the run needs.
fn options(args: RunArgs, file: &ScenarioFile) -> Result<Vec<RunOptions>> {
    let stages: Vec<StageRecord> = match &args.stages {
        None => Vec::new(),
        Some(path) => serde_json::from_str(&fs_err::read_to_string(path)?)
            .with_context(|| format!("{} is no list of stages", path.display()))?,
    };
    let scenarios = file.machines();
    anyhow::ensure!(
        args.workload.is_some() || !scenarios.iter().any(Scenario::needs_image),
        "the scenario {} starts pods: give their image with --workload; `cargo xtask e2e` builds it",
        file.name
    );
    let media = scenarios.iter().map(|scenario| medium(&args, scenario));
    let media = media.collect::<Result<Vec<_>>>()?;
    let evidence = new_run_folder(&args.evidence, &file.name)?;
    let machines = scenarios.into_iter().zip(media);
    let machines = machines.map(|(scenario, (config_file, usb))| RunOptions {
        evidence: evidence.clone(),
        scenario,
        config_file,
        usb,
        workstation: args
            .workstation
            .clone()
            .zip(args.installation_files.clone())
            .map(|(image, installation_files)| WorkstationParts {
                image,
                installation_files,
            }),
        workload: args.workload.clone(),
        cache: args.cache.clone(),
        profile: args.profile.clone(),
        replaced: args.replaced.clone(),
        accelerator: args.accel,
        leases: args.leases,
        emulated_cpus: args.emulated_cpus,
        stages: stages.clone(),
        listed: match args.checks.clone() {
            None => ListedChecks::Ignored,
            Some(file) if args.bless => ListedChecks::Written(file),
            Some(file) => ListedChecks::Compared(file),
        },
        keep: args.keep,
        timeout: args.timeout,
    });
    Ok(machines.collect())
}

/// The config-file and what a machine is started from.
fn medium(args: &RunArgs, scenario: &Scenario) -> Result<(Option<PathBuf>, PathBuf)> {
    let (config_file, image) = if scenario.machine.role == Role::Registry {
        let disk = args.registry.clone();
        (
            None,
            disk.context("the scenario has a registry: give its disk with --registry")?,
        )
    } else if let Some(name) = &scenario.on {
        let mut machines = args.machine.chunks_exact(3);
        let machine = machines.find(|machine| *machine[0] == **name);
        let machine = machine.with_context(|| {
            format!("the scenario has a machine {name}: give its files with --machine {name}")
        })?;
        (Some(machine[1].clone()), machine[2].clone())
    } else {
        let missing = "the scenario has one machine: give --config-file and --usb";
        (
            Some(args.config_file.clone().context(missing)?),
            args.usb.clone().context(missing)?,
        )
    };
    anyhow::ensure!(
        image.is_file(),
        "the image {} does not exist; `cargo xtask e2e` builds one",
        image.display()
    );
    Ok((config_file, image))
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
