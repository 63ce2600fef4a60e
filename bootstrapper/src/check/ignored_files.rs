//! Files that their program ignores for their name: most directories of drop-ins are read for names of one ending.

use super::context::Context;
use crate::path_rule::PathRule;

/// A directory, who reads it, and the endings of names that are read.
struct Directory {
    path: PathRule,
    reader: &'static str,
    endings: &'static [&'static str],
}

const fn directory(
    path: &'static str,
    reader: &'static str,
    endings: &'static [&'static str],
) -> Directory {
    Directory {
        path: PathRule::new(path),
        reader,
        endings,
    }
}

const CONF: &[&str] = &[".conf"];

/// By the manual pages sysctl.d(5), modules-load.d(5), modprobe.d(5), tmpfiles.d(5), sysusers.d(5), binfmt.d(5), udev(7),
/// systemd.network(5), systemd.unit(5), systemd-system.conf(5), environment.d(5), limits.conf(5), polkit(8), and the
/// files that include these directories: sshd_config, ld.so.conf, profile, rsyslog.conf, cloud.cfg.
const DIRECTORIES: &[Directory] = &[
    directory("/etc/sysctl.d/*", "systemd-sysctl", CONF),
    directory("/etc/modules-load.d/*", "systemd-modules-load", CONF),
    directory("/etc/modprobe.d/*", "modprobe", CONF),
    directory("/etc/tmpfiles.d/*", "systemd-tmpfiles", CONF),
    directory("/etc/sysusers.d/*", "systemd-sysusers", CONF),
    directory("/etc/binfmt.d/*", "systemd-binfmt", CONF),
    directory("/etc/environment.d/*", "systemd", CONF),
    directory("/etc/systemd/*.conf.d/*", "systemd", CONF),
    directory("/etc/systemd/system/*.d/*", "systemd", CONF),
    directory("/etc/systemd/network/*.d/*", "systemd-networkd", CONF),
    directory("/etc/ssh/sshd_config.d/*", "sshd", CONF),
    directory("/etc/ld.so.conf.d/*", "ldconfig", CONF),
    directory("/etc/rsyslog.d/*", "rsyslogd", CONF),
    directory("/etc/security/limits.d/*", "pam_limits", CONF),
    directory("/etc/udev/rules.d/*", "udev", &[".rules"]),
    directory("/etc/polkit-1/rules.d/*", "polkit", &[".rules"]),
    directory("/etc/cloud/cloud.cfg.d/*", "cloud-init", &[".cfg"]),
    directory("/etc/profile.d/*", "a login shell", &[".sh", ".csh"]),
    directory(
        "/etc/systemd/network/*",
        "systemd-networkd",
        &[".network", ".netdev", ".link"],
    ),
];

const YAML: &[&str] = &[".yaml", ".yml"];
const MANIFESTS: &[&str] = &[".yaml", ".yml", ".json", ".skip"];
const IMAGES: &[&str] = &[
    ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz", ".tar.zst", ".tzst", ".tar.lz4", ".txt",
];

/// What is wrong with the name of a file, and what to do; nothing where it is read or nobody knows who reads it.
pub(super) fn ignored(path: &str, context: &Context<'_>) -> Option<(String, String)> {
    by_a_program(path)
        .or_else(|| by_the_distribution(path, context))
        .or_else(|| by_sudo(path))
        .or_else(|| in_memory(path))
}

fn by_a_program(path: &str) -> Option<(String, String)> {
    let directory = DIRECTORIES.iter().find(|known| known.path.covers(path))?;
    // A directory of drop-ins is no file that networkd reads.
    if path.ends_with(".d") {
        return None;
    }
    other_ending(path, directory.reader, directory.endings)
}

/// Names that the distribution and its kubelet read below their own directories (K3s, pkg/configfilearg, pkg/deploy,
/// pkg/agent/containerd; kubelet, `--config-dir`).
fn by_the_distribution(path: &str, context: &Context<'_>) -> Option<(String, String)> {
    let facts = context.facts;
    if ![facts.config, facts.data_dir]
        .iter()
        .any(|start| path.starts_with(start))
    {
        return None;
    }
    let below = |directory: String| path.strip_prefix(&directory)?.strip_prefix('/');
    let settings = format!("{}.d", facts.config);
    if let Some(name) = below(settings.clone()) {
        if name.contains('/') {
            let message = format!("{} reads no directory below {settings}", facts.name);
            let name = name.replace('/', "-");
            return Some((message, format!("write it as {settings}/{name}")));
        }
        return other_ending(path, facts.name, YAML);
    }
    let data = facts.data_dir;
    if below(format!("{data}/server/manifests")).is_some() {
        return other_ending(path, facts.name, MANIFESTS);
    }
    if below(format!("{data}/agent/images")).is_some() {
        return other_ending(path, facts.name, IMAGES);
    }
    if below(format!("{data}/agent/etc/containerd/config-v3.toml.d")).is_some() {
        return other_ending(path, "containerd", &[".toml"]);
    }
    if below(format!("{data}/agent/etc/kubelet.conf.d")).is_some() {
        return other_ending(path, "the kubelet", CONF);
    }
    None
}

fn other_ending(path: &str, reader: &str, endings: &[&str]) -> Option<(String, String)> {
    let lower = path.to_ascii_lowercase();
    if endings.iter().any(|ending| lower.ends_with(ending)) {
        return None;
    }
    let (directory, name) = path.rsplit_once('/')?;
    let message = format!(
        "{reader} does not read {path}: names there end in {}",
        endings.join(", ")
    );
    let near = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    Some((
        message,
        format!("write it as {directory}/{near}{}", endings[0]),
    ))
}

/// sudo skips names with a dot and those that end in `~` (sudoers(5), "Including other files").
fn by_sudo(path: &str) -> Option<(String, String)> {
    let name = path.strip_prefix("/etc/sudoers.d/")?;
    if !name.contains('.') && !name.ends_with('~') {
        return None;
    }
    let message =
        format!("sudo does not read {path}: names there have no `.` and no `~` at the end");
    let name = name.trim_end_matches('~').replace('.', "-");
    Some((message, format!("write it as /etc/sudoers.d/{name}")))
}

/// These are links to `/run`.
fn in_memory(path: &str) -> Option<(String, String)> {
    let directory = ["/var/run", "/var/lock"].into_iter().find(|directory| {
        path.strip_prefix(directory)
            .is_some_and(|rest| rest.starts_with('/'))
    })?;
    let message = format!("{directory} is in memory: {path} is gone at the next start of the node");
    Some((
        message,
        "choose a directory below /etc or /var/lib".to_owned(),
    ))
}
