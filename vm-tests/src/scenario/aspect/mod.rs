//! The aspects of a machine: all that is kept and checked of it besides what a step does. Steps and runner only come here; a
//! new aspect is its file and its line in [`ALL`].

mod boot_order;
mod consoles;
mod hooks;
mod immutable_root;
mod installed_disk;
mod logs_on_stick;
#[cfg(test)]
mod made;
mod secure_boot;
mod untouched_disks;

use std::path::Path;

use anyhow::Result;

use super::one_machine::Scenario;
use super::session::Session;
use crate::evidence::Check;
use crate::node::{Facts, Probe};

pub(super) use boot_order::{BOOT_LABEL, boot_checks_since_first};
pub(super) use consoles::trouble;
use hooks::Aspect;
pub(super) use hooks::{Subject, When};

/// All aspects, in the order in which their checks are reported.
const ALL: [&dyn Aspect; 7] = [
    &untouched_disks::UntouchedDisks,
    &secure_boot::SecureBoot,
    &boot_order::BootOrder,
    &consoles::Consoles,
    &installed_disk::InstalledDisk,
    &immutable_root::ImmutableRoot,
    &logs_on_stick::LogsOnStick,
];

/// The aspects that a scenario's machine has.
fn of(scenario: &Scenario) -> impl Iterator<Item = &'static dyn Aspect> {
    ALL.into_iter()
        .filter(move |aspect| aspect.concerns(scenario))
}

/// The machine is made and was not switched on yet; `usb` is the stick as it was built.
///
/// # Errors
/// Here as below: what an aspect has to look at cannot be read. The others are asked all the same.
pub(super) fn prepared(subject: &Subject<'_>, usb: &Path, checks: &mut Vec<Check>) -> Result<()> {
    each(subject.scenario, checks, |aspect| {
        aspect.prepared(subject, usb)
    })
}

/// The installer has said its first word.
pub(super) fn installer_begins(session: &Session<'_>) {
    let subject = session.subject();
    of(subject.scenario).for_each(|aspect| aspect.installer_begins(&subject));
}

/// The installer is done.
pub(super) fn installed(session: &mut Session<'_>) -> Result<()> {
    let subject = session.subject();
    let (vm, console) = (session.guard.vm(), session.guard.console());
    let mut checks = Vec::new();
    let result = vm.held_still(|| {
        each(subject.scenario, &mut checks, |aspect| {
            aspect.installed(&subject, console)
        })
    })?;
    session.checks.extend(checks);
    result
}

/// What the running node is asked.
pub(super) fn questions(scenario: &Scenario, when: When) -> Vec<Probe> {
    of(scenario)
        .flat_map(|aspect| aspect.questions(when))
        .collect()
}

/// What its answers show.
pub(super) fn answered(session: &mut Session<'_>, when: When, facts: &Facts) -> Result<()> {
    let subject = session.subject();
    let mut checks = Vec::new();
    let result = each(subject.scenario, &mut checks, |aspect| {
        aspect.answered(&subject, when, facts)
    });
    session.checks.extend(checks);
    result
}

/// Asks the running node in a round of its own, where there is anything to ask.
pub(super) async fn ask(session: &mut Session<'_>, when: When) -> Result<()> {
    let probes = questions(&session.options.scenario, when);
    if probes.is_empty() {
        return Ok(());
    }
    let facts = session.ask("aspects", &probes).await?;
    answered(session, when, &facts)
}

/// The machine is off for good, after a run that came to its end or not.
pub(super) fn powered_off(
    subject: &Subject<'_>,
    finished: bool,
    checks: &mut Vec<Check>,
) -> Result<()> {
    each(subject.scenario, checks, |aspect| {
        aspect.powered_off(subject, finished)
    })
}

/// Adds what each aspect finds; the first error of all.
fn each(
    scenario: &Scenario,
    checks: &mut Vec<Check>,
    look: impl Fn(&dyn Aspect) -> Result<Vec<Check>>,
) -> Result<()> {
    let mut result = Ok(());
    for aspect in of(scenario) {
        match look(aspect) {
            Ok(found) => checks.extend(found),
            Err(error) => result = result.and(Err(error)),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::made::Made;
    use super::*;
    use crate::scenario::step::Step;
    use run_request::OsImage;

    /// Keys of what is checked of the machine that is off, each once, and the first error.
    fn off(made: &Made) -> (Vec<String>, Option<String>) {
        let mut checks = Vec::new();
        let result = powered_off(&made.subject(), true, &mut checks);
        let mut keys: Vec<String> = checks.into_iter().map(|check| check.key).collect();
        keys.dedup();
        (keys, result.err().map(|error| error.to_string()))
    }

    #[test]
    fn every_machine_has_these_aspects() {
        let keys = ["machine/disks", "machine/bootOrder", "machine/logs"];
        assert_eq!(
            off(&Made::new(|_| {})),
            (keys.map(str::to_owned).into(), None)
        );
    }

    #[test]
    fn the_others_are_looked_at_where_one_cannot_be() {
        let made = Made::new(|scenario| {
            scenario.machine.secure_boot = true;
            scenario.machine.os_image = OsImage::Immutable;
            scenario.machine.console_shows = vec!["x".to_owned()];
            scenario.steps = vec![Step::Install, Step::StartDisk];
        });
        fs_err::write(made.evidence.path("consoles.log"), "1 x\n").unwrap();
        let keys = [
            "machine/disks",
            "machine/secureBoot",
            "machine/bootOrder",
            "machine/consoles",
            "machine/logs",
        ];
        let (seen, error) = off(&made);
        assert_eq!(seen, keys);
        // Nothing was installed: there is no partition to look at, and no digest to compare with.
        assert!(error.unwrap().contains("has no partition rootfs"));
    }

    #[test]
    fn a_node_is_asked_by_all_aspects() {
        let made = Made::new(|scenario| {
            scenario.machine.secure_boot = true;
            scenario.machine.os_image = OsImage::Immutable;
        });
        let numbers = [
            When::LoggedIn,
            When::Verify,
            When::BeforeReboot,
            When::AfterReboot,
        ]
        .map(|when| questions(&made.scenario, when).len());
        assert_eq!(numbers, [7, 4, 1, 5]);
        assert!(questions(&Made::new(|_| {}).scenario, When::LoggedIn).is_empty());
    }
}
