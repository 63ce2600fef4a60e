//! Scenarios side by side: as many as are asked for and the host's memory holds.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use pipeline::cancel::Cancel;
use pipeline::group::{Group, POLL};
use pipeline::{process, progress};
use tempfile::TempDir;

use crate::commands::scenarios::Scenario;

/// What the host keeps for itself, MiB.
const KEPT: u64 = 1024;

/// A scenario that is ready to run.
pub struct Prepared {
    /// Runs it.
    pub command: Command,
    /// The files that the command reads.
    pub files: TempDir,
}

struct Running<'a> {
    scenario: &'a Scenario,
    group: Group,
    /// What it prints, until it has ended; none when it prints on the terminal.
    printed: Option<std::fs::File>,
    /// Read by the command while it runs.
    _files: TempDir,
}

/// Runs the scenarios, at most `jobs` at a time; the names of those that did not pass. What each prints is printed as a
/// whole when several run.
///
/// # Errors
/// One cannot be prepared, its harness fails, or the user has interrupted.
pub fn run<'s>(
    scenarios: &'s [Scenario],
    jobs: usize,
    cancel: &Cancel,
    prepare: impl Fn(&Scenario) -> Result<Prepared>,
) -> Result<Vec<&'s str>> {
    let room = memory()?.saturating_sub(KEPT);
    let mut waiting = scenarios.iter().peekable();
    let mut running: Vec<Running<'_>> = Vec::new();
    let mut failed = Vec::new();
    while waiting.peek().is_some() || !running.is_empty() {
        let next = waiting.next_if(|next| {
            let machines = running.iter().map(|running| running.scenario);
            running.len() < jobs && !cancel.is_requested() && fits(next, machines, room)
        });
        if let Some(scenario) = next {
            if scenarios.len() > 1 {
                println!("--- scenario {}", scenario.name);
            }
            running.push(start(
                scenario,
                prepare(scenario)?,
                cancel,
                jobs.min(scenarios.len()) > 1,
            )?);
            continue;
        }
        for index in (0..running.len()).rev() {
            let Some(status) = running[index].group.look()? else {
                continue;
            };
            let ended = running.swap_remove(index);
            ended.print()?;
            // The harness has told what failed; 1 is its verdict, anything else a fault of its own.
            if status.code() == Some(1) {
                failed.push(ended.scenario.name.as_str());
            } else {
                process::expect_success(status, "vm-tests")?;
            }
        }
        std::thread::sleep(POLL);
    }
    failed.sort_unstable();
    Ok(failed)
}

fn start<'s>(
    scenario: &'s Scenario,
    prepared: Prepared,
    cancel: &Cancel,
    capture: bool,
) -> Result<Running<'s>> {
    let Prepared { mut command, files } = prepared;
    let printed = capture.then(tempfile::tempfile).transpose()?;
    if let Some(file) = &printed {
        command.stdout(Stdio::from(file.try_clone()?));
        command.stderr(Stdio::from(file.try_clone()?));
    }
    Ok(Running {
        scenario,
        group: Group::spawn(&mut command, cancel)?,
        printed,
        _files: files,
    })
}

impl Running<'_> {
    fn print(&self) -> Result<()> {
        let Some(mut file) = self.printed.as_ref() else {
            return Ok(());
        };
        let mut text = Vec::new();
        file.seek(SeekFrom::Start(0))?;
        file.read_to_end(&mut text)?;
        let mut out = std::io::stdout().lock();
        writeln!(out, "--- scenario {}: what it printed", self.scenario.name)?;
        Ok(out.write_all(&text)?)
    }
}

/// What became of several scenarios.
pub fn summary(run: usize, failed: &[&str], not_run: usize) -> String {
    let mut text = format!(
        "{} scenarios: {} passed, {} failed",
        run + not_run,
        run - failed.len(),
        failed.len()
    );
    if !failed.is_empty() {
        text += &format!(": {}", failed.join(", "));
    }
    if not_run > 0 {
        text += &format!(", {not_run} not run");
    }
    text
}

