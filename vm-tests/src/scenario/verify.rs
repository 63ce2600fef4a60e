//! What is asked of the node in a scenario: the end of cloud-init, the checks
//! that the config-file calls for, the same identity after a reboot.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use super::aspect::{self, When};
use super::service::{self, Service};
use super::session::Session;
use super::user_login;
use crate::evidence::Check;
use crate::expectation;
use crate::kube::Objects;
use crate::node::{Facts, Probe};

/// How long the guest may be silent while it answers a script.
const SILENCE: Duration = Duration::from_secs(120);

/// Ends with 75, the state of K3s and the last things said while cloud-init is still at work. Else
/// with 0, or with 1 and its errors and the end of what the commands printed.
fn cloud_init_script() -> String {
    let state = service::STATE;
    format!(
        "if ! [ -e /run/cloud-init/result.json ]; then {state}\n\
         echo \"K3s said last: $(journalctl -u k3s.service -b -n 1 -o cat --no-pager 2>&1 | cut -c -300)\"\n\
         echo \"cloud-init printed last: $(tail -n 1 /var/log/cloud-init-output.log)\"; exit {AT_WORK}; fi\n\
         cloud-init status --wait >/tmp/emts-cloud-init 2>&1; s=$?\n\
         errors=$(tr -d ' \\n' </run/cloud-init/result.json | grep -o '\"errors\":\\[[^]]*\\]')\n\
         if [ $s -eq 0 ] && [ \"$errors\" = '\"errors\":[]' ]; then exit 0; fi\n\
         echo \"status $s, $errors; the last lines of /var/log/cloud-init-output.log:\"; tail -n 12 /var/log/cloud-init-output.log; exit 1"
    )
}
/// Status of the script above while cloud-init is at work (EX_TEMPFAIL).
const AT_WORK: i32 = 75;

/// The errors that cloud-init noted.
const CLOUD_INIT_ERRORS: &str =
    "tr -d ' \\n' </run/cloud-init/result.json | grep -o '\"errors\":\\[[^]]*\\]'";

/// Whether cloud-init has ended without errors; what it is at, when it has not ended.
pub(super) async fn cloud_init(service: Service<'_>) -> Result<Result<(), String>> {
    let script = cloud_init_script();
    let output = service.ssh.run("cloud-init?", &script, SILENCE).await?;
    let text = output.text();
    match output.status {
        0 => Ok(Ok(())),
        AT_WORK => {
            let mut lines = text.lines();
            let state = lines.next().unwrap_or_default();
            service.judge(state).await?;
            let others: Vec<&str> = lines.collect();
            Ok(Err(format!("k3s.service: {state}; {}", others.join("; "))))
        }
        _ => {
            let why = match service.ended().await? {
                Some(end) => format!("k3s.service ended: {end}; "),
                None => String::new(),
            };
            bail!("cloud-init did not end well: {why}{}", text.trim())
        }
    }
}

/// All checks that the config-file calls for, and the node's own.
pub(super) async fn verify(session: &mut Session<'_>) -> Result<()> {
    let expectations = expectation::derive(session.parsed).context("the config-file has errors")?;
    session
        .output
        .doing(&format!("checking {} expectations", expectations.len()));
    let mut probes = expectation::probes(&expectations);
    probes.push(Probe::shell(service::STATE));
    probes.extend(aspect::questions(&session.options.scenario, When::Verify));
    let facts = session.ask("checks", &probes).await?;
    session.k3s = k3s_version(&facts).unwrap_or(std::mem::take(&mut session.k3s));
    session.checks.extend(
        expectations
            .iter()
            .map(|expectation| expectation.check(&facts)),
    );
    service_check(session, &facts, When::Verify).await?;
    aspect::answered(session, When::Verify, &facts)?;
    lease_checks(session).await?;
    user_login::checks(session).await
}

/// What the node's K3s says of itself, where it was asked.
fn k3s_version(facts: &Facts) -> Option<String> {
    let answer = facts.get(&Probe::shell(expectation::K3S_VERSION))?;
    let lines = answer.text().lines().collect::<Vec<_>>().join("; ");
    (answer.status == 0).then_some(lines)
}

