//! Evidence from outside and inside the guest. Nothing here ends a run: what
//! cannot be had is said in a line.

use std::time::Duration;

use anyhow::Result;

use super::session::Session;
use crate::kube::{Client, Objects};
use crate::node::{Account, Probe, gather};
use crate::ssh::Ssh;

/// How long the guest's logs may take; a guest that hangs must not hold up the report.
const GUEST_LOGS: Duration = Duration::from_secs(90);
const JOURNAL_FILE: &str = "journal.log";
/// The journal of the present boot. Those before were kept before each reboot.
const JOURNAL: &str = "journalctl -b --no-pager -o short-precise -n 20000";

/// The guest's own accounts that every run keeps, by the name of their file.
const GUEST: &[(&str, &str)] = &[
    (JOURNAL_FILE, JOURNAL),
    ("cloud-init.log", "cat /var/log/cloud-init.log"),
    (
        "cloud-init-output.log",
        "cat /var/log/cloud-init-output.log",
    ),
    ("cloud-init-result.json", "cat /run/cloud-init/result.json"),
    ("k3s-config.yaml", "cat /etc/rancher/k3s/config.yaml"),
];

/// What a failed run keeps besides: it costs an emulated guest a quarter of a minute.
const AFTER_FAILURE: &[(&str, &str)] = &[
    (
        "journal-k3s.log",
        "journalctl --no-pager -u k3s.service -o short-precise -n 10000",
    ),
    ("dmesg.log", "dmesg"),
    ("runcmd.sh", "cat /var/lib/cloud/instance/scripts/runcmd"),
    (
        "containerd-config.toml",
        "cat /var/lib/rancher/k3s/agent/etc/containerd/config.toml",
    ),
    (
        "containerd.log",
        "tail -n 2000 /var/lib/rancher/k3s/agent/containerd/containerd.log",
    ),
    ("efibootmgr.txt", "efibootmgr -v"),
    ("network.txt", "ip address; ip route; ss -Hltnp"),
    (
        "disks.txt",
        "lsblk -o NAME,SIZE,TYPE,FSTYPE,LABEL,PARTLABEL,SERIAL,TRAN,MOUNTPOINTS; df -h",
    ),
    (
        "systemd.txt",
        "systemctl --no-pager --failed; systemd-analyze blame --no-pager | head -n 40",
    ),
];

/// What the API has of a failed run, by the name of its file.
const API_AFTER_FAILURE: &[(&str, &str)] = &[
    ("events", "/api/v1/events"),
    ("configmaps", "/api/v1/configmaps"),
    ("replicasets", "/apis/apps/v1/replicasets"),
    ("jobs", "/apis/batch/v1/jobs"),
    ("leases", "/apis/coordination.k8s.io/v1/leases"),
];

/// What can be had from the machine before it is switched off.
pub(super) async fn at_the_end(session: &mut Session<'_>, failed: bool) {
    if failed {
        session.screenshot("screen-failure").await;
        session.processors().await;
    }
    // Who interrupts a run waits for its end.
    if session.guard.interrupted() {
        return;
    }
    let Ok(ssh) = login(session, failed).await else {
        return;
    };
    session.output.doing("collecting the guest's logs");
    let more = if failed { AFTER_FAILURE } else { &[] };
    let wanted = || GUEST.iter().chain(more);
    let probes: Vec<Probe> = wanted()
        .map(|(_, command)| Probe::shell(*command))
        .collect();
    if let Some(api) = session.api.clone() {
        objects(session, &api.client, failed).await;
    }
    let gathered = tokio::select! {
        gathered = gather(&ssh, None, "collect", &probes, GUEST_LOGS) => gathered.map_err(|error| error.to_string()),
        death = session.guard.vm().died() => Err(death.to_string()),
        () = tokio::time::sleep(GUEST_LOGS) => Err(format!("not done within {} s", GUEST_LOGS.as_secs())),
    };
    match gathered {
        Ok(facts) => {
            for ((name, _), probe) in wanted().zip(&probes) {
                let Some(answer) = facts.get(probe) else {
                    continue;
                };
                let text = format!(
                    "{}{}",
                    answer.text(),
                    String::from_utf8_lossy(&answer.stderr)
                );
                keep(session, name, &text);
                if *name == JOURNAL_FILE && session.is_node {
                    session.accounts.push(Account::read_system(&text));
                }
            }
        }
        Err(reason) => session
            .output
            .line(&format!("the guest's logs cannot be had: {reason}")),
    }
}

fn keep(session: &Session<'_>, name: &str, text: &str) {
    if let Err(error) = session.evidence.write(&format!("guest/{name}"), text) {
        session.output.line(&format!("cannot keep {name}: {error}"));
    }
}

/// The cluster's objects, from the API.
async fn objects(session: &Session<'_>, client: &Client, failed: bool) {
    let mut files = vec![(
        "kubernetes",
        Objects::list(client).await.map(|all| all.to_text()),
    )];
    for (name, path) in API_AFTER_FAILURE.iter().filter(|_| failed) {
        let list = client.get(path).await;
        files.push((
            name,
            list.map(|list| String::from_utf8_lossy(&list).into_owned()),
        ));
    }
    for (name, text) in files {
        match text {
            Ok(text) => keep(session, &format!("{name}.json"), &text),
            Err(error) => session
                .output
                .line(&format!("the cluster's {name} cannot be had: {error}")),
        }
    }
}

/// The journal of a boot that is about to end, and what it says of K3s.
pub(super) async fn journal(session: &mut Session<'_>) {
    session.output.doing("keeping the journal");
    let Ok(ssh) = session.ssh() else { return };
    let number = session.accounts.len() + 1;
    let journal = tokio::time::timeout(GUEST_LOGS, ssh.run("journal", JOURNAL, GUEST_LOGS)).await;
    match journal {
        Ok(Ok(output)) => {
            let text = output.text();
            keep(
                session,
                &format!("{}journal-boot-{number}.log", session.label),
                &text,
            );
            session.accounts.push(Account::read_system(&text));
        }
        Ok(Err(error)) => session
            .output
            .line(&format!("the journal cannot be had: {error}")),
        Err(_) => session
            .output
            .line("the journal cannot be had: the guest is silent"),
    }
}

/// A login for the logs. Where there was none before, only a failure is a reason
/// to try.
async fn login(session: &Session<'_>, failed: bool) -> Result<Ssh> {
    match (&session.ssh, failed) {
        (Some(ssh), false) => Ok(ssh.clone()),
        (None, false) => anyhow::bail!("no login"),
        (_, true) => session.login_once("root").await,
    }
}
