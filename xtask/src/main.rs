//! `cargo xtask`: builds, installs in a virtual machine, verifies, tests and cleans up.

mod acquire;
mod build;
mod cargo;
mod carry;
mod catalogue;
mod commands;
mod digest;
mod fetcher;
mod hookos_parts;
mod host;
mod k3s_directory;
mod linuxkit;
mod not_run;
mod parts;
mod process;
mod profile;
mod progress;
mod qemu;
mod reach;
mod registry;
mod release_server;
mod selection;
mod shelf;
mod signing;
mod sources;
mod stages;
mod store;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use not_run::NotRun;

/// Exit code after Ctrl-C, as shells have it.
const INTERRUPTED: u8 = 130;

/// Builds the edge installer and proves it in a virtual machine.
///
/// `cargo xtask e2e` goes from an empty machine to a report on a verified Kubernetes node.
/// `cargo xtask test` runs everything that CI runs. Both install missing Debian packages first.
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
    /// The body of a stage, in a process of its own
    #[command(hide = true)]
    BuildStage {
        /// Stage name
        name: String,
        /// File with the stage's context
        request: PathBuf,
    },
}

fn main() -> ExitCode {
    end_quietly_without_a_reader();
    match run(Cli::parse().command) {
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
            ExitCode::from(if process::interrupted() {
                INTERRUPTED
            } else {
                1
            })
        }
    }
}

/// In `cargo xtask … | head` a print panics when head has seen enough: that ends the program, but is no fault to report.
fn end_quietly_without_a_reader() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let message = panic.payload().downcast_ref::<String>();
        if !message.is_some_and(|text| {
            text.starts_with("failed printing to") && text.contains("Broken pipe")
        }) {
            report(panic);
        }
    }));
}

fn run(command: Command) -> Result<ExitCode> {
    let root = checkout()?;
    if let Command::BuildStage { name, request } = &command {
        build::build_stage(name, request)?;
        return Ok(ExitCode::SUCCESS);
    }
    process::handle_interrupts()?;
    match command {
        Command::E2e(arguments) => commands::e2e::run(&root, &arguments),
        Command::Test(arguments) => commands::test::run(&root, &arguments),
        Command::Build(arguments) => commands::stages::build(&root, &arguments),
        Command::Stages(arguments) => commands::stages::list(&root, &arguments),
        Command::Bench(arguments) => commands::bench::run(&root, &arguments),
        Command::Hookos(arguments) => commands::hookos::run(&root, &arguments),
        Command::Artifacts(arguments) => commands::artifacts::run(&root, &arguments),
        Command::Clean(arguments) => commands::clean::run(&arguments),
        Command::Setup(arguments) => commands::setup::run(&arguments),
        Command::Doctor => Ok(if host::report() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }),
        Command::BuildStage { .. } => Ok(ExitCode::SUCCESS),
    }
}

/// The folder of the workspace that this program was built from.
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
