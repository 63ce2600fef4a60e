//! A machine that runs: its login, its API, what is asked of it and what was found.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use cluster_bootstrapper::Parsed;
use tokio::sync::broadcast;
use vm::console::Console;
use vm::machine::RunningVm;
use vm::qmp::QmpEvent;

use super::aspect::Subject;
use super::budgets::Budgets;
use super::context::{Context, Cycle, RunOptions};
use super::failure::Failure;
use super::guard::Guard;
use super::machine::Hardware;
use super::service::Service;
use super::turns::OwnTurns;
use crate::access::Access;
use crate::drop_ins;
use crate::evidence::{Check, Evidence, Installation, Outcome, Screenshot, StepRecord};
use crate::kube::{Boot, Client, KubeLog};
use crate::leases::Leases;
use crate::node::{Account, Facts, Probe, gather};
use crate::output::Output;
use crate::ssh::{Ssh, SshLog, SshTarget};

/// How long the guest may be silent while it answers a script.
const SILENCE: Duration = Duration::from_secs(120);
/// How often a node is asked for what cannot be watched from outside.
const ASK: Duration = Duration::from_secs(3);

/// The node's API as it is reached in one boot of the node.
#[derive(Debug, Clone)]
pub(super) struct NodeApi {
    pub client: Client,
    pub boot: Boot,
}

/// A machine that runs, and what was found on it so far. It alone runs commands on it.
pub(super) struct Session<'a> {
    pub options: &'a RunOptions,
    pub parsed: &'a Parsed,
    pub evidence: &'a Evidence,
    pub hardware: &'a Hardware,
    pub guard: Guard<'a>,
    pub output: &'a Output,
    /// The login in the guest, when there is one.
    pub ssh: Option<Ssh>,
    pub steps: Vec<StepRecord>,
    pub screenshots: Vec<Screenshot>,
    /// The step that did not end well.
    pub failed_step: Option<String>,
    pub checks: Vec<Check>,
    /// What the installation cost.
    pub installation: Option<Installation>,
    /// What the node says its K3s is.
    pub k3s: String,
    /// The node's API, when it was reached in this boot of the node.
    pub api: Option<NodeApi>,
    pub kube_log: KubeLog,
    pub leases: &'a Leases,
    /// Where K3s on the node keeps its data.
    pub data: String,
    /// The machine is a node that was logged in to.
    pub is_node: bool,
    /// What the journals that were kept say of K3s, a boot each.
    pub accounts: Vec<Account>,
    pub access: &'a Access,
    run_begun: Instant,
    /// Where this run's files go.
    folder: PathBuf,
    /// What its steps' names begin with.
    pub label: String,
    /// When its steps are to be done, where the scenario has several machines.
    pub turns: Option<OwnTurns<'a>>,
    /// How many of its steps were begun.
    pub begun: usize,
    /// When the step that goes on was begun.
    pub since: Option<Instant>,
    /// How many boot entries the firmware had started before the last reset.
    pub boots: usize,
    ssh_log: SshLog,
    pub events: broadcast::Receiver<QmpEvent>,
}

impl<'a> Session<'a> {
    pub fn new(
        context: &'a Context<'a>,
        hardware: &'a Hardware,
        vm: &'a RunningVm,
        console: &'a Console,
        logs: (SshLog, KubeLog),
        cycle: &Cycle<'a>,
    ) -> Self {
        let (ssh_log, kube_log) = logs;
        let config = context.parsed.config.as_ref();
        Self {
            options: context.options,
            parsed: context.parsed,
            evidence: context.evidence,
            hardware,
            guard: Guard::new(
                vm,
                console,
                context.interrupted.clone(),
                context.accelerator,
            ),
            output: context.output,
            ssh: None,
            steps: Vec::new(),
            screenshots: Vec::new(),
            run_begun: context.begun,
            failed_step: None,
            checks: Vec::new(),
            installation: None,
            k3s: String::new(),
            api: None,
            kube_log,
            leases: context.leases,
            data: config.map(drop_ins::data_folder).unwrap_or_default(),
            is_node: false,
            accounts: Vec::new(),
            access: &context.access,
            folder: cycle.folder.clone(),
            label: cycle.label.clone(),
            turns: cycle.turns,
            begun: 0,
            since: None,
            boots: 0,
            ssh_log,
            events: vm.qmp.events(),
        }
    }

