//! Power cuts in the middle of an installation, and of the first boot after it.
//!
//! One installation runs to its end: its disk is the measure, where no system was started from it. A second one is held still at every chosen moment
//! while the state that a power cut would leave is kept: the firmware's variables and the stick as they are, of
//! the disk what it had been told to make durable and a part of what was in its cache. Each of these states is
//! then switched on as a machine of its own and has to end installed.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use arch::ARCH;
use serde::Serialize;

use super::aspect::boot_checks_since_first;
use super::context::{Context, Cycle, MACHINE};
use super::cycle::run_machine;
use super::guard::Guard;
use super::installed;
use super::machine::{Hardware, Reached};
use super::moments::{Clock, Moment, SEED, Times, draw, draw_again, seed};
use super::reaching::reach;
use super::step::{FIRST_BOOT, PowerCuts, Step};
use crate::evidence::{Check, Report};
use vm::console::{Console, Marker};
use vm::machine::{RunningVm, create_empty_disk, replay};

/// Installations in which moments are looked for, at most.
const INSTALLATIONS: u64 = 3;

/// One row of the table of cuts.
#[derive(Debug, Serialize)]
struct Cut {
    moment: String,
    /// Writes that were durable, cached pieces of 4 KiB, and those of them that were lost.
    durable_requests: usize,
    cached_pieces: usize,
    lost_pieces: usize,
    /// Whether the machine ended installed.
    recovered: bool,
}

/// What a power cut leaves.
struct Left {
    moment: Moment,
    folder: PathBuf,
    /// The log of the disk's writes, and how much of it there was.
    log: PathBuf,
    log_length: u64,
}

/// Runs the scenario.
///
/// # Errors
/// The uninterrupted installations fail, or a machine's files cannot be made.
pub(super) async fn run(
    context: &Context<'_>,
    cuts: &PowerCuts,
    report: &mut Report,
) -> Result<()> {
    let seed = seed(cuts)?;
    context
        .output
        .line(&format!("seed {seed} (set {SEED} to draw others)"));
    let whole = Whole::install(context, cuts, report).await?;
    let moments = draw(cuts, seed, &whole.times);
    let count = moments.len();
    let (left, late) = cut_all(context, &whole, moments, seed).await?;
    report.checks.push(Check {
        key: "machine/powerCut".into(),
        check: "the power was cut at every boundary and random moment inside of its step".into(),
        expected: count.to_string(),
        passed: left.len() == count,
        actual: left.len().to_string(),
    });
    let mut table = Vec::new();
    for (number, one) in left.iter().enumerate() {
        let label = format!(
            "cut {} of {} ({}): ",
            number + 1,
            left.len(),
            one.moment.label()
        );
        let machine = Machine {
            context,
            whole: &whole,
        };
        table.push(
            machine
                .recover(one, &label, seed + number as u64, cuts, report)
                .await?,
        );
    }
    let text = serde_json::to_string_pretty(&serde_json::json!({
        "seed": seed,
        "drawnAgain": late,
        "cuts": table,
    }))?;
    context
        .evidence
        .write("power-cuts.json", &format!("{text}\n"))?;
    Ok(())
}

/// An installation that nothing disturbed.
struct Whole {
    hardware: Hardware,
    target: String,
    times: Times,
}

impl Whole {
    async fn install(context: &Context<'_>, cuts: &PowerCuts, report: &mut Report) -> Result<Self> {
        let scenario = &context.options.scenario;
        let target = scenario
            .target()
            .context("the scenario has no target disk")?;
        let folder = context.evidence.path(MACHINE).join("whole");
        let usb = &context.options.usb;
        let hardware = Hardware::build(&scenario.machine, usb, &folder, &scenario.folder)?;
        let mut steps = vec![Step::Install, Step::StartDisk];
        if cuts.reach_first_boot() {
            steps.push(Step::FirstBoot);
        }
        let cycle = Cycle {
            steps: &steps,
            folder: context.evidence.path("whole"),
            label: "uninterrupted: ".to_owned(),
            power_cut: false,
            turns: None,
        };
        let before = report.steps.len();
        run_machine(context, &hardware, &cycle, report).await?;
        let after_reset = report.steps[before..].iter().filter(|step| {
            let name = step.name.strip_prefix(&cycle.label);
            name.is_some_and(|name| [Step::StartDisk.name(), FIRST_BOOT].contains(&name))
        });
        let seconds: f64 = after_reset.map(|step| step.seconds).sum();
        Ok(Self {
            target: target.to_owned(),
            hardware,
            times: Times {
                markers: read_markers(&cycle.folder)?,
                first_boot: Duration::from_secs_f64(seconds),
            },
        })
    }

