//! The machine from power-on to power-off: it is started, the steps are done, and what they found is kept.

use std::path::Path;

use anyhow::{Context as _, Result};
use vm::console::Console;
use vm::machine::{RunningVm, VmPlan};

use super::aspect::trouble;
use super::collect;
use super::context::{Context, Cycle};
use super::machine::{Hardware, Reached};
use super::service;
use super::session::Session;
use super::steps;
use crate::evidence::{ConsoleLog, Report};
use crate::kube::KubeLog;
use crate::ssh::SshLog;

/// Starts the machine, does the steps, switches it off.
pub(super) async fn run_machine(
    context: &Context<'_>,
    hardware: &Hardware,
    cycle: &Cycle<'_>,
    report: &mut Report,
) -> Result<()> {
    if let Some(own) = cycle.turns {
        // It is switched on when its first step comes.
        let turn = own.turns.wait(own.places[0]);
        context.uninterrupted(turn).await??;
    }
    fs_err::create_dir_all(&cycle.folder)?;
    let sockets = tempfile::tempdir().context("cannot make a folder for sockets")?;
    let plan = plan(context, hardware, cycle, sockets.path())?;
    let consoles = cycle.folder.join("consoles.log");
    let timeline = fs_err::File::create(&consoles)?;
    report.consoles.push(ConsoleLog {
        file: context.evidence.name_in_run(&consoles),
        label: context.label(),
        started: context.begun.elapsed().as_secs_f64(),
    });
    let console = Console::follow_into(&plan.serial_logs, timeline);
    let vm = RunningVm::start(plan, &cycle.folder.join("qmp.jsonl")).await?;
    let secrets = context.evidence.secrets().clone();
    let ssh_log = SshLog::new(&cycle.folder.join("ssh.jsonl"), secrets)?;
    let kube_log = KubeLog::new(&cycle.folder.join("api.jsonl"))?;
    let logs = (ssh_log, kube_log);
    let mut session = Session::new(context, hardware, &vm, &console, logs, cycle);
    let result = do_steps(context, &mut session, cycle).await;
    found(session, report);
    let stopped = if cycle.power_cut {
        vm.kill().await
    } else {
        vm.stop().await
    };
    console.caught_up().await;
    let badness = console.look(|state| state.badness.clone());
    let (check, warnings) = trouble(badness, &context.options.scenario);
    report.checks.push(check);
    report.warnings.extend(warnings);
    result?;
    Ok(stopped?)
}

/// The machine as it is switched on, also kept as a script.
fn plan(
    context: &Context<'_>,
    hardware: &Hardware,
    cycle: &Cycle<'_>,
    sockets: &Path,
) -> Result<VmPlan> {
    let options = context.options;
    let reached = Reached {
        access: Some(&context.access),
        hub: Some(context.hub),
        person: false,
    };
    let processors = options.processors(context.accelerator);
    let scenario = &options.scenario;
    let plan = hardware.plan(scenario, processors, reached, &cycle.folder, sockets)?;
    let script = cycle.folder.join("qemu.sh");
    context.evidence.write_script(&script, &plan.to_script())?;
    Ok(plan)
}

/// Does the steps, and keeps what can be had from the machine then.
async fn do_steps(
    context: &Context<'_>,
    session: &mut Session<'_>,
    cycle: &Cycle<'_>,
) -> Result<()> {
    let result = steps::run(session, cycle.steps).await;
    if result.is_err() {
        steps::conclude(session, cycle.steps);
        if let Some(own) = cycle.turns {
            own.turns.fail(context.name());
        }
    }
    collect::at_the_end(session, result.is_err()).await;
    result
}

/// Takes what a session has found into the report.
fn found(session: Session<'_>, report: &mut Report) {
    report.warnings.extend(session.guard.overruns());
    let accounts = match session.has_kubernetes() {
        true => session.accounts.as_slice(),
        false => &[],
    };
    let (check, warnings) = service::told(accounts, session.leases);
    report.warnings.extend(warnings);
    report.steps.extend(session.steps);
    report.screenshots.extend(session.screenshots);
    report.checks.extend(session.checks);
    report.checks.extend(check);
    if !session.k3s.is_empty() {
        report.k3s = session.k3s;
    }
    report.failed_step = session.failed_step.or(report.failed_step.take());
    report.installation = session.installation.or(report.installation);
}
