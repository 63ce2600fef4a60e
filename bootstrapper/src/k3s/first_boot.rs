//! The cloud-init configuration of the first boot: files, commands before and after, and the installation of K3s.

use super::emit::{block, fits_block, quoted};
use super::settings::{settings, settings_yaml};
use crate::model::{ConfigFile, ConfigSpec, ContentError, File};
use crate::values::Command;
use base64::Engine as _;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

const DEFAULT_ROUTE: &str = include_str!("scripts/default-route.sh");
const INSTALL: &str = include_str!("scripts/install-k3s.sh");
/// K3s gets the node's environment (the proxy), and a default route before it starts.
const DROP_IN: &str = "[Service]\n\
    EnvironmentFile=-/etc/environment\n\
    ExecStartPre=-/bin/sh /etc/rancher/emts/default-route.sh\n";

/// cloud-init notes that a module ran before it runs. After a power cut in the first boot the modules are run again:
/// until the last command was reached, their notes are removed at every boot.
const RESUME: &str = "[ -e /var/lib/emts/first-boot-complete ] || rm -f \
    /var/lib/cloud/instance/sem/config_write_files \
    /var/lib/cloud/instance/sem/config_runcmd \
    /var/lib/cloud/instance/sem/config_scripts_user";

/// Commands share one shell without `set -e`: a failure is kept until the end, where it fails the whole.
const CHECK: &str = "emts_failed=''\n\
    emts_check() {\n  \
      emts_status=$?\n  \
      [ \"$emts_status\" -eq 0 ] && return\n  \
      emts_failed=\"$emts_failed $1\"\n  \
      echo \"emts: $1 ended with status $emts_status\" >&2\n\
    }";
const INSTALL_STEP: &str = "sh /etc/rancher/emts/install-k3s.sh && emts_installed=yes";
const COMPLETE: &str = "[ \"${emts_installed:-}\" != yes ] || \
    { mkdir -p /var/lib/emts && : > /var/lib/emts/first-boot-complete; }";
const VERDICT: &str =
    "[ -z \"$emts_failed\" ] || { echo \"emts: failed:$emts_failed\" >&2; exit 1; }";

/// A file that the first boot writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootFile {
    /// Absolute path on the node.
    pub path: String,
    /// `user:group`.
    pub owner: String,
    /// Permission bits.
    pub mode: u32,
    /// The content.
    pub bytes: Vec<u8>,
}

/// What the first boot does, in order: the files, then the commands in one shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstBoot {
    /// Files; a later one replaces an earlier one of the same path.
    pub files: Vec<BootFile>,
    /// Lines of the shell script that installs K3s.
    pub commands: Vec<String>,
}

/// Plans the first boot of a K3s node.
///
/// # Errors
/// A file's content does not fit its encoding; [`crate::parse`] refuses such a config-file.
pub fn first_boot(config_file: &ConfigFile) -> Result<FirstBoot, ContentError> {
    let spec = config_file.k3s();
    let mut files = spec
        .files
        .as_slice()
        .iter()
        .map(user_file)
        .collect::<Result<Vec<_>, _>>()?;
    files.extend(registries(config_file));
    let config = settings_yaml(&settings(spec));
    let digest = digest(&config, &files);
    files.push(own(
        "/etc/systemd/system/k3s.service.d/10-emts.conf",
        0o644,
        DROP_IN,
    ));
    files.push(own(
        "/etc/rancher/emts/default-route.sh",
        0o755,
        &DEFAULT_ROUTE.replace("@FAMILY@", family(spec)),
    ));
    let install = INSTALL.replace("@DIGEST@", &digest);
    files.push(own("/etc/rancher/emts/install-k3s.sh", 0o755, &install));
    files.push(own(crate::values::GENERATED_CONFIG, 0o640, &config));
    Ok(FirstBoot {
        files,
        commands: commands(config_file),
    })
}

/// The cluster's (first) address family, as `ip` takes it: `4` or `6`. Without a network given, K3s takes IPv4.
fn family(spec: &ConfigSpec) -> &'static str {
    let networks = spec.server_config.cluster_cidr.as_ref();
    match networks.and_then(|list| list.networks().first()) {
        Some(cidr) if cidr.network().addr().is_ipv6() => "6",
        _ => "4",
    }
}

