//! The firmware's boot entries and their order: the installer adds its own entry, first, and leaves all others as they
//! are; the firmware starts it.

use std::path::Path;

use anyhow::Result;
use vm::console::Console;
use vm::nvram::{BootVariables, DevicePathNode, Quirk};

use super::hooks::{Aspect, Subject, When};
use crate::evidence::{Check, Evidence};
use crate::node::{Facts, Probe};
use crate::scenario::machine::{FIRST_FOREIGN, Hardware};
use crate::scenario::step::Step;

/// The label of the entry that the installer makes.
pub(in crate::scenario) const BOOT_LABEL: &str = "EMTS";

/// The variable store when the installer began, when it was done, when the machine was off.
const FIRST_VARS: &str = "firmware-vars-before.fd";
const INSTALLED_VARS: &str = "firmware-vars-installed.fd";
const LAST_VARS: &str = "firmware-vars-after.fd";

/// The firmware's BootCurrent: four bytes of attributes, then the number.
const BOOT_CURRENT: &str = "od -An -tx1 -j4 -N2 /sys/firmware/efi/efivars/BootCurrent-8be4df61-93ca-11d2-aa0d-00e098032b8c | awk '{print $2 $1}'";

/// Boot entries, BootOrder and BootCurrent.
pub(super) struct BootOrder;

impl Aspect for BootOrder {
    /// The firmware has written its own entries by now; the installer's are still to come. A second installation does not
    /// count.
    fn installer_begins(&self, subject: &Subject<'_>) {
        if !subject.evidence.path(FIRST_VARS).exists() {
            save_vars(subject.hardware, subject.evidence, FIRST_VARS);
        }
    }

    fn installed(&self, subject: &Subject<'_>, _console: &Console) -> Result<Vec<Check>> {
        save_vars(subject.hardware, subject.evidence, INSTALLED_VARS);
        Ok(Vec::new())
    }

    fn questions(&self, when: When) -> Vec<Probe> {
        match when {
            When::Verify | When::AfterReboot => vec![Probe::shell(BOOT_CURRENT)],
            When::LoggedIn | When::BeforeReboot => Vec::new(),
        }
    }

    /// The firmware started the entry that it shall try first.
    fn answered(&self, subject: &Subject<'_>, when: When, facts: &Facts) -> Result<Vec<Check>> {
        if self.questions(when).is_empty() {
            return Ok(Vec::new());
        }
        let boot = read_vars(&subject.hardware.firmware.vars);
        let first = boot.ok().and_then(|boot| boot.order.first().copied());
        Ok(vec![Check::same(
            "machine/bootCurrent",
            format!(
                "the firmware started the first entry of BootOrder{}",
                when.suffix()
            ),
            first.map_or_else(|| "none".to_owned(), |number| format!("{number:04x}")),
            facts.text(&Probe::shell(BOOT_CURRENT)).trim(),
        )])
    }

    fn powered_off(&self, subject: &Subject<'_>, finished: bool) -> Result<Vec<Check>> {
        let (scenario, evidence) = (subject.scenario, subject.evidence);
        let machine = &scenario.machine;
        // A firmware with an order of its own has changed it since the installer left it.
        let quirks = &machine.firmware;
        let last = if quirks.iter().any(|quirk| quirk.has_its_own_order()) {
            INSTALLED_VARS
        } else {
            save_vars(subject.hardware, evidence, LAST_VARS);
            LAST_VARS
        };
        let mut checks = Vec::new();
        let installed = evidence.path(INSTALLED_VARS).exists();
        // Where HookOS did not run, nobody could have changed an entry.
        let ran = !scenario.steps.contains(&Step::FirmwareRefuses);
        if ran && (finished || installed) {
            // A firmware that has no room for the entry must be left as it is.
            let entry = installed && !quirks.contains(&Quirk::NoRoom);
            checks.extend(changed_variables(evidence, last, entry));
        }
        if finished {
            checks.extend(foreign_entries(subject));
        }
        Ok(checks)
    }
}

/// The checks of [`boot_checks`] for the variable store `vars`, beside the one that the run's first installer began with.
///
/// # Errors
/// One of them cannot be read.
pub(in crate::scenario) fn boot_checks_since_first(
    evidence: &Evidence,
    vars: &Path,
) -> Result<Vec<Check>> {
    let before = read_vars(&evidence.path(FIRST_VARS)).map_err(anyhow::Error::msg)?;
    let after = read_vars(vars).map_err(anyhow::Error::msg)?;
    Ok(boot_checks(&before, &after))
}

