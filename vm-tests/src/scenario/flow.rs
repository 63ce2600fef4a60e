//! The steps of a scenario on a running machine.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use cluster_bootstrapper::Parsed;
use tokio::sync::broadcast;

use super::collect::{self, BOOT_LABEL};
use super::definition::{Budgets, Refusal, Step};
use super::failure::Failure;
use super::guard::Guard;
use super::machine::{Hardware, STICK};
use super::run::{Context, Cycle, RunOptions};
use super::verify;
use crate::console::{Console, Marker, MarkerState};
use crate::evidence::{Check, Evidence, Installation, StepRecord};
use crate::machine::RunningVm;
use crate::output::Output;
use crate::qmp::QmpEvent;
use crate::ssh::{Ssh, SshLog, SshTarget};

/// How often a node is asked whether it is ready yet.
const ASK: Duration = Duration::from_secs(2);

/// A scenario on its way.
pub(super) struct Flow<'a> {
    pub options: &'a RunOptions,
    pub parsed: &'a Parsed,
    pub evidence: &'a Evidence,
    pub hardware: &'a Hardware,
    pub guard: Guard<'a>,
    pub output: &'a Output,
    /// The login in the guest, when there is one.
    pub ssh: Option<Ssh>,
    pub steps: Vec<StepRecord>,
    pub checks: Vec<Check>,
    /// What the installation cost.
    pub installation: Option<Installation>,
    /// What the node says its K3s is.
    pub k3s: String,
    /// The cluster's objects as they were asked for last.
    pub objects: RefCell<String>,
    /// Where this run's files go.
    folder: PathBuf,
    /// What its steps' names begin with.
    label: String,
    /// How many boot entries the firmware had started before the last reset.
    boots: usize,
    ssh_log: SshLog,
    events: broadcast::Receiver<QmpEvent>,
}

impl<'a> Flow<'a> {
    pub fn new(
        context: &Context<'a>,
        hardware: &'a Hardware,
        vm: &'a RunningVm,
        console: &'a Console,
        ssh_log: SshLog,
        cycle: &Cycle<'_>,
    ) -> Self {
        Self {
            options: context.options,
            parsed: context.parsed,
            evidence: context.evidence,
            hardware,
            guard: Guard::new(vm, console, context.interrupted.clone()),
            output: context.output,
            ssh: None,
            steps: Vec::new(),
            checks: Vec::new(),
            installation: None,
            k3s: String::new(),
            objects: RefCell::default(),
            folder: cycle.folder.clone(),
            label: cycle.label.clone(),
            boots: 0,
            ssh_log,
            events: vm.qmp.events(),
        }
    }

