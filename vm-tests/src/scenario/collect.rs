//! Evidence from outside and inside the guest. Nothing here ends a run: what
//! cannot be had is said in a line.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::machine::Hardware;
use super::session::Session;
use super::stick::{CONFIG_PARTITION, TABLE, find_partition, run, tool};
use crate::evidence::{Check, Evidence};
use crate::kube::{Client, Objects};
use crate::node::{Account, Probe, gather};
use crate::ssh::Ssh;
use vm::machine::extract_range;
use vm::nvram::{BootVariables, DevicePathNode};

/// How long the guest's logs may take; a guest that hangs must not hold up the report.
const GUEST_LOGS: Duration = Duration::from_secs(90);
/// The label of the entry that the installer makes.
pub(super) const BOOT_LABEL: &str = "EMTS";

/// The variable store when the installer began, when it was done, when the machine was off.
pub(super) const FIRST_VARS: &str = "firmware-vars-before.fd";
pub(super) const INSTALLED_VARS: &str = "firmware-vars-installed.fd";
pub(super) const LAST_VARS: &str = "firmware-vars-after.fd";

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

/// Keeps a copy of the variable store as it is now, unless there is one from before.
pub(super) fn save_vars_once(hardware: &Hardware, evidence: &Evidence, name: &str) {
    if !evidence.path(name).exists() {
        save_vars(hardware, evidence, name);
    }
}

/// Keeps a copy of the variable store as it is now.
pub(super) fn save_vars(hardware: &Hardware, evidence: &Evidence, name: &str) {
    let _ = fs_err::copy(&hardware.firmware.vars, evidence.path(name));
}

pub(super) fn read_vars(path: &Path) -> Result<BootVariables, String> {
    let bytes = fs_err::read(path).map_err(|error| error.to_string())?;
    BootVariables::from_file_content(&bytes).map_err(|error| error.to_string())
}

/// The boot variables before and after, kept, decoded, checked. Where nothing was installed the installer refused, and
/// nothing may have changed.
pub(super) fn firmware(evidence: &Evidence, last: &str, installs: bool, checks: &mut Vec<Check>) {
    let before = read_vars(&evidence.path(FIRST_VARS));
    let after = read_vars(&evidence.path(last));
    let decoded = serde_json::json!({"before": before.as_ref().ok(), "after": after.as_ref().ok()});
    let _ = evidence.write("firmware-boot.json", &format!("{decoded:#}\n"));
    match (before, after) {
        (Ok(before), Ok(after)) if installs => checks.extend(boot_checks(&before, &after)),
        (Ok(before), Ok(after)) => checks.push(check(
            "machine/bootOrder",
            "no boot entry and no order was changed",
            before.order_text(),
            after.order_text(),
            before == after,
        )),
        (Err(reason), _) | (_, Err(reason)) => checks.push(check(
            "machine/bootOrder",
            "the firmware's variables can be read",
            "readable".into(),
            reason,
            false,
        )),
    }
}

pub(super) fn check(
    key: &str,
    check: &str,
    expected: String,
    actual: String,
    passed: bool,
) -> Check {
    Check {
        key: key.into(),
        check: check.into(),
        expected,
        actual,
        passed,
    }
}

/// The boot order must be changed by the installer, and by nothing else.
pub(super) fn boot_checks(before: &BootVariables, after: &BootVariables) -> Vec<Check> {
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
        check(
            "machine/bootOrder",
            "the installer's entry is first and starts a partition",
            format!("{BOOT_LABEL} first"),
            after.order_text(),
            on_disk,
        ),
        check(
            "machine/bootEntries",
            "the installer made one entry",
            "1".into(),
            ours(after).to_string(),
            ours(after) == 1 && ours(before) == 0,
        ),
        check(
            "machine/foreignEntries",
            "no entry of the firmware was changed or removed",
            "none".into(),
            none(&lost),
            lost.is_empty(),
        ),
        check(
            "machine/foreignEntries",
            "no entry was taken from BootOrder",
            "none".into(),
            none(&unordered),
            unordered.is_empty(),
        ),
        check(
            "machine/usbEntry",
            "the stick is still in BootOrder",
            "yes".into(),
            if usb { "yes" } else { "no" }.into(),
            usb,
        ),
    ]
}

