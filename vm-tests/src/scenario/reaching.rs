//! Waits for the moments at which the power is cut, in a machine that installs and starts for the first time.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::Result;
use tokio::sync::broadcast;
use vm::console::{Marker, MarkerState};
use vm::qmp::QmpEvent;

use super::context::Context;
use super::guard::Guard;
use super::moments::{Clock, Moment};
use super::session::wait_for_reset;
use super::step::FIRST_BOOT;

/// What cloud-init says on the console when it has ended (its module final-message).
const CLOUD_INIT_ENDED: [&str; 2] = ["Cloud-init v.", " finished at "];

/// Waits for a moment. False when its step, or the first boot, ended before. `resets` has the machine's events from
/// power-on.
///
/// # Errors
/// The machine or the installer fails, or the moment does not come.
pub(super) async fn reach(
    guard: &Guard<'_>,
    moment: &Moment,
    context: &Context<'_>,
    clock: &mut Clock,
    resets: &mut broadcast::Receiver<QmpEvent>,
) -> Result<bool> {
    if moment.step == FIRST_BOOT {
        reach_in_first_boot(guard, moment, context, clock, resets).await
    } else {
        reach_in_installer(guard, moment, context, clock).await
    }
}

/// Waits for a moment of the installer's. False when its step ended before.
async fn reach_in_installer(
    guard: &Guard<'_>,
    moment: &Moment,
    context: &Context<'_>,
    clock: &mut Clock,
) -> Result<bool> {
    let state = if moment.done {
        MarkerState::Done
    } else {
        MarkerState::Begin
    };
    let marker = |state| {
        guard.console().wait_for(move |seen| {
            let reached = |marker: &&Marker| marker.step == moment.step && marker.state == state;
            seen.markers.iter().find(reached).map(|_| ())
        })
    };
    let budgets = &context.options.scenario.budgets;
    let reached = async {
        marker(state).await;
        if moment.done {
            return Ok(true);
        }
        let due = clock.begin_of(&moment.step) + Duration::from_secs_f64(moment.after);
        let left = due.saturating_sub(clock.now());
        if moment.after == 0.0 {
            return Ok(true);
        }
        Ok::<_, Infallible>(tokio::select! {
            biased;
            () = marker(MarkerState::Done) => false,
            () = tokio::time::sleep(left) => true,
        })
    };
    let doing = format!("waiting for {}", moment.label());
    let budget = budgets.first_marker + budgets.install;
    Ok(guard.race(&doing, budget, reached).await?)
}

/// Waits for a moment of the first boot. False when that ended before.
async fn reach_in_first_boot(
    guard: &Guard<'_>,
    moment: &Moment,
    context: &Context<'_>,
    clock: &mut Clock,
    resets: &mut broadcast::Receiver<QmpEvent>,
) -> Result<bool> {
    let budgets = &context.options.scenario.budgets;
    if !clock.counts_from(FIRST_BOOT) {
        let doing = "waiting for the reset after the installation";
        guard
            .race(
                doing,
                budgets.first_marker + budgets.install,
                wait_for_reset(resets),
            )
            .await?;
        // Without it an emulated machine only starts more slowly.
        if let Err(error) = guard.vm().forget_translations().await {
            context.output.line(&format!(
                "the emulator's code cache could not be emptied: {error}"
            ));
        }
    }
    let due = clock.begin_of(FIRST_BOOT) + Duration::from_secs_f64(moment.after);
    let left = due.saturating_sub(clock.now());
    let ended = guard.console().wait_for(|state| {
        let says = |line: &String| CLOUD_INIT_ENDED.iter().all(|part| line.contains(part));
        state.tail(usize::MAX).iter().any(says).then_some(())
    });
    let reached = async {
        Ok::<_, Infallible>(tokio::select! {
            biased;
            () = ended => false,
            () = tokio::time::sleep(left) => true,
        })
    };
    let doing = format!("waiting for {}", moment.label());
    Ok(guard
        .race(&doing, budgets.boot + budgets.cloud_init, reached)
        .await?)
}
