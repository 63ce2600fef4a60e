//! One run of a scenario: the machine built, the steps done, the evidence kept
//! whatever happens.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use cluster_bootstrapper::{ParseOptions, Parsed, parse};
use tokio::sync::watch;

use super::collect;
use super::definition::Scenario;
use super::flow::Flow;
use super::machine::Hardware;
use crate::accel::{self, AcceleratorChoice, Chosen};
use crate::console::{Console, Gravity};
use crate::evidence::{Evidence, Report, StageRecord};
use crate::expectation;
use crate::machine::{RunningVm, VmPlan};
use crate::output::Output;
use crate::ssh::{Secrets, SshLog};

/// What a run needs.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// The scenario.
    pub scenario: Scenario,
    /// The config-file that the stick was made with.
    pub config_file: PathBuf,
    /// The private key whose public part the config-file has.
    pub identity: PathBuf,
    /// The stick's image. It is not written to.
    pub usb: PathBuf,
    /// The folder for the evidence.
    pub evidence: PathBuf,
    /// Where the accelerator's answer is remembered.
    pub cache: PathBuf,
    /// The profile's name, for the report.
    pub profile: String,
    /// The accelerator.
    pub accelerator: AcceleratorChoice,
    /// The stages of the build, for the report.
    pub stages: Vec<StageRecord>,
    /// Keeps the disks also after a run that passed.
    pub keep: bool,
    /// The longest time for the whole run.
    pub timeout: Option<Duration>,
}

/// Runs a scenario and writes its report. The report tells whether it passed.
///
/// # Errors
/// The run could not begin: a missing file, a wrong config-file, no firmware.
pub async fn run(
    options: &RunOptions,
    output: &Output,
    interrupted: watch::Receiver<bool>,
) -> Result<Report> {
    let started = Instant::now();
    let began = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let text = fs_err::read_to_string(&options.config_file)?;
    let parsed = read_config(&text, &options.config_file)?;
    let evidence = Evidence::create(&options.evidence, secrets(&parsed))?;
    evidence.write_private("config-file", text.as_bytes())?;
    let chosen = choose_accelerator(options, output, &evidence).await?;
    output.line(&format!(
        "accelerator {} ({})",
        chosen.accelerator.name(),
        chosen.reason
    ));
    let mut report = Report {
        scenario: options.scenario.name.clone(),
        profile: options.profile.clone(),
        accelerator: chosen.accelerator.name().to_owned(),
        accelerator_reason: chosen.reason.clone(),
        k3s: String::new(),
        passed: false,
        seconds: 0.0,
        started: began,
        stages: options.stages.clone(),
        steps: Vec::new(),
        checks: Vec::new(),
        failure: None,
        warnings: Vec::new(),
    };
    let work = evidence.path("machine");
    let hardware = Hardware::build(&options.scenario, &options.usb, &work)?;
    let result = run_machine(
        options,
        output,
        interrupted,
        &parsed,
        &evidence,
        &hardware,
        chosen,
        &mut report,
    )
    .await;
    if let Err(error) = result {
        report.failure = Some(format!("{error:#}"));
    }
    collect::stick_logs(&hardware.stick, &evidence);
    report.seconds = started.elapsed().as_secs_f64();
    report.conclude();
    if report.passed && !options.keep {
        fs_err::remove_dir_all(&work)?;
    }
    evidence.write_report(&report)?;
    Ok(report)
}

fn read_config(text: &str, path: &Path) -> Result<Parsed> {
    let parsed = parse(text, &ParseOptions::default());
    if parsed.has_errors() {
        let all: Vec<String> = parsed
            .diagnostics
            .iter()
            .map(|diagnostic| diagnostic.message.clone())
            .collect();
        bail!(
            "{} has errors: {}; see `cluster-bootstrapper validate --config-file`",
            path.display(),
            all.join("; ")
        );
    }
    Ok(parsed)
}

fn secrets(parsed: &Parsed) -> Secrets {
    let mut secrets = Secrets::default();
    for plain in expectation::passwords(parsed).into_iter().flatten() {
        secrets.add(&plain);
    }
    secrets
}

