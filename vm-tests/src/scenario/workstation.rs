//! A workstation on which users make sticks: a Debian machine that runs `bootable-usb-prepare.sh` as it is
//! shipped, against disks of all kinds. The stick that it makes is the one of the scenario's machine.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::definition::DiskDefinition;
use super::flow::Flow;
use super::machine::Hardware;
use super::run::{Context, Cycle, MACHINE, run_machine, secrets};
use super::step::Step;
use super::stick::{copy_sparse, place_of, run, tool};
use crate::evidence::{Check, Report};
use crate::firmware::Kind;
use crate::machine::{Bus, Disk, DiskFormat, Mebibytes};
use crate::ssh::GuestOutput;

/// The disk that the workstation runs from, and its serial number.
const ROOT: &str = "root";
const ROOT_SERIAL: &str = "EMTS-ROOT";
/// The disk that is mounted at `/work`, with the installation files and the config-file.
const WORK: &str = "work";
const WORK_SIZE: Mebibytes = Mebibytes(3072);
/// How long the guest may be silent in the middle of a command.
const SILENCE: Duration = Duration::from_secs(180);

/// What is done on a workstation before the machine of the scenario is switched on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Workstation {
    /// The disks besides the ones that it runs from. Each is `/run/disk/<name>` in its scripts.
    pub disks: Vec<DiskDefinition>,
    /// The disk that becomes the stick.
    pub stick: String,
    /// Shell script that brings the disks into use, run as root in `/work`.
    pub set_up: String,
    /// What must not change a byte of any disk.
    pub refusals: Vec<Attempt>,
    /// What is then done to the stick, in order. No other disk may change.
    pub writes: Vec<Attempt>,
}

/// One call of `bootable-usb-prepare.sh`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Attempt {
    /// What it is about.
    pub name: String,
    /// Shell script with the call, run as root in `/work`.
    pub run: String,
    /// How it has to end.
    pub exit_code: i32,
    /// What its output has to contain.
    pub says: String,
    /// Whether the stick has to boot afterwards; not looked at when left out.
    #[serde(default)]
    pub boots: Option<bool>,
}

/// The files that a workstation is made of.
#[derive(Debug, Clone)]
pub struct WorkstationParts {
    /// The disk that it runs from. It is not written to.
    pub image: PathBuf,
    /// `sen-installation-files.tar.gz`, or `sen-installation-files-reference.tar.gz` where a test double stands in for
    /// K3s.
    pub installation_files: PathBuf,
}

/// Does all that the scenario does on its workstation; the image of the stick that it leaves.
///
/// # Errors
/// The workstation does not start, or something on it does not come to an end.
pub(super) async fn make_stick(
    context: &Context<'_>,
    workstation: &Workstation,
    report: &mut Report,
) -> Result<PathBuf> {
    let parts = context.options.workstation.as_ref().context(
        "the scenario has a workstation: --workstation and --installation-files are needed",
    )?;
    let folder = context.evidence.path(MACHINE).join("workstation");
    let hardware = build(context, workstation, parts, &folder)?;
    let cycle = Cycle {
        steps: &[Step::MakeStick],
        folder: context.evidence.path("workstation"),
        label: "workstation: ".to_owned(),
        power_cut: false,
    };
    run_machine(context, &hardware, &cycle, report).await?;
    Ok(hardware.stick)
}

/// The workstation's files in `folder`.
fn build(
    context: &Context<'_>,
    workstation: &Workstation,
    parts: &WorkstationParts,
    folder: &Path,
) -> Result<Hardware> {
    fs_err::create_dir_all(folder)?;
    let root = folder.join("root.raw");
    copy_sparse(&parts.image, &root).context("cannot copy the workstation's disk")?;
    let work = folder.join("work.raw");
    make_work_disk(context, parts, &work).context("cannot make the workstation's work disk")?;
    let disks = [(ROOT, &root, ROOT_SERIAL), (WORK, &work, "EMTS-WORK")]
        .map(|(name, file, serial)| Disk::new(name, file, DiskFormat::Raw, Bus::Virtio, serial));
    let stick = folder.join(format!("{}.raw", workstation.stick));
    Hardware::of_disks(folder, stick, disks.into(), &workstation.disks, Kind::Plain)
}

/// An ext4 file system with what a user has downloaded and written.
fn make_work_disk(context: &Context<'_>, parts: &WorkstationParts, disk: &Path) -> Result<()> {
    let options = context.options;
    let files = tempfile::tempdir()?;
    let name = parts
        .installation_files
        .file_name()
        .context("an archive has a name")?;
    fs_err::copy(&parts.installation_files, files.path().join(name))?;
    fs_err::copy(&options.config_file, files.path().join("config-file"))?;
    let mut make = tool("mke2fs");
    make.args(["-q", "-t", "ext4", "-L", "work", "-d"])
        .arg(files.path())
        .arg(disk)
        .arg(format!("{}M", WORK_SIZE.0));
    run(make).map(drop)
}

/// The step `make-stick` on the running workstation.
pub(super) async fn work(flow: &mut Flow<'_>) -> Result<()> {
    let workstation = flow
        .options
        .scenario
        .workstation
        .as_ref()
        .context("the scenario has no workstation")?;
    flow.login().await?;
    in_guest(flow, "set-up", &links(workstation))
        .await?
        .ok("naming the disks")?;
    in_guest(flow, "set-up", &workstation.set_up)
        .await?
        .ok("bringing the disks into use")?;
    flow.output.doing("reading the workstation's disks");
    let first = prints(flow)?;
    for attempt in &workstation.refusals {
        try_one(flow, workstation, attempt).await?;
    }
    let refused = prints(flow)?;
    flow.checks
        .push(unchanged("the refusals", &first, &refused, None));
    for attempt in &workstation.writes {
        try_one(flow, workstation, attempt).await?;
    }
    let written = prints(flow)?;
    let stick = Some(workstation.stick.as_str());
    flow.checks.push(unchanged(
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
async fn in_guest(flow: &Flow<'_>, name: &str, script: &str) -> Result<Answer> {
    let ssh = flow.ssh()?;
    // The shell reads the script itself from standard input, which commands in it must not take.
    let script =
        format!("cd /work || exit\n(\n{script}\n) </dev/null\ncode=$?\nsync\nexit $code\n");
    let doing = format!("running `{name}` on the workstation");
    let answer = flow
        .guard
        .race(
            &doing,
            flow.budgets().checks,
            ssh.run(name, &script, SILENCE),
        )
        .await?;
    Ok(Answer(answer))
}

async fn try_one(flow: &mut Flow<'_>, workstation: &Workstation, attempt: &Attempt) -> Result<()> {
    flow.output.doing(&attempt.name);
    let answer = in_guest(flow, &attempt.name, &attempt.run).await?;
    let text = answer.text();
    flow.checks.extend(judge(attempt, answer.0.status, &text));
    let shown = secrets(flow.parsed).mask(&text) != text;
    flow.checks.push(Check {
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
        let disk = flow
            .hardware
            .disk(&workstation.stick)
            .context("the stick is gone")?;
        flow.checks.push(bootable(attempt, &disk.file, boots));
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
fn prints(flow: &Flow<'_>) -> Result<Vec<(String, String)>> {
    let mut prints = flow.hardware.fingerprints()?;
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