/// The leases that the harness made longer are so in the cluster: a later drop-in could have undone it.
async fn lease_checks(session: &mut Session<'_>) -> Result<()> {
    if session.leases.longer.is_empty() {
        return Ok(());
    }
    let path = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
    let answer = session.api().await?.client.get(path).await?;
    session.checks.extend(session.leases.check(&answer));
    Ok(())
}

/// The service's state.
async fn service_check(session: &mut Session<'_>, facts: &Facts, when: When) -> Result<()> {
    if !session.has_kubernetes() {
        return Ok(());
    }
    let state = facts.text(&Probe::shell(service::STATE));
    let ssh = session.ssh()?;
    let service = session.service(&ssh);
    let check = service.check(state.trim().to_owned(), when.suffix()).await;
    session.checks.push(check);
    Ok(())
}

/// What makes the node the same node.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// The Node object's, or the machine-id of a node without Kubernetes.
    uid: String,
    boot_id: String,
}

/// Another value in each boot.
const BOOT_ID: &str = "cat /proc/sys/kernel/random/boot_id";

impl Identity {
    /// What tells who the node is.
    fn who(kubernetes: bool) -> Probe {
        match kubernetes {
            true => Probe::Objects,
            false => Probe::shell("cat /etc/machine-id"),
        }
    }

    fn of(facts: &Facts, kubernetes: bool) -> Result<Self> {
        let who = facts.text(&Self::who(kubernetes));
        let uid = match kubernetes {
            true => uid_of_node(&who)?,
            false => who.trim().to_owned(),
        };
        let boot_id = facts.text(&Probe::shell(BOOT_ID)).trim().to_owned();
        Ok(Self { uid, boot_id })
    }

    /// After a reboot: another boot of the same node.
    fn checks(&self, after: &Self) -> [Check; 2] {
        [
            Check::new(
                "machine/reboot",
                "the node was rebooted",
                format!("another boot than {}", self.boot_id),
                &after.boot_id,
                after.boot_id != self.boot_id && !after.boot_id.is_empty(),
            ),
            Check::new(
                "machine/nodeIdentity",
                "the same node came back",
                &self.uid,
                &after.uid,
                after.uid == self.uid && !after.uid.is_empty(),
            ),
        ]
    }
}

/// The node's identity now.
pub(super) async fn identity(session: &Session<'_>) -> Result<Identity> {
    let kubernetes = session.has_kubernetes();
    let probes = [Identity::who(kubernetes), Probe::shell(BOOT_ID)];
    let facts = session.ask("identity", &probes).await?;
    Identity::of(&facts, kubernetes)
}

fn uid_of_node(objects: &str) -> Result<String> {
    let objects = Objects::parse(objects).map_err(|reason| anyhow!(reason))?;
    let node = objects.node().map_err(|reason| anyhow!(reason))?;
    let uid = node["metadata"]["uid"].as_str();
    Ok(uid.unwrap_or_default().to_owned())
}

/// After a reboot: another boot, the same node, the pods running again.
pub(super) async fn after_reboot(session: &mut Session<'_>, before: &Identity) -> Result<()> {
    let after = identity(session).await?;
    session.checks.extend(before.checks(&after));
    let commands = [service::STATE, CLOUD_INIT_ERRORS];
    let mut probes = commands.map(Probe::shell).to_vec();
    let scenario = &session.options.scenario;
    probes.extend(aspect::questions(scenario, When::AfterReboot));
    let facts = session.ask("checks-after-reboot", &probes).await?;
    service_check(session, &facts, When::AfterReboot).await?;
    session.checks.push(cloud_init_check(&facts));
    aspect::answered(session, When::AfterReboot, &facts)
}

