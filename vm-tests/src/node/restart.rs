//! Why K3s ended and was started again, by what its journal says: of a component's failure K3s itself says one line, and
//! many of its shutdown follow.

use std::collections::BTreeMap;
use std::fmt;

/// What the lines have that are looked at, each as `grep -E` takes it. The first is systemd's and parts one start of K3s
/// from the next.
const MARKS: [&str; 8] = [
    "Scheduled restart job, restart counter",
    "Main process exited",
    "[lL]eaderelection lost",
    "[Ff]ailed to renew lease",
    "Failed to update lock",
    "Shutdown request received",
    "level=fatal",
    "(^|: )(panic|fatal error|SIG[A-Z]+): ",
];

/// Why one start of K3s ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// It did not renew the lease of this name in time.
    LostLease(String),
    /// What K3s, or Go, gave as the reason.
    Said(String),
    /// Nothing but systemd's account, if that.
    Unknown,
}

/// One end of K3s after which systemd started it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restart {
    /// Why.
    pub cause: Cause,
    /// systemd's words, such as `code=exited, status=1/FAILURE`.
    pub status: Option<String>,
}

impl Restart {
    /// True when a lease was lost.
    #[must_use]
    pub fn lost_lease(&self) -> bool {
        matches!(self.cause, Cause::LostLease(_))
    }

    /// True when containerd ended first: its own log tells why.
    #[must_use]
    pub fn is_containerds(&self) -> bool {
        matches!(&self.cause, Cause::Said(text) if text.contains("containerd exited"))
    }
}

impl fmt::Display for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::LostLease(name) => write!(f, "K3s lost its lease {name}")?,
            Cause::Said(text) => write!(f, "{text}")?,
            Cause::Unknown => write!(f, "no reason in its journal")?,
        }
        match &self.status {
            Some(status) => write!(f, " ({status})"),
            None => Ok(()),
        }
    }
}

/// What a boot's journal says of K3s.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// The ends of K3s, in order. The last may be one after which systemd is about to start it.
    pub ends: Vec<Restart>,
    /// How often a lease was not renewed at the first try, by its name.
    pub late: BTreeMap<String, usize>,
}

impl Account {
    /// Prints the lines of the present boot that an account is made of.
    #[must_use]
    pub fn command() -> String {
        let marks = MARKS.join("|");
        format!("journalctl -b -u k3s.service -o cat --no-pager | grep -aE '{marks}' | tail -n 400")
    }

    /// Reads the lines that are K3s' in a journal of the whole system, in a format that names the program of each.
    #[must_use]
    pub fn read_system(journal: &str) -> Self {
        let ours = |line: &&str| line.contains(" k3s[") || line.contains(": k3s.service: ");
        let lines: Vec<&str> = journal.lines().filter(ours).collect();
        Self::read(&lines.join("\n"))
    }

    /// Reads a journal of K3s in any of journalctl's formats of one line an entry.
    #[must_use]
    pub fn read(journal: &str) -> Self {
        let mut account = Self::default();
        let mut start = Start::default();
        for line in journal.lines() {
            if line.contains("Scheduled restart job, restart counter") {
                account.ends.push(std::mem::take(&mut start).end());
            } else {
                start.take(line, &mut account.late);
            }
        }
        if start.ended() {
            account.ends.push(start.end());
        }
        account
    }

    /// The ends that were for a lost lease.
    #[must_use]
    pub fn lost_leases(&self) -> usize {
        self.ends.iter().filter(|end| end.lost_lease()).count()
    }

    /// The first end for another reason than a lost lease.
    #[must_use]
    pub fn other(&self) -> Option<&Restart> {
        self.ends.iter().find(|end| !end.lost_lease())
    }
}

/// What one start of K3s has said so far.
#[derive(Debug, Default)]
struct Start {
    cause: Option<Cause>,
    /// The lease that was not renewed last.
    unrenewed: Option<String>,
    status: Option<String>,
}

