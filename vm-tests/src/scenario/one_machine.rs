//! A scenario as one of its machines goes through it.

use std::num::NonZeroU8;
use std::path::PathBuf;
use std::time::Duration;

use super::budgets::Budgets;
use super::machine_definition::{DiskDefinition, MachineDefinition, Workstation};
use super::step::{FIRST_BOOT, Step, Timed};
use run_request::Role;
use vm::console::STEPS;

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
                step.undisturbed(),
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
        self.check_power_cuts()?;
        self.check_firmware()?;
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
        if self.machine.os_image.is_small() && self.steps.iter().any(on_node) {
            return Err("the small OS image has no node".to_owned());
        }
        Ok(())
    }

    fn check_power_cuts(&self) -> Result<(), String> {
        let Some(Step::PowerCuts(cuts)) = self.steps.first() else {
            return Ok(());
        };
        let first_boot = cuts.reach_first_boot();
        let names = cuts.moments_in.iter().map(String::as_str);
        if let Some(name) = names
            .filter(|name| *name != FIRST_BOOT)
            .find(|name| !STEPS.contains(name))
        {
            return Err(format!(
                "`momentsIn` names no step of the installer: {name}"
            ));
        }
        if first_boot && !cuts.then.contains(&Step::FirstBoot) {
            return Err(format!(
                "moments in `{FIRST_BOOT}` need `then: [first-boot, …]`: nothing else proves the recovery"
            ));
        }
        Ok(())
    }

    fn check_firmware(&self) -> Result<(), String> {
        if !self.machine.stops_at_reset() {
            return Ok(());
        }
        let resets = |step: &&Step| {
            matches!(
                step.undisturbed(),
                Step::Reboot | Step::Recover | Step::PowerCuts(_)
            )
        };
        if let Some(step) = self.steps.iter().find(resets) {
            return Err(format!(
                "a machine whose firmware changes its variables at each start does not do `{step}`: use `power-cycle`"
            ));
        }
        if self.on.is_some() {
            return Err(
                "a firmware that changes its variables at each start is for one `machine`"
                    .to_owned(),
            );
        }
        Ok(())
    }

    fn check_disks(&self) -> Result<(), String> {
        let attached = self.machine.disks.iter().map(DiskDefinition::check);
        attached.collect::<Result<(), String>>()?;
        let late = |name: &str| {
            let mut disks = self.machine.disks.iter();
            disks.any(|disk| disk.name == name && disk.late)
        };
        for step in &self.steps {
            let actions: Vec<&Step> = match step {
                Step::While(disturbed) => disturbed.actions.iter().map(|it| &it.action).collect(),
                step => vec![step],
            };
            for action in actions {
                if let Step::AttachDisk(name) = action
                    && !late(name)
                {
                    return Err(format!("`{action}` names no disk with `late: true`"));
                }
            }
        }
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

    /// The steps of each run of the machine, with what ended the one before; none where that was a reset at which the
    /// machine stops.
    #[must_use]
    pub fn cycles(&self) -> Vec<(Option<&Step>, &[Step])> {
        let mut cycles = Vec::new();
        let mut before = None;
        let mut from = 0;
        for (at, step) in self.steps.iter().enumerate() {
            if step.ends_cycle() {
                cycles.push((before, &self.steps[from..at]));
                (before, from) = (Some(step), at + 1);
            } else if self.machine.stops_at_reset()
                && *step.undisturbed() == Step::Install
                && self
                    .steps
                    .get(at + 1)
                    .is_some_and(|next| !next.ends_cycle())
            {
                cycles.push((before, &self.steps[from..=at]));
                (before, from) = (None, at + 1);
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
        || inner.is_from_outside()
        || matches!(**inner, Step::While(_) | Step::On(_) | Step::PowerCuts(_))
    {
        return Err(format!("`while` is not for the step `{inner}`"));
    }
    let mut before = Duration::ZERO;
    for Timed { after, action } in &disturbed.actions {
        if !action.is_from_outside() {
            return Err(format!(
                "`while` does not do `{action}`: unplug-network, plug-network, slow-network or attach-disk"
            ));
        }
        if *after < before {
            return Err("the actions of `while` are in the order of `after`".to_owned());
        }
        before = *after;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A machine with one disk and `more`, and its steps.
    fn scenario(more: Value, steps: Value) -> Scenario {
        let mut machine = json!({
            "disks": [{"name": "target", "bus": "nvme", "sizeMiB": 1024, "serial": "S1"}],
        });
        diagnostics::decode::merge(&mut machine, &more);
        Scenario {
            name: "test".into(),
            on: None,
            workstation: None,
            machine: serde_json::from_value(machine).unwrap(),
            steps: serde_json::from_value(steps).unwrap(),
            turns: Vec::new(),
            budgets: Budgets::default(),
            folder: PathBuf::new(),
        }
    }

    fn forgetful() -> Value {
        json!({"firmware": ["ignores-boot-next"]})
    }

    #[test]
    fn a_machine_that_stops_at_a_reset_starts_again_for_the_next_step() {
        let steps = json!(["install", "start-disk", "power-cycle", "start-disk"]);
        let of = |more| {
            let scenario = scenario(more, steps.clone());
            scenario.check().unwrap();
            let cycles = scenario.cycles();
            let names = |(before, steps): &(Option<&Step>, &[Step])| {
                let names: Vec<_> = steps.iter().map(Step::name).collect();
                (before.map(Step::name), names.join(" "))
            };
            cycles.iter().map(names).collect::<Vec<_>>()
        };
        let last = (Some("power-cycle"), "start-disk".to_owned());
        assert_eq!(
            of(forgetful()),
            [
                (None, "install".to_owned()),
                (None, "start-disk".to_owned()),
                last.clone()
            ]
        );
        let at_once = (None, "install start-disk".to_owned());
        assert_eq!(of(json!({"firmware": ["no-room"]})), [at_once, last]);
    }

    #[test]
    fn nothing_is_between_an_installation_and_the_power_cycle_after_it() {
        let scenario = scenario(forgetful(), json!(["install", "power-cycle", "start-disk"]));
        assert_eq!(scenario.cycles().len(), 2);
    }

    fn refused(more: Value, steps: Value, wanted: &str) {
        let error = scenario(more, steps).check().unwrap_err();
        assert!(error.contains(wanted), "{error}");
    }

    #[test]
    fn a_machine_that_stops_at_a_reset_does_not_reboot() {
        let steps = json!(["install", "first-boot", "reboot"]);
        refused(forgetful(), steps, "does not do `reboot`");
    }

    #[test]
    fn disks_are_such_as_qemu_has() {
        let one = |key: &str, value: Value, bus: &str| {
            let mut disk = json!({"name": "a", "bus": bus, "sizeMiB": 1000, "serial": "S"});
            disk[key] = value;
            json!({"disks": [disk]})
        };
        let install = json!(["install"]);
        refused(
            one("sectorSize", json!(4096), "sata"),
            install.clone(),
            "`sectorSize: 4096`",
        );
        refused(
            one("sectorSize", json!(520), "nvme"),
            install.clone(),
            "`sectorSize: 520`",
        );
        refused(
            one("late", json!(true), "sata"),
            install.clone(),
            "`late: true`",
        );
        refused(
            one("late", json!(false), "sd"),
            install.clone(),
            "power of two",
        );
        scenario(one("sectorSize", json!(4096), "scsi"), install)
            .check()
            .unwrap();
    }

    #[test]
    fn only_a_late_disk_is_attached() {
        let steps = json!([{"install-until": "find-media"}, {"attach-disk": "target"}, "install"]);
        refused(
            json!({}),
            steps.clone(),
            "`attach-disk target` names no disk",
        );
        let meanwhile = json!([{"while": {
            "step": "install",
            "actions": [{"after": "1s", "do": {"attach-disk": "target"}}],
        }}]);
        refused(
            json!({}),
            meanwhile.clone(),
            "`attach-disk target` names no disk",
        );
        let late = json!({"disks": [
            {"name": "target", "bus": "scsi", "sizeMiB": 1024, "serial": "S1", "late": true},
        ]});
        for steps in [steps, meanwhile] {
            scenario(late.clone(), steps).check().unwrap();
        }
    }

    #[test]
    fn cuts_in_the_first_boot_are_followed_up_to_its_end() {
        let cuts = |moments_in: &str, then: Value| {
            json!([{"power-cuts": {
                "seed": 1, "boundaries": 0, "moments": 1, "momentsIn": [moments_in], "then": then,
            }}])
        };
        let steps = cuts("first-boot", json!([]));
        refused(json!({}), steps, "need `then: [first-boot");
        let steps = cuts("write-imaeg", json!([]));
        refused(json!({}), steps, "no step of the installer: write-imaeg");
        let steps = cuts("first-boot", json!(["first-boot", "ready"]));
        scenario(json!({}), steps).check().unwrap();
    }
}
