//! What is asked of the node in a scenario: readiness, workloads, the checks
//! that the config-file calls for, the same identity after a reboot.

use std::cell::RefCell;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::json;

use super::flow::Flow;
use super::immutable;
use crate::evidence::Check;
use crate::expectation::{self, Workload};
use crate::node::{Boot, Facts, Objects, Probe, gather};
use crate::nvram::BootVariables;
use crate::shell::quote;
use crate::ssh::{GuestOutput, Ssh};

/// How long the guest may be silent while it answers a script.
const SILENCE: Duration = Duration::from_secs(120);

/// Ends with 75 and the last thing seen while cloud-init is still at work. Else
/// with 0, or with 1 and its errors and the end of what the commands printed.
const CLOUD_INIT: &str = "if ! [ -e /run/cloud-init/result.json ]; then\n\
    echo \"k3s.service $(systemctl is-active k3s.service); cloud-init printed last: $(tail -n 1 /var/log/cloud-init-output.log)\"; exit 75; fi\n\
    cloud-init status --wait >/tmp/emts-cloud-init 2>&1; s=$?\n\
    errors=$(tr -d ' \\n' </run/cloud-init/result.json | grep -o '\"errors\":\\[[^]]*\\]')\n\
    if [ $s -eq 0 ] && [ \"$errors\" = '\"errors\":[]' ]; then exit 0; fi\n\
    echo \"status $s, $errors; the last lines of /var/log/cloud-init-output.log:\"; tail -n 12 /var/log/cloud-init-output.log; exit 1";
/// Status of the script above while cloud-init is at work (EX_TEMPFAIL).
const AT_WORK: i32 = 75;

const READYZ: &str = "k3s kubectl get --raw=/readyz";
const SERVICE: &str = "systemctl show k3s.service -p ActiveState -p SubState -p NRestarts -p Result | sort | paste -sd' '";
const SERVICE_GOOD: &str = "ActiveState=active NRestarts=0 Result=success SubState=running";
/// The firmware's BootCurrent: four bytes of attributes, then the number.
const BOOT_CURRENT: &str = "od -An -tx1 -j4 -N2 /sys/firmware/efi/efivars/BootCurrent-8be4df61-93ca-11d2-aa0d-00e098032b8c | awk '{print $2 $1}'";
/// The images that can run without a command: the pause image is in every K3s.
const PAUSE_IMAGE: &str =
    "k3s ctr -n k8s.io images ls -q | grep -E '(^|/)[^@]*pause[^@]*:[^@]*$' | head -n 1";

/// What cloud-init is at; nothing when it has ended without errors.
pub(super) async fn cloud_init(ssh: &Ssh) -> Result<Option<String>> {
    let output = ssh.run("cloud-init?", CLOUD_INIT, SILENCE).await?;
    let text = output.text();
    match output.status {
        0 => Ok(None),
        AT_WORK => Ok(Some(text.trim().to_owned())),
        _ => bail!("cloud-init did not end well: {}", text.trim()),
    }
}

/// What keeps the node from being ready; nothing when it is. The cluster's objects are left in `seen`.
///
/// The cheap questions come first: each kubectl costs an emulated guest seconds.
pub(super) async fn unready(ssh: &Ssh, seen: &RefCell<String>) -> Result<Vec<String>> {
    let probes = [Probe::shell(SERVICE), Probe::shell(Boot::COMMAND)];
    let facts = gather(ssh, "service?", &probes, SILENCE).await?;
    let answer = |probe: &Probe| facts.get(probe).cloned().unwrap_or_default().text();
    let service = answer(&probes[0]).trim().to_owned();
    if service.contains("ActiveState=failed") || restarts(&service) > 0 {
        bail!("k3s.service is not well: {service}");
    }
    if !service.contains("ActiveState=active") {
        return Ok(vec![format!("k3s.service: {service}")]);
    }
    let boot = Boot::parse(&answer(&probes[1])).context("the node does not tell its boot")?;
    let objects = kubectl(ssh, "objects?", Objects::COMMAND).await?;
    let reasons = match objects {
        Err(reason) => return Ok(vec![format!("kubectl: {reason} ({service})")]),
        Ok(text) => {
            let reasons = Objects::parse(&text)
                .map_or_else(|reason| vec![reason], |objects| objects.unready(&boot));
            seen.replace(text);
            reasons
        }
    };
    if !reasons.is_empty() {
        return Ok(reasons);
    }
    Ok(match kubectl(ssh, "readyz?", READYZ).await? {
        Ok(text) if text.trim() == "ok" => Vec::new(),
        Ok(text) | Err(text) => vec![format!("/readyz: {}", text.trim())],
    })
}

/// The output of a kubectl, or the last line of what it complained about.
async fn kubectl(ssh: &Ssh, name: &str, command: &str) -> Result<Result<String, String>> {
    let output = ssh.run(name, command, SILENCE).await?;
    if output.status == 0 {
        return Ok(Ok(output.text()));
    }
    let complaints = String::from_utf8_lossy(&output.stderr);
    Ok(Err(complaints
        .trim()
        .lines()
        .last()
        .unwrap_or_default()
        .to_owned()))
}

