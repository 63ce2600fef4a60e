//! The one way in which other programs are called: a deadline, a process group, and an error that says all there is.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::MemfdFlags;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use crate::error::{Error, Kind, Result};

/// All programs of others that the installer calls. They are found by `PATH`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Discards or zeroes blocks (util-linux).
    Blkdiscard,
    /// Signatures of file systems, RAIDs, encrypted volumes (util-linux).
    Blkid,
    /// Has the kernel read a partition table (util-linux).
    Blockdev,
    /// Checks ext2 to ext4 (e2fsprogs).
    E2fsck,
    /// The largest size, or another one, for ext2 to ext4 (e2fsprogs).
    Resize2fs,
    /// Gives ext2 to ext4 another UUID (e2fsprogs).
    Tune2fs,
    /// Lists and removes signatures (util-linux).
    Wipefs,
    /// Tests of this module, and of those that call programs.
    #[cfg(test)]
    Sh,
}

impl Program {
    /// The name that is looked up.
    pub fn name(self) -> &'static str {
        match self {
            Self::Blkdiscard => "blkdiscard",
            Self::Blkid => "blkid",
            Self::Blockdev => "blockdev",
            Self::E2fsck => "e2fsck",
            Self::Resize2fs => "resize2fs",
            Self::Tune2fs => "tune2fs",
            Self::Wipefs => "wipefs",
            #[cfg(test)]
            Self::Sh => "sh",
        }
    }
}

/// How long a program has by default.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// How long the end of a killed program is waited for: one that waits for a dead disk has none.
const KILLED: Duration = Duration::from_secs(2);
/// Of each output the first bytes are kept; more is read and dropped.
const OUTPUT: usize = 1 << 20;
/// Characters of a program's output in an error's one line.
const QUOTED: usize = 300;

/// One call of a program.
#[derive(Debug)]
pub struct Call {
    program: Program,
    arguments: Vec<OsString>,
    input: Vec<u8>,
    deadline: Duration,
}

/// What a program said that ended by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its exit status.
    pub status: i32,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    command: String,
}

impl Call {
    /// A call without arguments, input, and with [`DEADLINE`].
    pub fn new(program: Program) -> Self {
        Self {
            program,
            arguments: Vec::new(),
            input: Vec::new(),
            deadline: DEADLINE,
        }
    }

    /// More arguments. A name from outside comes behind `--`, or begins with `/`.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        let arguments = arguments.into_iter().map(|one| one.as_ref().to_owned());
        self.arguments.extend(arguments);
        self
    }

    /// What it reads from standard input; nothing by default.
    #[must_use]
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// How long it has.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Runs it and believes its exit status: all but 0 is an error.
    ///
    /// # Errors
    /// It ends with another status, besides those of [`Call::output`].
    pub fn run(self) -> Result<Output> {
        self.output()?.succeeded()
    }

    /// Runs it, in the locale C, whatever its exit status is.
    ///
    /// # Errors
    /// It cannot be started, is ended by a signal, or does not end before the deadline: then its whole process group
    /// is killed.
    pub fn output(self) -> Result<Output> {
        let command = self.shown();
        let broken = |what: &str, error: std::io::Error| {
            Error::new(Kind::Bug, format!("`{command}` {what}: {error}"))
        };
        let mut process = Command::new(self.program.name())
            .args(&self.arguments)
            .env("LC_ALL", "C")
            .stdin(
                self.standard_input()
                    .map_err(|e| broken("gets no input", e))?,
            )
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|error| broken("cannot be started", error))?;
        let mut outputs = [Vec::new(), Vec::new()];
        let ended = read_until_end(&mut process, &mut outputs, self.deadline);
        if !matches!(ended, Ok(Some(_))) {
            kill(&mut process);
        }
        let [stdout, stderr] = outputs;
        let said = |reason: &str| {
            let output = last_line(&stderr, &stdout);
            Error::new(Kind::Environment, format!("`{command}` {reason}: {output}"))
        };
        match ended.map_err(|error| broken("cannot be waited for", error))? {
            None => {
                let seconds = self.deadline.as_secs_f32();
                Err(said(&format!("did not end within {seconds} s")))
            }
            Some(status) => match status.code() {
                Some(status) => Ok(Output {
                    status,
                    stdout,
                    stderr,
                    command,
                }),
                None => {
                    let signal = status.signal().unwrap_or_default();
                    Err(said(&format!("was ended by signal {signal}")))
                }
            },
        }
    }

    /// In memory, so that neither side waits for the other.
    fn standard_input(&self) -> std::io::Result<Stdio> {
        if self.input.is_empty() {
            return Ok(Stdio::null());
        }
        let mut file = File::from(rustix::fs::memfd_create("input", MemfdFlags::CLOEXEC)?);
        file.write_all(&self.input)?;
        file.rewind()?;
        Ok(file.into())
    }

    fn shown(&self) -> String {
        let arguments = self.arguments.iter().map(|one| one.to_string_lossy());
        let words = std::iter::once(self.program.name().into()).chain(arguments);
        words.collect::<Vec<_>>().join(" ")
    }
}

