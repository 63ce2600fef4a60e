//! The cloud-init configuration of the first boot, whatever the distribution: files, commands before and after, and the
//! installation between them.

use super::joined::Joined;
use super::{Commands, Distribution, settings};
use crate::emit::{block, fits_block, quoted};
use crate::model::{ContentError, Encoding, File, OperatingSystem};
use crate::path_rule::PathRule;
use crate::shell;
use crate::values::Command;
use base64::Engine as _;
use sha2::{Digest as _, Sha256};
use std::fmt::{self, Write as _};
use std::net::IpAddr;

const DEFAULT_ROUTE: &str = include_str!("default-route.sh");
const LOGIN_SCREEN: &str = include_str!("login-screen.sh");
/// The unit gets the node's environment (the proxy), and a default route before it starts; the login screen says how it
/// is.
const DROP_IN: &str = "[Service]\n\
    EnvironmentFile=-/etc/environment\n\
    ExecStartPre=-/bin/sh /etc/rancher/emts/default-route.sh\n\
    ExecStartPre=-/bin/sh /etc/rancher/emts/login-screen.sh starts\n\
    ExecStartPost=-/bin/sh /etc/rancher/emts/login-screen.sh runs\n\
    ExecStopPost=-/bin/sh /etc/rancher/emts/login-screen.sh ended\n";

/// Our own folder on the node.
macro_rules! own_folder {
    () => {
        "/etc/rancher/emts/"
    };
}

/// The file that says that the last command was reached.
macro_rules! complete {
    () => {
        "/var/lib/emts/first-boot-complete"
    };
}

/// Where cloud-init notes that a module ran.
macro_rules! notes {
    () => {
        "/var/lib/cloud/instance/sem/config_"
    };
}

/// cloud-init notes that a module ran before it runs. After a power cut in the first boot the modules are run again:
/// until the last command was reached, their notes are removed at every boot.
const RESUME: &str = concat!(
    "[ -e ",
    complete!(),
    " ] || rm -f ",
    notes!(),
    "write_files ",
    notes!(),
    "runcmd ",
    notes!(),
    "scripts_user"
);

/// What the first boot keeps for itself beside the files that it writes.
const CLAIMS: [PathRule; 3] = [
    PathRule::new(concat!(own_folder!(), "**")),
    PathRule::new(complete!()),
    PathRule::new(concat!(notes!(), "*")),
];

/// Commands share one shell without `set -e`: a failure is kept until the end, where it fails the whole. So does a command
/// that ends the shell before, with whatever status, unless the user has a trap on EXIT of their own.
/// The status that is looked at stays, for commands that read it.
const CHECK: &str = "emts_failed=''\n\
    emts_check() {\n  \
      emts_status=$?\n  \
      [ \"$emts_status\" -eq 0 ] || {\n    \
        emts_failed=\"$emts_failed $1\"\n    \
        echo \"emts: $1 ended with status $emts_status\" >&2\n  \
      }\n  \
      return \"$emts_status\"\n\
    }\n\
    trap '[ \"${emts_end:-}\" = yes ] || {\n  \
      echo \"emts: a command ended the shell, what follows it was not run\" >&2\n  \
      exit 1\n\
    }' EXIT";
/// Says that the last command was reached.
macro_rules! mark {
    () => {
        concat!("mkdir -p /var/lib/emts && : >| ", complete!())
    };
}

const COMPLETE: &str = concat!("[ \"${emts_installed:-}\" != yes ] || { ", mark!(), "; }");
/// The same of a node that nothing is installed on.
const COMPLETE_AS_IT_IS: &str = mark!();
const VERDICT: &str =
    "emts_end=yes; [ -z \"$emts_failed\" ] || { echo \"emts: failed:$emts_failed\" >&2; exit 1; }";

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
    /// The same as the config-file has it, in base64 of gzip, where it was given so.
    pub packed: Option<String>,
}

