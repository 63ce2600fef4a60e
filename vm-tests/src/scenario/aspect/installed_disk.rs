//! The disk of a machine that was installed and whose system did not run since: it is as the installer left it.

use anyhow::Result;
use cluster_bootstrapper::{ParseOptions, parse};

use super::hooks::{Aspect, Subject};
use crate::evidence::Check;
use crate::scenario::installed;
use crate::scenario::one_machine::Scenario;
use crate::scenario::step::Step;
use crate::scenario::stick::copy_out;

/// The installed disk, of a scenario that ends with the firmware's start of it.
pub(super) struct InstalledDisk;

impl Aspect for InstalledDisk {
    fn concerns(&self, scenario: &Scenario) -> bool {
        match scenario.steps.last() {
            Some(Step::StartDisk | Step::Recover) => true,
            // The stick was gone when the machine was started again.
            Some(Step::Refuse(refusal)) => refusal.step == "find-media",
            _ => false,
        }
    }

    fn powered_off(&self, subject: &Subject<'_>, finished: bool) -> Result<Vec<Check>> {
        let target = subject.scenario.target();
        let Some(disk) = target.and_then(|name| subject.hardware.disk(name)) else {
            return Ok(Vec::new());
        };
        if !finished {
            return Ok(Vec::new());
        }
        let mut checks = vec![
            installed::file_system_check("", &disk.file)?,
            installed::signatures_check(&disk.file)?,
        ];
        let work = tempfile::tempdir()?;
        copy_out(&subject.hardware.stick, "config-file", work.path())?;
        let text = fs_err::read_to_string(work.path().join("config-file"))?;
        if let Some(config) = parse(&text, &ParseOptions::default()).config {
            checks.extend(installed::written_files(&disk.file, &config)?);
        }
        Ok(checks)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::super::made::{Made, partition, results};
    use super::*;
    use crate::scenario::step::Refusal;
    use crate::scenario::stick::{debugfs, place_of};
    use crate::tool::{run, tool};

    const CONFIG: &str = "version: 1.0\noperatingSystem:\n  writeFiles:\n    - path: /etc/a\n      content: as it has to be\n";

    /// A machine whose root file system has `/a` with this content in the place of `/etc/a`.
    fn installed_with(content: &str) -> Made {
        let made = Made::new(|scenario| scenario.steps = vec![Step::Install, Step::StartDisk]);
        let disk = &made.hardware.disk("target").unwrap().file;
        partition(disk, "rootfs");
        let place = place_of(disk, "rootfs").unwrap();
        let mut root = tool("mke2fs");
        root.args(["-q", "-t", "ext4", "-E", &format!("offset={}", place.start)]);
        root.arg(disk).arg(format!("{}k", place.length >> 10));
        run(root).unwrap();
        let file = made.path("a");
        fs_err::write(&file, content).unwrap();
        debugfs(disk, place, "mkdir etc").unwrap();
        debugfs(disk, place, &format!("write {} etc/a", file.display())).unwrap();
        let config = made.path("config-file");
        fs_err::write(&config, CONFIG).unwrap();
        made.stick_with(&config);
        made
    }

    #[test]
    fn a_sound_disk_with_its_files_is_right() {
        let made = installed_with("as it has to be");
        let wanted = [
            ("machine/fileSystem", true),
            ("machine/signatures", true),
            ("machine/writeFiles", true),
        ];
        assert_eq!(results(&made.off(&InstalledDisk, true)), wanted);
        assert!(made.off(&InstalledDisk, false).is_empty());
    }

    #[test]
    fn another_file_and_a_trace_of_another_system_are_seen() {
        let made = installed_with("other");
        let disk = &made.hardware.disk("target").unwrap().file;
        // The superblock of a Linux software RAID of format 0.90, 64 KiB before the end.
        let words = [0xa92b_4efc_u32, 0, 90].map(u32::to_le_bytes).concat();
        let file = fs_err::OpenOptions::new().write(true).open(disk).unwrap();
        let place = (8 << 20) - (64 << 10);
        file.file().write_all_at(&words, place).unwrap();
        let checks = made.off(&InstalledDisk, true);
        let failed = checks.iter().filter(|check| !check.passed);
        let failed: Vec<&str> = failed.map(|check| check.key.as_str()).collect();
        assert_eq!(failed, ["machine/signatures", "machine/writeFiles"]);
    }

    #[test]
    fn a_damaged_file_system_is_seen() {
        let made = installed_with("as it has to be");
        let disk = &made.hardware.disk("target").unwrap().file;
        let place = place_of(disk, "rootfs").unwrap();
        debugfs(disk, place, "clri etc").unwrap();
        assert!(!made.off(&InstalledDisk, true)[0].passed);
    }

    #[test]
    fn a_disk_whose_system_has_run_is_not_looked_at() {
        let concerns = |step: Step| {
            let made = Made::new(|scenario| scenario.steps = vec![Step::Install, step]);
            InstalledDisk.concerns(&made.scenario)
        };
        let refuse = |step: &str| {
            Step::Refuse(Refusal {
                step: step.to_owned(),
                reason: String::new(),
            })
        };
        assert!(concerns(Step::StartDisk) && concerns(Step::Recover));
        assert!(concerns(refuse("find-media")));
        assert!(!concerns(refuse("write-image")) && !concerns(Step::Reboot));
    }
}
