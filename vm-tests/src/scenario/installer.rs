//! The steps of a scenario in which the installer, or the firmware after it, is at work.

use anyhow::{Context as _, Result};

use super::aspect::{self, BOOT_LABEL};
use super::failure::Failure;
use super::guard::May;
use super::machine::STICK;
use super::session::{Session, wait_for_reset};
use super::step::Refusal;
use crate::evidence::{Check, Installation, Outcome, StepRecord};
use crate::output::Output;
use vm::console::{Console, Marker, MarkerState};

impl Session<'_> {
    /// From power-on to the installer's first marker.
    async fn first_marker(&mut self) -> Result<()> {
        self.output.doing("waiting for the installer on the stick");
        let console = self.guard.console();
        let first = async {
            Ok::<_, Failure>(
                console
                    .wait_for(|state| state.markers.first().cloned())
                    .await,
            )
        };
        self.guard
            .race_but(
                May::Installer,
                "waiting for the installer's first marker",
                self.budgets().first_marker,
                first,
            )
            .await?;
        aspect::installer_begins(self);
        self.screenshot("screen-installer").await;
        Ok(())
    }

    /// From power-on to the reset that ends the installation.
    pub async fn install(&mut self) -> Result<()> {
        self.first_marker().await?;
        self.output.doing("installing");
        let console = self.guard.console();
        let mut events = self.events.resubscribe();
        let until_reset = wait_for_reset(&mut events);
        let follow = follow_markers(console, self.output);
        let both = async {
            tokio::select! {
                reset = until_reset => reset,
                never = follow => never,
            }
        };
        self.guard
            .race("installing from the stick", self.budgets().install, both)
            .await?;
        self.after_reset().await;
        console.caught_up().await;
        let (complete, markers) = console.look(|state| {
            (
                state.markers.iter().any(Marker::ends_installation),
                state.markers.clone(),
            )
        });
        // The last marker came just now.
        let now = self.now();
        for step in installer_steps(&markers) {
            self.record_from(&step.name, now + step.started, step.seconds, step.outcome);
        }
        if !complete {
            return Err(self
                .guard
                .failure(
                    "installing from the stick",
                    "the machine was reset before the installer said that it is done",
                )
                .into());
        }
        self.boots = 1;
        self.installation = self.cost(&markers).await;
        aspect::installed(self)
    }

    /// What the installation cost; nothing when QEMU does not tell.
    async fn cost(&self, markers: &[Marker]) -> Option<Installation> {
        let target = self.options.scenario.target()?;
        let all = self.guard.vm().qmp.execute(QueryBlockstats {}).await.ok()?;
        let device = format!("{target}-device");
        let of_target = all.iter().find(|stats| stats["qdev"] == device.as_str())?;
        let time = |marker: Option<&Marker>| marker?.t.parse::<f64>().ok();
        Some(Installation {
            seconds: time(markers.last())? - time(markers.first())?,
            written_bytes: of_target["stats"]["wr_bytes"].as_u64()?,
        })
    }

    /// Without it an emulated machine only starts more slowly.
    pub async fn after_reset(&self) {
        if let Err(error) = self.guard.vm().forget_translations().await {
            self.output.line(&format!(
                "the emulator's code cache could not be emptied: {error}"
            ));
        }
    }

    /// Until a step of the installer begins.
    pub async fn install_until(&mut self, step: &str) -> Result<()> {
        self.first_marker().await?;
        let console = self.guard.console();
        let begun = console.wait_for(|state| {
            let begun =
                |marker: &&Marker| marker.step == step && marker.state == MarkerState::Begin;
            state.markers.iter().find(begun).cloned()
        });
        let doing = format!("waiting for the installer's step {step}");
        let begun = async { Ok::<_, Failure>(begun.await) };
        self.guard
            .race(&doing, self.budgets().install, begun)
            .await?;
        Ok(())
    }

    /// Until the installer has failed and told a person what to do.
    pub async fn refuse(&mut self, refusal: &Refusal) -> Result<()> {
        self.first_marker().await?;
        self.output.doing("waiting for the installer to refuse");
        let console = self.guard.console();
        let ended = console.wait_for(|state| {
            let done = state
                .markers
                .iter()
                .find(|marker| marker.ends_installation());
            state.failure().or(done).cloned()
        });
        let doing = "waiting for the installer to refuse";
        let budget = self.budgets().install;
        let ended = async { Ok::<_, Failure>(ended.await) };
        let marker = self
            .guard
            .race_but(May::Installer, doing, budget, ended)
            .await?;
        anyhow::ensure!(
            marker.state == MarkerState::Failed,
            "the installer did not refuse: its last marker is `{marker}`"
        );
        self.checks.extend(refused(refusal, &marker));
        let told = console.wait_for(|state| {
            let lines = state.tail(usize::MAX);
            let shown = |text: &str| lines.iter().any(|line| line.contains(text));
            (shown("INSTALLATION FAILED") && shown("Log:")).then(|| shown("Advice:  "))
        });
        let told = async { Ok::<_, Failure>(told.await) };
        let doing = "waiting for the installer's final screen";
        let advice = self
            .guard
            .race_but(May::Installer, doing, budget, told)
            .await?;
        self.checks.push(Check::same(
            "machine/refusal",
            "the final screen tells a person what to do",
            "Advice:",
            if advice { "Advice:" } else { "no advice" },
        ));
        self.screenshot("screen-refusal").await;
        // Another start by the firmware comes after this.
        self.boots = console.look(|state| state.boots.len());
        Ok(())
    }

    /// Until the firmware starts the next boot entry, which must be the installer's, or the firmware's own of the installed
    /// disk where that keeps no other.
    pub async fn start_disk(&mut self) -> Result<()> {
        let started = self.next_boot().await?;
        let scenario = &self.options.scenario;
        let (expected, passed) = if scenario.machine.keeps_boot_entry() {
            (BOOT_LABEL.to_owned(), started == BOOT_LABEL)
        } else {
            let mut disks = scenario.machine.disks.iter();
            let target = disks.find(|disk| Some(disk.name.as_str()) == scenario.target());
            let serial = target.context("no target disk")?.serial.as_str();
            (
                format!("the firmware's own entry of {serial}"),
                started.contains(serial),
            )
        };
        self.checks.push(Check::new(
            "machine/startsDisk",
            format!("{}the firmware starts the installed disk", self.label),
            expected,
            started,
            passed,
        ));
        Ok(())
    }

    async fn next_boot(&mut self) -> Result<String> {
        self.output.doing("waiting for the firmware");
        let console = self.guard.console();
        let number = self.boots;
        let started = console.wait_for(|state| state.boots.get(number).cloned());
        let started = async { Ok::<_, Failure>(started.await) };
        let doing = "waiting for the firmware to start a boot entry";
        let budget = self.budgets().first_marker;
        Ok(self
            .guard
            .race_but(May::Installer, doing, budget, started)
            .await?)
    }

    /// After power came back: to the installed disk, by a new installation if need be.
    pub async fn recover(&mut self) -> Result<()> {
        if self.next_boot().await? != BOOT_LABEL {
            self.install().await?;
        }
        self.start_disk().await
    }

    pub async fn unplug_stick(&mut self) -> Result<()> {
        self.ask_qemu(
            "the stick cannot be pulled",
            &format!("device_del {STICK}-device"),
        )
        .await
    }

    pub async fn press_keys(&mut self, keys: &str) -> Result<()> {
        self.ask_qemu("the keys cannot be pressed", &format!("sendkey {keys}"))
            .await
    }

    /// A command to QEMU's monitor, which says nothing where it does it.
    async fn ask_qemu(&mut self, otherwise: &str, command: &str) -> Result<()> {
        let answer = self.guard.vm().qmp.monitor(command).await?;
        anyhow::ensure!(answer.trim().is_empty(), "{otherwise}: {answer}");
        Ok(())
    }
}

