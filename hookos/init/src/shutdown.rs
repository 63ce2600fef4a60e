//! The way down: onshutdown containers, all processes, disks, the machine.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{Pid, Signal, kill_process};
use rustix::system::{RebootCommand, reboot};

use crate::console::say;
use crate::events::{Request, Supervisor};
use crate::options::Options;
use crate::{plan, steps};

/// How long processes have between SIGTERM and SIGKILL, as with LinuxKit.
const GRACE: Duration = Duration::from_secs(5);
/// File systems that want an orderly end.
const TO_UNMOUNT: &[&str] = &[
    "ext2", "ext3", "ext4", "btrfs", "xfs", "vfat", "msdos", "overlay",
];

/// Shuts down. Returns only when the kernel refuses.
pub fn run(supervisor: &mut Supervisor, request: Request, options: Options) {
    for step in plan::shutdown(Path::new("/etc/shutdown.d")) {
        steps::carry_out(supervisor, &step, options);
    }
    end_processes(supervisor);
    rustix::fs::sync();
    for target in mounted(&fs::read_to_string("/proc/mounts").unwrap_or_default()) {
        // What cannot be unmounted has been synced; the machine goes down anyway.
        let _ = unmount(target.as_str(), UnmountFlags::empty());
    }
    let command = match request {
        Request::Reboot => RebootCommand::Restart,
        Request::PowerOff => RebootCommand::PowerOff,
    };
    say!("{request:?} now");
    if let Err(error) = reboot(command) {
        say!("the kernel refuses {request:?}: {error}");
    }
}

/// SIGTERM to all, SIGKILL to those that are left when the grace is over.
fn end_processes(supervisor: &mut Supervisor) {
    signal_all(Signal::TERM);
    let deadline = Instant::now() + GRACE;
    while !processes().is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            say!(
                "{} processes are left after {} s and are killed",
                processes().len(),
                GRACE.as_secs()
            );
            return signal_all(Signal::KILL);
        }
        // Woken by every child that ends; others are seen at the next look.
        supervisor.turn(Some(left.min(Duration::from_millis(100))));
    }
}

fn signal_all(signal: Signal) {
    for pid in processes() {
        // It may have ended in between.
        let _ = kill_process(pid, signal);
    }
}

/// All processes but PID 1; the kernel's threads have no executable and are left out.
fn processes() -> Vec<Pid> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| *pid > 1 && fs::read_link(format!("/proc/{pid}/exe")).is_ok())
        .filter_map(Pid::from_raw)
        .collect()
}

/// Mount points of /proc/mounts to be unmounted, the last mounted first.
fn mounted(mounts: &str) -> Vec<String> {
    let mut targets: Vec<String> = mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let (target, kind) = (fields.next()?, fields.next()?);
            // The kernel writes blanks in paths as octal numbers.
            TO_UNMOUNT
                .contains(&kind)
                .then(|| target.replace("\\040", " "))
        })
        .collect();
    targets.reverse();
    targets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_mounted_disk_is_unmounted_first() {
        let mounts = "proc /proc proc rw 0 0\n/dev/sda1 /a ext4 rw 0 0\n/dev/sda2 /a/my\\040disk vfat rw 0 0\n";
        assert_eq!(mounted(mounts), ["/a/my disk", "/a"]);
    }
}