impl Output {
    /// Standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The error that this end is, for a caller who knows which statuses are none.
    pub fn failure(&self) -> Error {
        let said = last_line(&self.stderr, &self.stdout);
        let reason = format!(
            "`{}` ended with exit status {}: {said}",
            self.command, self.status
        );
        Error::new(Kind::Environment, reason)
    }

    /// Itself, where the exit status is 0.
    ///
    /// # Errors
    /// The exit status is another.
    pub fn succeeded(self) -> Result<Self> {
        if self.status == 0 {
            Ok(self)
        } else {
            Err(self.failure())
        }
    }
}

fn pid(process: &Child) -> Pid {
    Pid::from_child(process)
}

/// Reads both outputs until the process has ended; `None` when the deadline came first.
fn read_until_end(
    process: &mut Child,
    outputs: &mut [Vec<u8>; 2],
    deadline: Duration,
) -> std::io::Result<Option<ExitStatus>> {
    let until = Instant::now() + deadline;
    let end = pidfd_open(pid(process), PidfdFlags::empty())?;
    let mut pipes = [
        process
            .stdout
            .take()
            .map(|pipe| File::from(std::os::fd::OwnedFd::from(pipe))),
        process
            .stderr
            .take()
            .map(|pipe| File::from(std::os::fd::OwnedFd::from(pipe))),
    ];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let mut watched = vec![end.as_fd()];
        watched.extend(pipes.iter().flatten().map(|pipe| pipe.as_fd()));
        let ready = wait_for(&watched, left)?;
        let ended = ready[0];
        let mut readable = ready[1..].iter();
        for (pipe, output) in pipes.iter_mut().zip(outputs.iter_mut()) {
            if pipe.is_some() && readable.next() == Some(&true) && !read_some(pipe, output)? {
                *pipe = None;
            }
        }
        // What it said last is in the pipes when its end is seen: they are read empty first.
        if ended && !ready[1..].contains(&true) {
            // Nothing that it started outlives it. Its number is its own until it is waited for.
            let _ = kill_process_group(pid(process), Signal::KILL);
            return process.wait().map(Some);
        }
        if left.is_zero() {
            return Ok(None);
        }
    }
}

/// Which of them can be read or have an end, once one has or the time is over.
fn wait_for(watched: &[BorrowedFd<'_>], left: Duration) -> std::io::Result<Vec<bool>> {
    let mut polled: Vec<_> = watched
        .iter()
        .map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN))
        .collect();
    let left = Timespec::try_from(left).ok();
    match poll(&mut polled, left.as_ref()) {
        Err(rustix::io::Errno::INTR) | Ok(_) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(polled.iter().map(|fd| !fd.revents().is_empty()).collect())
}

/// Reads what is there; whether there can be more.
fn read_some(pipe: &mut Option<File>, output: &mut Vec<u8>) -> std::io::Result<bool> {
    let mut buffer = [0; 1 << 16];
    let Some(pipe) = pipe else { return Ok(false) };
    let size = pipe.read(&mut buffer)?;
    let room = OUTPUT.saturating_sub(output.len());
    output.extend_from_slice(&buffer[..size.min(room)]);
    Ok(size > 0)
}

