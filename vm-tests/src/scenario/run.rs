//! One run of a scenario: the machine built, the steps done, the evidence kept
//! whatever happens.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail};
use cluster_bootstrapper::{ParseOptions, Parsed, parse};
use tokio::sync::watch;

use super::accelerator::{Host, choose_accelerator, remember};
use super::collect;
use super::definition::Scenario;
use super::flow::Flow;
use super::machine::{Hardware, Processors};
use super::step::Step;
use super::workstation::{WorkstationParts, make_stick};
use super::{outcome, power_cuts, secure_boot, service};
use crate::accel::{Accelerator, AcceleratorChoice};
use crate::access::Access;
use crate::console::{Badness, Console, DISK_ERROR, FILE_SYSTEM_ERROR, Gravity, NOTHING_TO_START};
use crate::evidence::{Check, Evidence, Report, StageRecord, StepRecord};
use crate::expectation;
use crate::kube::KubeLog;
use crate::leases::{LeaseChoice, Leases};
use crate::machine::RunningVm;
use crate::output::Output;
use crate::ssh::{Secrets, SshLog};

/// What a run needs.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// The scenario.
    pub scenario: Scenario,
    /// The config-file that the stick was made with.
    pub config_file: PathBuf,
    /// The stick's image. It is not written to.
    pub usb: PathBuf,
    /// What a scenario's workstation is made of.
    pub workstation: Option<WorkstationParts>,
    /// The archive with the image of the harness's pods.
    pub workload: Option<PathBuf>,
    /// The folder for the evidence.
    pub evidence: PathBuf,
    /// Where the accelerator's answer is remembered.
    pub cache: PathBuf,
    /// The profile's name, for the report.
    pub profile: String,
    /// What is not as the profile has it, for the report.
    pub replaced: Vec<String>,
    /// The accelerator.
    pub accelerator: AcceleratorChoice,
    /// How long K3s' components keep their leases; by the accelerator when none.
    pub leases: Option<LeaseChoice>,
    /// The most processors that a guest gets under TCG.
    pub emulated_cpus: u8,
    /// The stages of the build, for the report.
    pub stages: Vec<StageRecord>,
    /// Keeps the disks also after a run that passed.
    pub keep: bool,
    /// The longest time for the whole run.
    pub timeout: Option<Duration>,
}

impl RunOptions {
    /// The processors that the machine gets.
    pub(super) fn processors(&self, accelerator: Accelerator) -> Processors {
        let wanted = self.scenario.machine.cpus;
        let count = match accelerator {
            Accelerator::Kvm => wanted,
            Accelerator::Tcg => wanted.min(self.emulated_cpus),
        };
        Processors { accelerator, count }
    }
}

/// What all parts of a run share.
pub(super) struct Context<'a> {
    pub options: &'a RunOptions,
    pub parsed: &'a Parsed,
    pub accelerator: Accelerator,
    pub leases: &'a Leases,
    pub access: &'a Access,
    pub evidence: &'a Evidence,
    pub output: &'a Output,
    pub interrupted: watch::Receiver<bool>,
}

impl Context<'_> {
    /// True when the run was interrupted.
    pub fn interrupted(&self) -> bool {
        *self.interrupted.borrow()
    }
}

/// Runs a scenario and writes its report, which tells whether it passed.
///
/// # Errors
/// The config-file is wrong, or the evidence cannot be written.
pub async fn run(
    options: &RunOptions,
    output: &Output,
    interrupted: watch::Receiver<bool>,
) -> Result<Report> {
    let started = Instant::now();
    let text = fs_err::read_to_string(&options.config_file)?;
    let parsed = read_config(&text, &options.config_file)?;
    let evidence = Evidence::create(&options.evidence, secrets(&parsed))?;
    evidence.write_private("config-file", text.as_bytes())?;
    let mut report = empty_report(options);
    let told = (output, interrupted);
    if let Err(error) = run_all(options, &parsed, &evidence, told, &mut report).await {
        report.failure = Some(format!("{error:#}"));
    }
    report.seconds = started.elapsed().as_secs_f64();
    report.conclude();
    if report.passed && !options.keep {
        fs_err::remove_dir_all(evidence.path(MACHINE))?;
    }
    evidence.write_report(&report)?;
    Ok(report)
}

/// The folder of the machine's disks in the evidence.
pub(super) const MACHINE: &str = "machine";

