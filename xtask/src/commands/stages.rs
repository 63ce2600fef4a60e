//! `cargo xtask stages` and `cargo xtask build`: the stage graph, seen and built.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use pipeline::plan::{self, State};
use pipeline::progress;
use pipeline::stage::Stage;
use pipeline::stages;
use pipeline::store::Store;

use crate::host::{self, Go};
use crate::locks::{require_locked, this_moment, update_locks};
use crate::parts::Parts;
use crate::profile;
use crate::project::Project;
use crate::signing_arguments::SigningArguments;
use crate::sources::Network;

/// What `build` takes.
#[derive(Args)]
pub struct BuildArguments {
    /// Stage to build; without it, all that a release has
    stage: Vec<String>,
    /// The config-file of the stage `usb` [default: configs/config-file.yaml]
    #[arg(long, value_name = "FILE")]
    config_file: Option<PathBuf>,
    #[command(flatten)]
    parts: Parts,
    #[command(flatten)]
    signing: SigningArguments,
    /// Take the Debian packages that the archive has now in place of the locked ones
    #[arg(long)]
    newest: bool,
    /// The same, and write them into the lock files of the checkout
    #[arg(long)]
    update_lock: bool,
    /// Fail where a Debian package is not the locked one
    #[arg(long, conflicts_with_all = ["newest", "update_lock"])]
    locked: bool,
}

/// Builds stages and prints their output directories.
pub fn build(project: Project<'_>, arguments: &BuildArguments) -> Result<ExitCode> {
    let mut wanted = Vec::new();
    for name in &arguments.stage {
        wanted.push(stages::find(name)?.name);
    }
    if wanted.is_empty() {
        wanted.push("bundle");
    }
    let config = arguments.config_file.as_ref();
    let config = config.map(fs_err::canonicalize).transpose()?;
    let store = Store::of_user()?;
    arguments.parts.check()?;
    let selection = profile::select(project, &store, &arguments.parts, Network::Allowed)?;
    selection.announce();
    host::ensure(Go::when(selection.builds_double()), project.cancel)?;
    let mut options = selection.options(&arguments.parts, config)?;
    options.signing = arguments.signing.signing()?;
    if arguments.newest || arguments.update_lock {
        options.newest_packages = Some(this_moment()?);
    }
    let outputs = project.produce(&options, &wanted)?;
    if arguments.update_lock {
        update_locks(project.root, &outputs)?;
    }
    if arguments.locked {
        require_locked(&outputs)?;
    }
    for name in wanted {
        println!("{name}: {}", outputs.directory(name)?.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// What `stages` takes.
#[derive(Args)]
pub struct ListArguments {
    /// Say which inputs of this stage changed since its last build
    #[arg(long, value_name = "STAGE")]
    explain: Option<String>,
    /// The config-file of the stage `usb` [default: configs/config-file.yaml]
    #[arg(long, value_name = "FILE")]
    config_file: Option<PathBuf>,
    #[command(flatten)]
    parts: Parts,
}

/// Lists the stages, or explains one.
pub fn list(project: Project<'_>, arguments: &ListArguments) -> Result<ExitCode> {
    let store = Store::of_user()?;
    let selection = profile::select(project, &store, &arguments.parts, Network::Never)?;
    let config = arguments.config_file.as_ref();
    let config = config.and_then(|path| fs_err::canonicalize(path).ok());
    let options = selection.options(&arguments.parts, config)?;
    if let Some(name) = &arguments.explain {
        stages::find(name)?;
    }
    selection.announce();
    println!("store: {}", store.root().display());
    let all: Vec<&str> = stages::ALL.iter().map(|stage| stage.name).collect();
    for (stage, state) in plan::survey(project.workspace()?, &store, &options, &all)? {
        match &arguments.explain {
            None => {
                let usual = store.median_seconds(stages::history_name(stage, &options));
                println!("{}", line(stage, &state, usual));
            }
            Some(name) if name == stage.name => explain(stage, &state, &store)?,
            Some(_) => {}
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn line(stage: &Stage, state: &State, usual: Option<f64>) -> String {
    let (word, size) = match state {
        State::Ready(entry) => ("ready", progress::bytes(entry.size)),
        State::Absent(_) => ("to build", String::new()),
        State::Waiting(_) => ("waiting", String::new()),
    };
    let usual = usual.map_or(String::new(), progress::short);
    format!(
        "{:<20} {word:<9} {size:>12} {usual:>12}  {}",
        stage.name, stage.summary
    )
}

fn explain(stage: &Stage, state: &State, store: &Store) -> Result<()> {
    match state {
        State::Ready(_) => println!("{}: ready, nothing changed", stage.name),
        State::Waiting(needs) => println!(
            "{}: known when these are built: {}",
            stage.name,
            needs.join(", ")
        ),
        State::Absent(now) => {
            let entries = store.entries()?;
            let Some((_, last, _)) = entries
                .iter()
                .find(|(_, entry, _)| entry.name == stage.name)
            else {
                println!("{}: never built", stage.name);
                return Ok(());
            };
            println!(
                "{}: to build, these inputs differ from the last build:",
                stage.name
            );
            for name in changed(&last.inputs, now) {
                println!("  {name}");
            }
        }
    }
    Ok(())
}

fn changed<'a>(
    before: &'a BTreeMap<String, String>,
    now: &'a BTreeMap<String, String>,
) -> Vec<&'a str> {
    let mut names: Vec<&str> = before
        .keys()
        .chain(now.keys())
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| before.get(*name) != now.get(*name));
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explains_changed_new_and_dropped_inputs() {
        let map = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(a, b)| ((*a).into(), (*b).into()))
                .collect()
        };
        let before: BTreeMap<_, _> = map(&[("same", "1"), ("edited", "1"), ("dropped", "1")]);
        let now = map(&[("same", "1"), ("edited", "2"), ("new", "1")]);
        assert_eq!(changed(&before, &now), ["dropped", "edited", "new"]);
    }
}
