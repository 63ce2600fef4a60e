//! A workstation on which users make sticks: a Debian machine that runs `bootable-usb-prepare.sh` as it is
//! shipped, against disks of all kinds. The stick that it makes is the one of the scenario's machine.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::machine_definition::{Attempt, Workstation};
use super::session::Session;
use super::stick::place_of;
use crate::evidence::Check;
use crate::ssh::GuestOutput;

/// The disk that the workstation runs from, and its serial number.
pub(super) const ROOT: &str = "root";
pub(super) const ROOT_SERIAL: &str = "EMTS-ROOT";
/// The disk that is mounted at `/work`, with the installation files and the config-file.
pub(super) const WORK: &str = "work";
/// How long the guest may be silent in the middle of a command.
const SILENCE: Duration = Duration::from_secs(180);

/// The step `make-stick` on the running workstation.
pub(super) async fn work(session: &mut Session<'_>) -> Result<()> {
    let workstation = session
        .options
        .scenario
        .workstation
        .as_ref()
        .context("the scenario has no workstation")?;
    session.login().await?;
    in_guest(session, "set-up", &links(workstation))
        .await?
        .ok("naming the disks")?;
    in_guest(session, "set-up", &workstation.set_up)
        .await?
        .ok("bringing the disks into use")?;
    session.output.doing("reading the workstation's disks");
    let first = prints(session)?;
    for attempt in &workstation.refusals {
        try_one(session, workstation, attempt).await?;
    }
    let refused = prints(session)?;
    session
        .checks
        .push(unchanged("the refusals", &first, &refused, None));
    for attempt in &workstation.writes {
        try_one(session, workstation, attempt).await?;
    }
    let written = prints(session)?;
    let stick = Some(workstation.stick.as_str());
    session.checks.push(unchanged(
        "the stick was written",
        &refused,
        &written,
        stick,
    ));
    Ok(())
}

/// The script that makes `/run/disk/<name>` of every disk.
fn links(workstation: &Workstation) -> String {
    let all = workstation
        .disks
        .iter()
        .map(|disk| (disk.name.as_str(), disk.serial.as_str()));
    let mut script = String::from("set -eu\nmkdir /run/disk\nudevadm settle\n");
    for (name, serial) in all.chain([(ROOT, ROOT_SERIAL)]) {
        script += &format!(
            "path=$(lsblk --nodeps --noheadings --output PATH,SERIAL | sed -n 's/ *{serial}$//p')\n\
             test -b \"$path\" || {{ echo \"no disk {serial}\" >&2; exit 1; }}\n\
             ln -s \"$path\" /run/disk/{name}\n"
        );
    }
    script
}

struct Answer(GuestOutput);

impl Answer {
    /// Standard output, then standard error.
    fn text(&self) -> String {
        self.0.text() + &String::from_utf8_lossy(&self.0.stderr)
    }

    fn ok(&self, doing: &str) -> Result<()> {
        anyhow::ensure!(
            self.0.status == 0,
            "{doing} on the workstation failed: {}",
            self.text().trim()
        );
        Ok(())
    }
}

/// Runs a script as root in `/work`; nothing of it is left in the guest's caches.
async fn in_guest(session: &Session<'_>, name: &str, script: &str) -> Result<Answer> {
    let ssh = session.ssh()?;
    // The shell reads the script itself from standard input, which commands in it must not take.
    let script =
        format!("cd /work || exit\n(\n{script}\n) </dev/null\ncode=$?\nsync\nexit $code\n");
    let doing = format!("running `{name}` on the workstation");
    let answer = session
        .guard
        .race(
            &doing,
            session.budgets().checks,
            ssh.run(name, &script, SILENCE),
        )
        .await?;
    Ok(Answer(answer))
}

async fn try_one(
    session: &mut Session<'_>,
    workstation: &Workstation,
    attempt: &Attempt,
) -> Result<()> {
    session.output.doing(&attempt.name);
    let answer = in_guest(session, &attempt.name, &attempt.run).await?;
    let text = answer.text();
    session
        .checks
        .extend(judge(attempt, answer.0.status, &text));
    let shown = session.evidence.mask(&text) != text;
    session.checks.push(Check {
        key: "usbPrepare/secrets".into(),
        check: format!("{}: no output has a password", attempt.name),
        expected: "none".into(),
        actual: if shown {
            "a password of the config-file"
        } else {
            "none"
        }
        .into(),
        passed: !shown,
    });
    if let Some(boots) = attempt.boots {
        let disk = session
            .hardware
            .disk(&workstation.stick)
            .context("the stick is gone")?;
        session.checks.push(bootable(attempt, &disk.file, boots));
    }
    Ok(())
}

