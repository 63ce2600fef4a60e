//! Loads kernel modules: those that the kernel's image names, and those of devices, present at boot or announced later.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use crate::console::say;

/// How long the modules of all present devices may take.
pub const PATIENCE: Duration = Duration::from_secs(60);
const MODPROBE: &str = "/sbin/modprobe";
const BUSES: &str = "/sys/bus";
/// Names of modules that volumes and containers need, one a line, as in modules-load.d(5).
const EARLY: &str = "/etc/modules-load.d";
/// The name in /etc/init.d by which another init calls this program to load [`early`].
pub const PROGRAM: &str = "001-modules";

/// The modules that are loaded before volumes and containers.
pub fn early() -> Vec<String> {
    names_in(Path::new(EARLY))
}

/// Loads [`early`], for an init that is not this program's: LinuxKit's counts on a kernel that has them built in.
pub fn load_early() -> ExitCode {
    let names = early();
    let Some(mut command) = Modules::default().command(names.iter().cloned()) else {
        return ExitCode::SUCCESS;
    };
    let failure = match command.status() {
        Ok(status) if status.success() => return ExitCode::SUCCESS,
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    eprintln!(
        "loading the modules {}: {MODPROBE}: {failure}",
        names.join(", ")
    );
    ExitCode::FAILURE
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "conf"))
        .collect();
    files.sort();
    let texts = files
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok());
    texts
        .flat_map(|text| {
            text.lines()
                .map(|line| line.trim().to_owned())
                .collect::<Vec<_>>()
        })
        .filter(|name| !name.is_empty() && !name.starts_with(['#', ';']))
        .collect()
}

/// Which aliases have been asked for already: asking again loads nothing.
#[derive(Debug, Default)]
pub struct Modules {
    asked: BTreeSet<String>,
}

impl Modules {
    /// One modprobe call for `first` and all present devices; `None` when there is nothing to load.
    pub fn for_present_devices(&mut self, first: &[String]) -> Option<Command> {
        let aliases = aliases_of(Path::new(BUSES));
        let names = first.iter().cloned().chain(aliases);
        self.command(names)
    }

    /// One modprobe call for all announcements that wait on the socket.
    pub fn for_new_devices(&mut self, socket: &OwnedFd) -> Option<Command> {
        let mut aliases = Vec::new();
        let mut event = [0_u8; 8192];
        loop {
            match recv(socket, &mut event, RecvFlags::empty()) {
                Ok((length, _)) => aliases.extend(crate::netlink::added_modalias(&event[..length])),
                // Announcements were lost: all devices are looked at again.
                Err(Errno::NOBUFS) => aliases.extend(aliases_of(Path::new(BUSES))),
                Err(_) => break,
            }
        }
        self.command(aliases.into_iter())
    }

    fn command(&mut self, names: impl Iterator<Item = String>) -> Option<Command> {
        let new: Vec<String> = names
            .filter(|name| self.asked.insert(name.clone()))
            .collect();
        if new.is_empty() {
            return None;
        }
        if !Path::new(MODPROBE).exists() {
            say!(
                "{MODPROBE} is missing: no kernel module is loaded for {} devices",
                new.len()
            );
            return None;
        }
        let mut command = Command::new(MODPROBE);
        // All of them, without those that are blacklisted, quiet about devices without a module.
        command
            .args(["-a", "-b", "-q", "--"])
            .args(new)
            .stdin(Stdio::null());
        Some(command)
    }
}

/// Processors have aliases too, of dozens of algorithms. The kernel loads those by
/// name when they are needed; here their self-tests would only delay the boot.
fn is_device(alias: &str) -> bool {
    !alias.is_empty() && !alias.starts_with("cpu:")
}

/// The contents of every BUS/devices/DEVICE/modalias, each once.
fn aliases_of(buses: &Path) -> BTreeSet<String> {
    let folder = |path: &Path| {
        fs::read_dir(path)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
    };
    folder(buses)
        .flat_map(|bus| folder(&bus.join("devices")))
        .filter_map(|device| fs::read_to_string(device.join("modalias")).ok())
        .map(|alias| alias.trim().to_owned())
        .filter(|alias| is_device(alias))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_all_files_in_their_order_without_comments() {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("20-b.conf", "efivarfs\n"),
            ("10-a.conf", "# why\n\n overlay \n; no\n"),
            ("README", "nothing"),
        ] {
            fs::write(root.path().join(name), text).unwrap();
        }
        assert_eq!(names_in(root.path()), ["overlay", "efivarfs"]);
    }

    #[test]
    fn equal_devices_are_asked_for_once() {
        let root = tempfile::tempdir().unwrap();
        for (device, alias) in [
            ("pci/devices/0", "pci:a\n"),
            ("pci/devices/1", "pci:a\n"),
            ("usb/devices/2", "usb:b"),
        ] {
            let dir = root.path().join(device);
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join("modalias"), alias).unwrap();
        }
        fs::create_dir_all(root.path().join("cpu/devices/cpu0")).unwrap();
        assert_eq!(
            aliases_of(root.path()).into_iter().collect::<Vec<_>>(),
            ["pci:a", "usb:b"]
        );
    }
}
