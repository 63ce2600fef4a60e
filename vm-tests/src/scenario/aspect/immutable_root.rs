//! What is asked of a node with an immutable root: how it is mounted, what is kept in memory, what outlives a
//! reboot, and that nobody has written to its root partition since the installation.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use vm::console::Console;

use super::hooks::{Aspect, Subject, When};
use crate::evidence::Check;
use crate::node::{Facts, Probe};
use crate::scenario::installed;
use crate::scenario::one_machine::Scenario;
use run_request::OsImage;

/// What outlives a reboot, as the image has it: paths, those of folders with `/` at the end.
const PERSISTENT: &str = include_str!("../../../reference/node/immutable/persistent.txt");
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

/// The root file system that is never written to once it is installed.
pub(super) struct ImmutableRoot;

impl Aspect for ImmutableRoot {
    fn concerns(&self, scenario: &Scenario) -> bool {
        scenario.machine.os_image == OsImage::Immutable
    }

    /// Keeps the root partition's digest.
    fn installed(&self, subject: &Subject<'_>, _console: &Console) -> Result<Vec<Check>> {
        subject.evidence.write(SEALED, &digest(subject)?)?;
        Ok(Vec::new())
    }

    /// Before a reboot it leaves a file everywhere whose fate the reboot decides.
    fn questions(&self, when: When) -> Vec<Probe> {
        match when {
            When::LoggedIn => Vec::new(),
            When::BeforeReboot => {
                let paths = MARKS.map(|(path, _)| path).join(" ");
                vec![Probe::shell(format!("touch {paths}; sync"))]
            }
            When::Verify => [MOUNTS, WRITE, RAN].map(Probe::shell).into(),
            When::AfterReboot => {
                let mut probes = self.questions(When::Verify);
                probes.push(marks());
                probes
            }
        }
    }

    fn answered(&self, _subject: &Subject<'_>, when: When, facts: &Facts) -> Result<Vec<Check>> {
        if ![When::Verify, When::AfterReboot].contains(&when) {
            return Ok(Vec::new());
        }
        let mut checks = mount_checks(&Mount::parse_all(&text(facts, MOUNTS)));
        checks.push(check(
            "write",
            "a file in the root file system cannot be written, nor its partition",
            WRITE_REFUSED,
            &words(&text(facts, WRITE)),
        ));
        checks.push(check(
            "cloudInit",
            "cloud-init wrote its files and ran its commands at this boot",
            ALL_RAN,
            text(facts, RAN).trim(),
        ));
        if when == When::AfterReboot {
            let kept = MARKS.iter().filter(|mark| mark.1).map(|mark| mark.0);
            checks.push(check(
                "marks",
                "of the files left before, these are there",
                &kept.collect::<Vec<_>>().join(" "),
                &words(&facts.text(&marks())),
            ));
        }
        for check in &mut checks {
            check.check.push_str(when.suffix());
        }
        Ok(checks)
    }

    /// The root partition is as the installer left it.
    fn powered_off(&self, subject: &Subject<'_>, finished: bool) -> Result<Vec<Check>> {
        if !finished {
            return Ok(Vec::new());
        }
        let expected = fs_err::read_to_string(subject.evidence.path(SEALED))?;
        Ok(vec![Check::same(
            "machine/rootPartition",
            "no byte of the root partition was changed since the installation (SHA-256)",
            expected,
            digest(subject)?,
        )])
    }
}

fn digest(subject: &Subject<'_>) -> Result<String> {
    let target = subject.scenario.target();
    let disk = target.and_then(|name| subject.hardware.disk(name));
    installed::root_digest(&disk.context("the scenario installs to no disk")?.file)
}

/// Which of the marks are there.
fn marks() -> Probe {
    let ls = MARKS.map(|(path, _)| format!("if [ -e {path} ]; then echo {path}; fi"));
    Probe::shell(ls.join("; "))
}

