//! A scenario as one of its machines goes through it.

use std::num::NonZeroU8;
use std::path::PathBuf;
use std::time::Duration;

use super::budgets::Budgets;
use super::machine_definition::{MachineDefinition, Workstation};
use super::step::{Step, Timed};
use run_request::{OsImage, Role};

/// The greatest number on the machines' network: MAC addresses are made of it.
const LAST_ON_LAN: NonZeroU8 = NonZeroU8::new(99).expect("it is not zero");

/// What one machine of a scenario is and does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    /// The scenario's name.
    pub name: String,
    /// The machine's name, where the scenario has several.
    pub on: Option<String>,
    /// Where the machine's stick is made first; without it the stick is made on the host.
    pub workstation: Option<Workstation>,
    /// The machine.
    pub machine: MachineDefinition,
    /// What it does, in order.
    pub steps: Vec<Step>,
    /// The place of each step among those of all machines.
    pub turns: Vec<usize>,
    /// How long it may take.
    pub budgets: Budgets,
    /// The folder which paths of the scenario are relative to.
    pub folder: PathBuf,
}

impl Scenario {
    /// Whether the steps fit together and to the machine; what is wrong.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.machine.lan.is_some_and(|number| number > LAST_ON_LAN) {
            return Err(format!("`lan` is a number from 1 to {LAST_ON_LAN}"));
        }
        if self.machine.role == Role::Registry {
            return self.check_registry();
        }
        let begins = |step: &Step| {
            matches!(
                step,
                Step::Install
                    | Step::InstallUntil(_)
                    | Step::Refuse(_)
                    | Step::FirmwareRefuses
                    | Step::PowerCuts(_)
            )
        };
        if !self.steps.first().is_some_and(begins) {
            return Err(
                "the first step must be `install` or another of the installer's".to_owned(),
            );
        }
        if self.steps.contains(&Step::ServeImages) {
            return Err("`serve-images` is for a machine with the role `registry`".to_owned());
        }
        let cuts = |step: &Step| matches!(step, Step::PowerCuts(_));
        if self.steps.iter().any(cuts) && self.steps.len() > 1 {
            return Err("`power-cuts` is a scenario of its own".to_owned());
        }
        self.steps.iter().try_for_each(check_disturbed)?;
        self.check_steps_on_the_node()?;
        self.check_disks()
    }

    fn check_steps_on_the_node(&self) -> Result<(), String> {
        let by_ssh = |step: &Step| {
            matches!(
                step.undisturbed(),
                Step::FirstBoot
                    | Step::Ready
                    | Step::Verify
                    | Step::Reboot
                    | Step::RunImage(_)
                    | Step::NodeJoins(_)
                    | Step::RunOnNode(_)
            )
        };
        let on_node = |step: &Step| by_ssh(step) || matches!(step, Step::NodeSays(_));
        let unreachable = self
            .steps
            .iter()
            .take_while(|step| **step != Step::ConnectNetwork)
            .any(by_ssh);
        if !self.machine.network.reaches_ssh() && unreachable {
            return Err(
                "steps on the node need a network for SSH: `connect-network` before them"
                    .to_owned(),
            );
        }
        if self.machine.network.reaches_ssh() && self.steps.contains(&Step::ConnectNetwork) {
            return Err("`connect-network` is for a machine without a network card".to_owned());
        }
        if self.machine.os_image == OsImage::Small && self.steps.iter().any(on_node) {
            return Err("the small OS image has no node".to_owned());
        }
        Ok(())
    }

    fn check_disks(&self) -> Result<(), String> {
        let mut disks = self.machine.disks.iter();
        if let Some(name) = &self.machine.installs_to
            && disks.all(|disk| disk.name != *name)
        {
            return Err(format!("`installsTo` names no disk of the machine: {name}"));
        }
        if let Some(workstation) = &self.workstation
            && workstation
                .disks
                .iter()
                .all(|disk| disk.name != workstation.stick)
        {
            return Err(format!(
                "`stick` names no disk of the workstation: {}",
                workstation.stick
            ));
        }
        Ok(())
    }

    fn check_registry(&self) -> Result<(), String> {
        let other = |step: &&Step| **step != Step::ServeImages;
        if let Some(step) = self.steps.iter().find(other) {
            return Err(format!("a registry does not do `{step}`"));
        }
        if self.steps.is_empty() {
            return Err("it has no step: a registry does `serve-images`".to_owned());
        }
        Ok(())
    }

    /// The disk that the installer may change: none when it refuses before it writes.
    #[must_use]
    pub fn target(&self) -> Option<&str> {
        let writes = |step: &Step| match step {
            Step::Refuse(refusal) => ![
                "find-media",
                "validate-config",
                "verify-image",
                "choose-disk",
            ]
            .contains(&refusal.step.as_str()),
            Step::FirmwareRefuses => false,
            step => !step.ends_cycle(),
        };
        if !self.steps.iter().any(writes) {
            return None;
        }
        match (&self.machine.installs_to, self.machine.disks.as_slice()) {
            (Some(name), _) => Some(name),
            (None, [only]) => Some(&only.name),
            (None, _) => None,
        }
    }

    /// True when a disk fails or the stick is pulled.
    #[must_use]
    pub fn disturbs_disks(&self) -> bool {
        self.machine.disks.iter().any(|disk| disk.fault.is_some())
            || self.steps.contains(&Step::UnplugStick)
    }

    /// True when the harness brings the image of its pods.
    #[must_use]
    pub fn needs_image(&self) -> bool {
        self.steps.iter().any(|step| match step.undisturbed() {
            Step::PowerCuts(cuts) => cuts.then.contains(&Step::Ready),
            step => matches!(step, Step::Ready | Step::ServeImages),
        })
    }

    /// The steps of each run of the machine, with what ended the one before.
    #[must_use]
    pub fn cycles(&self) -> Vec<(Option<&Step>, &[Step])> {
        let mut cycles = Vec::new();
        let mut before = None;
        let mut from = 0;
        for (at, step) in self.steps.iter().enumerate() {
            if step.ends_cycle() {
                cycles.push((before, &self.steps[from..at]));
                (before, from) = (Some(step), at + 1);
            }
        }
        cycles.push((before, &self.steps[from..]));
        cycles
    }
}

/// Whether what is done while a step goes on can be done then.
fn check_disturbed(step: &Step) -> Result<(), String> {
    let Step::While(disturbed) = step else {
        return Ok(());
    };
    let inner = &disturbed.step;
    if inner.ends_cycle()
        || inner.is_of_the_network()
        || matches!(**inner, Step::While(_) | Step::On(_) | Step::PowerCuts(_))
    {
        return Err(format!("`while` is not for the step `{inner}`"));
    }
    let mut before = Duration::ZERO;
    for Timed { after, action } in &disturbed.actions {
        if !action.is_of_the_network() {
            return Err(format!(
                "`while` does not do `{action}`: unplug-network, plug-network or slow-network"
            ));
        }
        if *after < before {
            return Err("the actions of `while` are in the order of `after`".to_owned());
        }
        before = *after;
    }
    Ok(())
}
