//! One run of a program: how long it took from start to end, and the memory it had at most.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// What one run took.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// How it ended.
    pub status: ExitStatus,
    /// From the start of the process until its end was seen.
    pub elapsed: Duration,
    /// Time that processors worked for it, in the program and in the kernel.
    pub cpu: Duration,
    /// Peak resident memory in bytes. Linux counts the starting process's own peak in, which is small here.
    pub peak_memory: u64,
}

/// Runs `command` to its end, its output thrown away.
pub fn run(command: &mut Command) -> Result<Run> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let begun = Instant::now();
    let child = command
        .spawn()
        .with_context(|| format!("starting {}", command.get_program().display()))?;
    let (status, usage) = wait(child)?;
    let kibibytes = u64::try_from(usage.ru_maxrss).unwrap_or_default();
    Ok(Run {
        status,
        elapsed: begun.elapsed(),
        cpu: duration(usage.ru_utime) + duration(usage.ru_stime),
        peak_memory: kibibytes * 1024,
    })
}

fn duration(time: libc::timeval) -> Duration {
    let part = |number: i64| u64::try_from(number).unwrap_or_default();
    Duration::from_secs(part(time.tv_sec)) + Duration::from_micros(part(time.tv_usec))
}

/// wait4(2): the only call that tells the memory of this one child and not of all earlier ones.
#[expect(
    unsafe_code,
    reason = "neither the standard library nor rustix has wait4"
)]
fn wait(child: Child) -> Result<(ExitStatus, libc::rusage)> {
    let id = libc::pid_t::try_from(child.id()).context("a process id that does not fit")?;
    let mut status = 0;
    loop {
        // SAFETY: an all-zero `rusage` is a valid value of a struct of integers.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: both pointers are to live local variables of the types that wait4 writes, and `id` is a child that
        // nobody else waits for: `child` is owned here and dropped without a wait.
        let ended = unsafe { libc::wait4(id, &raw mut status, 0, &raw mut usage) };
        if ended == id {
            return Ok((ExitStatus::from_raw(status), usage));
        }
        let error = std::io::Error::last_os_error();
        if error.kind() != std::io::ErrorKind::Interrupted {
            return Err(error).context("waiting for the measured program");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_exit_code_and_some_memory() -> Result<()> {
        let run = run(Command::new("sh").args(["-c", "exit 3"]))?;
        assert_eq!(run.status.code(), Some(3));
        assert!(run.peak_memory > 100 * 1024, "{}", run.peak_memory);
        Ok(())
    }
}