    pub fn budgets(&self) -> &'a Budgets {
        &self.options.scenario.budgets
    }

    /// Does `steps` in order.
    pub async fn run_steps(&mut self, steps: &[Step]) -> Result<()> {
        for step in steps {
            let started = Instant::now();
            let result = self.run_step(step).await;
            let seconds = started.elapsed().as_secs_f64();
            self.record(step.name(), seconds);
            let word = if result.is_ok() { "done" } else { "failed" };
            self.output
                .line(&format!("{}{step} {word} ({seconds:.0} s)", self.label));
            result?;
        }
        Ok(())
    }

    async fn run_step(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Install => self.install().await,
            Step::InstallUntil(step) => self.install_until(step).await,
            Step::Refuse(refusal) => self.refuse(refusal).await,
            Step::StartDisk => self.start_disk().await,
            Step::Recover => self.recover().await,
            Step::FirstBoot => self.first_boot().await,
            Step::Ready => self.ready().await,
            Step::Verify => verify::verify(self).await,
            Step::Reboot => self.reboot().await,
            Step::UnplugStick => self.unplug_stick().await,
            Step::PowerCycle | Step::PowerCycleToStick | Step::PowerCuts(_) => {
                anyhow::bail!("`{step}` is not done by a running machine")
            }
        }
    }

    fn record(&mut self, name: &str, seconds: f64) {
        let name = format!("{}{name}", self.label);
        self.steps.push(StepRecord { name, seconds });
    }

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
            .race_the_machine(
                "waiting for the installer's first marker",
                self.budgets().first_marker,
                first,
            )
            .await?;
        // The firmware has written its own entries by now; the installer's are still to come.
        collect::save_vars_once(self.hardware, self.evidence, collect::FIRST_VARS);
        self.screenshot("screen-installer").await;
        Ok(())
    }

    /// From power-on to the reset that ends the installation.
    async fn install(&mut self) -> Result<()> {
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
        for step in installer_steps(&markers) {
            self.record(&step.name, step.seconds);
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
        collect::save_vars(self.hardware, self.evidence, collect::INSTALLED_VARS);
        Ok(())
    }

    /// What the installation cost; nothing when QEMU does not tell.
    async fn cost(&self, markers: &[Marker]) -> Option<Installation> {
        let target = self.options.scenario.target()?;
        let statistics = self.guard.vm().qmp.monitor("info blockstats").await.ok()?;
        let time = |marker: Option<&Marker>| marker?.t.parse::<f64>().ok();
        Some(Installation {
            seconds: time(markers.last())? - time(markers.first())?,
            written_bytes: written_bytes(&statistics, target)?,
        })
    }

    /// Without it an emulated machine only starts more slowly.
    async fn after_reset(&self) {
        if let Err(error) = self.guard.vm().forget_translations().await {
            self.output.line(&format!(
                "the emulator's code cache could not be emptied: {error}"
            ));
        }
    }

    /// Until a step of the installer begins.
    async fn install_until(&mut self, step: &str) -> Result<()> {
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
    async fn refuse(&mut self, refusal: &Refusal) -> Result<()> {
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
        let marker = self.guard.race_the_machine(doing, budget, ended).await?;
        let reason = marker.reason.clone().unwrap_or_default();
        self.checks.push(Check {
            key: "machine/refusal".into(),
            check: "the installer fails in this step".into(),
            expected: format!("{} failed", refusal.step),
            actual: marker.to_string(),
            passed: marker.state == MarkerState::Failed && marker.step == refusal.step,
        });
        self.checks.push(Check {
            key: "machine/refusal".into(),
            check: "its reason says".into(),
            expected: refusal.reason.clone(),
            passed: reason.contains(&refusal.reason),
            actual: reason,
        });
        let told = console.wait_for(|state| {
            let lines = state.tail(usize::MAX);
            let shown = |text: &str| lines.iter().any(|line| line.contains(text));
            (shown("INSTALLATION FAILED") && shown("Log:")).then(|| shown("Advice:  "))
        });
        let told = async { Ok::<_, Failure>(told.await) };
        let doing = "waiting for the installer's final screen";
        let advice = self.guard.race_the_machine(doing, budget, told).await?;
        self.checks.push(Check {
            key: "machine/refusal".into(),
            check: "the final screen tells a person what to do".into(),
            expected: "Advice:".into(),
            actual: if advice { "Advice:" } else { "no advice" }.into(),
            passed: advice,
        });
        self.screenshot("screen-refusal").await;
        Ok(())
    }

    /// Until the firmware starts the next boot entry, which must be the installer's.
    async fn start_disk(&mut self) -> Result<()> {
        let started = self.next_boot().await?;
        self.checks.push(Check {
            key: "machine/startsDisk".into(),
            check: format!("{}the firmware starts the installed disk", self.label),
            expected: BOOT_LABEL.into(),
            passed: started == BOOT_LABEL,
            actual: started,
        });
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
        Ok(self.guard.race_the_machine(doing, budget, started).await?)
    }

    /// After power came back: to the installed disk, by a new installation if need be.
    async fn recover(&mut self) -> Result<()> {
        if self.next_boot().await? != BOOT_LABEL {
            self.install().await?;
        }
        self.start_disk().await
    }

    async fn unplug_stick(&mut self) -> Result<()> {
        let answer = self
            .guard
            .vm()
            .qmp
            .monitor(&format!("device_del {STICK}-device"))
            .await?;
        anyhow::ensure!(
            answer.trim().is_empty(),
            "the stick cannot be pulled: {answer}"
        );
        Ok(())
    }

    /// From the reset to the end of cloud-init.
    async fn first_boot(&mut self) -> Result<()> {
        self.login().await?;
        self.output.doing("waiting for cloud-init");
        let ssh = self.ssh()?;
        let asking = self.ask_until(|| async { verify::cloud_init(&ssh).await });
        self.guard
            .race(
                "waiting for cloud-init, which installs K3s",
                self.budgets().cloud_init,
                asking,
            )
            .await?;
        Ok(())
    }

    /// Asks again and again until there is nothing left to wait for; each answer
    /// is noted as the last thing seen.
    async fn ask_until<F: Future<Output = Result<Option<String>>>>(
        &self,
        ask: impl Fn() -> F,
    ) -> Result<()> {
        loop {
            let asked = Instant::now();
            match ask().await? {
                None => return Ok(()),
                Some(seen) => self.guard.note(seen),
            }
            // The questions cost the guest as much as its own work: it gets at least the half.
            tokio::time::sleep(asked.elapsed().max(ASK)).await;
        }
    }

    /// Until the node is ready with its workloads.
    async fn ready(&mut self) -> Result<()> {
        self.wait_until_ready().await?;
        let version = self
            .ssh()?
            .run("k3s-version", "k3s --version", Duration::from_secs(60))
            .await?;
        self.k3s = version.text().lines().collect::<Vec<_>>().join("; ");
        verify::start_workloads(self).await?;
        self.wait_until_ready().await?;
        self.screenshot("screen-node").await;
        Ok(())
    }

    /// Restarts the node; it must come back as the same node.
    async fn reboot(&mut self) -> Result<()> {
        let before = verify::identity(self).await?;
        self.output.doing("rebooting the node");
        let mut events = self.events.resubscribe();
        // The connection breaks while the command runs: its result says nothing.
        let _ = self
            .ssh()?
            .run("reboot", "systemctl reboot", Duration::from_secs(20))
            .await;
        self.ssh = None;
        self.guard
            .race(
                "waiting for the node to reset",
                self.budgets().boot,
                wait_for_reset(&mut events),
            )
            .await?;
        self.after_reset().await;
        self.login().await?;
        self.wait_until_ready().await?;
        verify::after_reboot(self, &before).await
    }

    /// Logs in as soon as sshd answers.
    async fn login(&mut self) -> Result<()> {
        self.output.doing("waiting for SSH");
        let target = self.target().await?;
        let attempt = async {
            let mut poll = tokio::time::interval(Duration::from_millis(500));
            poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                poll.tick().await;
                match Ssh::login(target.clone(), self.ssh_log.clone()).await {
                    Ok(ssh) => return Ok::<_, Failure>(ssh),
                    Err(error) => self.guard.note(error.to_string()),
                }
            }
        };
        let ssh = self
            .guard
            .race("waiting for a login by SSH", self.budgets().boot, attempt)
            .await?;
        self.ssh = Some(ssh);
        Ok(())
    }

    /// Whom to log in as, and where.
    async fn target(&self) -> Result<SshTarget> {
        let port = self.guard.vm().ssh_port().await?;
        let config = self.parsed.config.as_ref();
        let first = config.and_then(|config| config.operating_system.users.first());
        Ok(SshTarget {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            user: first
                .map_or("root", |user| user.username.as_str())
                .to_owned(),
            identity: self.options.identity.clone(),
        })
    }

    /// A login of its own, tried once: after a failure the one of the steps may
    /// still wait for an answer.
    pub async fn login_once(&self) -> Result<Ssh> {
        Ok(Ssh::login(self.target().await?, self.ssh_log.clone()).await?)
    }

    /// The login that a step before has made.
    pub fn ssh(&self) -> Result<Ssh> {
        self.ssh.clone().ok_or_else(|| {
            anyhow::anyhow!("the scenario has no login: `first-boot` must come before this step")
        })
    }

    async fn wait_until_ready(&self) -> Result<()> {
        self.output.doing("waiting for a ready node");
        let ssh = self.ssh()?;
        let asking = self.ask_until(|| async {
            let reasons = verify::unready(&ssh, &self.objects).await?;
            Ok((!reasons.is_empty()).then(|| reasons.join("; ")))
        });
        self.guard
            .race("waiting for a ready node", self.budgets().ready, asking)
            .await?;
        Ok(())
    }

    pub async fn screenshot(&self, name: &str) {
        let path = self.folder.join(format!("{name}.png"));
        if let Err(error) = self.guard.vm().qmp.screenshot(&path).await {
            self.output.line(&format!("no screenshot {name}: {error}"));
        }
    }
}