#[expect(
    clippy::too_many_arguments,
    reason = "each is a part of the run with a life of its own"
)]
async fn run_machine(
    options: &RunOptions,
    output: &Output,
    interrupted: watch::Receiver<bool>,
    parsed: &Parsed,
    evidence: &Evidence,
    hardware: &Hardware,
    chosen: Chosen,
    report: &mut Report,
) -> Result<()> {
    let sockets = tempfile::tempdir().context("cannot make a folder for sockets")?;
    let plan = hardware.plan(
        &options.scenario,
        chosen.accelerator,
        evidence.folder(),
        sockets.path(),
    )?;
    evidence.write_script("qemu.sh", &plan.to_script())?;
    let console = Console::follow(&plan.serial_logs);
    let vm = start(plan, evidence).await?;
    let ssh_log = SshLog::new(&evidence.path("ssh.jsonl"), secrets(parsed))?;
    let mut flow = Flow::new(
        options,
        parsed,
        evidence,
        hardware,
        &vm,
        &console,
        interrupted,
        ssh_log,
        output,
    );
    let limit = options.timeout.unwrap_or(Duration::MAX);
    let result = match tokio::time::timeout(limit, flow.run_steps()).await {
        Ok(result) => result,
        Err(_) => Err(flow
            .guard
            .failure(
                "running the scenario",
                format!("not done within {}", humantime::format_duration(limit)),
            )
            .into()),
    };
    collect::at_the_end(&mut flow, result.is_err()).await;
    report.k3s.clone_from(&flow.k3s);
    report.steps.append(&mut flow.steps);
    report.checks.append(&mut flow.checks);
    drop(flow);
    let stopped = vm.stop().await;
    collect::firmware(hardware, evidence, &mut report.checks, &options.scenario);
    take_badness(&console, report);
    result?;
    Ok(stopped?)
}

async fn start(plan: VmPlan, evidence: &Evidence) -> Result<RunningVm> {
    Ok(RunningVm::start(plan, &evidence.path("qmp.jsonl")).await?)
}

/// Trouble on the consoles: a check of its own, but for warnings.
fn take_badness(console: &Console, report: &mut Report) {
    let badness = console.look(|state| state.badness.clone());
    let (warnings, errors): (Vec<_>, Vec<_>) = badness
        .into_iter()
        .partition(|badness| badness.gravity == Gravity::Warning);
    report.warnings.extend(
        warnings
            .iter()
            .map(|badness| format!("{} on {}: {}", badness.name, badness.port, badness.line)),
    );
    let seen: Vec<String> = errors
        .iter()
        .map(|badness| format!("{} on {}: {}", badness.name, badness.port, badness.line))
        .collect();
    report.checks.push(crate::evidence::Check {
        key: "machine/consoles".into(),
        check: "no kernel panic, oops, OOM kill, disk error or emergency shell on any console"
            .into(),
        expected: "none".into(),
        actual: if seen.is_empty() {
            "none".to_owned()
        } else {
            seen.join(" | ")
        },
        passed: seen.is_empty(),
    });
}

/// The accelerator by wish, by memory, or by a probe.
async fn choose_accelerator(
    options: &RunOptions,
    output: &Output,
    evidence: &Evidence,
) -> Result<Chosen> {
    if let Some(chosen) =
        accel::choose_without_probe(options.accelerator, &options.cache, &accel::kvm_device())
    {
        return Ok(chosen);
    }
    output.doing("probing KVM with a guest");
    let folder = evidence.path("kvm-probe");
    let hardware = Hardware::build(&options.scenario, &options.usb, &folder)?;
    let sockets = tempfile::tempdir()?;
    let plan = hardware.plan(
        &options.scenario,
        accel::Accelerator::Kvm,
        &folder,
        sockets.path(),
    )?;
    let chosen = accel::probe(plan, &folder.join("qmp.jsonl")).await?;
    fs_err::remove_dir_all(&folder)?;
    accel::remember(&options.cache, &accel::host_boot_id()?, &chosen)
        .context("cannot remember the accelerator")?;
    Ok(chosen)
}