fn cloud_init_check(facts: &Facts) -> Check {
    Check::same(
        "machine/cloudInit",
        "cloud-init has no errors after the reboot",
        "\"errors\":[]",
        facts.text(&Probe::shell(CLOUD_INIT_ERRORS)).trim(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ssh::GuestOutput;

    fn facts(answers: &[(Probe, i32, &str)]) -> Facts {
        let mut facts = Facts::default();
        for (probe, status, text) in answers {
            let output = GuestOutput {
                status: *status,
                stdout: text.as_bytes().to_vec(),
                stderr: Vec::new(),
            };
            facts.insert(probe.clone(), output);
        }
        facts
    }

    fn identity(uid: &str, boot_id: &str) -> Identity {
        Identity {
            uid: uid.to_owned(),
            boot_id: boot_id.to_owned(),
        }
    }

    #[test]
    fn a_node_is_rebooted_when_its_boot_is_another_and_its_identity_the_same() {
        let before = identity("a", "1");
        let passed = |uid, boot| {
            let checks = before.checks(&identity(uid, boot));
            checks.map(|check| check.passed)
        };
        assert_eq!(passed("a", "2"), [true, true]);
        assert_eq!(passed("a", "1"), [false, true]);
        assert_eq!(passed("a", ""), [false, true]);
        assert_eq!(passed("b", "2"), [true, false]);
        let nobody = identity("", "1").checks(&identity("", "2"));
        assert!(!nobody[1].passed);
    }

    #[test]
    fn a_node_without_kubernetes_is_known_by_its_machine_id() {
        let facts = facts(&[
            (Identity::who(false), 0, "0123\n"),
            (Probe::shell(BOOT_ID), 0, "4567\n"),
        ]);
        let seen = Identity::of(&facts, false).unwrap();
        assert_eq!(seen, identity("0123", "4567"));
        assert!(Identity::of(&facts, true).is_err());
    }

    #[test]
    fn a_node_of_kubernetes_is_known_by_its_object() {
        let node = r#"{"kind": "List", "items": [{"kind": "Node", "metadata": {"name": "n", "uid": "u-1"}}]}"#;
        let facts = facts(&[(Identity::who(true), 0, node)]);
        assert_eq!(Identity::of(&facts, true).unwrap(), identity("u-1", ""));
    }

    #[test]
    fn k3s_tells_its_version_where_it_was_asked() {
        let asked = Probe::shell(expectation::K3S_VERSION);
        assert_eq!(k3s_version(&facts(&[])), None);
        assert_eq!(
            k3s_version(&facts(&[(asked.clone(), 1, "no such file")])),
            None
        );
        let told = facts(&[(asked, 0, "k3s version v1\ngo version go1\n")]);
        assert_eq!(
            k3s_version(&told).as_deref(),
            Some("k3s version v1; go version go1")
        );
    }

    #[test]
    fn an_error_of_cloud_init_after_the_reboot_fails() {
        let passed = |text| {
            let facts = facts(&[(Probe::shell(CLOUD_INIT_ERRORS), 0, text)]);
            cloud_init_check(&facts).passed
        };
        assert!(passed("\"errors\":[]\n"));
        assert!(!passed("\"errors\":[\"x\"]\n") && !passed(""));
    }

    /// What the shell makes of cloud-init's notes: the script is run as the node runs it, with its files in `directory`.
    #[test]
    fn the_errors_are_read_from_the_notes_as_cloud_init_writes_them() {
        let directory = tempfile::tempdir().unwrap();
        let notes = directory.path().join("result.json");
        let command =
            CLOUD_INIT_ERRORS.replace("/run/cloud-init/result.json", &notes.display().to_string());
        assert_ne!(command, CLOUD_INIT_ERRORS);
        for (errors, seen) in [("[]", "[]"), ("[\n   \"a b\"\n  ]", "[\"ab\"]")] {
            let text = format!(
                "{{\n \"v1\": {{\n  \"datasource\": \"x\",\n  \"errors\": {errors}\n }}\n}}\n"
            );
            fs_err::write(&notes, text).unwrap();
            let output = std::process::Command::new("sh")
                .args(["-c", &command])
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert_eq!(text.trim(), format!("\"errors\":{seen}"));
        }
    }
}