/// Exit code and words of a call.
fn judge(attempt: &Attempt, status: i32, text: &str) -> [Check; 2] {
    let check = |what: &str, expected: String, actual: String, passed| Check {
        key: "usbPrepare/call".into(),
        check: format!("{}: {what}", attempt.name),
        expected,
        actual,
        passed,
    };
    let said = text.contains(&attempt.says);
    [
        check(
            "exit code",
            attempt.exit_code.to_string(),
            status.to_string(),
            status == attempt.exit_code,
        ),
        check(
            "says",
            attempt.says.clone(),
            if said { &attempt.says } else { text.trim() }.to_owned(),
            said,
        ),
    ]
}

/// Whether a firmware would find a boot loader on the stick: the partition that it is on, with a boot sector.
fn bootable(attempt: &Attempt, stick: &Path, expected: bool) -> Check {
    let names = ["EMTS-BOOT", "EMTS-OS", "EMTS-CONF"];
    let table = names.iter().all(|name| place_of(stick, name).is_ok());
    let sector = has_boot_sector(stick).unwrap_or(false);
    let word = |boots: bool| if boots { "boots" } else { "does not boot" };
    Check {
        key: "usbPrepare/boots".into(),
        check: format!("{}: whether the stick can be started", attempt.name),
        expected: word(expected).into(),
        actual: format!(
            "{}: partition table {}, boot sector {}",
            word(table && sector),
            if table { "complete" } else { "absent" },
            if sector { "present" } else { "absent" },
        ),
        passed: (table && sector) == expected,
    }
}

/// Whether there is the boot sector of a FAT file system at 1 MiB, where the script puts the boot partition.
fn has_boot_sector(stick: &Path) -> Result<bool> {
    let mut sector = [0; 512];
    let mut file = fs_err::File::open(stick)?;
    file.seek(SeekFrom::Start(1 << 20))?;
    file.read_exact(&mut sector)?;
    Ok(sector[510..] == [0x55, 0xaa])
}

/// Names and fingerprints of all disks but the work disk.
fn prints(session: &Session<'_>) -> Result<Vec<(String, String)>> {
    let mut prints = session.hardware.fingerprints()?;
    prints.retain(|(name, _)| name != WORK);
    Ok(prints)
}

fn unchanged(
    when: &str,
    before: &[(String, String)],
    after: &[(String, String)],
    but: Option<&str>,
) -> Check {
    let changed: Vec<&str> = before
        .iter()
        .zip(after)
        .filter(|(before, after)| before != after && Some(before.0.as_str()) != but)
        .map(|(before, _)| before.0.as_str())
        .collect();
    Check {
        key: "machine/disks".into(),
        check: match but {
            None => format!(
                "after {when}: no byte of {} disks was changed",
                before.len()
            ),
            Some(name) => format!("after {when}: no byte of a disk but `{name}` was changed"),
        },
        expected: "none changed".into(),
        passed: changed.is_empty(),
        actual: if changed.is_empty() {
            "none changed".to_owned()
        } else {
            format!("changed: {}", changed.join(", "))
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt() -> Attempt {
        Attempt {
            name: "a".into(),
            run: String::new(),
            exit_code: 6,
            says: "refused".into(),
            boots: None,
        }
    }

    #[test]
    fn a_call_has_to_end_and_to_speak_as_expected() {
        let passed = |status, text| judge(&attempt(), status, text).map(|check| check.passed);
        assert_eq!(passed(6, "x is refused: y"), [true, true]);
        assert_eq!(passed(0, "x is ready"), [false, false]);
    }

    #[test]
    fn a_changed_disk_is_named_unless_it_is_the_stick() {
        let print = |a: &str, b: &str| {
            vec![
                ("x".to_owned(), a.to_owned()),
                ("y".to_owned(), b.to_owned()),
            ]
        };
        let check = unchanged("it", &print("1", "2"), &print("1", "3"), None);
        assert_eq!((check.passed, check.actual.as_str()), (false, "changed: y"));
        assert!(unchanged("it", &print("1", "2"), &print("1", "3"), Some("y")).passed);
    }

    #[test]
    fn an_empty_disk_does_not_boot() {
        let disk = tempfile::NamedTempFile::new().unwrap();
        disk.as_file().set_len(4 << 20).unwrap();
        assert!(bootable(&attempt(), disk.path(), false).passed);
        assert!(!bootable(&attempt(), disk.path(), true).passed);
    }
}
