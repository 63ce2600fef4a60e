//! A machine through its whole scenario: from power-on to power-off as often as the scenario says, then the checks on
//! the machine that is off.

use anyhow::{Context as _, Result};
use vm::firmware::Kind;
use vm::machine::{Bus, Disk, DiskFormat, create_overlay};

use super::aspect::{self, Subject};
use super::context::{Context, Cycle, MACHINE};
use super::cycle::run_machine;
use super::machine::Hardware;
use super::make_stick::make_stick;
use super::step::Step;
use super::turns::{OwnTurns, Turns};
use crate::evidence::{Report, StepRecord};
use run_request::Role;

/// Runs the machine from power-on to power-off, as often as the scenario says.
///
/// # Errors
/// A step fails, or the machine's files cannot be made.
pub(super) async fn run_cycles(
    context: &Context<'_>,
    turns: Option<&Turns>,
    report: &mut Report,
) -> Result<()> {
    let (options, evidence) = (context.options, context.evidence);
    let scenario = &options.scenario;
    if scenario.machine.role == Role::Registry {
        return run_registry(context, turns, report).await;
    }
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
    let subject = Subject {
        scenario,
        hardware: &hardware,
        evidence,
        label: "",
    };
    aspect::prepared(&subject, &options.usb, &mut report.checks)?;
    let mut result = Ok(());
    let cycles = scenario.cycles();
    for (number, (begun_by, steps)) in cycles.iter().enumerate() {
        if *begun_by == Some(&Step::PowerCycleToStick) {
            hardware.put_new_stick_first(&usb)?;
        }
        hardware.firmware_starts(&scenario.machine)?;
        let pulled = *begun_by == Some(&Step::PowerCycleWithoutStick);
        let without_sticks = pulled.then(|| hardware.without_sticks());
        let cycle = Cycle {
            steps,
            folder: match number {
                0 => evidence.folder().to_owned(),
                _ => evidence.path(&format!("cycle-{}", number + 1)),
            },
            label: context.label(),
            power_cut: number + 1 < cycles.len(),
            turns: turns.map(|turns| OwnTurns {
                turns,
                places: &scenario.turns,
            }),
        };
        let present = without_sticks.as_ref().unwrap_or(&hardware);
        result = run_machine(context, present, &cycle, report).await;
        if result.is_err() {
            let later = cycles[number + 1..].iter().flat_map(|(_, steps)| *steps);
            let later = later.map(|step| StepRecord::not_run(step.name().to_owned()));
            report.steps.extend(later);
            break;
        }
    }
    let off = aspect::powered_off(&subject, result.is_ok(), &mut report.checks);
    // Why a run ended early is said before what could not be looked at then.
    result.and(off)
}

/// Runs a registry from its disk, which stays as it is.
async fn run_registry(
    context: &Context<'_>,
    turns: Option<&Turns>,
    report: &mut Report,
) -> Result<()> {
    let scenario = &context.options.scenario;
    let folder = context.evidence.path(MACHINE);
    fs_err::create_dir_all(&folder)?;
    let file = folder.join("root.qcow2");
    create_overlay(&context.options.usb, &file).context("cannot make the registry's disk")?;
    let disk = Disk::new("root", &file, DiskFormat::Qcow2, Bus::Virtio, "EMTS-ROOT");
    let definitions = &scenario.machine.disks;
    let hardware = Hardware::of_disks(&folder, file, vec![disk], definitions, Kind::Plain)?;
    let cycle = Cycle {
        steps: &scenario.steps,
        folder: context.evidence.folder().to_owned(),
        label: context.label(),
        power_cut: false,
        turns: turns.map(|turns| OwnTurns {
            turns,
            places: &scenario.turns,
        }),
    };
    run_machine(context, &hardware, &cycle, report).await
}