fn text(facts: &Facts, command: &str) -> String {
    facts.text(&Probe::shell(command))
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn check(key: &str, check: &str, expected: &str, actual: &str) -> Check {
    Check::same(&format!("machine/immutable/{key}"), check, expected, actual)
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
    use std::os::unix::fs::FileExt as _;

    use super::super::made::{Made, partition, results};
    use super::*;

    const GOOD: &str = "\
21 1 259:2 / / ro,relatime shared:1 - ext4 /dev/nvme0n1p2 ro
22 21 0:20 / /run rw,nosuid shared:2 - tmpfs run rw,mode=755
23 22 0:21 / /run/emts-layers rw - tmpfs layers rw,size=990k
24 21 0:22 / /etc rw,relatime shared:3 - overlay overlay rw,lowerdir=/root/etc,upperdir=/run/emts-layers/etc/upper
25 21 0:23 / /var rw,relatime shared:4 - overlay overlay rw,lowerdir=/root/var,upperdir=/run/emts-layers/var/upper
26 21 259:3 / /opt rw,relatime shared:5 - ext4 /dev/nvme0n1p3 rw
";

    /// The mounts of an image as it has to be.
    fn good() -> String {
        with_binds(GOOD)
    }

    /// With all that is on the persistent partition.
    fn with_binds(text: &str) -> String {
        let binds = PERSISTENT.lines().filter(|line| line.starts_with('/'));
        let binds: String = binds
            .map(|path| path.trim_end_matches('/'))
            .map(|path| format!("27 24 259:3 {STORE}{path} {path} rw - ext4 /dev/nvme0n1p3 rw\n"))
            .collect();
        format!("{text}{binds}")
    }

    fn failed(text: &str) -> Vec<String> {
        mount_checks(&Mount::parse_all(&with_binds(text)))
            .into_iter()
            .filter(|check| !check.passed)
            .map(|check| format!("{} {}", check.key, check.actual))
            .collect()
    }

    fn made() -> Made {
        Made::new(|scenario| scenario.machine.os_image = OsImage::Immutable)
    }

    /// Answers of a node as it has to be.
    fn answers() -> Vec<(Probe, String)> {
        let kept = "/etc/rancher/emts-mark\n/home/emts-mark\n";
        let write = "touch: cannot touch '/usr/emts-mark': Read-only file system\n1\n";
        [
            (Probe::shell(MOUNTS), good()),
            (Probe::shell(WRITE), write.to_owned()),
            (Probe::shell(RAN), format!("{ALL_RAN}\n")),
            (marks(), kept.to_owned()),
        ]
        .into()
    }

    /// What fails of a node that gives another answer to one question.
    fn failed_with(when: When, probe: &Probe, answer: &str) -> Vec<String> {
        let mut all = answers();
        for (_, text) in all.iter_mut().filter(|(of, _)| of == probe) {
            *text = answer.to_owned();
        }
        let all: Vec<(Probe, &str)> = all.iter().map(|(of, text)| (of.clone(), &**text)).collect();
        let checks = made().answered(&ImmutableRoot, when, &all);
        let failed = checks.into_iter().filter(|check| !check.passed);
        failed.map(|check| check.key).collect()
    }

    #[test]
    fn only_an_immutable_image_has_the_aspect() {
        assert!(ImmutableRoot.concerns(&made().scenario));
        assert!(!ImmutableRoot.concerns(&Made::new(|_| {}).scenario));
    }

    #[test]
    fn each_answer_of_the_node_is_checked() {
        let other = Probe::shell("other");
        for when in [When::Verify, When::AfterReboot] {
            let failed = |probe: &Probe, answer: &str| failed_with(when, probe, answer);
            assert_eq!(failed(&other, ""), [""; 0]);
            assert_eq!(
                failed(&Probe::shell(WRITE), "0\n"),
                ["machine/immutable/write"]
            );
            assert_eq!(
                failed(&Probe::shell(RAN), "config_runcmd\n"),
                ["machine/immutable/cloudInit"]
            );
            assert_eq!(failed(&Probe::shell(MOUNTS), "").len(), 5);
        }
        let lost = |when| failed_with(when, &marks(), "/home/emts-mark\n");
        assert_eq!(lost(When::AfterReboot), ["machine/immutable/marks"]);
        assert!(lost(When::Verify).is_empty());
        let too_many = "/etc/emts-mark\n/etc/rancher/emts-mark\n/home/emts-mark\n";
        assert_eq!(
            failed_with(When::AfterReboot, &marks(), too_many),
            ["machine/immutable/marks"]
        );
        for when in [When::LoggedIn, When::BeforeReboot] {
            assert!(made().answered(&ImmutableRoot, when, &[]).is_empty());
        }
        let checks = made().answered(&ImmutableRoot, When::AfterReboot, &[]);
        assert!(
            checks
                .iter()
                .all(|check| check.check.ends_with(" after the reboot"))
        );
    }

    #[test]
    fn the_node_is_asked_at_verify_and_marked_before_a_reboot() {
        assert!(ImmutableRoot.questions(When::LoggedIn).is_empty());
        assert_eq!(ImmutableRoot.questions(When::Verify).len(), 3);
        assert_eq!(ImmutableRoot.questions(When::AfterReboot).len(), 4);
        let [Probe::Shell(mark)] = &ImmutableRoot.questions(When::BeforeReboot)[..] else {
            panic!("one command");
        };
        assert!(MARKS.iter().all(|(path, _)| mark.contains(path)), "{mark}");
    }

    #[tokio::test]
    async fn a_byte_written_to_the_root_partition_since_the_installation_is_seen() {
        let made = made();
        let disk = made.hardware.disk("target").unwrap().file.clone();
        partition(&disk, "rootfs");
        let console = Console::follow(&[]);
        assert!(
            ImmutableRoot
                .installed(&made.subject(), &console)
                .unwrap()
                .is_empty()
        );
        let key = "machine/rootPartition";
        assert_eq!(results(&made.off(&ImmutableRoot, true)), [(key, true)]);
        let file = fs_err::OpenOptions::new().write(true).open(&disk).unwrap();
        file.file().write_all_at(b"x", 2 << 20).unwrap();
        assert_eq!(results(&made.off(&ImmutableRoot, true)), [(key, false)]);
        assert!(made.off(&ImmutableRoot, false).is_empty());
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