fn restarts(service: &str) -> u32 {
    let word = service
        .split_whitespace()
        .find_map(|word| word.strip_prefix("NRestarts="));
    word.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Makes the pods whose running is checked.
pub(super) async fn start_workloads(flow: &Flow<'_>) -> Result<()> {
    flow.output.doing("starting pods");
    let ssh = flow.ssh()?;
    let config = flow
        .parsed
        .config
        .as_ref()
        .context("the config-file has errors")?;
    let image = ssh.check("find-image", PAUSE_IMAGE, SILENCE).await?.text();
    let image = image.trim();
    if image.is_empty() {
        bail!("no pause image is preloaded on the node: `k3s ctr -n k8s.io images ls` names none");
    }
    let items: Vec<_> = Workload::of(config.k3s())
        .iter()
        .flat_map(|workload| workload.manifest(image))
        .collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
    let script = format!("printf '%s' {} | k3s kubectl apply -f -", quote(&list));
    ssh.check("start-pods", &script, SILENCE).await?;
    Ok(())
}

/// All checks that the config-file calls for, and the node's own.
pub(super) async fn verify(flow: &mut Flow<'_>) -> Result<()> {
    let expectations = expectation::derive(flow.parsed).context("the config-file has errors")?;
    flow.output
        .doing(&format!("checking {} expectations", expectations.len()));
    let mut probes = expectation::probes(&expectations);
    probes.extend([Probe::shell(SERVICE), Probe::shell(BOOT_CURRENT)]);
    let facts = ask(flow, "checks", &probes).await?;
    flow.checks.extend(
        expectations
            .iter()
            .map(|expectation| expectation.check(&facts)),
    );
    machine_checks(flow, &facts, "");
    if immutable::applies(&flow.options.scenario) {
        immutable::verify(flow, false).await?;
    }
    Ok(())
}

/// The answers to `probes`, in the time that one round of checks may take.
pub(super) async fn ask(flow: &Flow<'_>, name: &str, probes: &[Probe]) -> Result<Facts> {
    let ssh = flow.ssh()?;
    let asking = gather(&ssh, name, probes, SILENCE);
    Ok(flow
        .guard
        .race(
            "asking the node for the checks",
            flow.budgets().checks,
            asking,
        )
        .await?)
}

/// The service's state, and that the firmware started the entry it shall try first.
fn machine_checks(flow: &mut Flow<'_>, facts: &Facts, when: &str) {
    let text = |command: &str| {
        facts
            .get(&Probe::shell(command))
            .map(|answer| answer.text().trim().to_owned())
            .unwrap_or_default()
    };
    let service = text(SERVICE);
    let current = text(BOOT_CURRENT);
    let first = fs_err::read(&flow.hardware.firmware.vars)
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
    flow.checks.push(check(
        "machine/k3sService",
        "k3s.service is active and was never restarted",
        SERVICE_GOOD,
        service,
    ));
    flow.checks.push(check(
        "machine/bootCurrent",
        "the firmware started the first entry of BootOrder",
        &first,
        current,
    ));
}

/// What makes the node the same node.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Identity {
    uid: String,
    boot_id: String,
}

/// The node's identity now.
pub(super) async fn identity(flow: &Flow<'_>) -> Result<Identity> {
    let probes = [
        Probe::shell(Objects::COMMAND),
        Probe::shell("cat /proc/sys/kernel/random/boot_id"),
    ];
    let facts = ask(flow, "identity", &probes).await?;
    let text = |index: usize| {
        facts
            .get(&probes[index])
            .map(GuestOutput::text)
            .unwrap_or_default()
    };
    let objects = Objects::parse(&text(0)).map_err(|reason| anyhow!(reason))?;
    let uid = objects.node().map_err(|reason| anyhow!(reason))?["metadata"]["uid"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    Ok(Identity {
        uid,
        boot_id: text(1).trim().to_owned(),
    })
}

/// After a reboot: another boot, the same node, the pods running again.
pub(super) async fn after_reboot(flow: &mut Flow<'_>, before: &Identity) -> Result<()> {
    let after = identity(flow).await?;
    flow.checks.push(Check {
        key: "machine/reboot".into(),
        check: "the node was rebooted".into(),
        expected: format!("another boot than {}", before.boot_id),
        passed: after.boot_id != before.boot_id && !after.boot_id.is_empty(),
        actual: after.boot_id,
    });
    flow.checks.push(Check {
        key: "machine/nodeIdentity".into(),
        check: "the same node came back".into(),
        expected: before.uid.clone(),
        passed: after.uid == before.uid,
        actual: after.uid,
    });
    let probes = [
        Probe::shell(SERVICE),
        Probe::shell(BOOT_CURRENT),
        Probe::shell(
            "tr -d ' \\n' </run/cloud-init/result.json | grep -o '\"errors\":\\[[^]]*\\]'",
        ),
    ];
    let facts = ask(flow, "checks-after-reboot", &probes).await?;
    machine_checks(flow, &facts, " after the reboot");
    let errors = facts
        .get(&probes[2])
        .map(|answer| answer.text().trim().to_owned())
        .unwrap_or_default();
    let expected = "\"errors\":[]".to_owned();
    flow.checks.push(Check {
        key: "machine/cloudInit".into(),
        check: "cloud-init has no errors after the reboot".into(),
        passed: errors == expected,
        expected,
        actual: errors,
    });
    if immutable::applies(&flow.options.scenario) {
        immutable::verify(flow, true).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_number_of_restarts() {
        assert_eq!(
            restarts("ActiveState=active NRestarts=3 Result=success SubState=running"),
            3
        );
        assert_eq!(restarts(SERVICE_GOOD), 0);
    }
}