fn empty_report(options: &RunOptions) -> Report {
    Report {
        scenario: options.scenario.name.clone(),
        profile: options.profile.clone(),
        replaced: options.replaced.clone(),
        accelerator: "not chosen".to_owned(),
        accelerator_reason: String::new(),
        k3s: String::new(),
        passed: false,
        seconds: 0.0,
        started: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        stages: options.stages.clone(),
        steps: Vec::new(),
        checks: Vec::new(),
        installation: None,
        failed_step: None,
        failure: None,
        notes: Vec::new(),
        warnings: Vec::new(),
    }
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

pub(super) fn secrets(parsed: &Parsed) -> Secrets {
    let mut secrets = Secrets::default();
    for plain in expectation::secrets(parsed) {
        secrets.add(&plain);
    }
    secrets
}

async fn run_all(
    options: &RunOptions,
    parsed: &Parsed,
    evidence: &Evidence,
    (output, interrupted): (&Output, watch::Receiver<bool>),
    report: &mut Report,
) -> Result<()> {
    let probed = choose_accelerator(
        &Host {
            scenario: &options.scenario,
            usb: &options.usb,
            cache: &options.cache,
        },
        options.accelerator,
        &evidence.path("kvm-probe"),
        output,
        interrupted.clone(),
    )
    .await?;
    let accelerator = probed.chosen.accelerator;
    let choice = LeaseChoice::or_by(options.leases, accelerator);
    let config = parsed.config.as_ref();
    let leases = config.map(|config| Leases::of(config, choice));
    let leases = leases.unwrap_or_default();
    let context = Context {
        options,
        parsed,
        accelerator,
        leases: &leases,
        access: &Access::create(&evidence.path(MACHINE), &leases)?,
        evidence,
        output,
        interrupted,
    };
    tell(&context, &probed.chosen.reason, report);
    let result = match options.scenario.steps.as_slice() {
        [Step::PowerCuts(cuts)] => power_cuts::run(&context, cuts, report).await,
        _ => run_cycles(&context, report).await,
    };
    let installer_seen = report
        .steps
        .iter()
        .any(|step| step.name.contains("install/"));
    if !probed.certain && installer_seen {
        remember(&options.cache, &probed)?;
    }
    result
}

/// Says on the terminal and in the report how the machine will be executed.
fn tell(context: &Context<'_>, reason: &str, report: &mut Report) {
    let accelerator = context.accelerator;
    let (cpus, wanted) = (
        context.options.processors(accelerator).count,
        context.options.scenario.machine.cpus,
    );
    let mut reason = reason.to_owned();
    if cpus < wanted {
        reason += &format!("; {cpus} of {wanted} processors: QEMU is older than 8.1");
    }
    let name = accelerator.name();
    context
        .output
        .line(&format!("accelerator {name} ({reason})"));
    if let Some(note) = context.leases.note() {
        context.output.line(&note);
        report.notes.push(note);
    }
    report.accelerator = name.to_owned();
    report.accelerator_reason = reason;
}

/// Runs the machine from power-on to power-off, as often as the scenario says.
async fn run_cycles(context: &Context<'_>, report: &mut Report) -> Result<()> {
    let (options, evidence) = (context.options, context.evidence);
    let scenario = &options.scenario;
    let usb = match &scenario.workstation {
        Some(workstation) => make_stick(context, workstation, report).await?,
        None => options.usb.clone(),
    };
    let hardware = Hardware::build(
        &scenario.machine,
        &usb,
        &evidence.path(MACHINE),
        &scenario.folder,
    )?;
    if scenario.machine.secure_boot {
        let check = secure_boot::signature(&options.usb, scenario.signed)?;
        report.checks.push(check);
    }
    let mut result = Ok(());
    let cycles = scenario.cycles();
    for (number, (begun_by, steps)) in cycles.iter().enumerate() {
        if *begun_by == Some(&Step::PowerCycleToStick) {
            hardware.put_new_stick_first(&usb)?;
        }
        let cycle = Cycle {
            steps,
            folder: match number {
                0 => evidence.folder().to_owned(),
                _ => evidence.path(&format!("cycle-{}", number + 1)),
            },
            label: String::new(),
            power_cut: number + 1 < cycles.len(),
        };
        result = run_machine(context, &hardware, &cycle, report).await;
        if result.is_err() {
            let later = cycles[number + 1..].iter().flat_map(|(_, steps)| *steps);
            let later = later.map(|step| StepRecord::not_run(step.name().to_owned()));
            report.steps.extend(later);
            break;
        }
    }
    collect::stick_logs(&hardware.stick, evidence);
    outcome::checks(
        scenario,
        &hardware,
        evidence,
        result.is_ok(),
        &mut report.checks,
    )?;
    result
}

/// One run of the machine.
pub(super) struct Cycle<'a> {
    /// What is done while it runs.
    pub steps: &'a [Step],
    /// Where its logs go.
    pub folder: PathBuf,
    /// What its steps' names begin with in the report.
    pub label: String,
    /// It ends with a power cut.
    pub power_cut: bool,
}