/// Ends the group of a process that has not ended by itself, and waits a moment for that.
fn kill(process: &mut Child) {
    let _ = kill_process_group(pid(process), Signal::KILL);
    if let Ok(end) = pidfd_open(pid(process), PidfdFlags::empty())
        && wait_for(&[end.as_fd()], KILLED).is_ok_and(|ready| ready[0])
    {
        let _ = process.wait();
    }
}

/// The last line that says something, of standard error or else of standard output.
fn last_line(stderr: &[u8], stdout: &[u8]) -> String {
    let last = |output: &[u8]| {
        let text = String::from_utf8_lossy(output).into_owned();
        let line = text
            .lines()
            .rev()
            .map(str::trim)
            .find(|line| !line.is_empty());
        line.map(|line| line.chars().take(QUOTED).collect::<String>())
    };
    last(stderr)
        .or_else(|| last(stdout))
        .unwrap_or_else(|| "it said nothing".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Call {
        Call::new(Program::Sh).args(["-c", script])
    }

    #[test]
    fn gives_status_and_both_outputs() -> Result<()> {
        let output = sh("cat; echo problem >&2; exit 3").input("in\n").output()?;
        assert_eq!(
            (output.status, &*output.stdout, &*output.stderr),
            (3, &b"in\n"[..], &b"problem\n"[..])
        );
        let error = output.succeeded().expect_err("3 is no success");
        assert_eq!(
            error.to_string(),
            "`sh -c cat; echo problem >&2; exit 3` ended with exit status 3: problem"
        );
        Ok(())
    }

    #[test]
    fn a_signal_is_an_error_that_names_it() {
        let error = sh("kill -9 $$").output().expect_err("it is killed");
        assert_eq!(
            error.to_string(),
            "`sh -c kill -9 $$` was ended by signal 9: it said nothing"
        );
    }

    #[test]
    fn the_deadline_ends_the_whole_group() {
        let before = Instant::now();
        let error = sh("echo first; sleep 100 & wait")
            .deadline(Duration::from_millis(200))
            .output()
            .expect_err("it does not end");
        assert!(before.elapsed() < Duration::from_secs(50));
        let text = error.to_string();
        assert!(text.ends_with("did not end within 0.2 s: first"), "{text}");
    }

    #[test]
    fn nothing_that_was_started_outlives_its_parent() -> Result<()> {
        let before = Instant::now();
        let output = sh("sleep 100 & echo $!").run()?;
        let number = output.text().trim().parse().ok();
        let number = number.and_then(Pid::from_raw).expect("it has a number");
        // Where it is gone already it does not open.
        if let Ok(end) = pidfd_open(number, PidfdFlags::empty()) {
            let ready = wait_for(&[end.as_fd()], Duration::from_secs(50));
            assert!(ready.is_ok_and(|ready| ready[0]));
        }
        assert!(before.elapsed() < Duration::from_secs(50));
        Ok(())
    }

    #[test]
    fn more_output_than_is_kept_is_read_to_its_end() -> Result<()> {
        let output = sh("head -c 3000000 /dev/zero; echo done >&2").run()?;
        assert_eq!(
            (output.stdout.len(), &*output.stderr),
            (OUTPUT, &b"done\n"[..])
        );
        Ok(())
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let call = Call::new(Program::Sh);
        assert_eq!(call.shown(), "sh");
        let names = [
            Program::Blkdiscard,
            Program::Blkid,
            Program::Blockdev,
            Program::E2fsck,
            Program::Resize2fs,
            Program::Tune2fs,
            Program::Wipefs,
        ];
        assert_eq!(
            names.map(Program::name),
            [
                "blkdiscard",
                "blkid",
                "blockdev",
                "e2fsck",
                "resize2fs",
                "tune2fs",
                "wipefs"
            ]
        );
    }
}
