//! Other programs in process groups of their own, which end with this process.

use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{
    Pid, Signal, getpgrp, getppid, set_parent_process_death_signal, test_kill_process_group,
};

use crate::cancel::{Cancel, EXIT_STATUS, signal_group};
use crate::process::{ENDING, display, expect_success};

/// How often a running child is looked at.
pub const POLL: Duration = Duration::from_millis(20);
/// How long a group may take to end after SIGTERM before it is killed.
pub(crate) const GRACE: Duration = Duration::from_secs(10);
/// How long a killed group may take to vanish.
const KILLED: Duration = Duration::from_secs(2);

/// A child in a process group of its own, which does not outlive this value.
#[derive(Debug)]
pub struct Group {
    child: Child,
    id: i32,
    name: String,
    cancel: Cancel,
    /// When the wish to end was seen that the leader was told of.
    asked_at: Option<Instant>,
}

impl Group {
    /// Starts `command` as the leader of a new process group, without standard input.
    ///
    /// # Errors
    /// It cannot be started, or it is time to end.
    pub fn spawn(command: &mut Command, cancel: &Cancel) -> Result<Self> {
        let name = display(command);
        cancel.check(&name)?;
        let child = command
            .process_group(0)
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("starting {}", command.get_program().display()))?;
        let id = i32::try_from(child.id()).context("a process id that does not fit")?;
        cancel.watch(id);
        Ok(Self {
            child,
            id,
            name,
            cancel: cancel.clone(),
            asked_at: None,
        })
    }

    /// The same with another name for people.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Asks all of the group to end.
    pub fn ask(&self) {
        signal_group(self.id, Signal::TERM);
    }

    /// Waits for the leader, calling `tick` at every look. Its status, also that of a failure.
    ///
    /// # Errors
    /// It was ended from outside.
    pub fn wait(&mut self, mut tick: impl FnMut()) -> Result<ExitStatus> {
        loop {
            if let Some(status) = self.look()? {
                return Ok(status);
            }
            tick();
            std::thread::sleep(POLL);
        }
    }

    /// How the leader ended, if it has. After a wish to end it is killed when its time for that is over.
    ///
    /// # Errors
    /// It was ended from outside.
    pub fn look(&mut self) -> Result<Option<ExitStatus>> {
        let status = self.child.try_wait();
        let status = status.context("waiting for a child process")?;
        if !self.cancel.is_requested() {
            return Ok(status);
        }
        if status.is_some() {
            // What the leader started may still be cleaning up.
            self.wait_until_empty(GRACE);
            self.cancel.check(&self.name)?;
        } else if self.asked_at.get_or_insert_with(Instant::now).elapsed() > GRACE {
            signal_group(self.id, Signal::KILL);
        }
        Ok(None)
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
        if matches!(self.child.try_wait(), Ok(None)) {
            self.ask();
            let deadline = Instant::now() + GRACE;
            while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
                std::thread::sleep(POLL);
            }
        }
        // Whatever the leader left behind ends here too.
        signal_group(self.id, Signal::KILL);
        let _ = self.child.wait();
        self.wait_until_empty(KILLED);
        self.cancel.forget(self.id);
    }
}

/// Has this process, which leads a group, end with all of the group when it is asked to or when `parent` is gone.
///
/// # Errors
/// `parent` is gone already, or something else has taken the signals over.
pub fn end_with(parent: i32) -> Result<()> {
    let is_orphan = move || getppid().map(Pid::as_raw_pid) != Some(parent);
    ctrlc::set_handler(move || {
        ENDING.store(true, Ordering::SeqCst);
        let group = getpgrp().as_raw_pid();
        if is_orphan() {
            // Else all of the group was asked.
            signal_group(group, Signal::TERM);
        }
        let deadline = Instant::now() + GRACE;
        while has_others(group) && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
        if is_orphan() {
            signal_group(group, Signal::KILL);
        }
        std::process::exit(EXIT_STATUS.into());
    })
    .context("taking over Ctrl-C")?;
    set_parent_process_death_signal(Some(Signal::TERM))?;
    ensure!(!is_orphan(), "the process that waits for this one is gone");
    Ok(())
}

/// Whether processes besides this one are in a group (proc_pid_stat(5)).
fn has_others(group: i32) -> bool {
    let own = std::process::id().to_string();
    let Ok(entries) = fs_err::read_dir("/proc") else {
        return false;
    };
    entries.flatten().any(|entry| {
        let is_number = entry.file_name().to_string_lossy().parse::<u32>().is_ok();
        let stat = fs_err::read_to_string(entry.path().join("stat"));
        let Some(fields) = stat
            .ok()
            .and_then(|it| it.rsplit_once(") ").map(|it| it.1.to_owned()))
        else {
            return false;
        };
        let fields: Vec<&str> = fields.split(' ').take(3).collect();
        let ended = matches!(fields.first(), Some(&("Z" | "X")));
        is_number
            && entry.file_name() != *own
            && !ended
            && fields.get(2).is_some_and(|it| it.parse() == Ok(group))
    })
}

/// Runs `command` with its output on this terminal.
///
/// # Errors
/// It does not end with 0, or it is time to end.
pub fn run(command: &mut Command, cancel: &Cancel) -> Result<()> {
    let name = display(command);
    expect_success(Group::spawn(command, cancel)?.wait(|| {})?, &name)
}

/// Runs `command` and returns the few lines that it prints.
///
/// # Errors
/// It does not end with 0, or it is time to end.
pub fn output(command: &mut Command, cancel: &Cancel) -> Result<String> {
    let name = display(command);
    let mut group = Group::spawn(command.stdout(Stdio::piped()), cancel)?;
    expect_success(group.wait(|| {})?, &name)?;
    let mut text = String::new();
    if let Some(mut stdout) = group.child.stdout.take() {
        stdout.read_to_string(&mut text)?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::Ended;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_group_does_not_outlive_its_value() -> Result<()> {
        let cancel = Cancel::default();
        let group = Group::spawn(&mut shell("sleep 600 & sleep 600"), &cancel)?;
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
    fn a_failure_names_the_command_and_its_exit_status() {
        let error = run(&mut shell("exit 3"), &Cancel::default()).expect_err("exit 3 is a failure");
        assert_eq!(error.to_string(), "sh -c exit 3 ended with exit status 3");
    }

    #[test]
    fn what_runs_is_asked_to_end_and_nothing_is_started_any_more() -> Result<()> {
        let cancel = Cancel::default();
        let dir = tempfile::tempdir()?;
        let seen = dir.path().join("seen");
        let script = format!(
            "trap 'echo ended > {}; exit 0' TERM; sleep 600 & wait",
            seen.display()
        );
        let mut group = Group::spawn(&mut shell(&script), &cancel)?;
        while !group.is_waiting()? {
            std::thread::sleep(POLL);
        }
        cancel.request();
        let error = group.wait(|| {}).expect_err("it is ended");
        assert!(Ended::is(&error), "{error:#}");
        assert_eq!(fs_err::read_to_string(seen)?, "ended\n");
        let error = run(&mut shell("true"), &cancel).expect_err("it is too late");
        assert!(Ended::is(&error), "{error:#}");
        Ok(())
    }

    impl Group {
        /// Whether the leader has a child, so that its trap is set.
        fn is_waiting(&self) -> Result<bool> {
            let children = format!("/proc/{0}/task/{0}/children", self.id);
            Ok(!fs_err::read_to_string(children)?.trim().is_empty())
        }
    }
}
