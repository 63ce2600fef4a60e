//! Building stages: looks each up in the store, builds what is absent, each in a process of its own, side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cancel::Cancel;
use crate::choice::Options;
use crate::group::{self, Group, POLL};
use crate::input::Output;
use crate::plan::{self, Task};
use crate::process;
use crate::progress::{self, Progress};
use crate::stage::{NOTES, Request, Stage, Work};
use crate::stages;
use crate::store::{Draft, Entry, Found, Key, Store};
use crate::workspace::Workspace;

/// Lines of a failed stage's log that the error shows.
const TAIL_LINES: usize = 30;

/// Seconds of work from which on it is said what will be done.
const WORTH_TELLING: f64 = 20.0;

/// One stage of a run, as the report lists it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StageRun {
    /// Stage name.
    pub name: String,
    /// Time that this run spent on it, in seconds.
    pub seconds: f64,
    /// Whether it came from the store.
    pub cached: bool,
    /// What people should know of its output.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// The outputs of a run.
#[derive(Debug, Default)]
pub struct Outputs {
    made: BTreeMap<String, Output>,
    /// What was done, in order.
    pub runs: Vec<StageRun>,
}

impl Outputs {
    /// Output directory of a stage that was asked for.
    ///
    /// # Errors
    /// It was not asked for.
    pub fn directory(&self, stage: &str) -> Result<&Path> {
        let output = self.made.get(stage);
        let output = output.with_context(|| format!("the stage {stage} was not built"))?;
        Ok(&output.directory)
    }
}

/// Makes the outputs of `wanted` and of all that they need: one process a stage, as many at a time as there are
/// processors.
///
/// # Errors
/// An input cannot be read, a stage fails or takes too long, or it is time to end.
pub fn produce(
    workspace: &Workspace,
    store: &Store,
    cancel: &Cancel,
    options: &Options,
    wanted: &[&str],
) -> Result<Outputs> {
    store.remove_left_overs()?;
    let needed = stages::required(wanted, options);
    let stages = stages::ALL.iter();
    let mut build = Build {
        workspace,
        store,
        cancel,
        options,
        waiting: stages
            .filter(|stage| needed.contains(&stage.name))
            .collect(),
        running: Vec::new(),
        announced: BTreeSet::new(),
        prepared: BTreeMap::new(),
        outputs: Outputs::default(),
    };
    build.take_ready()?;
    build.tell();
    while !build.waiting.is_empty() || !build.running.is_empty() {
        if build.running.is_empty() {
            cancel.check("building stages")?;
        }
        build.start()?;
        build.look()?;
        std::thread::sleep(POLL);
    }
    let place = |run: &StageRun| stages::ALL.iter().position(|stage| stage.name == run.name);
    build.outputs.runs.sort_by_key(place);
    Ok(std::mem::take(&mut build.outputs))
}

/// A build that goes on; what runs ends with it.
struct Build<'a> {
    workspace: &'a Workspace,
    store: &'a Store,
    cancel: &'a Cancel,
    options: &'a Options,
    /// In the order of [`stages::ALL`].
    waiting: Vec<&'static Stage>,
    running: Vec<Running>,
    /// Stages of which it was said that another run builds them.
    announced: BTreeSet<&'static str>,
    /// What those that wait are made of, and their keys: inputs are read once.
    prepared: BTreeMap<&'static str, (Value, Key)>,
    outputs: Outputs,
}

/// A stage that is built.
struct Running {
    stage: &'static Stage,
    group: Group,
    draft: Draft,
    progress: Progress,
    begun: Instant,
    log: PathBuf,
}

