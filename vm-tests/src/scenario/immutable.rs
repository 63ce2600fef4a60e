//! What is asked of a node with an immutable root: how it is mounted, what is kept in memory, what outlives a
//! reboot, and that nobody has written to its root partition since the installation.

use std::collections::BTreeSet;

use anyhow::{Context, Result};

use super::installed;
use super::machine::Hardware;
use super::machine_definition::OsImage;
use super::one_machine::Scenario;
use super::session::Session;
use crate::evidence::{Check, Evidence};
use crate::node::{Facts, Probe};

/// What outlives a reboot, as the image has it: paths, those of folders with `/` at the end.
const PERSISTENT: &str = include_str!("../../reference/node/immutable/persistent.txt");
/// Where the persistent partition keeps it.
const STORE: &str = "/.mount/persistence";
/// The root partition's SHA-256 when the installer was done.
const SEALED: &str = "root-partition-installed.sha256";

const MOUNTS: &str = "cat /proc/1/mountinfo";
const WRITE: &str = "touch /usr/emts-mark 2>&1; blockdev --getro \"$(findmnt -no SOURCE /)\"";
const WRITE_REFUSED: &str = "touch: cannot touch '/usr/emts-mark': Read-only file system 1";
/// cloud-init's notes of what it ran, which here are from this boot: /var is in memory.
const RAN: &str = "cd /var/lib/cloud/instance/sem && ls config_write_files config_runcmd config_scripts_user 2>&1 | paste -sd' '";
const ALL_RAN: &str = "config_runcmd config_scripts_user config_write_files";

/// Files whose fate a reboot decides: with them gone or kept it is known what is in memory.
const MARKS: [(&str, bool); 5] = [
    ("/etc/emts-mark", false),
    ("/var/lib/emts-mark", false),
    ("/var/lib/cloud/emts-mark", false),
    ("/etc/rancher/emts-mark", true),
    ("/home/emts-mark", true),
];

/// True when the scenario's node has an immutable root.
pub(super) fn applies(scenario: &Scenario) -> bool {
    scenario.machine.os_image == OsImage::Immutable
}

/// Keeps the root partition's digest, while the machine that was just installed is held still.
pub(super) fn seal(session: &Session<'_>) -> Result<()> {
    let digest = session
        .guard
        .vm()
        .held_still(|| digest(&session.options.scenario, session.hardware))??;
    Ok(session.evidence.write(SEALED, &digest)?)
}

fn digest(scenario: &Scenario, hardware: &Hardware) -> Result<String> {
    let disk = scenario.target().and_then(|name| hardware.disk(name));
    installed::root_digest(&disk.context("the scenario installs to no disk")?.file)
}

/// Of the machine that is off: the root partition is as the installer left it.
///
/// # Errors
/// The disk cannot be read.
pub(super) fn unwritten(
    scenario: &Scenario,
    hardware: &Hardware,
    evidence: &Evidence,
) -> Result<Check> {
    let expected = fs_err::read_to_string(evidence.path(SEALED))?;
    let actual = digest(scenario, hardware)?;
    Ok(Check {
        key: "machine/rootPartition".into(),
        check: "no byte of the root partition was changed since the installation (SHA-256)".into(),
        passed: actual == expected,
        expected,
        actual,
    })
}

/// Leaves a file everywhere whose fate the next reboot decides.
pub(super) async fn mark(session: &Session<'_>) -> Result<()> {
    let paths: Vec<&str> = MARKS.iter().map(|(path, _)| *path).collect();
    let probe = [Probe::shell(format!("touch {}; sync", paths.join(" ")))];
    session.ask("mark", &probe).await.map(drop)
}

/// The checks on the running node; `reboot` after one, when the marks tell.
pub(super) async fn verify(session: &mut Session<'_>, reboot: bool) -> Result<()> {
    let ls = MARKS
        .iter()
        .map(|(path, _)| format!("if [ -e {path} ]; then echo {path}; fi"))
        .collect::<Vec<_>>()
        .join("; ");
    let probes = [MOUNTS, WRITE, RAN, &ls].map(Probe::shell);
    let facts = session.ask("immutable", &probes).await?;
    let when = if reboot { " after the reboot" } else { "" };
    let mounts = Mount::parse_all(&text(&facts, &probes[0]));
    let mut checks = mount_checks(&mounts);
    checks.push(check(
        "write",
        "a file in the root file system cannot be written, nor its partition",
        WRITE_REFUSED,
        &words(&text(&facts, &probes[1])),
    ));
    checks.push(check(
        "cloudInit",
        "cloud-init wrote its files and ran its commands at this boot",
        ALL_RAN,
        text(&facts, &probes[2]).trim(),
    ));
    if reboot {
        let kept: Vec<&str> = MARKS
            .iter()
            .filter(|mark| mark.1)
            .map(|mark| mark.0)
            .collect();
        checks.push(check(
            "marks",
            "of the files left before, these are there",
            &kept.join(" "),
            &words(&text(&facts, &probes[3])),
        ));
    }
    for check in &mut checks {
        check.check.push_str(when);
    }
    session.checks.append(&mut checks);
    Ok(())
}

fn text(facts: &Facts, probe: &Probe) -> String {
    facts
        .get(probe)
        .map(|answer| answer.text())
        .unwrap_or_default()
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn check(key: &str, check: &str, expected: &str, actual: &str) -> Check {
    Check {
        key: format!("machine/immutable/{key}"),
        check: check.to_owned(),
        expected: expected.to_owned(),
        passed: actual == expected,
        actual: actual.to_owned(),
    }
}

/// A line of mountinfo (proc_pid_mountinfo(5)).
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    /// What of the file system is mounted.
    root: String,
    point: String,
    kind: String,
    /// Options of the mount, then those of the file system.
    options: Vec<String>,
}

