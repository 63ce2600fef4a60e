//! A child process in a process group of its own, of which nothing survives.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::process::Command;
use tokio::sync::watch;

/// How long a killed process may take to vanish.
const VANISH: Duration = Duration::from_secs(5);

/// A running child with its process group. Dropped, it is killed.
#[derive(Debug)]
pub struct ProcessGroup {
    group: Pid,
    exit: watch::Receiver<Option<ExitStatus>>,
}

impl ProcessGroup {
    /// Starts `command` in a new process group. Call it from a thread that lives
    /// as long as the child shall: the kernel ends the child with that thread.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn spawn(mut command: Command) -> std::io::Result<Self> {
        let mut child = command
            .process_group(0)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let id = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        let group = id.ok_or_else(|| std::io::Error::other("the child has no process id"))?;
        let (sender, exit) = watch::channel(None);
        tokio::spawn(async move {
            if let Ok(status) = child.wait().await {
                sender.send_replace(Some(status));
            }
        });
        Ok(Self { group, exit })
    }

    /// Waits for the child's end.
    pub async fn ended(&self) -> Option<ExitStatus> {
        let mut exit = self.exit.clone();
        exit.wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|status| *status)
    }

    /// The child's exit status, when it has ended.
    #[must_use]
    pub fn status(&self) -> Option<ExitStatus> {
        *self.exit.borrow()
    }

    /// Kills what is left of the group. True when nothing of it survives.
    pub async fn kill(&self) -> bool {
        let _ = kill_process_group(self.group, Signal::KILL);
        let _ = tokio::time::timeout(VANISH, self.ended()).await;
        tokio::time::timeout(VANISH, self.vanished()).await.is_ok()
    }

    /// Stops all processes of the group where they are, or lets them go on.
    ///
    /// # Errors
    /// The group has ended.
    pub fn freeze(&self, frozen: bool) -> std::io::Result<()> {
        let signal = if frozen { Signal::STOP } else { Signal::CONT };
        Ok(kill_process_group(self.group, signal)?)
    }

    async fn vanished(&self) {
        let mut poll = tokio::time::interval(Duration::from_millis(20));
        while test_kill_process_group(self.group).is_ok() {
            poll.tick().await;
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if self.status().is_none() {
            let _ = kill_process_group(self.group, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdout(Stdio::null());
        command
    }

    #[tokio::test]
    async fn kill_leaves_no_grandchild() {
        let group = ProcessGroup::spawn(shell("sleep 600 & sleep 600")).unwrap();
        assert!(group.kill().await);
        assert!(test_kill_process_group(group.group).is_err());
    }

    #[tokio::test]
    async fn tells_the_exit_status() {
        let group = ProcessGroup::spawn(shell("exit 3")).unwrap();
        assert_eq!(
            group.ended().await.and_then(|status| status.code()),
            Some(3)
        );
    }
}