impl Build<'_> {
    /// Takes what the store has, before anything is started.
    fn take_ready(&mut self) -> Result<()> {
        let mut left = Vec::new();
        for stage in std::mem::take(&mut self.waiting) {
            let mut needs = (stage.needs)(self.options).iter();
            if !needs.all(|need| self.outputs.made.contains_key(*need)) {
                left.push(stage);
                continue;
            }
            let begun = Instant::now();
            let (inputs, key) = self.prepare(stage)?;
            match self.store.lookup(&key) {
                Some((directory, entry)) => self.take_stored(stage, directory, entry, begun)?,
                None => {
                    self.prepared.insert(stage.name, (inputs, key));
                    left.push(stage);
                }
            }
        }
        self.waiting = left;
        Ok(())
    }

    fn take_stored(
        &mut self,
        stage: &Stage,
        directory: PathBuf,
        entry: Entry,
        begun: Instant,
    ) -> Result<()> {
        progress::say_once(&format!("{}: in the store", stage.name));
        self.take(stage, directory, entry, begun.elapsed(), true)
    }

    /// Starts what can be, and takes what the store has.
    fn start(&mut self) -> Result<()> {
        let mut index = 0;
        while index < self.waiting.len() && !self.cancel.is_requested() {
            let stage = self.waiting[index];
            if self.can_start(stage) && self.open(stage)? {
                self.waiting.remove(index);
                index = 0; // What needs it comes later in the list, and may have been passed.
            } else {
                index += 1;
            }
        }
        Ok(())
    }

    /// What is still to be done.
    fn tasks(&self) -> Vec<Task> {
        let waiting = self.waiting.iter();
        let mut tasks: Vec<Task> = waiting
            .map(|stage| Task::of(stage, self.store, self.options))
            .collect();
        for running in &self.running {
            let mut task = Task::of(running.stage, self.store, self.options);
            task.seconds = (task.seconds - running.begun.elapsed().as_secs_f64()).max(0.0);
            tasks.push(task);
        }
        tasks
    }

    /// Says what is to be done, once that is more than a moment's work.
    fn tell(&self) {
        let tasks = self.tasks();
        let left = plan::remaining(&tasks, at_once());
        if left < WORTH_TELLING {
            return;
        }
        let place = |task: &&Task| stages::ALL.iter().position(|it| it.name == task.name);
        let mut sorted: Vec<&Task> = tasks.iter().collect();
        sorted.sort_by_key(place);
        let shown = sorted
            .iter()
            .map(|task| format!("{} ({})", task.name, progress::rough(task.seconds)));
        let shown: Vec<String> = shown.collect();
        progress::say(&format!(
            "to build: {}; about {} in all",
            shown.join(", "),
            progress::rough(left)
        ));
    }

    fn can_start(&self, stage: &Stage) -> bool {
        let mut needs = (stage.needs)(self.options).iter();
        let running: Vec<&Stage> = self.running.iter().map(|running| running.stage).collect();
        needs.all(|need| self.outputs.made.contains_key(*need))
            && fits_beside(stage, &running, at_once())
    }

    /// Takes the stage's output or starts its build; false while another run builds it.
    fn open(&mut self, stage: &'static Stage) -> Result<bool> {
        let begun = Instant::now();
        let (inputs, key) = match self.prepared.remove(stage.name) {
            Some(prepared) => prepared,
            None => self.prepare(stage)?,
        };
        match self.store.try_open(&key)? {
            Some(Found::Ready(directory, entry)) => {
                self.take_stored(stage, directory, entry, begun)?
            }
            Some(Found::Absent(draft)) => {
                let running = self.spawn(stage, inputs, draft)?;
                self.running.push(running);
            }
            None => {
                if self.announced.insert(stage.name) {
                    progress::say(&format!(
                        "{}: waiting for another run that builds it",
                        stage.name
                    ));
                }
                self.prepared.insert(stage.name, (inputs, key));
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn prepare(&self, stage: &Stage) -> Result<(Value, Key)> {
        let request = Request {
            root: self.workspace.root(),
            options: self.options,
            workspace: self.workspace,
            outputs: &self.outputs.made,
        };
        let inputs = stage.inputs(&request)?;
        let key = Key {
            name: stage.name.into(),
            inputs: stage.digests(&request, &inputs)?,
        };
        Ok((inputs, key))
    }

    fn spawn(&self, stage: &'static Stage, inputs: Value, draft: Draft) -> Result<Running> {
        let log = self.store.log(stage.name);
        let mut command = command(stage, inputs, &draft, &log)?;
        let usual = self
            .store
            .median_seconds(stages::history_name(stage, self.options));
        Ok(Running {
            stage,
            group: Group::spawn(&mut command, self.cancel)?
                .named(format!("the stage {}", stage.name)),
            draft,
            progress: Progress::begin(stage.name, usual),
            begun: Instant::now(),
            log,
        })
    }

    /// Takes the outputs of those that have ended.
    fn look(&mut self) -> Result<()> {
        for index in (0..self.running.len()).rev() {
            let running = &mut self.running[index];
            running.progress.tick();
            let (name, limit) = (running.stage.name, running.stage.limit);
            let Some(status) = running.group.look()? else {
                if running.begun.elapsed() > limit {
                    let last = tail(&running.log, 1);
                    let limit = progress::short(limit.as_secs_f64());
                    bail!(
                        "the stage {name} has not ended after {limit}; the last line of its log: {last}"
                    );
                }
                continue;
            };
            let ended = self.running.swap_remove(index);
            if let Err(error) = process::expect_success(status, &format!("the stage {name}")) {
                let log = &ended.log;
                bail!(
                    "{error}; the end of {}:\n{}",
                    log.display(),
                    tail(log, TAIL_LINES)
                );
            }
            // What it has left behind writes no more.
            drop(ended.group);
            self.check_unchanged(ended.stage, ended.draft.key())?;
            let took = ended.begun.elapsed();
            let left = plan::remaining(&self.tasks(), at_once());
            let more = match left > WORTH_TELLING {
                true => format!("; the build needs {} more", progress::rough(left)),
                false => String::new(),
            };
            ended.progress.end("built", took, &more);
            let history = stages::history_name(ended.stage, self.options);
            let (directory, entry) = self.store.commit(ended.draft, took, history)?;
            self.take(ended.stage, directory, entry, took, false)?;
        }
        Ok(())
    }

    /// An error where an input was edited while the stage was built: the output may be of either.
    fn check_unchanged(&self, stage: &Stage, key: &Key) -> Result<()> {
        let (_, now) = self.prepare(stage)?;
        let names = now.inputs.iter();
        let mut edited = names.filter(|(name, digest)| key.inputs.get(*name) != Some(digest));
        match edited.next() {
            None => Ok(()),
            Some((input, _)) => bail!(
                "{input} was changed while the stage {} was built: start again",
                stage.name
            ),
        }
    }

    fn take(
        &mut self,
        stage: &Stage,
        directory: PathBuf,
        entry: Entry,
        took: Duration,
        cached: bool,
    ) -> Result<()> {
        let notes = notes(&directory)?;
        for note in &notes {
            progress::say(&format!("{}: {note}", stage.name));
        }
        let name: String = stage.name.into();
        let output = Output {
            stage: name.clone(),
            directory,
            digest: entry.output,
        };
        self.outputs.made.insert(name.clone(), output);
        self.outputs.runs.push(StageRun {
            name,
            seconds: took.as_secs_f64(),
            cached,
            notes,
        });
        Ok(())
    }
}

impl Drop for Build<'_> {
    fn drop(&mut self) {
        // All at once: each then gets its time to end.
        self.running.iter().for_each(|running| running.group.ask());
    }
}

/// Whether a stage may run beside others, of which there are at most `limit`. Cargo locks its directory, so that a second
/// stage of it would only wait.
fn fits_beside(stage: &Stage, running: &[&Stage], limit: usize) -> bool {
    let compiles = running.iter().any(|other| other.compiles);
    running.len() < limit && !(stage.compiles && compiles)
}

fn at_once() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn notes(directory: &Path) -> Result<Vec<String>> {
    let path = directory.join(NOTES);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = fs_err::read_to_string(path)?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// What the process of a stage gets.
#[derive(Serialize, Deserialize)]
struct Order {
    inputs: Value,
    out: PathBuf,
    scratch: PathBuf,
    /// The process that waits for it.
    parent: i32,
}

/// The process that builds a stage.
fn command(stage: &Stage, inputs: Value, draft: &Draft, log: &Path) -> Result<Command> {
    let order = Order {
        inputs,
        out: draft.out(),
        scratch: draft.scratch(),
        parent: rustix::process::getpid().as_raw_pid(),
    };
    let request = draft.scratch().join("stage-request.json");
    fs_err::write(&request, serde_json::to_vec(&order)?)?;
    let file = fs_err::File::create(log)?.into_parts().0;
    let mut command = Command::new(process::this_program());
    command
        .args(["build-stage", stage.name])
        .arg(&request)
        .current_dir(draft.scratch())
        .env("TMPDIR", draft.scratch())
        .stdout(Stdio::from(file.try_clone()?))
        .stderr(Stdio::from(file));
    Ok(command)
}

/// The body of the process that [`produce`] starts for a stage.
///
/// # Errors
/// The stage's own.
pub fn build_stage(name: &str, request: &Path) -> Result<()> {
    let order: Order =
        serde_json::from_slice(&fs_err::read(request)?).context("reading the stage's request")?;
    group::end_with(order.parent)?;
    let work = Work {
        out: order.out,
        scratch: order.scratch,
    };
    stages::find(name)?.build(order.inputs, &work)
}

/// The last lines of a log.
fn tail(log: &Path, lines: usize) -> String {
    let text = fs_err::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<_> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_run_side_by_side_but_for_a_second_one_of_cargo() -> Result<()> {
        let [program, other, packages] =
            ["bootstrapper", "hookos-init", "node-root"].map(stages::find);
        let (program, other, packages) = (program?, other?, packages?);
        assert!(fits_beside(packages, &[program], 2));
        assert!(fits_beside(program, &[packages], 2));
        assert!(!fits_beside(other, &[program], 2));
        assert!(!fits_beside(packages, &[program], 1));
        Ok(())
    }
}
