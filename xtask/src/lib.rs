//! `cargo xtask`: builds, installs in a virtual machine, verifies, tests and cleans up.
//!
//! A library, so that it is compiled while the code of the crates that it uses is still being generated; `main.rs` calls it.

mod acquire;
mod cargo;
mod carry;
mod catalogue;
mod commands;
mod fetcher;
mod harness;
mod hookos_parts;
mod host;
mod k3s_directory;
mod locks;
mod named;
mod parts;
mod profile;
mod project;
mod reach;
mod registry;
mod release_server;
mod selection;
mod shelf;
mod signing_arguments;
mod sources;
mod workflows;

use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::OnceLock;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use pipeline::build;
use pipeline::cancel::{self, Cancel};
use pipeline::not_run::{self, NotRun};
use project::Project;

/// Builds the edge installer and proves it in a virtual machine.
///
/// `cargo xtask e2e` goes from an empty machine to a report on a verified Kubernetes node.
/// `cargo xtask test` runs everything that CI runs. Both install the host's missing packages first.
///
/// Build steps are stages. Their outputs are kept in $XDG_CACHE_HOME/emts (else ~/.cache/emts)
/// under the digest of their inputs, so that what did not change is not built again.
#[derive(Parser)]
#[command(name = "cargo xtask", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build everything, install it in a VM from a USB image, verify the node
    E2e(commands::e2e::Arguments),
    /// Run everything that CI runs: formatting, lints, unit, shell and Go tests, the
    /// boot test of PID 1, then e2e of the scenarios `quick`
    Test(commands::test::Arguments),
    /// Build stages without running a VM, and print where their outputs are
    Build(commands::stages::BuildArguments),
    /// List the stages: state, size, last duration; or say why one would be built
    Stages(commands::stages::ListArguments),
    /// Machines for those who change the installer or HookOS, to sit before
    #[command(subcommand)]
    Dev(commands::dev::Command),
    /// Measure the promised figures and compare them with their targets
    Bench(commands::bench::Arguments),
    /// Make HookOS's boot files with the built-in assembler or with linuxkit, or compare the two
    Hookos(commands::hookos::Arguments),
    /// List, fetch and check the artifacts of a profile, or carry them to a site without a network
    Artifacts(commands::artifacts::Arguments),
    /// Remove old outputs from the stage store
    Clean(commands::clean::Arguments),
    /// Install what the host lacks, with apt
    Setup(commands::setup::Arguments),
    /// Say what the host has and lacks
    Doctor,
    /// Print circles of modules, and how long functions and files are, of every crate
    Structure,
    /// The body of a stage, in a process of its own
    #[command(hide = true)]
    BuildStage {
        /// Stage name
        name: String,
        /// File with the stage's context
        request: PathBuf,
    },
}

impl Command {
    /// Whether it may build stages.
    fn builds(&self) -> bool {
        matches!(
            self,
            Self::E2e(_)
                | Self::Test(_)
                | Self::Build(_)
                | Self::Bench(_)
                | Self::Hookos(_)
                | Self::Dev(_)
        )
    }
}

/// Runs the command that the program's arguments name, and gives its exit status.
pub fn main() -> ExitCode {
    tell_of_closed_output_without_a_trace();
    let cancel = Cancel::default();
    let ended = catch_unwind(AssertUnwindSafe(|| run(Cli::parse().command, &cancel)));
    let Ok(ended) = ended else {
        // The hook has told why.
        return ExitCode::FAILURE;
    };
    match ended {
        Ok(code) => code,
        Err(error) if error.is::<NotRun>() => {
            println!("{error}");
            ExitCode::from(not_run::EXIT_STATUS)
        }
        Err(error) => {
            for (depth, cause) in error.chain().enumerate() {
                eprintln!(
                    "{}{cause}",
                    if depth == 0 { "error: " } else { "  because: " }
                );
            }
            ExitCode::from(if cancel.is_interrupted() {
                cancel::EXIT_STATUS
            } else {
                1
            })
        }
    }
}

/// A print panics when standard output takes no more: behind `| head` that is no fault, on a full disk it is one of the
/// machine, not of this program.
fn tell_of_closed_output_without_a_trace() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let message = panic.payload().downcast_ref::<String>();
        match message.filter(|text| text.starts_with("failed printing to")) {
            Some(text) if text.contains("Broken pipe") => {}
            // Standard error may be as full.
            Some(text) => drop(writeln!(std::io::stderr(), "error: {text}")),
            None => report(panic),
        }
    }));
}

fn run(command: Command, cancel: &Cancel) -> Result<ExitCode> {
    if let Command::BuildStage { name, request } = &command {
        build::build_stage(name, request)?;
        return Ok(ExitCode::SUCCESS);
    }
    cancel.take_signals()?;
    let root = checkout()?;
    let project = Project {
        root: &root,
        cancel,
        workspace: &OnceLock::new(),
    };
    // Before anything takes time: code that is edited later is not what this program was compiled of.
    if command.builds() {
        project.workspace()?;
    }
    match command {
        Command::E2e(arguments) => commands::e2e::run(project, &arguments),
        Command::Test(arguments) => commands::test::run(project, &arguments),
        Command::Build(arguments) => commands::stages::build(project, &arguments),
        Command::Stages(arguments) => commands::stages::list(project, &arguments),
        Command::Dev(command) => commands::dev::run(project, command),
        Command::Bench(arguments) => commands::bench::run(project, &arguments),
        Command::Hookos(arguments) => commands::hookos::run(project, &arguments),
        Command::Artifacts(arguments) => commands::artifacts::run(project, &arguments),
        Command::Clean(arguments) => commands::clean::run(&arguments, cancel),
        Command::Setup(arguments) => commands::setup::run(&arguments, cancel),
        Command::Structure => commands::structure::run(project),
        Command::Doctor => Ok(if host::report() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }),
        Command::BuildStage { .. } => Ok(ExitCode::SUCCESS),
    }
}

/// The directory of the workspace that this program was built from.
fn checkout() -> Result<PathBuf> {
    let manifest =
        std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let root = PathBuf::from(manifest)
        .parent()
        .context("the crate xtask is a member of a workspace")?
        .to_owned();
    Ok(root)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn no_option_of_a_command_is_there_twice() {
        super::Cli::command().debug_assert();
    }
}
