//! Host name, limits, resolv.conf, randomness: what PID 1 sets once for the whole machine.

use std::fs;
use std::path::Path;

use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::rand::{GetRandomFlags, getrandom};

use crate::console::say;

/// Open files per process, as LinuxKit's init sets it.
const OPEN_FILES: u64 = 1_048_576;

/// Sets all of it. Each failure is told; none stops the boot.
pub fn configure() {
    if let Err(error) = crate::netlink::loopback_up() {
        say!("cannot set the interface lo up: {error}");
    }
    limits();
    hostname();
    if let Err(error) = resolv_conf(Path::new("/etc/resolv.conf")) {
        say!("cannot make the file that /etc/resolv.conf points to: {error}");
    }
    let _ = rustix::system::reboot(rustix::system::RebootCommand::CadOff);
}

/// Sees to it that the kernel has random numbers before a container waits for them.
///
/// A machine whose processor, firmware and devices give it none has none at first. A read that blocks
/// makes the kernel gather some from the jitter of its timers, in about a second (random.c,
/// `try_to_generate_entropy`, since Linux 5.4).
pub fn gather_entropy() {
    let mut byte = [0_u8; 1];
    if getrandom(&mut byte[..], GetRandomFlags::NONBLOCK) != Err(rustix::io::Errno::AGAIN) {
        return;
    }
    say!("the kernel has no random numbers yet and gathers some");
    // The boot does not wait for it, and nothing is done with what it reads.
    std::thread::spawn(move || {
        let _ = getrandom(&mut byte[..], GetRandomFlags::empty());
    });
}

fn limits() {
    let files = Rlimit {
        current: Some(OPEN_FILES),
        maximum: Some(OPEN_FILES),
    };
    let processes = Rlimit {
        current: None,
        maximum: None,
    };
    for (resource, limit, name) in [
        (Resource::Nofile, files, "open files"),
        (Resource::Nproc, processes, "processes"),
    ] {
        if let Err(error) = setrlimit(resource, limit) {
            say!("cannot set the limit of {name}: {error}");
        }
    }
}

fn hostname() {
    let name = fs::read_to_string("/etc/hostname").unwrap_or_default();
    let mac = fs::read_to_string("/sys/class/net/eth0/address").unwrap_or_default();
    let name = chosen_hostname(&name, &mac);
    if let Some(name) = name
        && let Err(error) = rustix::system::sethostname(name.as_bytes())
    {
        say!("cannot set the host name to {name}: {error}");
    }
}

/// The name in /etc/hostname, else one made of the first interface's address.
fn chosen_hostname(file: &str, mac: &str) -> Option<String> {
    let name = file.trim();
    if !name.is_empty() && name != "(none)" {
        return Some(name.to_owned());
    }
    let mac = mac.trim().replace(':', "");
    (!mac.is_empty()).then(|| format!("linuxkit-{mac}"))
}

/// Init images have /etc/resolv.conf as a link to a file under /run, which a
/// DHCP client fills; it has to exist for those that read it earlier.
fn resolv_conf(path: &Path) -> std::io::Result<()> {
    let Ok(target) = fs::read_link(path) else {
        return Ok(());
    };
    let target = path.parent().unwrap_or(Path::new("/")).join(target);
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(&target, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_names_the_host() {
        assert_eq!(
            chosen_hostname("hook\n", "52:54:00:12:34:56").as_deref(),
            Some("hook")
        );
    }

    #[test]
    fn without_a_file_the_address_names_the_host() {
        assert_eq!(
            chosen_hostname("", "52:54:00:12:34:56\n").as_deref(),
            Some("linuxkit-525400123456")
        );
        assert_eq!(chosen_hostname("(none)", ""), None);
    }

    #[test]
    fn the_target_of_resolv_conf_is_made() {
        let root = tempfile::tempdir().unwrap();
        let link = root.path().join("resolv.conf");
        std::os::unix::fs::symlink("run/resolvconf/resolv.conf", &link).unwrap();
        resolv_conf(&link).unwrap();
        assert_eq!(
            fs::read(root.path().join("run/resolvconf/resolv.conf")).unwrap(),
            b""
        );
    }
}
