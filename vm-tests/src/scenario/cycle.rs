//! The machine from power-on to power-off: it is started, the steps are done, and what they found is kept.

use std::time::Duration;

use anyhow::{Context as _, Result};
use vm::console::{Badness, Console, DISK_ERROR, FILE_SYSTEM_ERROR, Gravity, NOTHING_TO_START};
use vm::machine::RunningVm;

use super::collect;
use super::context::{Context, Cycle};
use super::machine::{Hardware, Reached};
use super::service;
use super::session::Session;
use super::step::Step;
use super::steps;
use crate::evidence::{Check, ConsoleLog, Report};
use crate::kube::KubeLog;
use crate::ssh::SshLog;

/// Starts the machine, does the steps, switches it off.
pub(super) async fn run_machine(
    context: &Context<'_>,
    hardware: &Hardware,
    cycle: &Cycle<'_>,
    report: &mut Report,
) -> Result<()> {
    let options = context.options;
    if let Some(own) = cycle.turns {
        // It is switched on when its first step comes.
        context
            .uninterrupted(own.turns.wait(own.places[0]))
            .await??;
    }
    fs_err::create_dir_all(&cycle.folder)?;
    let sockets = tempfile::tempdir().context("cannot make a folder for sockets")?;
    let plan = hardware.plan(
        &options.scenario,
        options.processors(context.accelerator),
        Reached {
            access: Some(&context.access),
            hub: Some(context.hub),
        },
        &cycle.folder,
        sockets.path(),
    )?;
    let script = cycle.folder.join("qemu.sh");
    context.evidence.write_script(&script, &plan.to_script())?;
    let consoles = cycle.folder.join("consoles.log");
    let timeline = fs_err::File::create(&consoles)?;
    report.consoles.push(ConsoleLog {
        file: context.evidence.name_in_run(&consoles),
        label: context.label(),
        started: context.begun.elapsed().as_secs_f64(),
    });
    let console = Console::follow_into(&plan.serial_logs, timeline);
    let vm = RunningVm::start(plan, &cycle.folder.join("qmp.jsonl")).await?;
    let ssh_log = SshLog::new(
        &cycle.folder.join("ssh.jsonl"),
        context.evidence.secrets().clone(),
    )?;
    let kube_log = KubeLog::new(&cycle.folder.join("api.jsonl"))?;
    let logs = (ssh_log, kube_log);
    let mut session = Session::new(context, hardware, &vm, &console, logs, cycle);
    let limit = options.timeout.unwrap_or(Duration::MAX);
    let result = match tokio::time::timeout(limit, steps::run(&mut session, cycle.steps)).await {
        Ok(result) => result,
        Err(_) => Err(session
            .guard
            .failure(
                "running the scenario",
                format!("not done within {}", humantime::format_duration(limit)),
            )
            .into()),
    };
    if result.is_err() {
        steps::conclude(&mut session, cycle.steps);
        if let Some(own) = cycle.turns {
            own.turns.fail(context.name());
        }
    }
    collect::at_the_end(&mut session, result.is_err()).await;
    report.warnings.extend(session.guard.overruns());
    let accounts = match session.has_kubernetes() {
        true => session.accounts.as_slice(),
        false => &[],
    };
    let (check, warnings) = service::told(accounts, session.leases);
    session.checks.extend(check);
    report.warnings.extend(warnings);
    if !session.k3s.is_empty() {
        report.k3s = std::mem::take(&mut session.k3s);
    }
    report.failed_step = session.failed_step.take().or(report.failed_step.take());
    report.installation = session.installation.or(report.installation);
    report.steps.append(&mut session.steps);
    report.screenshots.append(&mut session.screenshots);
    report.checks.append(&mut session.checks);
    drop(session);
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
    let (check, warnings) = trouble(badness);
    report.checks.push(check);
    report.warnings.extend(warnings);
    result?;
    Ok(stopped?)
}

/// Trouble on the consoles: a check of its own, and warnings.
fn trouble(badness: Vec<Badness>) -> (Check, Vec<String>) {
    let text =
        |badness: &Badness| format!("{} on {}: {}", badness.name, badness.port, badness.line);
    let (warnings, errors): (Vec<_>, Vec<_>) = badness
        .into_iter()
        .partition(|badness| badness.gravity == Gravity::Warning);
    let seen: Vec<String> = errors.iter().map(text).collect();
    let check = Check {
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
    };
    (check, warnings.iter().map(text).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use vm::console::find_badness;

    #[test]
    fn an_oops_fails_the_consoles_check_and_a_stall_only_warns() {
        let seen = |lines: &[&str]| {
            let found = lines.iter().filter_map(|line| find_badness("ttyS0", line));
            let (check, warnings) = trouble(found.collect());
            (check.passed, warnings.len())
        };
        let oops = "Oops: 0000 [#1] SMP";
        let stall = "watchdog: BUG: soft lockup - CPU#1 stuck for 22s!";
        assert_eq!(seen(&[]), (true, 0));
        assert_eq!(seen(&[stall]), (true, 1));
        assert_eq!(seen(&[oops, stall]), (false, 1));
    }
}
