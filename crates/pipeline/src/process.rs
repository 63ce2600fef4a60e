//! Running other programs in the group of this process, and words for them.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, bail, ensure};
use arch::ARCH;

/// What makes a program end with the process that starts it (setpriv(1), from util-linux).
const TIED: [&str; 3] = ["--pdeathsig", "TERM", "--"];

/// Whether this process, a stage's, was asked to end: it starts nothing any more.
pub(crate) static ENDING: AtomicBool = AtomicBool::new(false);

/// Runs `command` with its output on this terminal, and in this process's group.
///
/// # Errors
/// It does not end with 0.
pub fn run(command: &mut Command) -> Result<()> {
    let name = display(command);
    ensure!(!ENDING.load(Ordering::SeqCst), "interrupted: {name}");
    let status = command.stdin(Stdio::null()).status();
    expect_success(status.with_context(|| format!("starting {name}"))?, &name)
}

/// An error that tells how `name` ended, unless it ended with 0.
///
/// # Errors
/// It did not end with 0.
pub fn expect_success(status: ExitStatus, name: &str) -> Result<()> {
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => bail!("{name} ended with exit status {code}"),
        (None, signal) => bail!("{name} was ended by signal {}", signal.unwrap_or_default()),
    }
}

/// A command line for people to read. The password in a URL is not shown.
pub fn display(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<String> = words
        .map(|word| without_password(&word.to_string_lossy()))
        .collect();
    let tied = words.first().is_some_and(|word| word == "setpriv")
        && words[1..].starts_with(&TIED.map(str::to_owned));
    words[if tied { 1 + TIED.len() } else { 0 }..].join(" ")
}

/// A word with `***` for what stands between the scheme and the `@` of a URL.
fn without_password(word: &str) -> String {
    let Some((scheme, rest)) = word.split_once("://") else {
        return word.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://***{}", &rest[at..]),
        None => word.to_owned(),
    }
}

/// This program, to be started once more: as it was compiled, also if another was compiled over it since (a test run of
/// cargo does so).
pub fn this_program() -> PathBuf {
    PathBuf::from(format!("/proc/{}/exe", std::process::id()))
}

/// The cargo that has started this program.
pub fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// The compiler of the cargo that started this program: the one that builds with it. rustup's `rustc`, which the name alone
/// would find, first looks which toolchain is meant.
pub fn rustc() -> OsString {
    let beside = std::env::var_os("CARGO").map(|cargo| Path::new(&cargo).with_file_name("rustc"));
    let beside = beside.filter(|rustc| rustc.is_file());
    beside.map_or_else(|| "rustc".into(), Into::into)
}

/// The go command: from the path, else from where Go's own archive is unpacked to.
pub fn go() -> Command {
    let usual = PathBuf::from("/usr/local/go/bin/go");
    let in_path = std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|directory| directory.join("go").is_file())
    });
    let mut command = if in_path || !usual.is_file() {
        Command::new("go")
    } else {
        Command::new(usual)
    };
    let (baseline, level) = ARCH.go_baseline;
    // Not what the user has set for other programs.
    command
        .env("GOENV", "off")
        .env("GOOS", "linux")
        .env("GOARCH", ARCH.go)
        .env(baseline, level)
        .env_remove("GOEXPERIMENT");
    command
}

/// A command that is ended with this process, however that ends. It has the program, arguments, directory and variables of
/// `command`.
pub fn tied(command: &Command) -> Command {
    let mut tied = Command::new("setpriv");
    tied.args(TIED).arg(command.get_program());
    tied.args(command.get_args());
    if let Some(directory) = command.get_current_dir() {
        tied.current_dir(directory);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => tied.env(name, value),
            None => tied.env_remove(name),
        };
    }
    tied
}

/// What starts a program with root rights: for root `env`, which changes nothing.
pub fn sudo() -> &'static str {
    match rustix::process::geteuid().is_root() {
        true => "env",
        false => "sudo",
    }
}

/// A command for `program` with root rights and variables of the environment, which sudo would clear. Only their names are in
/// the process list: the URL of a proxy may have a password.
pub fn privileged(program: &str, variables: &[&str]) -> Command {
    if rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.arg(format!("--preserve-env={}", variables.join(",")));
    command.arg(program);
    command
}

/// A command for `program` that makes files which belong to root: for another user through `fakeroot`.
pub fn with_files_of_root(program: &Path) -> Command {
    if rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("fakeroot");
    command.arg("--").arg(program);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_without_passwords_and_without_what_ties_it() {
        let mut command = Command::new("env");
        command.args([
            "http_proxy=http://me:secret@proxy:3128/",
            "curl",
            "https://host/a@b",
        ]);
        assert_eq!(
            display(&tied(&command)),
            "env http_proxy=http://***@proxy:3128/ curl https://host/a@b"
        );
    }
}