    fn target(&self) -> Result<&Path> {
        let disk = self.hardware.disk(&self.target).context("no target disk")?;
        Ok(&disk.file)
    }
}

fn read_markers(logs: &Path) -> Result<Vec<Marker>> {
    let [_, port] = ARCH.serial;
    let bytes = fs_err::read(logs.join(format!("serial-{port}.log")))?;
    Ok(markers_in(&bytes))
}

fn markers_in(log: &[u8]) -> Vec<Marker> {
    // The firmware's control sequences need not be UTF-8.
    let text = String::from_utf8_lossy(log);
    text.lines().filter_map(Marker::parse).collect()
}

/// What a power cut leaves at each of the moments. Where a step was over before a moment that was drawn for it, as no
/// two installations are equally fast, the moment is drawn anew for one more installation. Returns such moments, too.
async fn cut_all(
    context: &Context<'_>,
    whole: &Whole,
    mut moments: Vec<Moment>,
    seed: u64,
) -> Result<(Vec<Left>, Vec<Moment>)> {
    let (mut left, mut late) = (Vec::new(), Vec::new());
    for installation in 1..=INSTALLATIONS {
        let name = format!("cut-installation-{installation}");
        let found = cut(context, whole, &moments, &name).await?;
        left.extend(found.left);
        if found.late.is_empty() {
            break;
        }
        context.output.line(&format!(
            "{name}: {} moments came after the end of their step",
            found.late.len()
        ));
        late.extend(found.late.iter().cloned());
        moments = draw_again(found.late, seed + installation, &found.times);
    }
    Ok((left, late))
}

/// What one more installation gave.
struct Found {
    left: Vec<Left>,
    /// The moments at which their step was over already.
    late: Vec<Moment>,
    times: Times,
}

/// Installs once more and keeps what a power cut would leave at each moment.
async fn cut(
    context: &Context<'_>,
    whole: &Whole,
    moments: &[Moment],
    name: &str,
) -> Result<Found> {
    let scenario = &context.options.scenario;
    let folder = context.evidence.path(MACHINE).join(name);
    let usb = &context.options.usb;
    let mut hardware = Hardware::build(&scenario.machine, usb, &folder, &scenario.folder)?;
    let log = folder.join("writes.log");
    fs_err::write(&log, "")?;
    for disk in &mut hardware.disks {
        if disk.name == whole.target {
            disk.write_log = Some(log.clone());
        }
    }
    let logs = context.evidence.path(name);
    fs_err::create_dir_all(&logs)?;
    let sockets = tempfile::tempdir().context("cannot make a folder for sockets")?;
    let processors = context.options.processors(context.accelerator);
    let plan = hardware.plan(
        scenario,
        processors,
        Reached::default(),
        &logs,
        sockets.path(),
    )?;
    let console = Console::follow(&plan.serial_logs);
    let vm = RunningVm::start(plan, &logs.join("qmp.jsonl")).await?;
    let guard = Guard::new(
        &vm,
        &console,
        context.interrupted.clone(),
        context.accelerator,
    );
    let mut resets = vm.qmp.events();
    let (mut left, mut late) = (Vec::new(), Vec::new());
    let mut clock = Clock {
        started: Instant::now(),
        held: Duration::ZERO,
        begun: None,
    };
    for moment in moments {
        context
            .output
            .doing(&format!("waiting for {}", moment.label()));
        if !reach(&guard, moment, context, &mut clock, &mut resets).await? {
            late.push(moment.clone());
            continue;
        }
        let folder = folder.join(format!("cut-{}", left.len() + 1));
        fs_err::create_dir_all(&folder)?;
        let held = Instant::now();
        let log_length = vm.held_still(|| keep(&hardware, &log, &folder))??;
        clock.held += held.elapsed();
        left.push(Left {
            moment: moment.clone(),
            folder,
            log: log.clone(),
            log_length,
        });
    }
    let times = Times {
        // Where a moment came after its end, how long it took is known.
        first_boot: clock.since(FIRST_BOOT),
        markers: read_markers(&logs)?,
    };
    drop(guard);
    vm.kill().await?;
    Ok(Found { left, late, times })
}

