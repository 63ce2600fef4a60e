//! What a build will do, and how long that will take.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;

use crate::choice::Options;
use crate::input::Output;
use crate::stage::{Request, Stage};
use crate::stages;
use crate::store::{Entry, Key, Store};
use crate::workspace::Workspace;

/// What is known of a stage before anything is built.
pub enum State {
    /// In the store.
    Ready(Box<Entry>),
    /// To be built: its inputs.
    Absent(BTreeMap<String, String>),
    /// Unknown until these stages are built.
    Waiting(Vec<&'static str>),
}

/// The states of `wanted` and of all that they need, in the order of [`stages::ALL`].
///
/// # Errors
/// An input or the store cannot be read.
pub fn survey(
    workspace: &Workspace,
    store: &Store,
    options: &Options,
    wanted: &[&str],
) -> Result<Vec<(&'static Stage, State)>> {
    let needed = stages::required(wanted, options);
    let mut outputs = BTreeMap::new();
    let mut states = Vec::new();
    for stage in stages::ALL.iter().filter(|it| needed.contains(&it.name)) {
        let request = Request {
            root: workspace.root(),
            options,
            workspace,
            outputs: &outputs,
        };
        let (state, output) = look(stage, store, &request)?;
        outputs.extend(output.map(|output| (stage.name.to_owned(), output)));
        states.push((stage, state));
    }
    Ok(states)
}

fn look(stage: &Stage, store: &Store, request: &Request<'_>) -> Result<(State, Option<Output>)> {
    let needs = (stage.needs)(request.options).iter().copied();
    let waits: Vec<_> = needs
        .filter(|need| !request.outputs.contains_key(*need))
        .collect();
    if !waits.is_empty() {
        return Ok((State::Waiting(waits), None));
    }
    let inputs = stage.digests(request, &stage.inputs(request)?)?;
    let key = Key {
        name: stage.name.into(),
        inputs,
    };
    let Some((directory, entry)) = store.lookup(&key) else {
        return Ok((State::Absent(key.inputs), None));
    };
    let output = Output {
        stage: stage.name.to_owned(),
        directory,
        digest: entry.output.clone(),
    };
    Ok((State::Ready(Box::new(entry)), Some(output)))
}

/// How long it takes to copy the files of a K3s release.
const COPIED: Duration = Duration::from_secs(2);

/// Work that is still to be done: name, usual seconds, and the names of what it waits for.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Name, as people see it.
    pub name: String,
    /// How long it usually takes, in seconds.
    pub seconds: f64,
    /// What comes before it.
    pub needs: Vec<String>,
}

impl Task {
    /// The building of a stage: as long as it took on this machine, else on the one of the project's own figures.
    pub fn of(stage: &Stage, store: &Store, options: &Options) -> Self {
        let name = stages::history_name(stage, options);
        // A release is only copied.
        let usual = if name == stage.name {
            stage.usual
        } else {
            COPIED
        };
        let known = store.median_seconds(name);
        let needs = (stage.needs)(options).iter().copied().map(str::to_owned);
        Self {
            name: stage.name.to_owned(),
            seconds: known.unwrap_or(usual.as_secs_f64()),
            needs: needs.collect(),
        }
    }
}

/// Seconds that all tasks take: as long as the longest chain, and not less than all of them shared by `workers`.
pub fn remaining(tasks: &[Task], workers: usize) -> f64 {
    let longest = tasks.iter().map(|task| until(task, tasks));
    let sum: f64 = tasks.iter().map(|task| task.seconds).sum();
    longest.fold(sum / workers.max(1) as f64, f64::max)
}

/// Seconds until a task and all that it waits for are done.
fn until(task: &Task, tasks: &[Task]) -> f64 {
    let before = tasks.iter().filter(|it| task.needs.contains(&it.name));
    task.seconds + before.map(|it| until(it, tasks)).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(name: &str, seconds: f64, needs: &[&str]) -> Task {
        Task {
            name: name.into(),
            seconds,
            needs: needs.iter().map(|it| (*it).to_owned()).collect(),
        }
    }

    #[test]
    fn the_longest_chain_counts_and_the_number_of_workers() {
        let tasks = [
            task("a", 10.0, &[]),
            task("b", 20.0, &["a"]),
            task("c", 5.0, &["gone"]),
            task("d", 7.0, &[]),
        ];
        assert_eq!(remaining(&tasks, 8), 30.0);
        assert_eq!(remaining(&tasks, 1), 42.0);
        assert_eq!(remaining(&[], 2), 0.0);
    }
}
