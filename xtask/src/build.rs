//! Building stages: looks each up in the store, builds what is absent in a process of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::process::{self, Group};
use crate::progress::Progress;
use crate::stages::{self, Context, Options, Stage};
use crate::store::{Draft, Found, Key, Store};

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

/// Makes the outputs of `wanted` and of all that they need.
pub fn produce(root: &Path, store: &Store, options: &Options, wanted: &[&str]) -> Result<Outputs> {
    let mut outputs = Outputs::default();
    for stage in stages::ALL
        .iter()
        .filter(|stage| required(wanted, options).contains(&stage.name))
    {
        let begun = Instant::now();
        let inputs = stage.input_digests(root, options, &outputs.digests)?;
        let (folder, entry, cached) = match store.open(&Key {
            name: stage.name.into(),
            inputs,
        })? {
            Found::Ready(folder, entry) => {
                println!("{}: in the store", stage.name);
                (folder, entry, true)
            }
            Found::Absent(draft) => {
                let took = build_one(root, store, options, stage, &draft, &outputs.folders)?;
                let history = stage.history_name(options);
                let (folder, entry) = store.commit(draft, took, history)?;
                (folder, entry, false)
            }
        };
        let notes = notes(&folder)?;
        for note in &notes {
            println!("{}: {note}", stage.name);
        }
        outputs.folders.insert(stage.name.into(), folder);
        outputs.digests.insert(stage.name.into(), entry.output);
        outputs.runs.push(StageRun {
            name: stage.name.into(),
            seconds: begun.elapsed().as_secs_f64(),
            cached,
            notes,
        });
    }
    Ok(outputs)
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

fn build_one(
    root: &Path,
    store: &Store,
    options: &Options,
    stage: &Stage,
    draft: &Draft,
    folders: &BTreeMap<String, PathBuf>,
) -> Result<Duration> {
    let context = Context {
        root: root.into(),
        out: draft.out(),
        scratch: draft.scratch(),
        needs: (stage.needs)(options)
            .iter()
            .filter_map(|need| Some(((*need).to_owned(), folders.get(*need)?.clone())))
            .collect(),
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
    let begun = Instant::now();
    let progress = Progress::begin(
        stage.name,
        store.median_seconds(stage.history_name(options)),
    );
    let status = Group::spawn(&mut command)?.wait(|| progress.tick())?;
    process::expect_success(status, &format!("the stage {}", stage.name))
        .with_context(|| format!("{}\nthe end of {}", tail(&log), log.display()))?;
    progress.end("built", begun.elapsed());
    Ok(begun.elapsed())
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
    fn an_os_image_of_ones_own_needs_neither_k3s_nor_packages() {
        let options = Options {
            os_image: Some("image.raw".into()),
            ..Options::default()
        };
        let names = required(&["node-image"], &options);
        assert_eq!(names, ["node-image"]);
    }
}