impl Start {
    fn take(&mut self, line: &str, late: &mut BTreeMap<String, usize>) {
        if let Some((_, status)) = line.split_once("Main process exited, ") {
            self.status = Some(status.trim().to_owned());
        } else if let Some(lost) = lost(line) {
            let lease = lost.or(self.unrenewed.take());
            let lease = lease.unwrap_or_else(|| "of a component that it does not name".to_owned());
            // K3s says it last; what else went wrong before came of the same slowness.
            self.cause = Some(Cause::LostLease(lease));
        } else if line.to_ascii_lowercase().contains("failed to renew lease") {
            self.unrenewed = lease(line).or(self.unrenewed.take());
        } else if line.contains("Failed to update lock") {
            let lease = lease(line).unwrap_or_else(|| "unknown".to_owned());
            *late.entry(lease).or_default() += 1;
        } else if self.cause.is_none() {
            self.cause = said(line).map(Cause::Said);
        }
    }

    fn ended(&self) -> bool {
        self.status.is_some() || self.cause.is_some()
    }

    fn end(self) -> Restart {
        Restart {
            cause: self.cause.unwrap_or(Cause::Unknown),
            status: self.status,
        }
    }
}

/// The end of a leader: with the lease where K3s itself held it (`leaderelection lost for k3s-etcd`).
fn lost(line: &str) -> Option<Option<String>> {
    let at = line.to_ascii_lowercase().find("leaderelection lost")?;
    let rest = &line[at + "leaderelection lost".len()..];
    let name = rest.strip_prefix(" for ").map(first_word);
    Some(name)
}

/// The lease that client-go names, in a line (`kube-system/kube-scheduler`) or an address (`…/leases/kube-scheduler?…`).
fn lease(line: &str) -> Option<String> {
    let after = ["kube-system/leases/", "kube-system/"]
        .iter()
        .find_map(|prefix| line.split_once(prefix))?;
    Some(first_word(after.1))
}

fn first_word(text: &str) -> String {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '-';
    text.chars().take_while(|c| part(*c)).collect()
}

/// The reason in a line that has one: of K3s' shutdown, of its end by logrus, of Go's panic.
fn said(line: &str) -> Option<String> {
    if let Some((_, reason)) = line.split_once("Shutdown request received: ") {
        return Some(unquoted(reason));
    }
    if let Some((_, rest)) = line.split_once("level=fatal msg=") {
        return Some(unquoted(rest));
    }
    let marks = ["panic: ", "fatal error: "];
    let begins = marks.iter().filter_map(|mark| line.find(mark)).min();
    begins.map(|at| line[at..].trim().to_owned())
}

