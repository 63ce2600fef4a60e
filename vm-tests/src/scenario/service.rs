//! systemd's account of k3s.service, and what its restarts were for.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::evidence::Check;
use crate::leases::Leases;
use crate::node::{Account, Probe, Restart, gather};
use crate::ssh::Ssh;

/// Prints the state in one line.
pub(super) const STATE: &str = "systemctl show k3s.service -p ActiveState -p SubState -p NRestarts -p Result | sort | paste -sd' '";
/// What it prints of a K3s that runs and never ended.
pub(super) const GOOD: &str = "ActiveState=active NRestarts=0 Result=success SubState=running";
/// How long the guest may be silent while it looks for the reason of a restart.
const SILENCE: Duration = Duration::from_secs(120);

/// Who looks, and what is allowed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Service<'a> {
    pub ssh: &'a Ssh,
    /// Where K3s keeps its data.
    pub data: &'a str,
    pub leases: &'a Leases,
}

impl Service<'_> {
    /// The state now.
    ///
    /// # Errors
    /// K3s has ended for a reason that fails the run.
    pub async fn state(self) -> Result<String> {
        let output = self.ssh.run("service?", STATE, SILENCE).await?;
        let state = output.text().trim().to_owned();
        self.judge(&state).await?;
        Ok(state)
    }

    /// Why K3s ended first in this boot, if it did.
    ///
    /// # Errors
    /// The guest does not answer.
    pub async fn ended(self) -> Result<Option<Restart>> {
        let command = Account::command();
        let journal = self.ssh.run("restarts?", &command, SILENCE).await?;
        let account = Account::read(&journal.text());
        Ok(account.ends.into_iter().next())
    }

    /// The check that K3s runs and did not end, but for leases that it may lose.
    pub async fn check(self, state: String, when: &str) -> Check {
        let restarts = restarts(&state);
        let without = state.replace(&format!("NRestarts={restarts}"), "NRestarts=0");
        let (passed, why) = match self.judge(&state).await {
            Ok(()) if restarts == 0 => (state == GOOD, String::new()),
            Ok(()) => (
                without == GOOD,
                " (for lost leases, which is allowed)".to_owned(),
            ),
            Err(reason) => (false, format!(": {reason}")),
        };
        Check {
            key: "machine/k3sService".into(),
            check: format!("k3s.service is active and was never restarted{when}"),
            expected: GOOD.into(),
            actual: format!("{state}{why}"),
            passed,
        }
    }

    /// Fails for a state in which K3s has ended, unless it was for a lease that it may lose.
    ///
    /// # Errors
    /// Why it ended.
    pub async fn judge(self, state: &str) -> Result<()> {
        if !state.contains("ActiveState=failed") && restarts(state) == 0 {
            return Ok(());
        }
        let log = format!(
            "grep -aE '^(panic|fatal error): |level=(fatal|panic)' {}/agent/containerd/containerd.log | tail -n 1",
            self.data
        );
        let probes = [Probe::shell(Account::command()), Probe::shell(log)];
        let facts = gather(self.ssh, None, "restarts?", &probes, SILENCE).await?;
        let text = |probe| facts.get(probe).map(|answer| answer.text());
        let account = Account::read(&text(&probes[0]).unwrap_or_default());
        let containerd = text(&probes[1]).unwrap_or_default();
        verdict(state, &account, containerd.trim(), self.leases)
    }
}

