//! Signs of trouble on a console, as data.

use serde::Serialize;

/// The name of a disk's errors among the signs of trouble.
pub const DISK_ERROR: &str = "disk error";
/// The name of a file system's errors among them.
pub const FILE_SYSTEM_ERROR: &str = "file system error";

/// The name of a firmware's giving up among them.
pub const NOTHING_TO_START: &str = "firmware found nothing to start";

/// What a sign means for the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Gravity {
    /// Nothing good can follow: the run ends now.
    Fatal,
    /// The run goes on and fails at its end.
    Error,
    /// Reported only: an emulated CPU on a loaded host does this in a healthy guest.
    Warning,
}

/// One sign: a text that a console line contains.
#[derive(Debug)]
pub struct BadnessPattern {
    /// What it is.
    pub name: &'static str,
    /// What it means for the run.
    pub gravity: Gravity,
    /// The line contains one of these.
    pub any: &'static [&'static str],
}

/// All signs, the graver first: a line is counted once.
pub const BADNESS: &[BadnessPattern] = &[
    BadnessPattern {
        name: "kernel panic",
        gravity: Gravity::Fatal,
        any: &["Kernel panic - not syncing", "end Kernel panic"],
    },
    BadnessPattern {
        name: "emergency shell",
        gravity: Gravity::Fatal,
        any: &[
            "You are in emergency mode",
            "You are in rescue mode",
            "Entering emergency mode",
            "Give root password for maintenance",
            "Dropping to a shell!",
            "(initramfs)",
        ],
    },
    BadnessPattern {
        name: NOTHING_TO_START,
        gravity: Gravity::Fatal,
        any: &[
            "UEFI Interactive Shell",
            "No bootable option or device was found",
        ],
    },
    BadnessPattern {
        name: "firmware exception",
        gravity: Gravity::Fatal,
        any: &["X64 Exception Type", "ASSERT_EFI_ERROR"],
    },
    BadnessPattern {
        name: "kernel oops",
        gravity: Gravity::Error,
        any: &[
            "Oops: ",
            "Oops[",
            "general protection fault",
            "Unable to handle kernel",
            "unable to handle kernel",
            "unable to handle page fault",
        ],
    },
    BadnessPattern {
        name: "kernel BUG",
        gravity: Gravity::Error,
        any: &[
            "kernel BUG at",
            "BUG: kernel NULL",
            "BUG: sleeping function",
            "BUG: scheduling while atomic",
            "BUG: KASAN",
        ],
    },
    BadnessPattern {
        name: "out of memory",
        gravity: Gravity::Error,
        any: &[
            "Out of memory: Kill",
            "Memory cgroup out of memory",
            "oom-kill:",
        ],
    },
    BadnessPattern {
        name: FILE_SYSTEM_ERROR,
        gravity: Gravity::Error,
        any: &[
            "EXT4-fs error",
            "FAT-fs (error",
            "Remounting filesystem read-only",
        ],
    },
    BadnessPattern {
        name: DISK_ERROR,
        gravity: Gravity::Error,
        any: &["Buffer I/O error", "I/O error, dev"],
    },
    BadnessPattern {
        name: "stalled CPU",
        gravity: Gravity::Warning,
        any: &[
            "soft lockup",
            "rcu_sched self-detected stall",
            "rcu_preempt self-detected stall",
            "hung_task",
        ],
    },
];

/// A sign that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Badness {
    /// The pattern's name.
    pub name: &'static str,
    /// What it means for the run.
    pub gravity: Gravity,
    /// The console.
    pub port: &'static str,
    /// The line itself.
    pub line: String,
}

/// The sign in one line of a console, if any.
#[must_use]
pub fn find_badness(port: &'static str, line: &str) -> Option<Badness> {
    let pattern = BADNESS
        .iter()
        .find(|pattern| pattern.any.iter().any(|text| line.contains(text)))?;
    Some(Badness {
        name: pattern.name,
        gravity: pattern.gravity,
        port,
        line: line.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(line: &str) -> Option<&'static str> {
        find_badness("ttyS0", line).map(|badness| badness.name)
    }

    #[test]
    fn knows_what_ends_a_machine() {
        for (line, expected) in [
            (
                "[    1.2] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)",
                "kernel panic",
            ),
            (
                "[   60.1] BUG: kernel NULL pointer dereference, address: 0000000000000008",
                "kernel BUG",
            ),
            ("[   60.1] Oops: 0000 [#1] PREEMPT SMP NOPTI", "kernel oops"),
            (
                "[  100.0] Out of memory: Killed process 812 (k3s) total-vm:1",
                "out of memory",
            ),
            (
                "You are in emergency mode. After logging in, type",
                "emergency shell",
            ),
            (
                "UEFI Interactive Shell v2.2",
                "firmware found nothing to start",
            ),
        ] {
            assert_eq!(name(line), Some(expected), "{line}");
        }
    }

    #[test]
    fn leaves_healthy_lines_alone() {
        for line in [
            "[    0.5] ACPI: Reserving DSDT table memory",
            "[    0.9] Kernel command line: root=PARTUUID=1 panic=10 oops=panic",
            "[    1.0] rcu: Hierarchical RCU implementation.",
            "[    1.1] Loaded X.509 cert 'Debian Secure Boot CA'",
            "Started emergency.service is not here",
            "EMTS step=write-image state=done t=20",
        ] {
            assert_eq!(name(line), None, "{line}");
        }
    }

    #[test]
    fn a_stalled_emulated_cpu_is_only_a_warning() {
        let badness =
            find_badness("ttyS0", "watchdog: BUG: soft lockup - CPU#1 stuck for 22s!").unwrap();
        assert_eq!(badness.gravity, Gravity::Warning);
    }
}
