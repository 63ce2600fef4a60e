//! One run of a scenario: its machines built, the steps done, the evidence kept whatever happens.

use std::time::{Instant, SystemTime};

use anyhow::{Context as _, Result, bail};
use cluster_bootstrapper::{ParseOptions, Parsed, parse};
use futures_util::future::join_all;
use run_request::{AcceleratorChoice, ListedChecks};
use tokio::sync::watch;
use vm::accel::{Accelerator, Probed};
use vm::machine::Hub;

use super::accelerator::{Host, choose_accelerator, remember};
use super::check_list::CheckList;
use super::context::{Context, MACHINE, RunOptions, secrets};
use super::cycles::run_cycles;
use super::power_cuts;
use super::step::Step;
use super::turns::{OtherFailed, Turns};
use crate::access::Access;
use crate::evidence::{Evidence, Report, write_index};
use crate::leases::{Leases, asked_or_by};
use crate::output::Output;
use run_request::Role;

/// Runs a scenario on its machines, at least one, and writes its report, which tells whether it passed; one that has to
/// fail passes when its failure says `must_fail`.
///
/// # Errors
/// A config-file is wrong, or the evidence cannot be written.
pub async fn run(
    machines: &[RunOptions],
    must_fail: Option<&str>,
    output: &Output,
    interrupted: watch::Receiver<bool>,
) -> Result<Report> {
    let started = Instant::now();
    let first = machines.first().context("the scenario has no machine")?;
    let configs = machines.iter().map(Config::read);
    let configs = configs.collect::<Result<Vec<_>>>()?;
    let hidden = secrets(configs.iter().map(|config| &config.parsed));
    let evidence = Evidence::create(&first.evidence, hidden)?;
    let mut report = empty_report(first);
    let mut parts = Vec::new();
    for (options, config) in machines.iter().zip(configs) {
        parts.push(Part::new(options, config, &evidence)?);
    }
    let told = (output, interrupted);
    let result = run_all(&mut parts, &evidence, started, told, &mut report).await;
    if let Err(error) = result.and_then(|()| listed_checks(first, &mut report)) {
        report.failure = Some(format!("{error:#}"));
    }
    report.seconds = started.elapsed().as_secs_f64();
    report.conclude();
    if let Some(says) = must_fail {
        report.had_to_fail(says);
    }
    if report.passed && !first.request.keep {
        for part in &parts {
            fs_err::remove_dir_all(part.evidence.path(MACHINE))?;
        }
    }
    evidence.write_report(&report)?;
    if let Some(all) = first.evidence.parent() {
        write_index(all)?;
    }
    Ok(report)
}

/// A machine's config-file; that of a registry is empty.
struct Config {
    text: String,
    parsed: Parsed,
}

impl Config {
    fn read(options: &RunOptions) -> Result<Self> {
        let Some(path) = &options.config_file else {
            let text = String::new();
            let parsed = parse(&text, &ParseOptions::default());
            return Ok(Self { text, parsed });
        };
        let text = fs_err::read_to_string(path)?;
        let parsed = parse(&text, &ParseOptions::default());
        if parsed.has_errors() {
            let all = parsed.diagnostics.iter();
            let all: Vec<String> = all.map(|diagnostic| diagnostic.message.clone()).collect();
            bail!(
                "{} has errors: {}; see `cluster-bootstrapper validate --config-file`",
                path.display(),
                all.join("; ")
            );
        }
        Ok(Self { text, parsed })
    }
}

/// One machine of the run.
struct Part<'a> {
    options: &'a RunOptions,
    parsed: Parsed,
    evidence: Evidence,
    /// Known once the accelerator is chosen.
    leases: Leases,
}

impl<'a> Part<'a> {
    /// Its evidence is that of the run, or a directory in it where there are several machines.
    fn new(options: &'a RunOptions, config: Config, run: &Evidence) -> Result<Self> {
        let evidence = match &options.scenario.on {
            Some(name) => run.part(name)?,
            None => run.clone(),
        };
        evidence.write_private("config-file", config.text.as_bytes())?;
        Ok(Self {
            options,
            parsed: config.parsed,
            evidence,
            leases: Leases::default(),
        })
    }
}

/// Compares what was checked with the scenario's list, or writes that.
fn listed_checks(options: &RunOptions, report: &mut Report) -> Result<()> {
    match &options.request.checks {
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
        profile: options.request.profile.clone(),
        replaced: options.request.replaced.clone(),
        accelerator: "not chosen".to_owned(),
        accelerator_reason: String::new(),
        k3s: String::new(),
        passed: false,
        seconds: 0.0,
        started: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        stages: options.request.stages.clone(),
        steps: Vec::new(),
        checks: Vec::new(),
        screenshots: Vec::new(),
        consoles: Vec::new(),
        installation: None,
        failed_step: None,
        failure: None,
        notes: Vec::new(),
        warnings: Vec::new(),
    }
}