/// Starts the machine, does the steps, switches it off.
pub(super) async fn run_machine(
    context: &Context<'_>,
    hardware: &Hardware,
    cycle: &Cycle<'_>,
    report: &mut Report,
) -> Result<()> {
    let options = context.options;
    fs_err::create_dir_all(&cycle.folder)?;
    let sockets = tempfile::tempdir().context("cannot make a folder for sockets")?;
    let plan = hardware.plan(
        &options.scenario,
        options.processors(context.accelerator),
        Some(context.access),
        &cycle.folder,
        sockets.path(),
    )?;
    let script = cycle.folder.join("qemu.sh");
    context.evidence.write_script(&script, &plan.to_script())?;
    let timeline = fs_err::File::create(cycle.folder.join("consoles.log"))?;
    let console = Console::follow_into(&plan.serial_logs, timeline);
    let vm = RunningVm::start(plan, &cycle.folder.join("qmp.jsonl")).await?;
    let ssh_log = SshLog::new(&cycle.folder.join("ssh.jsonl"), secrets(context.parsed))?;
    let kube_log = KubeLog::new(&cycle.folder.join("api.jsonl"))?;
    let logs = (ssh_log, kube_log);
    let mut flow = Flow::new(context, hardware, &vm, &console, logs, cycle);
    let limit = options.timeout.unwrap_or(Duration::MAX);
    let result = match tokio::time::timeout(limit, flow.run_steps(cycle.steps)).await {
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
    report.warnings.extend(flow.guard.overruns());
    let accounts = match flow.has_kubernetes() {
        true => flow.accounts.as_slice(),
        false => &[],
    };
    let (check, warnings) = service::told(accounts, flow.leases);
    flow.checks.extend(check);
    report.warnings.extend(warnings);
    if !flow.k3s.is_empty() {
        report.k3s = std::mem::take(&mut flow.k3s);
    }
    report.failed_step = flow.failed_step.take().or(report.failed_step.take());
    report.installation = flow.installation.or(report.installation);
    report.steps.append(&mut flow.steps);
    report.checks.append(&mut flow.checks);
    drop(flow);
    let stopped = if cycle.power_cut {
        vm.kill().await
    } else {
        vm.stop().await
    };
    console.caught_up().await;
    let mut badness = console.look(|state| state.badness.clone());
    // The kernel has to complain about a disk that was made to fail, and about a stick that was pulled.
    if options.scenario.disturbs_disks() {
        badness.retain(|badness| ![DISK_ERROR, FILE_SYSTEM_ERROR].contains(&badness.name));
    }
    if options.scenario.steps.contains(&Step::FirmwareRefuses) {
        badness.retain(|badness| badness.name != NOTHING_TO_START);
    }
    take_badness(badness, report);
    result?;
    Ok(stopped?)
}

/// Trouble on the consoles: a check of its own, but for warnings.
fn take_badness(badness: Vec<Badness>, report: &mut Report) {
    let text =
        |badness: &Badness| format!("{} on {}: {}", badness.name, badness.port, badness.line);
    let (warnings, errors): (Vec<_>, Vec<_>) = badness
        .into_iter()
        .partition(|badness| badness.gravity == Gravity::Warning);
    report.warnings.extend(warnings.iter().map(text));
    let seen: Vec<String> = errors.iter().map(text).collect();
    report.checks.push(Check {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::find_badness;

    fn report() -> Report {
        let scenario = Scenario::load(Path::new(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../configs/scenarios/sample.yaml"
        )))
        .unwrap();
        let nowhere = PathBuf::from("/nowhere");
        let (config_file, usb, evidence, cache) =
            (nowhere.clone(), nowhere.clone(), nowhere.clone(), nowhere);
        let options = RunOptions {
            scenario,
            config_file,
            usb,
            workstation: None,
            workload: None,
            evidence,
            cache,
            profile: "reference".into(),
            replaced: Vec::new(),
            accelerator: AcceleratorChoice::Tcg,
            leases: None,
            emulated_cpus: 1,
            stages: Vec::new(),
            keep: false,
            timeout: None,
        };
        empty_report(&options)
    }

    #[test]
    fn an_oops_fails_the_consoles_check_and_a_stall_only_warns() {
        let lines = [
            "Oops: 0000 [#1] SMP",
            "watchdog: BUG: soft lockup - CPU#1 stuck for 22s!",
        ];
        let mut report = report();
        take_badness(
            lines
                .iter()
                .filter_map(|line| find_badness("ttyS0", line))
                .collect(),
            &mut report,
        );
        assert_eq!((report.checks[0].passed, report.warnings.len()), (false, 1));
    }
}
