//! Building stages: looks each up in the store, builds what is absent, each in a process of its own, side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::process::{self, Group};
use crate::progress::{self, Progress};
use crate::stages::{self, Context, Options, Stage};
use crate::store::{Draft, Entry, Found, Key, Store};

/// Lines of a failed stage's log that the error shows.
const TAIL_LINES: usize = 30;

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
    folders: BTreeMap<String, PathBuf>,
    digests: BTreeMap<String, String>,
    /// What was done, in order.
    pub runs: Vec<StageRun>,
}

impl Outputs {
    /// Output folder of a stage that was asked for.
    pub fn folder(&self, stage: &str) -> Result<&Path> {
        let folder = self
            .folders
            .get(stage)
            .with_context(|| format!("the stage {stage} was not built"))?;
        Ok(folder)
    }
}

/// Makes the outputs of `wanted` and of all that they need: one process a stage, as many at a time as there are
/// processors.
pub fn produce(root: &Path, store: &Store, options: &Options, wanted: &[&str]) -> Result<Outputs> {
    let needed = required(wanted, options);
    let stages = stages::ALL.iter();
    let mut build = Build {
        root,
        store,
        options,
        waiting: stages
            .filter(|stage| needed.contains(&stage.name))
            .collect(),
        running: Vec::new(),
        announced: BTreeSet::new(),
        keys: BTreeMap::new(),
        outputs: Outputs::default(),
    };
    while !build.waiting.is_empty() || !build.running.is_empty() {
        build.start()?;
        build.look()?;
        if build.running.is_empty() {
            // Then it waits for other runs alone.
            process::stop_if_interrupted("the build")?;
        }
        std::thread::sleep(process::POLL);
    }
    let place = |run: &StageRun| stages::ALL.iter().position(|stage| stage.name == run.name);
    build.outputs.runs.sort_by_key(place);
    Ok(build.outputs)
}