/// How often systemd has started K3s again.
pub(super) fn restarts(state: &str) -> usize {
    let word = state
        .split_whitespace()
        .find_map(|word| word.strip_prefix("NRestarts="));
    word.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// What the ends of K3s mean: one for a lost lease is allowed where the harness made leases longer, as the machine is
/// known to be too slow for them.
fn verdict(state: &str, account: &Account, containerd: &str, leases: &Leases) -> Result<()> {
    if let Some(end) = account.other() {
        let log = match end.is_containerds() && !containerd.is_empty() {
            true => format!("; containerd's log: {containerd}"),
            false => String::new(),
        };
        bail!("k3s.service ended: {end}{log} ({state})");
    }
    let Some(end) = account.ends.iter().find(|end| end.lost_lease()) else {
        bail!("k3s.service is not well, and its journal has no reason: {state}");
    };
    if !leases.are_long() {
        bail!(
            "k3s.service ended: {end} ({state}); a machine that is too slow for leases of 15 s gets longer ones by `--leases long`"
        );
    }
    Ok(())
}

/// What the journals of a run say of K3s and its leases: the check that none was lost, and what needs a look.
pub(super) fn told(accounts: &[Account], leases: &Leases) -> (Option<Check>, Vec<String>) {
    let mut warnings = Vec::new();
    for (number, account) in (1..).zip(accounts) {
        let ends = account.ends.iter();
        warnings.extend(
            ends.map(|end| format!("boot {number}: K3s ended and was started again: {end}")),
        );
        let late = account.late.iter();
        warnings.extend(late.map(|(name, count)| {
            format!(
                "boot {number}: {count} times the lease {name} was not renewed at the first try"
            )
        }));
    }
    let ends = accounts.iter().flat_map(|account| &account.ends);
    let lost: Vec<String> = ends
        .filter(|end| end.lost_lease())
        .map(ToString::to_string)
        .collect();
    let mut actual = format!("{} lost", lost.len());
    if !lost.is_empty() {
        actual += &format!(": {}", lost.join("; "));
    }
    if !lost.is_empty() && leases.are_long() {
        actual += "; allowed, as the harness has made leases longer for a slow machine";
    }
    let check = Check {
        key: "machine/k3sLeases".into(),
        check: "K3s lost no lease".into(),
        expected: "0 lost".into(),
        actual,
        passed: lost.is_empty() || leases.are_long(),
    };
    ((!accounts.is_empty()).then_some(check), warnings)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: &str = "ActiveState=active NRestarts=1 Result=success SubState=running";
    const LOST: &str = "failed to renew lease kube-system/kube-scheduler: timed out\nLeaderelection lost\nk3s.service: Scheduled restart job, restart counter is at 1.\n";
    const CONTAINERD: &str = "level=error msg=\"Shutdown request received: \\\"containerd exited: exit status 2\\\"\"\nk3s.service: Main process exited, code=exited, status=1/FAILURE\n";

    fn judge(journal: &str, longer: &[&str]) -> Result<(), String> {
        let leases = Leases {
            longer: longer.iter().map(|name| (*name).to_owned()).collect(),
            kept: Vec::new(),
        };
        let log = "panic: runtime error: index out of range";
        verdict(STATE, &Account::read(journal), log, &leases).map_err(|error| error.to_string())
    }

    #[test]
    fn reads_the_number_of_restarts() {
        assert_eq!((restarts(STATE), restarts(GOOD)), (1, 0));
    }

    #[test]
    fn a_lost_lease_fails_with_its_name_and_the_way_out() {
        let error = judge(LOST, &[]).unwrap_err();
        assert!(error.contains("lost its lease kube-scheduler"), "{error}");
        assert!(error.contains("--leases long"), "{error}");
    }

    #[test]
    fn a_lost_lease_is_allowed_where_the_harness_made_leases_longer() {
        assert_eq!(judge(LOST, &["kube-scheduler"]), Ok(()));
    }

    #[test]
    fn another_reason_fails_also_beside_a_lost_lease() {
        let error = judge(&format!("{LOST}{CONTAINERD}"), &["kube-scheduler"]).unwrap_err();
        assert!(
            error.contains("containerd exited: exit status 2"),
            "{error}"
        );
        assert!(
            error.contains("containerd's log: panic: runtime error"),
            "{error}"
        );
    }

    fn long() -> Leases {
        Leases {
            longer: vec!["kube-scheduler".into()],
            kept: Vec::new(),
        }
    }

    #[test]
    fn lost_leases_are_counted_over_all_boots_and_named() {
        let accounts = [Account::default(), Account::read(LOST)];
        let (check, warnings) = told(&accounts, &Leases::default());
        let check = check.unwrap();
        assert!(!check.passed);
        assert!(
            check
                .actual
                .starts_with("1 lost: K3s lost its lease kube-scheduler"),
            "{}",
            check.actual
        );
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].starts_with("boot 2: "), "{warnings:?}");
        assert!(told(&accounts, &long()).0.unwrap().passed);
    }

    #[test]
    fn a_run_without_a_journal_says_nothing_of_leases() {
        assert_eq!(told(&[], &Leases::default()), (None, Vec::new()));
    }

    #[test]
    fn a_restart_without_a_reason_fails() {
        let error = judge("", &["kube-scheduler"]).unwrap_err();
        assert!(error.contains("no reason"), "{error}");
    }
}
