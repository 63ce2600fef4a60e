//! What is asked of the node in a scenario: the end of cloud-init, the checks
//! that the config-file calls for, the same identity after a reboot.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use super::immutable;
use super::service::{self, Service};
use super::session::Session;
use super::user_login;
use crate::evidence::Check;
use crate::expectation;
use crate::kube::Objects;
use crate::node::{Facts, Probe};
use crate::ssh::GuestOutput;
use vm::nvram::BootVariables;

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

/// The firmware's BootCurrent: four bytes of attributes, then the number.
const BOOT_CURRENT: &str = "od -An -tx1 -j4 -N2 /sys/firmware/efi/efivars/BootCurrent-8be4df61-93ca-11d2-aa0d-00e098032b8c | awk '{print $2 $1}'";

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
    probes.extend([Probe::shell(service::STATE), Probe::shell(BOOT_CURRENT)]);
    let facts = session.ask("checks", &probes).await?;
    session.k3s = k3s_version(&facts).unwrap_or(std::mem::take(&mut session.k3s));
    session.checks.extend(
        expectations
            .iter()
            .map(|expectation| expectation.check(&facts)),
    );
    machine_checks(session, &facts, "").await?;
    lease_checks(session).await?;
    user_login::checks(session).await?;
    if immutable::applies(&session.options.scenario) {
        immutable::verify(session, false).await?;
    }
    Ok(())
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

/// The service's state, and that the firmware started the entry it shall try first.
async fn machine_checks(session: &mut Session<'_>, facts: &Facts, when: &str) -> Result<()> {
    let text = |command: &str| {
        facts
            .get(&Probe::shell(command))
            .map(|answer| answer.text().trim().to_owned())
            .unwrap_or_default()
    };
    let ssh = session.ssh()?;
    let service = session.service(&ssh);
    let service = match session.has_kubernetes() {
        true => Some(service.check(text(service::STATE), when).await),
        false => None,
    };
    let current = text(BOOT_CURRENT);
    let first = fs_err::read(&session.hardware.firmware.vars)
        .ok()
        .and_then(|bytes| BootVariables::from_file_content(&bytes).ok())
        .and_then(|boot| boot.order.first().copied());
    let first = first.map_or_else(|| "none".to_owned(), |number| format!("{number:04x}"));
    let check = |key: &str, check: &str, expected: &str, actual: String| Check {
        key: key.into(),
        check: format!("{check}{when}"),
        expected: expected.to_owned(),
        passed: actual == expected,
        actual,
    };
    session.checks.extend(service);
    session.checks.push(check(
        "machine/bootCurrent",
        "the firmware started the first entry of BootOrder",
        &first,
        current,
    ));
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
    let text = |index: usize| {
        facts
            .get(&probes[index])
            .map(GuestOutput::text)
            .unwrap_or_default()
    };
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
    session.checks.push(Check {
        key: "machine/reboot".into(),
        check: "the node was rebooted".into(),
        expected: format!("another boot than {}", before.boot_id),
        passed: after.boot_id != before.boot_id && !after.boot_id.is_empty(),
        actual: after.boot_id,
    });
    session.checks.push(Check {
        key: "machine/nodeIdentity".into(),
        check: "the same node came back".into(),
        expected: before.uid.clone(),
        passed: after.uid == before.uid,
        actual: after.uid,
    });
    let probes = [
        Probe::shell(service::STATE),
        Probe::shell(BOOT_CURRENT),
        Probe::shell(
            "tr -d ' \\n' </run/cloud-init/result.json | grep -o '\"errors\":\\[[^]]*\\]'",
        ),
    ];
    let facts = session.ask("checks-after-reboot", &probes).await?;
    machine_checks(session, &facts, " after the reboot").await?;
    let errors = facts
        .get(&probes[2])
        .map(|answer| answer.text().trim().to_owned())
        .unwrap_or_default();
    let expected = "\"errors\":[]".to_owned();
    session.checks.push(Check {
        key: "machine/cloudInit".into(),
        check: "cloud-init has no errors after the reboot".into(),
        passed: errors == expected,
        expected,
        actual: errors,
    });
    if immutable::applies(&session.options.scenario) {
        immutable::verify(session, true).await?;
    }
    Ok(())
}
