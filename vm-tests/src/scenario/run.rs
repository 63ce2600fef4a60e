//! One run of a scenario: the machine built, the steps done, the evidence kept
//! whatever happens.

use std::path::Path;
use std::time::{Instant, SystemTime};

use anyhow::{Result, bail};
use cluster_bootstrapper::{ParseOptions, Parsed, parse};
use tokio::sync::watch;

use super::accelerator::{Host, choose_accelerator, remember};
use super::check_list::CheckList;
use super::context::{Context, Cycle, ListedChecks, MACHINE, RunOptions, secrets};
use super::cycle::run_machine;
use super::machine::Hardware;
use super::make_stick::make_stick;
use super::step::Step;
use super::{collect, outcome, power_cuts, secure_boot};
use crate::access::Access;
use crate::evidence::{Evidence, Report, StepRecord};
use crate::leases::{LeaseChoice, Leases};
use crate::output::Output;

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
    let result = run_all(options, &parsed, &evidence, told, &mut report).await;
    if let Err(error) = result.and_then(|()| listed_checks(options, &mut report)) {
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

/// Compares what was checked with the scenario's list, or writes that.
fn listed_checks(options: &RunOptions, report: &mut Report) -> Result<()> {
    match &options.listed {
        ListedChecks::Ignored => {}
        ListedChecks::Written(file) if report.checks.iter().all(|check| check.passed) => {
            // How many cuts there are depends on what was drawn.
            let counted = !matches!(*options.scenario.steps, [Step::PowerCuts(_)]);
            let list = CheckList::of(&report.checks, counted);
            if let Some(directory) = file.parent() {
                fs_err::create_dir_all(directory)?;
            }
            fs_err::write(file, list.to_string())?;
        }
        ListedChecks::Written(_) => {}
        ListedChecks::Compared(file) if file.is_file() => {
            let check = CheckList::read(file)?.compare(&report.checks);
            report.checks.push(check);
        }
        ListedChecks::Compared(_) => report
            .notes
            .push("the scenario has no list of checks; --bless writes one".to_owned()),
    }
    Ok(())
}

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
