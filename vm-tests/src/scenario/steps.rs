//! The steps of a scenario on a running machine, each with its outcome.

use std::time::Instant;

use anyhow::{Result, bail};

use super::session::Session;
use super::step::{Disturbed, Step};
use super::{outside, verify, workstation};
use crate::evidence::Outcome;

/// Does `steps` in order, each when it is its turn where other machines have steps as well.
pub(super) async fn run(session: &mut Session<'_>, steps: &[Step]) -> Result<()> {
    for (at, step) in steps.iter().enumerate() {
        session.wait_for_turn(at).await?;
        session.begun += 1;
        session.since = Some(Instant::now());
        let result = run_one(session, step).await;
        is_over(session, step, result.is_ok());
        result?;
        session.turn_is_over(at);
    }
    session.wait_for_others().await
}

/// Records how the step that was begun last ended.
fn is_over(session: &mut Session<'_>, step: &Step, passed: bool) {
    let Some(since) = session.since.take() else {
        return;
    };
    let seconds = since.elapsed().as_secs_f64();
    let (outcome, word) = if passed {
        (Outcome::Passed, "done")
    } else {
        session.failed_step = Some(format!("{}{}", session.label, step.name()));
        (Outcome::Failed, "failed")
    };
    session.record(step.name(), seconds, outcome);
    session
        .output
        .line(&format!("{}{step} {word} ({seconds:.0} s)", session.label));
}

/// Records what was not done of `steps`: one that did not come to its end, and those after it.
pub(super) fn conclude(session: &mut Session<'_>, steps: &[Step]) {
    let begun = session.begun;
    if let Some(last) = begun.checked_sub(1).and_then(|last| steps.get(last)) {
        is_over(session, last, false);
    }
    for step in &steps[begun..] {
        session.record(step.name(), 0.0, Outcome::NotRun);
    }
}

/// Does one step.
pub(super) async fn run_one(session: &mut Session<'_>, step: &Step) -> Result<()> {
    match step {
        Step::Install => session.install().await,
        Step::InstallUntil(step) => session.install_until(step).await,
        Step::Refuse(refusal) => session.refuse(refusal).await,
        Step::FirmwareRefuses => session.firmware_refuses().await,
        Step::StartDisk => session.start_disk().await,
        Step::Recover => session.recover().await,
        Step::FirstBoot => session.first_boot().await,
        Step::Ready => session.ready().await,
        Step::Verify => verify::verify(session).await,
        Step::Reboot => session.reboot().await,
        Step::NodeSays(text) => session.node_says(text).await,
        Step::ConnectNetwork => Ok(session.guard.vm().connect_network().await?),
        Step::UnplugNetwork | Step::PlugNetwork | Step::SlowNetwork(_) | Step::AttachDisk(_) => {
            outside::act(session.guard.vm(), step).await
        }
        Step::While(disturbed) => disturb(session, disturbed).await,
        Step::RunImage(image) => session.run_image(image).await,
        Step::NodeJoins(node) => session.node_joins(node).await,
        Step::RunOnNode(command) => session.run_on_node(command).await,
        Step::ServeImages => session.serve_images().await,
        Step::UnplugStick => session.unplug_stick().await,
        Step::PressKeys(keys) => session.press_keys(keys).await,
        Step::MakeStick => workstation::work(session).await,
        Step::PowerCycle
        | Step::PowerCycleToStick
        | Step::PowerCycleWithoutStick
        | Step::PowerCuts(_)
        | Step::On(_) => {
            bail!("`{step}` is not done by a running machine")
        }
    }
}

/// Does a step and, meanwhile, what its `actions` say. A step that ends before all of it was done was not disturbed as the
/// scenario has it: that is a failure.
async fn disturb(session: &mut Session<'_>, disturbed: &Disturbed) -> Result<()> {
    let (vm, output) = (session.guard.vm(), session.output);
    let begun = tokio::time::Instant::now();
    let actions = async {
        for timed in &disturbed.actions {
            tokio::time::sleep_until(begun + timed.after).await;
            outside::act(vm, &timed.action).await?;
            let seconds = timed.after.as_secs();
            output.line(&format!("{} after {seconds} s", timed.action));
        }
        Ok::<_, anyhow::Error>(())
    };
    let step = Box::pin(run_one(session, &disturbed.step));
    tokio::pin!(actions, step);
    tokio::select! {
        biased;
        result = &mut step => {
            result?;
            bail!("`{}` ended before all was done that disturbs it", disturbed.step);
        }
        result = &mut actions => result?,
    }
    step.await
}
