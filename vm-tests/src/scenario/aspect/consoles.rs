//! What the consoles show: the texts that the scenario asks for, and no trouble but what it leads to.

use anyhow::Result;
use vm::console::{Badness, DISK_ERROR, FILE_SYSTEM_ERROR, Gravity, NOTHING_TO_START};

use super::hooks::{Aspect, Subject};
use crate::evidence::Check;
use crate::scenario::one_machine::Scenario;
use crate::scenario::step::Step;

const KEY: &str = "machine/consoles";

/// Texts that a console has to show, in the first run of the machine.
pub(super) struct Consoles;

impl Aspect for Consoles {
    fn concerns(&self, scenario: &Scenario) -> bool {
        !scenario.machine.console_shows.is_empty()
    }

    fn powered_off(&self, subject: &Subject<'_>, finished: bool) -> Result<Vec<Check>> {
        if !finished {
            return Ok(Vec::new());
        }
        let consoles = fs_err::read_to_string(subject.evidence.path("consoles.log"))?;
        let check = |text: &String| {
            let seen = consoles.lines().any(|line| line.contains(text));
            let actual = if seen { text } else { "not shown" };
            Check::new(KEY, "a console shows", text, actual, seen)
        };
        let texts = subject.scenario.machine.console_shows.iter();
        Ok(texts.map(check).collect())
    }
}

/// Trouble on the consoles of one run of a machine, from power-on to power-off: a check of its own, and warnings.
pub(in crate::scenario) fn trouble(
    badness: Vec<Badness>,
    scenario: &Scenario,
) -> (Check, Vec<String>) {
    let text =
        |badness: &Badness| format!("{} on {}: {}", badness.name, badness.port, badness.line);
    let (warnings, errors): (Vec<_>, Vec<_>) = unexpected(badness, scenario)
        .into_iter()
        .partition(|badness| badness.gravity == Gravity::Warning);
    let seen: Vec<String> = errors.iter().map(text).collect();
    let check = Check::new(
        KEY,
        "no kernel panic, oops, OOM kill, disk error or emergency shell on any console",
        "none",
        match seen.is_empty() {
            true => "none".to_owned(),
            false => seen.join(" | "),
        },
        seen.is_empty(),
    );
    (check, warnings.iter().map(text).collect())
}

/// Trouble but for what the scenario leads to: the kernel has to complain about a disk that was made to fail, and about a
/// stick that was pulled.
fn unexpected(mut badness: Vec<Badness>, scenario: &Scenario) -> Vec<Badness> {
    if scenario.disturbs_disks() {
        badness.retain(|badness| ![DISK_ERROR, FILE_SYSTEM_ERROR].contains(&badness.name));
    }
    if scenario.steps.contains(&Step::FirmwareRefuses) {
        badness.retain(|badness| badness.name != NOTHING_TO_START);
    }
    badness
}

#[cfg(test)]
mod tests {
    use super::super::made::{Made, results};
    use super::*;
    use vm::console::find_badness;
    use vm::machine::DiskFault;

    /// Whether the check of trouble holds, and how many warnings there are.
    fn seen(lines: &[&str], made: &Made) -> (bool, usize) {
        let found = lines.iter().filter_map(|line| find_badness("ttyS0", line));
        let (check, warnings) = trouble(found.collect(), &made.scenario);
        assert_eq!(check.key, KEY);
        (check.passed, warnings.len())
    }

    #[test]
    fn an_oops_fails_the_consoles_check_and_a_stall_only_warns() {
        let made = Made::new(|_| {});
        let oops = "Oops: 0000 [#1] SMP";
        let stall = "watchdog: BUG: soft lockup - CPU#1 stuck for 22s!";
        assert_eq!(seen(&[], &made), (true, 0));
        assert_eq!(seen(&[stall], &made), (true, 1));
        assert_eq!(seen(&[oops, stall], &made), (false, 1));
    }

    #[test]
    fn trouble_that_the_scenario_leads_to_is_none() {
        let oops = "Oops: 0000 [#1] SMP";
        let disk = "I/O error, dev nvme0n1, sector 2048 op 0x1:(WRITE)";
        let nothing = "No bootable option or device was found";
        let plain = Made::new(|_| {});
        let disk_fails = Made::new(|scenario| {
            scenario.machine.disks[0].fault = Some(DiskFault::FlushError);
        });
        let refuses = Made::new(|scenario| scenario.steps = vec![Step::FirmwareRefuses]);
        assert_eq!(
            [&plain, &disk_fails, &refuses].map(|made| seen(&[disk], made).0),
            [false, true, false]
        );
        assert_eq!(
            [&plain, &disk_fails, &refuses].map(|made| seen(&[nothing], made).0),
            [false, false, true]
        );
        assert_eq!(
            [&plain, &disk_fails, &refuses].map(|made| seen(&[oops], made).0),
            [false; 3]
        );
    }

    #[test]
    fn each_text_has_to_be_shown_in_one_line() {
        let made = Made::new(|scenario| {
            scenario.machine.console_shows = vec!["one two".to_owned(), "three".to_owned()];
        });
        assert!(Consoles.concerns(&made.scenario));
        assert!(!Consoles.concerns(&Made::new(|_| {}).scenario));
        fs_err::write(
            made.evidence.path("consoles.log"),
            "1 a one\n2 two three b\n",
        )
        .unwrap();
        assert_eq!(
            results(&made.off(&Consoles, true)),
            [(KEY, false), (KEY, true)]
        );
        assert!(made.off(&Consoles, false).is_empty());
        fs_err::remove_file(made.evidence.path("consoles.log")).unwrap();
        assert!(Consoles.powered_off(&made.subject(), true).is_err());
    }
}