/// What the first boot does, in order: the files, then the commands in one shell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FirstBoot {
    /// Files; a later one replaces an earlier one of the same path.
    pub files: Vec<BootFile>,
    /// Lines of one shell script: the user's commands, and between them the installation of the distribution.
    pub commands: Vec<String>,
}

/// What the first boot is made of.
pub(crate) struct Plan<'a> {
    /// The user's files and those made from other keys.
    files: Vec<BootFile>,
    /// The operating system's commands.
    run_commands: &'a [Command],
    /// `None` on a node without Kubernetes.
    distribution: Option<Installed<'a>>,
}

/// What a distribution adds to it.
struct Installed<'a> {
    /// The distribution's name, for messages.
    name: &'static str,
    /// Its systemd unit.
    unit: &'static str,
    /// The default route that the node needs.
    route: Route,
    /// Path and text of the distribution's own settings.
    settings: (&'static str, String),
    /// File name and text of the script that installs it; `@DIGEST@` in it stands for the digest of settings and files.
    install: (&'static str, String),
    /// What the distribution's own installer, and the script, write where files may be.
    made: Vec<&'static str>,
    /// Commands before the installation and after it, and the keys that they stand under.
    commands: [Commands<'a>; 2],
}

impl<'a> Plan<'a> {
    /// What a template, if there is one, and the operating system's keys make of it.
    pub(crate) fn of(
        distribution: Option<&'a dyn Distribution>,
        os: &'a OperatingSystem,
    ) -> Result<Self, ContentError> {
        let files = distribution.map_or(Ok(vec![]), |of| user_files(of.files()))?;
        Ok(Self::with(distribution, os, files))
    }

    /// The same of a node that has these files of the user's.
    fn with(
        distribution: Option<&'a dyn Distribution>,
        os: &'a OperatingSystem,
        mut files: Vec<BootFile>,
    ) -> Self {
        files.extend(distribution.and_then(registries));
        Self {
            files,
            run_commands: &os.run_commands,
            distribution: distribution.map(|distribution| Installed::of(distribution, os)),
        }
    }

    /// Puts all in order.
    pub(crate) fn first_boot(self) -> FirstBoot {
        let commands = self.commands();
        let mut files = self.files;
        if let Some(installed) = &self.distribution {
            let own = installed.files(&files);
            files.extend(own);
        }
        FirstBoot { files, commands }
    }

    fn commands(&self) -> Vec<String> {
        let mut out = vec![CHECK.to_owned()];
        out.extend(watched("runCommands", self.run_commands));
        match &self.distribution {
            Some(installed) => {
                out.extend(installed.commands());
                out.push(COMPLETE.to_owned());
            }
            None => out.push(COMPLETE_AS_IT_IS.to_owned()),
        }
        out.push(VERDICT.to_owned());
        out
    }
}

impl<'a> Installed<'a> {
    fn of(distribution: &'a dyn Distribution, os: &OperatingSystem) -> Self {
        let facts = distribution.facts();
        Self {
            name: facts.name,
            unit: facts.unit,
            route: Route::of(distribution, os),
            settings: (facts.config, settings::yaml(&distribution.settings())),
            install: distribution.install_script(),
            made: distribution.made(),
            commands: distribution.commands(),
        }
    }

    /// Its files, which come after all others; these are part of what it has to be restarted for.
    fn files(&self, others: &[BootFile]) -> [BootFile; 5] {
        let digest = digest(&self.settings.1, others);
        let drop_in = format!("/etc/systemd/system/{}.d/10-emts.conf", self.unit);
        let node_ip = self.route.node_ip.map(|address| address.to_string());
        let default_route = DEFAULT_ROUTE
            .replace("@FAMILY@", self.route.family)
            .replace("@NODE_IP@", &node_ip.unwrap_or_default());
        let login_screen = LOGIN_SCREEN
            .replace("@NAME@", self.name)
            .replace("@UNIT@", self.unit);
        let install = self.install.1.replace("@DIGEST@", &digest);
        [
            own(&drop_in, 0o644, DROP_IN),
            own(&script_path("default-route.sh"), 0o755, &default_route),
            own(&script_path("login-screen.sh"), 0o755, &login_screen),
            own(&script_path(self.install.0), 0o755, &install),
            own(self.settings.0, 0o640, &self.settings.1),
        ]
    }

    fn commands(&self) -> Vec<String> {
        let [(before, first), (after, last)] = self.commands;
        let mut out = watched(before, first);
        out.push(format!(
            "sh {} && emts_installed=yes",
            script_path(self.install.0)
        ));
        out.push(check(&format!("the installation of {}", self.name)));
        out.extend(watched(after, last));
        out
    }
}

/// The default route that the node needs.
struct Route {
    /// Its address family: `4`, `6` or `any`.
    family: &'static str,
    /// The node's own address of this family, where the configuration has one.
    node_ip: Option<IpAddr>,
}

impl Route {
    /// The family is that of the cluster's first network, by default the one of `node-ip`, or of the node's addresses;
    /// `any` where none is given, as K3s then takes what the node has.
    fn of(distribution: &dyn Distribution, os: &OperatingSystem) -> Self {
        let joined = Joined::of(distribution, os);
        let networks = joined.parts("cluster-cidr");
        let addresses = joined.parts("node-ip").into_iter();
        let addresses: Vec<IpAddr> = addresses.filter_map(|one| one.text.parse().ok()).collect();
        let is_v6 = networks.first().map(|network| network.text.contains(':'));
        let is_v6 = is_v6.or(addresses.first().map(IpAddr::is_ipv6));
        let is_v6 = is_v6.or(os.only_family());
        Self {
            family: match is_v6 {
                Some(true) => "6",
                Some(false) => "4",
                None => "any",
            },
            node_ip: addresses
                .into_iter()
                .find(|address| Some(address.is_ipv6()) == is_v6),
        }
    }
}

/// registries.yaml, for root alone: it may hold credentials.
fn registries(distribution: &dyn Distribution) -> Option<BootFile> {
    let registries = distribution.all_registries();
    let path = distribution.registries_path();
    (!registries.is_empty()).then(|| own(path, 0o600, &registries.to_yaml()))
}

fn script_path(name: &str) -> String {
    format!(concat!(own_folder!(), "{}"), name)
}

/// The commands of a list as they are, joined by line breaks when they are run. Where the program that they are is complete,
/// a look at the status stands between them.
fn watched(key: &str, commands: &[Command]) -> Vec<String> {
    let texts: Vec<&str> = commands.iter().map(|command| command.as_str()).collect();
    let complete = shell::read(&texts).complete;
    let mut out = vec![];
    let mut first = 0;
    for (index, text) in texts.iter().enumerate() {
        out.push((*text).to_owned());
        let next = texts.get(index + 1);
        // A status that the next command reads is in its care.
        let is_read = next.is_some_and(|next| next.contains("$?") || next.contains("${?"));
        if next.is_some() && (is_read || !complete[index]) {
            continue;
        }
        if texts[first..=index].iter().any(|text| !is_comment(text)) {
            out.push(check(&name_of(key, first, index)));
        }
        first = index + 1;
    }
    out
}

fn name_of(key: &str, first: usize, last: usize) -> String {
    match first == last {
        true => format!("{key}[{first}]"),
        false => format!("{key}[{first}] to [{last}]"),
    }
}

/// As the first of two commands, a failure ends no shell under the user's `set -e`.
fn check(name: &str) -> String {
    format!("emts_check '{name}' && :")
}

/// Whether a text that begins outside of a command leaves the status as it was.
fn is_comment(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim_start);
    lines.all(|line| line.is_empty() || line.starts_with('#'))
}

/// What a running distribution would have to be restarted for: its settings and the user's files.
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

/// The paths that the first boot of a config-file writes or removes, but for the user's files.
pub(crate) fn claims(
    distribution: Option<&dyn Distribution>,
    os: &OperatingSystem,
) -> Vec<PathRule> {
    let plan = Plan::with(distribution, os, vec![]);
    let mut all = CLAIMS.to_vec();
    if let Some(installed) = &plan.distribution {
        let started = "/etc/systemd/system/multi-user.target.wants";
        all.push(PathRule::from(format!("{started}/{}", installed.unit)));
        all.extend(installed.made.iter().copied().map(PathRule::new));
    }
    let own = plan.first_boot().files.into_iter();
    all.extend(own.map(|file| PathRule::from(file.path)));
    all
}

/// The files of a config-file as they are written.
///
/// # Errors
/// A file's content does not fit its encoding.
pub(crate) fn user_files(files: &[File]) -> Result<Vec<BootFile>, ContentError> {
    files.iter().map(user_file).collect()
}

fn user_file(file: &File) -> Result<BootFile, ContentError> {
    let owner = file
        .owner
        .as_ref()
        .map_or("root:root", |owner| owner.as_str());
    Ok(BootFile {
        path: file.path.to_string(),
        owner: owner.to_owned(),
        mode: file.mode(),
        bytes: file.bytes()?,
        packed: packed(file),
    })
}

/// A content that cloud-init can unpack itself, so that the configuration is no larger than the config-file.
fn packed(file: &File) -> Option<String> {
    let content = file.content.as_ref()?;
    let is_packed = file.encoding == Some(Encoding::GzipBase64);
    is_packed.then(|| content.split_ascii_whitespace().collect())
}

/// A file of the conversion itself.
pub(crate) fn own(path: &str, mode: u32, text: &str) -> BootFile {
    BootFile {
        path: path.to_owned(),
        owner: "root:root".to_owned(),
        mode,
        bytes: text.as_bytes().to_vec(),
        packed: None,
    }
}

impl FirstBoot {
    /// The `#cloud-config` document as a text.
    pub fn cloud_config(&self) -> String {
        self.to_string()
    }
}

/// The `#cloud-config` document.
impl fmt::Display for FirstBoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "#cloud-config\n\
             # Generated by cluster-bootstrapper from the config-file; changes here are lost.\n\
             # cloud-init does not merge lists: no other file in cloud.cfg.d may have these keys.\n",
        )?;
        writeln!(f, "bootcmd:\n- {}", quoted(RESUME))?;
        if !self.files.is_empty() {
            // A key without a value would be an error of cloud-init's.
            f.write_str("write_files:\n")?;
        }
        for file in &self.files {
            write_file(f, file)?;
        }
        f.write_str("runcmd:\n")?;
        for command in &self.commands {
            if command.contains('\n') && fits_block(command) {
                // One space before the block's indicator, none of it part of the text.
                write!(f, "- {}", block(command, 0))?;
            } else {
                writeln!(f, "- {}", quoted(command))?;
            }
        }
        Ok(())
    }
}

fn write_file(f: &mut fmt::Formatter<'_>, file: &BootFile) -> fmt::Result {
    writeln!(f, "- path: {}", quoted(&file.path))?;
    writeln!(f, "  owner: {}", quoted(&file.owner))?;
    writeln!(f, "  permissions: \"{:04o}\"", file.mode)?;
    if let Some(packed) = &file.packed {
        return writeln!(f, "  encoding: gz+b64\n  content: {packed}");
    }
    match std::str::from_utf8(&file.bytes) {
        Ok("") => f.write_str("  content: \"\"\n"),
        Ok(text) if fits_block(text) => write!(f, "  content: {}", block(text, 2)),
        _ => {
            let encoded = base64::engine::general_purpose::STANDARD.encode(&file.bytes);
            writeln!(f, "  encoding: b64\n  content: {encoded}")
        }
    }
}
