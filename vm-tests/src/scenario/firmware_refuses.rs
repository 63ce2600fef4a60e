//! The step in which a firmware with Secure Boot refuses a stick that it does not trust.

use anyhow::Result;
use vm::console::{ConsoleState, NOTHING_TO_START, RefusedEntry};
use vm::nvram::BootVariables;

use super::failure::Failure;
use super::guard::May;
use super::session::Session;
use crate::evidence::Check;

/// The firmware's answers for an executable that it does not trust: EFI_ACCESS_DENIED, EFI_SECURITY_VIOLATION.
const NOT_TRUSTED: [&str; 2] = ["Access Denied", "Security Violation"];

impl Session<'_> {
    /// Until the firmware has nothing left to start, or HookOS runs.
    pub async fn firmware_refuses(&mut self) -> Result<()> {
        self.output.doing("waiting for the firmware to refuse");
        let console = self.guard.console();
        let ended = console.wait_for(|state| {
            let gave_up = |state: &ConsoleState| {
                let mut signs = state.badness.iter();
                signs.any(|badness| badness.name == NOTHING_TO_START)
            };
            (gave_up(state) || !state.markers.is_empty()).then_some(())
        });
        let ended = async {
            ended.await;
            Ok::<_, Failure>(())
        };
        let doing = "waiting for the firmware to refuse the stick";
        let budget = self.budgets().first_marker;
        self.guard
            .race_but(May::Firmware, doing, budget, ended)
            .await?;
        console.caught_up().await;
        self.screenshot("screen-refusal").await;
        let vars = fs_err::read(&self.hardware.firmware.vars)?;
        let boot = BootVariables::from_file_content(&vars)?;
        self.checks
            .extend(console.look(|state| refusal_checks(state, &boot)));
        Ok(())
    }
}

/// The stick was not trusted, and nothing of it ran.
fn refusal_checks(state: &ConsoleState, boot: &BootVariables) -> Vec<Check> {
    let is_stick = |number: u16| boot.entry(number).is_some_and(|entry| entry.is_usb());
    let of_stick: Vec<&RefusedEntry> = state
        .refused
        .iter()
        .filter(|entry| is_stick(entry.number))
        .collect();
    let status = of_stick.first().map(|entry| entry.status.as_str());
    let started = boot
        .entries
        .iter()
        .find(|entry| entry.is_usb() && state.boots.contains(&entry.description))
        .map(|entry| format!("Boot{:04X} {}", entry.number, entry.description));
    let ran = state.markers.first().map(ToString::to_string).or(started);
    vec![
        Check::new(
            "machine/secureBoot",
            "the firmware does not trust the stick",
            NOT_TRUSTED.join(" or "),
            status.unwrap_or("it was not refused"),
            status.is_some_and(|status| NOT_TRUSTED.contains(&status)),
        ),
        Check::new(
            "machine/secureBoot",
            "nothing of the stick was started",
            "nothing",
            ran.clone().unwrap_or_else(|| "nothing".into()),
            ran.is_none(),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use vm::nvram::{BootEntry, DevicePathNode};

    const STICK: &str = "UEFI QEMU QEMU USB HARDDRIVE 1-0000:00:03.0-1";

    fn passed(lines: &[&str]) -> Vec<bool> {
        let mut state = ConsoleState::default();
        for line in lines {
            state.take("ttyS0", line);
        }
        let boot = BootVariables {
            order: vec![1],
            entries: vec![BootEntry {
                number: 1,
                description: STICK.into(),
                active: true,
                path: vec![DevicePathNode::Usb],
                decoded: true,
            }],
        };
        let checks = refusal_checks(&state, &boot);
        checks.iter().map(|check| check.passed).collect()
    }

    fn line(what: &str, end: &str) -> String {
        format!("BdsDxe: {what} Boot0001 \"{STICK}\" from PciRoot(0x0)/USB(0x0,0x0){end}")
    }

    #[test]
    fn a_stick_that_is_not_trusted_is_refused() {
        let refused = line("failed to load", ": Access Denied");
        assert_eq!(passed(&[&line("loading", ""), &refused]), [true, true]);
    }

    #[test]
    fn a_stick_that_is_absent_or_fails_otherwise_proves_nothing() {
        assert_eq!(passed(&[]), [false, true]);
        let failed = line("failed to load", ": Not Found");
        assert_eq!(passed(&[&failed]), [false, true]);
    }

    #[test]
    fn a_stick_that_starts_is_seen() {
        assert_eq!(passed(&[&line("starting", "")]), [false, false]);
        assert_eq!(
            passed(&["EMTS step=find-media state=begin t=1"]),
            [false, false]
        );
    }
}