/// `wr_bytes` of a disk in QEMU's `info blockstats`, which has a line for each: `NAME: rd_bytes=1 wr_bytes=2 ...`.
fn written_bytes(statistics: &str, disk: &str) -> Option<u64> {
    let line = statistics.lines().find(|line| {
        let name = line.split([' ', ':']).next().unwrap_or_default();
        name == disk || name == format!("{disk}-device") || line.contains(&format!("{disk}-device"))
    })?;
    let word = line
        .split_whitespace()
        .find_map(|word| word.strip_prefix("wr_bytes="))?;
    word.parse().ok()
}

/// Until the guest resets the machine.
async fn wait_for_reset(events: &mut broadcast::Receiver<QmpEvent>) -> Result<(), Failure> {
    loop {
        match events.recv().await {
            Ok(event) if event.is_guest_reset() => return Ok(()),
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            // The channel closes with QEMU; its end is reported by who watches it.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
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

/// The installer's steps with their times by its own clock.
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
    begun
        .filter_map(|marker| {
            let seconds = time(&marker.step, MarkerState::Done)? - marker.t.parse::<f64>().ok()?;
            Some(StepRecord {
                name: format!("install/{}", marker.step),
                seconds,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
                seconds: 2.0
            }]
        );
    }

    #[test]
    fn reads_what_was_written_to_a_disk() {
        let text = "stick: rd_bytes=1 wr_bytes=2 rd_operations=3\r\ntarget: rd_bytes=4 wr_bytes=567 rd_operations=8\r\n";
        assert_eq!(written_bytes(text, "target"), Some(567));
        assert_eq!(written_bytes(text, "other"), None);
    }

    #[tokio::test]
    async fn only_a_guests_reset_counts() {
        let (sender, mut events) = broadcast::channel(8);
        for (name, guest) in [("RTC_CHANGE", true), ("RESET", false), ("RESET", true)] {
            sender
                .send(QmpEvent {
                    name: name.into(),
                    data: serde_json::json!({"guest": guest}),
                })
                .unwrap();
        }
        wait_for_reset(&mut events).await.unwrap();
        assert!(events.try_recv().is_err());
    }
}