/// Text between quotes, or in quotes that logrus has escaped once more.
fn unquoted(text: &str) -> String {
    text.replace("\\\"", "\"")
        .trim()
        .trim_matches('"')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEDULER: &str = r#"E1127 23:10:11.123456    1234 leaderelection.go:429] Failed to update lock optimistically: Put "https://127.0.0.1:6444/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-scheduler?timeout=5s": context deadline exceeded, falling back to slow path
I1127 23:10:16.123456    1234 leaderelection.go:297] failed to renew lease kube-system/kube-scheduler: context deadline exceeded
E1127 23:10:16.123457    1234 server.go:303] "Leaderelection lost"
k3s.service: Main process exited, code=exited, status=1/FAILURE
k3s.service: Failed with result 'exit-code'.
k3s.service: Scheduled restart job, restart counter is at 1.
"#;

    fn only(journal: &str) -> Restart {
        let account = Account::read(journal);
        assert_eq!(account.ends.len(), 1, "{account:?}");
        account.ends[0].clone()
    }

    #[test]
    fn a_lost_lease_is_named() {
        let end = only(SCHEDULER);
        assert_eq!(end.cause, Cause::LostLease("kube-scheduler".into()));
        assert_eq!(
            end.to_string(),
            "K3s lost its lease kube-scheduler (code=exited, status=1/FAILURE)"
        );
    }

    #[test]
    fn the_lease_is_found_where_two_components_say_the_same() {
        let journal = SCHEDULER
            .replace("kube-scheduler", "k3s-cloud-controller-manager")
            .replace(
                "server.go:303] \"Leaderelection lost\"",
                "controllermanager.go:265] \"leaderelection lost\" logger=\"x\"",
            );
        let lease = Cause::LostLease("k3s-cloud-controller-manager".into());
        assert_eq!(only(&journal).cause, lease);
    }

    #[test]
    fn k3s_own_lease_is_lost_by_name() {
        let journal = "time=\"2026-11-27T23:10:11Z\" level=fatal msg=\"leaderelection lost for k3s-etcd\"\nk3s.service: Main process exited, code=exited, status=1/FAILURE\n";
        assert_eq!(only(journal).cause, Cause::LostLease("k3s-etcd".into()));
    }

    #[test]
    fn a_lease_that_is_renewed_late_ends_nothing() {
        let late = SCHEDULER.lines().next().unwrap();
        let account = Account::read(&format!("{late}\n{late}\n"));
        assert_eq!(account.ends, []);
        assert_eq!(account.late, [("kube-scheduler".to_owned(), 2)].into());
    }

    #[test]
    fn the_cause_of_a_shutdown_stands_before_what_follows_it() {
        let journal = r#"Nov 27 23:10:11.5 edge k3s[812]: time="2026-11-27T23:10:11Z" level=error msg="Shutdown request received: \"containerd exited: exit status 2\""
Nov 27 23:10:12.5 edge k3s[812]: time="2026-11-27T23:10:12Z" level=fatal msg="etcd: context canceled"
Nov 27 23:10:12.6 edge systemd[1]: k3s.service: Main process exited, code=exited, status=1/FAILURE
"#;
        let end = only(journal);
        assert_eq!(
            end.cause,
            Cause::Said("containerd exited: exit status 2".into())
        );
        assert!(end.is_containerds() && !end.lost_lease());
    }

    #[test]
    fn what_other_programs_say_is_not_k3s_account() {
        let journal = "Nov 27 23:10:11.5 edge kernel: panic: no\nNov 27 23:10:11.5 edge app[7]: level=fatal msg=\"x\"\nNov 27 23:10:11.6 edge k3s[812]: level=fatal msg=\"y\"\n";
        let account = Account::read_system(journal);
        assert_eq!(account.ends.len(), 1);
        assert_eq!(account.ends[0].to_string(), "y");
    }

    #[test]
    fn a_panic_is_quoted() {
        let journal = "panic: template: base:3: unexpected EOF\n\ngoroutine 1 [running]:\nk3s.service: Main process exited, code=exited, status=2/INVALIDARGUMENT\n";
        let text = only(journal).to_string();
        assert_eq!(
            text,
            "panic: template: base:3: unexpected EOF (code=exited, status=2/INVALIDARGUMENT)"
        );
    }

    #[test]
    fn each_start_has_a_cause_of_its_own() {
        let fatal = "level=fatal msg=\"invalid cluster-cidr 10.42.0.0/99\"\nk3s.service: Scheduled restart job, restart counter is at 2.\n";
        let account = Account::read(&format!("{SCHEDULER}{fatal}Starting K3s\n"));
        assert_eq!(account.ends.len(), 2);
        assert_eq!(account.lost_leases(), 1);
        let other = account.other().unwrap().to_string();
        assert_eq!(other, "invalid cluster-cidr 10.42.0.0/99");
    }

    #[test]
    fn an_end_without_a_word_is_not_taken_for_a_lost_lease() {
        let end = only("k3s.service: Main process exited, code=killed, status=9/KILL\n");
        assert_eq!(end.cause, Cause::Unknown);
        assert!(!end.lost_lease());
    }

    #[test]
    fn grep_lets_every_line_through_that_is_looked_at() {
        let text = format!(
            "{SCHEDULER}panic: x\nfatal error: y\nlevel=fatal msg=z\nShutdown request received: \"a\"\nleaderelection lost for k3s\n"
        );
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("journal");
        fs_err::write(&journal, &text).unwrap();
        let command = Account::command();
        let (_, filter) = command.split_once(" | ").unwrap();
        let script = format!("cat {} | {filter}", journal.display());
        let output = std::process::Command::new("sh")
            .args(["-c", &script])
            .output()
            .unwrap();
        let kept = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(Account::read(&kept), Account::read(&text));
    }
}