/// The step in which the installer failed, and its reason.
fn refused(refusal: &Refusal, marker: &Marker) -> [Check; 2] {
    let reason = marker.reason.as_deref().unwrap_or_default();
    [
        Check::new(
            "machine/refusal",
            "the installer fails in this step",
            format!("{} failed", refusal.step),
            marker.to_string(),
            marker.step == refusal.step,
        ),
        Check::new(
            "machine/refusal",
            "its reason says",
            &refusal.reason,
            reason,
            reason.contains(&refusal.reason),
        ),
    ]
}

/// QMP's `query-blockstats` with the answer as QEMU gives it; the crate's typed one was not accepted from QEMU 7.2.
#[derive(Debug, serde::Serialize)]
struct QueryBlockstats {}

impl qapi::Command for QueryBlockstats {
    const NAME: &'static str = "query-blockstats";
    const ALLOW_OOB: bool = false;
    type Ok = Vec<serde_json::Value>;
}

/// Shows each step of the installer as it begins. Never ends.
async fn follow_markers(console: &Console, output: &Output) -> Result<(), Failure> {
    let mut shown = 0;
    loop {
        let new = console
            .wait_for(|state| {
                (state.markers.len() > shown).then(|| state.markers[shown..].to_vec())
            })
            .await;
        shown += new.len();
        for marker in new
            .iter()
            .filter(|marker| marker.state == MarkerState::Begin)
        {
            output.doing(&format!("installing: {}", marker.step));
        }
    }
}

/// The installer's steps with their times by its own clock, from its last marker on: before that they are negative.
fn installer_steps(markers: &[Marker]) -> Vec<StepRecord> {
    let time = |step: &str, state| {
        markers
            .iter()
            .find(|marker| marker.step == step && marker.state == state)
            .and_then(|marker| marker.t.parse::<f64>().ok())
    };
    let begun = markers
        .iter()
        .filter(|marker| marker.state == MarkerState::Begin);
    let last = markers.last().and_then(|marker| marker.t.parse().ok());
    let last: f64 = last.unwrap_or_default();
    begun
        .filter_map(|marker| {
            let started = marker.t.parse::<f64>().ok()?;
            Some(StepRecord {
                name: format!("install/{}", marker.step),
                started: started - last,
                seconds: time(&marker.step, MarkerState::Done)? - started,
                outcome: Outcome::Passed,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_its_step_and_its_reason() {
        let refusal = Refusal {
            step: "choose-disk".into(),
            reason: "too small".into(),
        };
        let passed = |line: &str| {
            let marker = Marker::parse(line).unwrap();
            refused(&refusal, &marker).map(|check| check.passed)
        };
        let line = "EMTS step=choose-disk state=failed t=1 reason=\"the disk is too small\"";
        assert_eq!(passed(line), [true, true]);
        assert_eq!(passed(&line.replace("small", "large")), [true, false]);
        assert_eq!(passed(&line.replace("choose-disk", "x")), [false, true]);
    }

    #[test]
    fn a_steps_time_is_between_its_markers() {
        let markers: Vec<Marker> = [
            "EMTS step=find-media state=begin t=1",
            "EMTS step=find-media state=done t=3",
            "EMTS step=write-image state=begin t=3",
        ]
        .iter()
        .filter_map(|line| Marker::parse(line))
        .collect();
        assert_eq!(
            installer_steps(&markers),
            [StepRecord {
                name: "install/find-media".into(),
                started: -2.0,
                seconds: 2.0,
                outcome: Outcome::Passed,
            }]
        );
    }
}