/// Keeps a copy of the variable store as it is now.
fn save_vars(hardware: &Hardware, evidence: &Evidence, name: &str) {
    let _ = fs_err::copy(&hardware.firmware.vars, evidence.path(name));
}

fn read_vars(path: &Path) -> Result<BootVariables, String> {
    let bytes = fs_err::read(path).map_err(|error| error.to_string())?;
    BootVariables::from_file_content(&bytes).map_err(|error| error.to_string())
}

/// The boot variables before and after, kept, decoded, checked. Where nothing was installed the installer refused, and
/// nothing may have changed.
fn changed_variables(evidence: &Evidence, last: &str, installs: bool) -> Vec<Check> {
    let before = read_vars(&evidence.path(FIRST_VARS));
    let after = read_vars(&evidence.path(last));
    let decoded = serde_json::json!({"before": before.as_ref().ok(), "after": after.as_ref().ok()});
    let _ = evidence.write("firmware-boot.json", &format!("{decoded:#}\n"));
    match (before, after) {
        (Ok(before), Ok(after)) if installs => boot_checks(&before, &after),
        (Ok(before), Ok(after)) => vec![Check::new(
            "machine/bootOrder",
            "no boot entry and no order was changed",
            before.order_text(),
            after.order_text(),
            before == after,
        )],
        (Err(reason), _) | (_, Err(reason)) => vec![Check::new(
            "machine/bootOrder",
            "the firmware's variables can be read",
            "readable",
            reason,
            false,
        )],
    }
}

/// The boot order must be changed by the installer, and by nothing else.
fn boot_checks(before: &BootVariables, after: &BootVariables) -> Vec<Check> {
    let first = after.first();
    let ours = |boot: &BootVariables| {
        boot.entries
            .iter()
            .filter(|entry| entry.description == BOOT_LABEL)
            .count()
    };
    let on_disk = first.is_some_and(|entry| {
        entry.active
            && entry.description == BOOT_LABEL
            && entry
                .path
                .iter()
                .any(|node| matches!(node, DevicePathNode::Partition(_)))
    });
    let lost: Vec<String> = before
        .entries
        .iter()
        .filter(|entry| after.entry(entry.number) != Some(entry))
        .map(|entry| format!("Boot{:04X} {}", entry.number, entry.description))
        .collect();
    let unordered: Vec<String> = before
        .order
        .iter()
        .filter(|number| !after.order.contains(number))
        .map(|number| format!("Boot{number:04X}"))
        .collect();
    let usb = after
        .order
        .iter()
        .filter_map(|number| after.entry(*number))
        .any(|entry| entry.is_usb());
    let none = |names: &[String]| {
        if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        }
    };
    vec![
        Check::new(
            "machine/bootOrder",
            "the installer's entry is first and starts a partition",
            format!("{BOOT_LABEL} first"),
            after.order_text(),
            on_disk,
        ),
        Check::new(
            "machine/bootEntries",
            "the installer made one entry",
            "1",
            ours(after).to_string(),
            ours(after) == 1 && ours(before) == 0,
        ),
        Check::new(
            "machine/foreignEntries",
            "no entry of the firmware was changed or removed",
            "none",
            none(&lost),
            lost.is_empty(),
        ),
        Check::new(
            "machine/foreignEntries",
            "no entry was taken from BootOrder",
            "none",
            none(&unordered),
            unordered.is_empty(),
        ),
        Check::new(
            "machine/usbEntry",
            "the stick is still in BootOrder",
            "yes",
            if usb { "yes" } else { "no" },
            usb,
        ),
    ]
}

/// The firmware had the foreign entries when the installer began: else it means nothing that they were kept.
fn foreign_entries(subject: &Subject<'_>) -> Vec<Check> {
    let before = read_vars(&subject.evidence.path(FIRST_VARS));
    let has = |number| {
        let before = before.as_ref();
        before.is_ok_and(|boot| boot.entry(number).is_some())
    };
    let entries = subject.scenario.machine.boot_entries.iter();
    entries
        .zip(FIRST_FOREIGN..)
        .map(|(entry, number)| {
            let name = format!("{entry:?}");
            let seen = if has(number) { &*name } else { "none" };
            let seen = seen.to_owned();
            Check::same(
                "machine/foreignEntries",
                format!("the firmware has the entry Boot{number:04X} before the installation"),
                name,
                seen,
            )
        })
        .collect()
}

#[cfg(test)]
mod tests;