/// The installer's logs from the stick, read offline. A stick without them, or
/// without the tools to read them, is only less evidence.
pub(super) fn stick_logs(stick: &Path, evidence: &Evidence) {
    if fs_err::create_dir_all(evidence.path("stick")).is_ok() {
        let _ = copy_from_stick(stick, "logs", &evidence.path("stick"));
    }
}

/// The config-file as it is on the stick.
///
/// # Errors
/// The stick has none.
pub(super) fn config_file(stick: &Path) -> Result<String> {
    let folder = tempfile::tempdir()?;
    copy_from_stick(stick, "config-file", folder.path())?;
    Ok(fs_err::read_to_string(folder.path().join("config-file"))?)
}

/// Copies a file or folder of the stick's partition EMTS-CONF.
fn copy_from_stick(stick: &Path, name: &str, to: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let table = folder.path().join("gpt");
    extract_range(stick, 0, TABLE, &table)?;
    let place = find_partition(&fs_err::read(&table)?, CONFIG_PARTITION);
    let place = place.with_context(|| format!("the stick has no {CONFIG_PARTITION}"))?;
    extract_range(
        stick,
        place.start,
        place.length,
        &folder.path().join("conf.img"),
    )?;
    let to = std::path::absolute(to)?;
    let mut command = tool("mcopy");
    // mtools has a shell read the name of an image that has a character special to it.
    command
        .current_dir(folder.path())
        .args(["-s", "-n", "-Q", "-i", "conf.img"])
        .arg(format!("::{name}"))
        .arg(to);
    run(command).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use vm::nvram::BootEntry;

    fn entry(number: u16, description: &str, path: Vec<DevicePathNode>) -> BootEntry {
        BootEntry {
            number,
            description: description.into(),
            active: true,
            path,
            decoded: true,
        }
    }

    fn before() -> BootVariables {
        BootVariables {
            order: vec![1, 2],
            entries: vec![
                entry(1, "UEFI QEMU USB", vec![DevicePathNode::Usb]),
                entry(2, "Foreign", vec![DevicePathNode::Firmware]),
            ],
        }
    }

    fn installed() -> BootVariables {
        let mut after = before();
        after.order.insert(0, 5);
        after.entries.push(entry(
            5,
            "EMTS",
            vec![
                DevicePathNode::Partition("guid".into()),
                DevicePathNode::File("\\EFI\\BOOT\\BOOTX64.EFI".into()),
            ],
        ));
        after
    }

    fn failed(after: &BootVariables) -> Vec<String> {
        boot_checks(&before(), after)
            .into_iter()
            .filter(|check| !check.passed)
            .map(|check| check.key)
            .collect()
    }

    #[test]
    fn a_new_first_entry_and_the_old_ones_is_right() {
        assert_eq!(failed(&installed()), Vec::<String>::new());
    }

    #[test]
    fn an_unchanged_order_is_wrong() {
        assert_eq!(
            failed(&before()),
            ["machine/bootOrder", "machine/bootEntries"]
        );
    }

    #[test]
    fn a_lost_foreign_entry_and_a_lost_stick_are_seen() {
        let mut after = installed();
        after.entries.retain(|entry| entry.number != 2);
        assert_eq!(failed(&after), ["machine/foreignEntries"]);
        let mut after = installed();
        after.order = vec![5, 2];
        assert_eq!(
            failed(&after),
            ["machine/foreignEntries", "machine/usbEntry"]
        );
    }

    #[test]
    fn a_second_entry_of_ours_is_wrong() {
        let mut after = installed();
        after.entries.push(entry(6, "EMTS", vec![]));
        assert_eq!(failed(&after), ["machine/bootEntries"]);
    }
}