/// What is done once all is built, and about how long it takes.
pub fn planned(root: &Path, scenarios: &[Scenario], jobs: usize) -> String {
    let usual = |scenario: &Scenario| scenario.usual_seconds(root);
    let all: f64 = scenarios.iter().map(usual).sum();
    let longest = scenarios.iter().map(usual).fold(0.0, f64::max);
    let about = (all / jobs as f64).max(longest);
    let what = match scenarios {
        [one] => format!("scenario {}", one.name),
        many => format!("{} scenarios, {jobs} at a time", many.len()),
    };
    format!(
        "to run when all is built: {what}; about {}",
        progress::rough(about)
    )
}

/// One scenario for each two processors: so many has a machine.
pub fn jobs_by_default() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| processors.get().div_ceil(2))
}

/// Whether there is room for one more machine; always for a single one.
fn fits<'a>(next: &Scenario, running: impl Iterator<Item = &'a Scenario>, room: u64) -> bool {
    let taken: u64 = running.map(Scenario::memory).sum();
    taken == 0 || taken + next.memory() <= room
}

/// The memory that is available, MiB (`MemAvailable` of proc_meminfo(5)).
fn memory() -> Result<u64> {
    let text = fs_err::read_to_string("/proc/meminfo")?;
    available(&text).context("/proc/meminfo has no MemAvailable")
}

fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(name: &str, memory: u64) -> Scenario {
        serde_saphyr::from_str(&format!("name: {name}\nmachine: {{memoryMiB: {memory}}}\n"))
            .expect("a scenario")
    }

    fn shell(script: &str) -> Result<Prepared> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Ok(Prepared {
            command,
            files: TempDir::new()?,
        })
    }

    #[test]
    fn what_did_not_pass_is_named_and_the_rest_runs_all_the_same() -> Result<()> {
        let scenarios = ["c", "b", "a"].map(|name| scenario(name, 1));
        for jobs in [1, 2, 9] {
            let failed = run(&scenarios, jobs, &Cancel::default(), |scenario| {
                shell(if scenario.name == "b" {
                    "exit 0"
                } else {
                    "exit 1"
                })
            })?;
            assert_eq!(failed, ["a", "c"], "{jobs} jobs");
        }
        Ok(())
    }

    #[test]
    fn two_run_at_the_same_time() -> Result<()> {
        let directory = tempfile::tempdir()?;
        // Each ends when it sees the other's file.
        let script = format!(
            "cd '{}' && touch $$ && until [ $(ls | wc -l) = 2 ]; do :; done",
            directory.path().display()
        );
        let scenarios = ["a", "b"].map(|name| scenario(name, 1));
        assert!(run(&scenarios, 2, &Cancel::default(), |_| shell(&script))?.is_empty());
        Ok(())
    }

    #[test]
    fn a_fault_of_the_harness_is_an_error() {
        let scenarios = [scenario("a", 1)];
        let error =
            run(&scenarios, 1, &Cancel::default(), |_| shell("exit 2")).expect_err("a fault");
        assert!(error.to_string().contains("exit status 2"), "{error}");
    }

    #[test]
    fn machines_have_to_fit_into_the_memory_but_one_always_runs() {
        let [small, large] = [scenario("s", 1000), scenario("l", 9000)];
        assert!(fits(&large, std::iter::empty(), 100));
        assert!(fits(&small, [&small].into_iter(), 3024));
        assert!(!fits(&small, [&small].into_iter(), 3023));
        assert!(!fits(&large, [&small].into_iter(), 9000));
    }

    #[test]
    fn the_available_memory_is_read_from_meminfo() {
        let text = "MemTotal:       24689504 kB\nMemAvailable:   20480000 kB\n";
        assert_eq!(available(text), Some(20_000));
        assert_eq!(available("MemTotal: 1 kB\n"), None);
    }
}