impl Mount {
    fn parse_all(text: &str) -> Vec<Self> {
        text.lines().filter_map(Self::parse).collect()
    }

    fn parse(line: &str) -> Option<Self> {
        let (mount, file_system) = line.split_once(" - ")?;
        let mount: Vec<&str> = mount.split_whitespace().collect();
        let [kind, _, options] = file_system.split_whitespace().collect::<Vec<_>>()[..] else {
            return None;
        };
        let both = mount.get(5)?.split(',').chain(options.split(','));
        Some(Self {
            root: (*mount.get(3)?).to_owned(),
            point: (*mount.get(4)?).to_owned(),
            kind: kind.to_owned(),
            options: both.map(str::to_owned).collect(),
        })
    }

    /// True when neither the mount nor the file system can be written.
    fn read_only(&self) -> bool {
        self.options.iter().filter(|option| *option == "ro").count() == 2
    }
}

/// The mount that a path is on; of several at one place the last hides the others.
fn mount_of<'a>(mounts: &'a [Mount], path: &str) -> Option<&'a Mount> {
    let holds = |point: &str| {
        let below = path.strip_prefix(point.trim_end_matches('/'));
        below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    mounts
        .iter()
        .filter(|mount| holds(&mount.point))
        .max_by_key(|mount| mount.point.len())
}

/// How a folder is kept, in words.
fn kept(mounts: &[Mount], path: &str) -> String {
    let Some(mount) = mount_of(mounts, path) else {
        return "not mounted".to_owned();
    };
    let upper = mount
        .options
        .iter()
        .find_map(|option| option.strip_prefix("upperdir="));
    match upper.and_then(|upper| mount_of(mounts, upper)) {
        Some(layer) => format!("{} over {}", mount.kind, layer.kind),
        None => format!("{} at {}", mount.kind, mount.point),
    }
}

fn mount_checks(mounts: &[Mount]) -> Vec<Check> {
    let root = match mount_of(mounts, "/") {
        Some(root) if root.read_only() => "read-only",
        Some(_) => "writable",
        None => "not mounted",
    };
    let mut checks = vec![check(
        "root",
        "the root file system is mounted",
        "read-only",
        root,
    )];
    for folder in ["/etc", "/var", "/var/lib/cloud"] {
        checks.push(check(
            "memory",
            &format!("what is written to {folder} is in memory"),
            "overlay over tmpfs",
            &kept(mounts, folder),
        ));
    }
    let wanted: BTreeSet<&str> = PERSISTENT
        .lines()
        .filter(|line| line.starts_with('/'))
        .map(|line| line.trim_end_matches('/'))
        .collect();
    let found: BTreeSet<&str> = mounts
        .iter()
        .filter(|mount| mount.root.strip_prefix(STORE) == Some(&mount.point))
        .map(|mount| mount.point.as_str())
        .collect();
    let list = |paths: &BTreeSet<&str>| paths.iter().copied().collect::<Vec<_>>().join(" ");
    checks.push(check(
        "persistent",
        "these are on the persistent partition, and nothing else",
        &list(&wanted),
        &list(&found),
    ));
    checks
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
21 1 259:2 / / ro,relatime shared:1 - ext4 /dev/nvme0n1p2 ro
22 21 0:20 / /run rw,nosuid shared:2 - tmpfs run rw,mode=755
23 22 0:21 / /run/emts-layers rw - tmpfs layers rw,size=990k
24 21 0:22 / /etc rw,relatime shared:3 - overlay overlay rw,lowerdir=/root/etc,upperdir=/run/emts-layers/etc/upper
25 21 0:23 / /var rw,relatime shared:4 - overlay overlay rw,lowerdir=/root/var,upperdir=/run/emts-layers/var/upper
26 21 259:3 / /opt rw,relatime shared:5 - ext4 /dev/nvme0n1p3 rw
";

    fn failed(text: &str) -> Vec<String> {
        let binds = PERSISTENT.lines().filter(|line| line.starts_with('/'));
        let binds: String = binds
            .map(|path| path.trim_end_matches('/'))
            .map(|path| format!("27 24 259:3 {STORE}{path} {path} rw - ext4 /dev/nvme0n1p3 rw\n"))
            .collect();
        mount_checks(&Mount::parse_all(&format!("{text}{binds}")))
            .into_iter()
            .filter(|check| !check.passed)
            .map(|check| format!("{} {}", check.key, check.actual))
            .collect()
    }

    #[test]
    fn the_layout_of_the_image_is_right() {
        assert_eq!(failed(GOOD), Vec::<String>::new());
    }

    #[test]
    fn a_writable_root_is_seen_also_behind_a_read_only_mount() {
        let text = GOOD.replace("/dev/nvme0n1p2 ro", "/dev/nvme0n1p2 rw");
        assert_eq!(failed(&text), ["machine/immutable/root writable"]);
    }

    #[test]
    fn a_folder_on_a_disk_is_not_in_memory() {
        let text = GOOD.replace("upperdir=/run/emts-layers/var", "upperdir=/opt/var");
        assert_eq!(
            failed(&text),
            [
                "machine/immutable/memory overlay over ext4",
                "machine/immutable/memory overlay over ext4"
            ]
        );
    }

    #[test]
    fn state_of_cloud_init_that_is_kept_is_seen() {
        let text = format!(
            "{GOOD}28 25 259:3 {STORE}/var/lib/cloud /var/lib/cloud rw - ext4 /dev/nvme0n1p3 rw\n"
        );
        let failed = failed(&text);
        assert_eq!(failed.len(), 2, "{failed:?}");
        assert_eq!(failed[0], "machine/immutable/memory ext4 at /var/lib/cloud");
    }
}
