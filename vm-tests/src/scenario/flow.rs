//! The steps of a scenario on a running machine.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::Result;
use cluster_bootstrapper::Parsed;
use tokio::sync::broadcast;

use super::definition::{Budgets, Step};
use super::failure::Failure;
use super::guard::Guard;
use super::machine::Hardware;
use super::run::{Context, RunOptions};
use super::{collect, verify};
use crate::console::{Console, Marker, MarkerState};
use crate::evidence::{Check, Evidence, StepRecord};
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
    /// What the node says its K3s is.
    pub k3s: String,
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
            k3s: String::new(),
            ssh_log,
            events: vm.qmp.events(),
        }
    }

    pub fn budgets(&self) -> &'a Budgets {
        &self.options.scenario.budgets
    }

    /// Does all steps of the scenario in order.
    pub async fn run_steps(&mut self) -> Result<()> {
        for step in &self.options.scenario.steps {
            let started = Instant::now();
            let result = match step {
                Step::Install => self.install().await,
                Step::FirstBoot => self.first_boot().await,
                Step::Ready => self.ready().await,
                Step::Verify => verify::verify(self).await,
                Step::Reboot => self.reboot().await,
            };
            let seconds = started.elapsed().as_secs_f64();
            self.steps.push(StepRecord {
                name: step.name().to_owned(),
                seconds,
            });
            let word = if result.is_ok() { "done" } else { "failed" };
            self.output.line(&format!("{step} {word} ({seconds:.0} s)"));
            result?;
        }
        Ok(())
    }

    /// From power-on to the reset that ends the installation.
    async fn install(&mut self) -> Result<()> {
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
            .race(
                "waiting for the installer's first marker",
                self.budgets().first_marker,
                first,
            )
            .await?;
        // The firmware has written its own entries by now; the installer's are still to come.
        collect::save_vars(self.hardware, self.evidence, "firmware-vars-before.fd");
        self.screenshot("screen-installer").await;
        self.output.doing("installing");
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
        console.caught_up().await;
        let (complete, markers) = console.look(|state| {
            (
                state.markers.iter().any(Marker::ends_installation),
                state.markers.clone(),
            )
        });
        self.steps.extend(installer_steps(&markers));
        if !complete {
            return Err(self
                .guard
                .failure(
                    "installing from the stick",
                    "the machine was reset before the installer said that it is done",
                )
                .into());
        }
        collect::save_vars(self.hardware, self.evidence, "firmware-vars-installed.fd");
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
        let mut poll = tokio::time::interval(ASK);
        poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            poll.tick().await;
            match ask().await? {
                None => return Ok(()),
                Some(seen) => self.guard.note(seen),
            }
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
            let reasons = verify::unready(&ssh).await?;
            Ok((!reasons.is_empty()).then(|| reasons.join("; ")))
        });
        self.guard
            .race("waiting for a ready node", self.budgets().ready, asking)
            .await?;
        Ok(())
    }

    pub async fn screenshot(&self, name: &str) {
        let path = self.evidence.path(&format!("{name}.png"));
        if let Err(error) = self.guard.vm().qmp.screenshot(&path).await {
            self.output.line(&format!("no screenshot {name}: {error}"));
        }
    }
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
