//! Running other programs: process groups that die with this process, and Ctrl-C in two steps.
//!
//! The first Ctrl-C (or SIGTERM, SIGHUP) asks every running group to end, the second kills it.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

/// How often a running child is looked at.
pub const POLL: Duration = Duration::from_millis(20);
/// How long a group may take to end after SIGTERM before it is killed.
const GRACE: Duration = Duration::from_secs(10);
/// How long a killed group may take to vanish.
const KILLED: Duration = Duration::from_secs(2);

static INTERRUPTS: AtomicUsize = AtomicUsize::new(0);
static GROUPS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());
static IN_STAGE: AtomicBool = AtomicBool::new(false);

/// Says that this process is a stage's: what it starts stays in its group, which the parent ends as a whole.
pub fn stay_in_group() {
    IN_STAGE.store(true, Ordering::SeqCst);
}

fn groups() -> MutexGuard<'static, BTreeSet<i32>> {
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes over Ctrl-C, SIGTERM and SIGHUP; called once at start.
pub fn handle_interrupts() -> Result<()> {
    ctrlc::set_handler(|| {
        let earlier = INTERRUPTS.fetch_add(1, Ordering::SeqCst);
        let signal = if earlier == 0 {
            Signal::TERM
        } else {
            Signal::KILL
        };
        if earlier == 0 {
            eprintln!("\ninterrupted: ending what runs (once more: kill it)");
        }
        for group in groups().iter() {
            signal_group(*group, signal);
        }
    })
    .context("taking over Ctrl-C")
}

/// Whether the user has asked to stop, or this process gives up.
pub fn interrupted() -> bool {
    INTERRUPTS.load(Ordering::SeqCst) > 0
}

/// Asks every running group to end, because one of several pieces of work has failed.
pub fn give_up() {
    INTERRUPTS.fetch_add(1, Ordering::SeqCst);
    for group in groups().iter() {
        signal_group(*group, Signal::TERM);
    }
}

/// A piece of work that was ended from outside, not by a fault of its own.
#[derive(Debug)]
struct Ended(String);

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "interrupted while running {}", self.0)
    }
}

impl std::error::Error for Ended {}

/// An error once the user has asked to stop, or this process gives up; `what` was going on.
pub fn stop_if_interrupted(what: &str) -> Result<()> {
    match interrupted() {
        true => Err(Ended(what.to_owned()).into()),
        false => Ok(()),
    }
}

/// Whether an error says that work was ended from outside.
pub fn was_ended(error: &anyhow::Error) -> bool {
    error.is::<Ended>()
}

fn signal_group(group: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(group) {
        // The group may have ended by itself in the meantime.
        let _ = kill_process_group(pid, signal);
    }
}

/// A child in a process group of its own, which does not outlive this value.
#[derive(Debug)]
pub struct Group {
    child: Child,
    id: i32,
    /// When the interruption was seen that the leader was told of.
    asked_at: Option<Instant>,
}

impl Group {
    /// Starts `command` as the leader of a new process group, without standard input.
    pub fn spawn(command: &mut Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command
            .process_group(0)
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        let id = i32::try_from(child.id()).context("a process id that does not fit")?;
        groups().insert(id);
        Ok(Self {
            child,
            id,
            asked_at: None,
        })
    }

    /// Waits for the leader, calling `tick` at every look.
    pub fn wait(&mut self, mut tick: impl FnMut()) -> Result<ExitStatus> {
        loop {
            if let Some(status) = self.look()? {
                return Ok(status);
            }
            tick();
            std::thread::sleep(POLL);
        }
    }

    /// How the leader ended, if it has. After an interruption it is killed when its time to end is over.
    pub fn look(&mut self) -> Result<Option<ExitStatus>> {
        let status = self
            .child
            .try_wait()
            .context("waiting for a child process")?;
        if !interrupted() {
            return Ok(status);
        }
        if status.is_some() {
            // What the leader started may still be cleaning up.
            self.wait_until_empty(GRACE);
        } else if self.asked_at.get_or_insert_with(Instant::now).elapsed() > GRACE {
            signal_group(self.id, Signal::KILL);
        }
        Ok(status)
    }

    fn wait_until_empty(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        let alive = || Pid::from_raw(self.id).is_some_and(|id| test_kill_process_group(id).is_ok());
        while alive() && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Whatever the leader left behind ends here too.
        signal_group(self.id, Signal::KILL);
        let _ = self.child.wait();
        self.wait_until_empty(KILLED);
        groups().remove(&self.id);
    }
}

/// Runs `command` with its output on this terminal; an error unless it ends with 0.
pub fn run(command: &mut Command) -> Result<()> {
    let name = display(command);
    let status = if IN_STAGE.load(Ordering::SeqCst) {
        command
            .stdin(Stdio::null())
            .status()
            .with_context(|| format!("starting {name}"))?
    } else {
        Group::spawn(command)?.wait(|| {})?
    };
    expect_success(status, &name)
}

/// Runs `command` and returns the few lines that it prints; an error unless it ends with 0.
pub fn output(command: &mut Command) -> Result<String> {
    let name = display(command);
    let mut group = Group::spawn(command.stdout(Stdio::piped()))?;
    let status = group.wait(|| {})?;
    expect_success(status, &name)?;
    let mut text = String::new();
    if let Some(mut stdout) = group.child.stdout.take() {
        stdout.read_to_string(&mut text)?;
    }
    Ok(text)
}

/// An error that tells how `name` ended, unless it ended with 0.
pub fn expect_success(status: ExitStatus, name: &str) -> Result<()> {
    stop_if_interrupted(name)?;
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => bail!("{name} ended with exit code {code}"),
        (None, signal) => bail!("{name} was ended by signal {}", signal.unwrap_or_default()),
    }
}

/// A command line for people to read.
pub fn display(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// A command for `program` with root rights: as it is for root, else through `sudo`.
pub fn privileged(program: &str) -> Command {
    if rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
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
    fn a_group_does_not_outlive_its_value() -> Result<()> {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 600 & sleep 600"]);
        let group = Group::spawn(&mut command)?;
        let id = Pid::from_raw(group.id).context("a process id")?;
        drop(group);
        // The background child is reaped by init; until then it may be seen as a zombie.
        let deadline = Instant::now() + Duration::from_secs(10);
        while test_kill_process_group(id).is_ok() {
            assert!(Instant::now() < deadline, "the process group still lives");
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    #[test]
    fn a_failure_names_the_command_and_its_exit_code() {
        let error =
            run(Command::new("sh").args(["-c", "exit 3"])).expect_err("exit 3 is a failure");
        assert_eq!(error.to_string(), "sh -c exit 3 ended with exit code 3");
    }
}