/// Copies what a cut leaves. The machine is held still.
fn keep(hardware: &Hardware, log: &Path, folder: &Path) -> Result<u64> {
    fs_err::copy(&hardware.firmware.vars, folder.join(VARS))?;
    fs_err::copy(&hardware.stick, folder.join(STICK_COPY))?;
    Ok(fs_err::metadata(log)?.len())
}

const VARS: &str = "vars-at-cut.fd";
const STICK_COPY: &str = "stick-at-cut.qcow2";

/// A cut in one of these steps may leave a disk that starts, with the names that it got before.
const GOES_ON: [&str; 3] = ["set-boot-order", "save-logs", "reboot"];

/// What all recoveries share.
struct Machine<'a, 'b> {
    context: &'a Context<'b>,
    whole: &'a Whole,
}

impl Machine<'_, '_> {
    /// Switches on what a cut has left, and checks what becomes of it.
    async fn recover(
        &self,
        left: &Left,
        label: &str,
        seed: u64,
        cuts: &PowerCuts,
        report: &mut Report,
    ) -> Result<Cut> {
        let context = self.context;
        let scenario = &context.options.scenario;
        let usb = &context.options.usb;
        let hardware = Hardware::build(&scenario.machine, usb, &left.folder, &scenario.folder)?;
        fs_err::copy(left.folder.join(VARS), &hardware.firmware.vars)?;
        fs_err::copy(left.folder.join(STICK_COPY), &hardware.stick)?;
        let target = hardware
            .disk(&self.whole.target)
            .context("no target disk")?;
        let size = fs_err::metadata(&target.file)?.len();
        create_empty_disk(&target.file, size)?;
        let done = replay(&left.log, left.log_length, &target.file, seed)?;
        let mut steps = vec![Step::Recover];
        steps.extend(cuts.then.iter().cloned());
        let cycle = Cycle {
            steps: &steps,
            folder: context.evidence.path("cuts").join(left.moment.label()),
            label: label.to_owned(),
            power_cut: false,
            turns: None,
        };
        let result = run_machine(context, &hardware, &cycle, report).await;
        if context.interrupted() {
            result?;
            anyhow::bail!("interrupted");
        }
        let recovered = result.is_ok();
        report.checks.push(Check {
            key: "machine/powerCut".into(),
            check: format!("{label}the machine ends installed"),
            expected: "installed".into(),
            passed: recovered,
            actual: result.map_or_else(|error| format!("{error:#}"), |()| "installed".to_owned()),
        });
        if recovered {
            self.compare(&hardware, &target.file, label, cuts, report)?;
            if !GOES_ON.contains(&left.moment.step.as_str()) && cuts.then.is_empty() {
                let whole = self.whole.target()?;
                let check = installed::nothing_shared_check(label, whole, &target.file)?;
                report.checks.push(check);
            }
            if !context.options.request.keep {
                fs_err::remove_dir_all(&left.folder)?;
            }
        }
        Ok(Cut {
            moment: left.moment.label(),
            durable_requests: done.durable,
            cached_pieces: done.cached,
            lost_pieces: done.lost,
            recovered,
        })
    }

    fn compare(
        &self,
        hardware: &Hardware,
        target: &Path,
        label: &str,
        cuts: &PowerCuts,
        report: &mut Report,
    ) -> Result<()> {
        // A system that was started has changed its disk.
        if cuts.then.is_empty() {
            report
                .checks
                .push(installed::file_system_check(label, target)?);
            let whole = self.whole.target()?;
            report
                .checks
                .push(installed::same_content_check(label, whole, target)?);
        }
        let vars = &hardware.firmware.vars;
        let mut checks = boot_checks_since_first(self.context.evidence, vars)?;
        for check in &mut checks {
            check.check = format!("{label}{}", check.check);
        }
        report.checks.extend(checks);
        Ok(())
    }
}
