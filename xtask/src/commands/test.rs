//! `cargo xtask test`: everything that CI runs.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use pipeline::cancel::Cancel;
use pipeline::choice::Options;
use pipeline::not_run::NotRun;
use pipeline::{group, process, progress};
use walkdir::WalkDir;

use crate::commands::{boot_order, e2e, hookos};
use crate::host::{self, Go};
use crate::project::Project;

/// What `test` takes.
#[derive(Args)]
pub struct Arguments {
    /// Leave out what runs a VM: the boot order of PID 1 and the installation; says so at the end
    #[arg(long)]
    no_e2e: bool,
}

/// Runs all checks in order of their cost; the first failure ends the run.
pub fn run(project: Project<'_>, arguments: &Arguments) -> Result<ExitCode> {
    let root = project.root;
    let step = |name: &str, command: Command| step(project.cancel, name, command);
    host::ensure(Go::Needed, project.cancel)?;
    step("formatting", cargo(root, &["fmt", "--all", "--check"]))?;
    step(
        "lints",
        cargo(
            root,
            &[
                "clippy",
                "--workspace",
                "--all-targets",
                "--locked",
                "--",
                "-D",
                "warnings",
            ],
        ),
    )?;
    step(
        "unit and integration tests",
        cargo(root, &["test", "--workspace", "--locked"]),
    )?;
    step("API documentation", documentation(root))?;
    let scripts = shell_scripts(root)?;
    let mut shellcheck = Command::new("shellcheck");
    shellcheck
        .current_dir(root)
        .arg("--external-sources")
        .args(&scripts);
    step("shellcheck", shellcheck)?;
    step("shell tests", shell_tests(project)?)?;
    let go_module = root.join("vm-tests/reference/refk3s");
    step("Go formatting", gofmt(&go_module))?;
    step("Go vet", go(&go_module, &["vet", "./..."]))?;
    step("Go tests", go(&go_module, &["test", "./..."]))?;
    if arguments.no_e2e {
        println!("comparison with linuxkit, boot order, e2e: not run, as asked by --no-e2e");
        return Ok(ExitCode::SUCCESS);
    }
    match hookos::comparison(project) {
        Ok(hookos::Outcome::Done) => println!("--- comparison with linuxkit: passed"),
        Ok(hookos::Outcome::Different) => bail!("the assembler's tree differs from linuxkit's"),
        Err(error) if error.is::<NotRun>() => {
            println!("--- comparison with linuxkit: {error}");
        }
        Err(error) => return Err(error),
    }
    step("boot order of PID 1", boot_order::prepare(project)?)?;
    e2e::run(project, &e2e::Arguments::through_release_server("quick"))
}

fn step(cancel: &Cancel, name: &str, mut command: Command) -> Result<()> {
    println!("--- {name}: {}", process::display(&command));
    let begun = Instant::now();
    group::run(&mut command, cancel).with_context(|| name.to_owned())?;
    println!(
        "--- {name}: passed in {}",
        progress::short(begun.elapsed().as_secs_f64())
    );
    Ok(())
}

fn cargo(root: &Path, arguments: &[&str]) -> Command {
    let mut command = process::tied(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root).args(arguments);
    command
}

fn documentation(root: &Path) -> Command {
    let mut command = cargo(
        root,
        &["doc", "--workspace", "--no-deps", "--locked", "--quiet"],
    );
    command.env("RUSTDOCFLAGS", "-D warnings");
    command
}

/// The installer's own program is the one that it gets in HookOS.
fn shell_tests(project: Project<'_>) -> Result<Command> {
    let stage = "disk-writer";
    let outputs = project.produce(&Options::default(), &[stage])?;
    let mut command = Command::new("bats");
    command
        .current_dir(project.root)
        .args(["--recursive", "hookos/tests"])
        .env("EMTS_DISK_WRITER", outputs.folder(stage)?.join(stage));
    Ok(command)
}

/// With the flags of the stage `k3s`: what one compiles, minutes of it, the other finds in Go's cache.
fn go(module: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("go");
    command
        .current_dir(module)
        .args(arguments)
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-trimpath -buildvcs=false");
    command
}

/// gofmt lists unformatted files but ends with 0 all the same.
fn gofmt(module: &Path) -> Command {
    let mut command = Command::new("sh");
    command.current_dir(module).args([
        "-c",
        "files=$(gofmt -l .); [ -z \"$files\" ] || { echo \"$files\"; exit 1; }",
    ]);
    command
}

fn shell_scripts(root: &Path) -> Result<Vec<String>> {
    let mut scripts = Vec::new();
    for entry in WalkDir::new(root)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| entry.file_name() != "target")
    {
        let entry = entry?;
        if entry.file_type().is_file() && entry.path().extension().is_some_and(|end| end == "sh") {
            scripts.push(entry.path().strip_prefix(root)?.display().to_string());
        }
    }
    if scripts.is_empty() {
        bail!("found no shell script to check below {}", root.display());
    }
    Ok(scripts)
}
