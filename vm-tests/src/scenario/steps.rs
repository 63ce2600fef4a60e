//! The steps of a scenario on a running machine, each with its outcome.

use std::time::Instant;

use anyhow::Result;

use super::session::Session;
use super::step::Step;
use super::{verify, workstation};
use crate::evidence::Outcome;

/// Does `steps` in order.
pub(super) async fn run(session: &mut Session<'_>, steps: &[Step]) -> Result<()> {
    for (at, step) in steps.iter().enumerate() {
        let started = Instant::now();
        let result = run_one(session, step).await;
        let seconds = started.elapsed().as_secs_f64();
        let (outcome, word) = match &result {
            Ok(()) => (Outcome::Passed, "done"),
            Err(_) => (Outcome::Failed, "failed"),
        };
        session.record(step.name(), seconds, outcome);
        if result.is_err() {
            session.failed_step = Some(format!("{}{}", session.label, step.name()));
            for step in &steps[at + 1..] {
                session.record(step.name(), 0.0, Outcome::NotRun);
            }
        }
        session
            .output
            .line(&format!("{}{step} {word} ({seconds:.0} s)", session.label));
        result?;
    }
    Ok(())
}

async fn run_one(session: &mut Session<'_>, step: &Step) -> Result<()> {
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
        Step::ConnectNetwork => session.connect_network().await,
        Step::UnplugStick => session.unplug_stick().await,
        Step::MakeStick => workstation::work(session).await,
        Step::PowerCycle | Step::PowerCycleToStick | Step::PowerCuts(_) => {
            anyhow::bail!("`{step}` is not done by a running machine")
        }
    }
}