fn commands(config: &ConfigFile) -> Vec<String> {
    let spec = config.k3s();
    let mut out = vec![CHECK.to_owned()];
    out.extend(checked(
        "runCommands",
        &config.operating_system.run_commands,
    ));
    out.extend(checked("preK3sCommands", &spec.pre_k3s_commands));
    out.push(INSTALL_STEP.to_owned());
    out.push("emts_check 'the installation of K3s'".to_owned());
    out.extend(checked("postK3sCommands", &spec.post_k3s_commands));
    out.push(COMPLETE.to_owned());
    out.push(VERDICT.to_owned());
    out
}

/// The commands of a list, each followed by the check of its status.
fn checked<'a>(list: &'a str, commands: &'a [Command]) -> impl Iterator<Item = String> + 'a {
    commands
        .iter()
        .enumerate()
        .flat_map(move |(index, command)| {
            [command.to_string(), format!("emts_check '{list}[{index}]'")]
        })
}

/// What a running K3s would have to be restarted for: its settings and the user's files.
fn digest(config: &str, files: &[BootFile]) -> String {
    let mut hash = Sha256::new();
    hash.update(config);
    for file in files {
        hash.update([0]);
        hash.update(&file.path);
        hash.update([0]);
        hash.update(&file.bytes);
    }
    hash.finalize().iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn user_file(file: &File) -> Result<BootFile, ContentError> {
    let owner = file
        .owner
        .as_ref()
        .map_or("root:root", |owner| owner.as_str());
    Ok(BootFile {
        path: file.path.to_string(),
        owner: owner.to_owned(),
        mode: file.permissions.as_ref().map_or(0o644, |mode| mode.bits()),
        bytes: file.bytes()?,
    })
}

/// K3s' registries.yaml, for root alone: it may hold credentials.
fn registries(config: &ConfigFile) -> Option<BootFile> {
    let registries = config.registries();
    (!registries.is_empty()).then(|| {
        let text = registries.to_yaml();
        own(config.registries_path(), 0o600, &text)
    })
}

fn own(path: &str, mode: u32, text: &str) -> BootFile {
    BootFile {
        path: path.to_owned(),
        owner: "root:root".to_owned(),
        mode,
        bytes: text.as_bytes().to_vec(),
    }
}

impl FirstBoot {
    /// The `#cloud-config` document.
    pub fn cloud_config(&self) -> String {
        // Enough for base64 and for the margin of lines; what is not used costs no memory.
        let bytes: usize = self.files.iter().map(|file| file.bytes.len()).sum();
        let mut out = String::with_capacity(bytes + bytes / 2 + 8192);
        out.push_str(
            "#cloud-config\n\
             # Generated by cluster-bootstrapper from the config-file; changes here are lost.\n\
             # cloud-init does not merge lists: no other file in cloud.cfg.d may have these keys.\n",
        );
        let _ = writeln!(out, "bootcmd:\n- {}", quoted(RESUME));
        out.push_str("write_files:\n");
        for file in &self.files {
            write_file(&mut out, file);
        }
        out.push_str("runcmd:\n");
        for command in &self.commands {
            if command.contains('\n') && fits_block(command) {
                // One space before the block's indicator, none of it part of the text.
                let _ = write!(out, "- {}", block(command, 0));
            } else {
                let _ = writeln!(out, "- {}", quoted(command));
            }
        }
        out
    }
}

fn write_file(out: &mut String, file: &BootFile) {
    let _ = writeln!(out, "- path: {}", quoted(&file.path));
    let _ = writeln!(out, "  owner: {}", quoted(&file.owner));
    let _ = writeln!(out, "  permissions: \"{:04o}\"", file.mode);
    match std::str::from_utf8(&file.bytes) {
        Ok("") => out.push_str("  content: \"\"\n"),
        Ok(text) if fits_block(text) => {
            let _ = write!(out, "  content: {}", block(text, 2));
        }
        _ => {
            let encoded = base64::engine::general_purpose::STANDARD.encode(&file.bytes);
            let _ = writeln!(out, "  encoding: b64\n  content: {encoded}");
        }
    }
}
