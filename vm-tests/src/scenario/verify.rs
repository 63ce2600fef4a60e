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

/// The node's identity now.
pub(super) async fn identity(session: &Session<'_>) -> Result<Identity> {
    let kubernetes = session.has_kubernetes();
    let who = match kubernetes {
        true => Probe::Objects,
        false => Probe::shell("cat /etc/machine-id"),
    };
    let probes = [who, Probe::shell("cat /proc/sys/kernel/random/boot_id")];
    let facts = session.ask("identity", &probes).await?;
    let text = |index: usize| facts.text(&probes[index]);
    let uid = match kubernetes {
        true => uid_of_node(&text(0))?,
        false => text(0).trim().to_owned(),
    };
    Ok(Identity {
        uid,
        boot_id: text(1).trim().to_owned(),
    })
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
    session.checks.push(Check::new(
        "machine/reboot",
        "the node was rebooted",
        format!("another boot than {}", before.boot_id),
        &after.boot_id,
        after.boot_id != before.boot_id && !after.boot_id.is_empty(),
    ));
    session.checks.push(Check::same(
        "machine/nodeIdentity",
        "the same node came back",
        &before.uid,
        after.uid,
    ));
    let mut probes = [service::STATE, CLOUD_INIT_ERRORS]
        .map(Probe::shell)
        .to_vec();
    probes.extend(aspect::questions(
        &session.options.scenario,
        When::AfterReboot,
    ));
    let facts = session.ask("checks-after-reboot", &probes).await?;
    service_check(session, &facts, When::AfterReboot).await?;
    session.checks.push(Check::same(
        "machine/cloudInit",
        "cloud-init has no errors after the reboot",
        "\"errors\":[]",
        facts.text(&Probe::shell(CLOUD_INIT_ERRORS)).trim(),
    ));
    aspect::answered(session, When::AfterReboot, &facts)
}