async fn run_all(
    parts: &mut [Part<'_>],
    evidence: &Evidence,
    begun: Instant,
    (output, interrupted): (&Output, watch::Receiver<bool>),
    report: &mut Report,
) -> Result<()> {
    let nodes = parts.iter().map(|part| part.options);
    let node = nodes
        .into_iter()
        .find(|options| options.scenario.machine.role == Role::Node)
        .context("the scenario installs no machine")?;
    let probed = choose_accelerator(
        &Host {
            scenario: &node.scenario,
            usb: &node.usb,
            cache: &node.request.cache,
        },
        node.request.accelerator.map(accelerator),
        &evidence.path("kvm-probe"),
        output,
        interrupted.clone(),
    )
    .await?;
    let accelerator = probed.chosen.accelerator;
    let choice = asked_or_by(node.request.leases, accelerator);
    let sockets = tempfile::tempdir().context("cannot make a directory for sockets")?;
    let socket = sockets.path().join("lan");
    let _hub = Hub::listen(&socket).context("cannot make the machines' network")?;
    let mut contexts = Vec::new();
    for part in parts {
        let config = part.parsed.config.as_ref();
        part.leases = config
            .map(|config| Leases::of(config, choice))
            .unwrap_or_default();
        contexts.push(Context {
            options: part.options,
            parsed: &part.parsed,
            accelerator,
            leases: &part.leases,
            access: Access::create(&part.evidence.path(MACHINE), &part.leases)?,
            evidence: &part.evidence,
            output,
            interrupted: interrupted.clone(),
            begun,
            hub: &socket,
        });
    }
    tell(&contexts, &probed, report);
    let result = match contexts.as_slice() {
        [only] => match only.options.scenario.steps.as_slice() {
            [Step::PowerCuts(cuts)] => power_cuts::run(only, cuts, report).await,
            _ => run_cycles(only, None, report).await,
        },
        several => run_several(several, report).await,
    };
    let installer_seen = report
        .steps
        .iter()
        .any(|step| step.name.contains("install/"));
    if !probed.certain && installer_seen {
        remember(&node.request.cache, &probed)?;
    }
    result
}

pub(super) fn accelerator(wanted: AcceleratorChoice) -> Accelerator {
    match wanted {
        AcceleratorChoice::Kvm => Accelerator::Kvm,
        AcceleratorChoice::Tcg => Accelerator::Tcg,
    }
}

/// Runs several machines at the same time, their steps one after the other.
async fn run_several(contexts: &[Context<'_>], report: &mut Report) -> Result<()> {
    let scenarios = contexts.iter().map(|context| &context.options.scenario);
    let turns = Turns::new(scenarios.map(|scenario| scenario.steps.len()).sum());
    let machines = contexts.iter().map(async |context| {
        let mut part = empty_report(context.options);
        let result = run_cycles(context, Some(&turns), &mut part).await;
        if result.is_err() {
            turns.fail(context.name());
        }
        (context.name(), part, result)
    });
    let mut failure = None;
    for (name, part, result) in join_all(machines).await {
        report.absorb(name, part);
        // Those that ended because of another one have nothing to say.
        let unexplained = |known: &anyhow::Error| known.is::<OtherFailed>();
        if failure.as_ref().is_none_or(unexplained) {
            failure = result.err().or(failure);
        }
    }
    failure.map_or(Ok(()), Err)
}

/// Says on the terminal and in the report how the machine will be executed.
fn tell(contexts: &[Context<'_>], probed: &Probed, report: &mut Report) {
    let accelerator = probed.chosen.accelerator;
    let name = accelerator.name();
    let mut reason = probed.chosen.reason.clone();
    let fewer = contexts.iter().find_map(|context| {
        let count = context.options.processors(accelerator).count;
        let wanted = context.options.scenario.machine.cpus;
        (count < wanted).then_some((count, wanted))
    });
    if let Some((count, wanted)) = fewer {
        reason += &format!("; {count} of {wanted} processors: QEMU is older than 8.1");
    }
    for context in &contexts[..1] {
        context
            .output
            .line(&format!("accelerator {name} ({reason})"));
    }
    for context in contexts {
        if let Some(note) = context.leases.note() {
            let note = format!("{}{note}", context.label());
            context.output.line(&note);
            report.notes.push(note);
        }
    }
    report.accelerator = name.to_owned();
    report.accelerator_reason = reason;
}