    /// The machine as its aspects see it.
    pub fn subject(&self) -> Subject<'_> {
        Subject {
            scenario: &self.options.scenario,
            hardware: self.hardware,
            evidence: self.evidence,
            label: &self.label,
        }
    }

    /// Whether the config-file asks for Kubernetes; if not, nothing of K3s is waited for or checked.
    pub fn has_kubernetes(&self) -> bool {
        let config = self.parsed.config.as_ref();
        config.is_some_and(|config| config.kubernetes.is_some())
    }

    pub fn budgets(&self) -> &'a Budgets {
        &self.options.scenario.budgets
    }

    /// Records a step that has ended now.
    pub fn record(&mut self, name: &str, seconds: f64, outcome: Outcome) {
        let started = self.now() - seconds;
        self.record_from(name, started, seconds, outcome);
    }

    /// Records a step that began at `started`, in seconds from the run's begin.
    pub fn record_from(&mut self, name: &str, started: f64, seconds: f64, outcome: Outcome) {
        self.steps.push(StepRecord {
            name: format!("{}{name}", self.label),
            started: if outcome == Outcome::NotRun {
                0.0
            } else {
                started
            },
            seconds,
            outcome,
        });
    }

    /// The seconds from the run's begin.
    pub fn now(&self) -> f64 {
        self.run_begun.elapsed().as_secs_f64()
    }

    /// Who looks at k3s.service.
    pub fn service<'s>(&'s self, ssh: &'s Ssh) -> Service<'s> {
        Service {
            ssh,
            data: &self.data,
            leases: self.leases,
        }
    }

    /// Asks again and again until there is what is asked for; what there is instead
    /// is noted as the last thing seen.
    pub async fn ask_until<T, F: Future<Output = Result<Result<T, String>>>>(
        &self,
        ask: impl Fn() -> F,
    ) -> Result<T> {
        loop {
            let asked = Instant::now();
            match ask().await? {
                Ok(found) => return Ok(found),
                Err(seen) => self.guard.note(seen),
            }
            // The questions cost the guest as much as its own work: it gets at least the half.
            tokio::time::sleep(asked.elapsed().max(ASK)).await;
        }
    }

    /// Logs in as soon as sshd answers.
    pub async fn login(&mut self) -> Result<()> {
        self.output.doing("waiting for SSH");
        let target = self.target("root").await?;
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

    /// Where to log in as `user`.
    async fn target(&self, user: &str) -> Result<SshTarget> {
        let port = self.guard.vm().ssh_port().await?;
        Ok(SshTarget {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            user: user.to_owned(),
            identity: self.access.identity.clone(),
        })
    }

    /// A login of its own, tried once: after a failure the one of the steps may
    /// still wait for an answer.
    pub async fn login_once(&self, user: &str) -> Result<Ssh> {
        Ok(Ssh::login(self.target(user).await?, self.ssh_log.clone()).await?)
    }

    /// The login that a step before has made.
    pub fn ssh(&self) -> Result<Ssh> {
        self.ssh.clone().ok_or_else(|| {
            anyhow::anyhow!("the scenario has no login: `first-boot` must come before this step")
        })
    }

    /// The answers to `probes`, in the time that one round of checks may take.
    pub async fn ask(&self, name: &str, probes: &[Probe]) -> Result<Facts> {
        let ssh = self.ssh()?;
        let kube = self.api.as_ref().map(|api| &api.client);
        let asking = gather(&ssh, kube, name, probes, SILENCE);
        Ok(self
            .guard
            .race(
                "asking the node for the checks",
                self.budgets().checks,
                asking,
            )
            .await?)
    }

    pub async fn screenshot(&mut self, name: &str) {
        let path = self.folder.join(format!("{name}.png"));
        let at = self.now();
        match self.guard.vm().qmp.screenshot(&path).await {
            Ok(()) => self.screenshots.push(Screenshot {
                file: self.evidence.name_in_run(&path),
                at,
            }),
            Err(error) => self.output.line(&format!("no screenshot {name}: {error}")),
        }
    }

    /// Keeps registers, interrupt controllers and timers of the processors: a guest that stands still cannot be asked.
    pub async fn processors(&self) {
        let lapics = (0..self.options.scenario.machine.cpus).map(|cpu| format!("info lapic {cpu}"));
        let commands = ["info registers -a", "info pic"].map(str::to_owned);
        let mut text = String::new();
        for command in commands.into_iter().chain(lapics) {
            let answer = match self.guard.vm().qmp.monitor(&command).await {
                Ok(answer) => answer.replace('\r', ""),
                Err(error) => format!("{error}\n"),
            };
            text.push_str(&format!("(qemu) {command}\n{answer}\n"));
        }
        if let Err(error) = fs_err::write(self.folder.join("processors.txt"), text) {
            self.output.line(&format!("no processors.txt: {error}"));
        }
    }
}

/// Until the guest resets the machine.
pub(super) async fn wait_for_reset(
    events: &mut broadcast::Receiver<QmpEvent>,
) -> Result<(), Failure> {
    loop {
        match events.recv().await {
            Ok(event) if event.is_guest_reset() => return Ok(()),
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            // The channel closes with QEMU; its end is reported by who watches it.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