/// A build that goes on; what runs ends with it.
struct Build<'a> {
    root: &'a Path,
    store: &'a Store,
    options: &'a Options,
    /// In the order of [`stages::ALL`].
    waiting: Vec<&'static Stage>,
    running: Vec<Running>,
    /// Stages of which it was said that another run builds them.
    announced: BTreeSet<&'static str>,
    /// Their keys: inputs are read once.
    keys: BTreeMap<&'static str, Key>,
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
    /// Starts what can be, and takes what the store has.
    fn start(&mut self) -> Result<()> {
        let mut index = 0;
        while index < self.waiting.len() && !process::interrupted() {
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

    fn can_start(&self, stage: &Stage) -> bool {
        let mut needs = (stage.needs)(self.options).iter();
        let running: Vec<&Stage> = self.running.iter().map(|running| running.stage).collect();
        needs.all(|need| self.outputs.folders.contains_key(*need))
            && fits_beside(stage, &running, at_once())
    }

    /// Takes the stage's output or starts its build; false while another run builds it.
    fn open(&mut self, stage: &'static Stage) -> Result<bool> {
        let begun = Instant::now();
        let key = match self.keys.remove(stage.name) {
            Some(key) => key,
            None => Key {
                name: stage.name.into(),
                inputs: stage.input_digests(self.root, self.options, &self.outputs.digests)?,
            },
        };
        match self.store.try_open(&key)? {
            Some(Found::Ready(folder, entry)) => {
                progress::say_once(&format!("{}: in the store", stage.name));
                self.take(stage, folder, entry, begun.elapsed(), true)?;
            }
            Some(Found::Absent(draft)) => {
                let running = self.spawn(stage, draft)?;
                self.running.push(running);
            }
            None => {
                if self.announced.insert(stage.name) {
                    progress::say(&format!(
                        "{}: waiting for another run that builds it",
                        stage.name
                    ));
                }
                self.keys.insert(stage.name, key);
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn spawn(&self, stage: &'static Stage, draft: Draft) -> Result<Running> {
        let (log, mut command) = command(
            self.root,
            self.store,
            self.options,
            stage,
            &draft,
            &self.outputs,
        )?;
        let usual = self.store.median_seconds(stage.history_name(self.options));
        Ok(Running {
            stage,
            group: Group::spawn(&mut command)?,
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
            let Some(status) = running.group.look()? else {
                continue;
            };
            let ended = self.running.swap_remove(index);
            let (name, log) = (ended.stage.name, &ended.log);
            process::expect_success(status, &format!("the stage {name}"))
                .with_context(|| format!("{}\nthe end of {}", tail(log), log.display()))?;
            let took = ended.begun.elapsed();
            ended.progress.end("built", took);
            let history = ended.stage.history_name(self.options);
            let (folder, entry) = self.store.commit(ended.draft, took, history)?;
            self.take(ended.stage, folder, entry, took, false)?;
        }
        Ok(())
    }

    fn take(
        &mut self,
        stage: &Stage,
        folder: PathBuf,
        entry: Entry,
        took: Duration,
        cached: bool,
    ) -> Result<()> {
        let notes = notes(&folder)?;
        for note in &notes {
            progress::say(&format!("{}: {note}", stage.name));
        }
        let name: String = stage.name.into();
        self.outputs.folders.insert(name.clone(), folder);
        self.outputs.digests.insert(name.clone(), entry.output);
        self.outputs.runs.push(StageRun {
            name,
            seconds: took.as_secs_f64(),
            cached,
            notes,
        });
        Ok(())
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

fn notes(folder: &Path) -> Result<Vec<String>> {
    let path = folder.join(stages::NOTES);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = fs_err::read_to_string(path)?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// `wanted` and everything below it.
pub fn required(wanted: &[&str], options: &Options) -> Vec<&'static str> {
    let mut names = Vec::new();
    for stage in stages::ALL.iter().rev() {
        let needed = |name: &str| {
            stages::ALL
                .iter()
                .any(|other| names.contains(&other.name) && (other.needs)(options).contains(&name))
        };
        if wanted.contains(&stage.name) || needed(stage.name) {
            names.push(stage.name);
        }
    }
    names
}

/// The process that builds a stage, and the file that it writes to.
fn command(
    root: &Path,
    store: &Store,
    options: &Options,
    stage: &Stage,
    draft: &Draft,
    outputs: &Outputs,
) -> Result<(PathBuf, Command)> {
    let need = |need: &&str| Some(((*need).to_owned(), outputs.folders.get(*need)?.clone()));
    let context = Context {
        root: root.into(),
        out: draft.out(),
        scratch: draft.scratch(),
        needs: (stage.needs)(options).iter().filter_map(need).collect(),
        options: options.clone(),
    };
    let request = draft.scratch().join("stage-request.json");
    fs_err::write(&request, serde_json::to_vec(&context)?)?;
    let log = store.log(stage.name);
    let file = fs_err::File::create(&log)?.into_parts().0;
    let mut command = Command::new(std::env::current_exe().context("finding this program")?);
    command
        .args(["build-stage", stage.name])
        .arg(&request)
        .env("TMPDIR", draft.scratch())
        .stdout(Stdio::from(file.try_clone()?))
        .stderr(Stdio::from(file));
    Ok((log, command))
}

/// The body of the process that `build_one` starts.
pub fn build_stage(name: &str, request: &Path) -> Result<()> {
    process::stay_in_group();
    let context: Context =
        serde_json::from_slice(&fs_err::read(request)?).context("reading the stage's request")?;
    (stages::find(name)?.build)(&context)
}

fn tail(log: &Path) -> String {
    let text = fs_err::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_requires_what_it_needs_and_no_more() {
        let options = Options::default();
        assert_eq!(required(&["bootstrapper"], &options), ["bootstrapper"]);
        let image = required(&["bootstrapper-image"], &options);
        assert!(
            image.contains(&"bootstrapper") && !image.contains(&"node-image"),
            "{image:?}"
        );
        // All but what only scenarios need: an image, the workstation, the workload's program and image.
        assert_eq!(required(&["usb"], &options).len(), stages::ALL.len() - 4);
    }

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

    #[test]
    fn an_os_image_of_ones_own_needs_neither_k3s_nor_packages() {
        let options = Options {
            os_image: Some("image.raw".into()),
            ..Options::default()
        };
        let names = required(&["node-image"], &options);
        assert_eq!(names, ["node-image"]);
    }
}
