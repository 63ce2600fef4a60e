//! `cargo xtask test`: everything that CI runs.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use pipeline::choice::Options;
use pipeline::not_run::NotRun;
use pipeline::{group, process, progress};
use walkdir::WalkDir;
use xshell::{Cmd, Shell, cmd};

use crate::commands::{boot_order, e2e, hookos};
use crate::host::{self, Go};
use crate::project::Project;
use crate::workflows;

/// The stage whose program the shell tests start.
const INSTALLER: &str = "installer";

/// What `test` takes.
#[derive(Args)]
pub struct Arguments {
    /// Leave out what runs a VM: the boot order of PID 1 and the installation; says so at the end
    #[arg(long)]
    no_e2e: bool,
}

/// Runs all checks in order of their cost; the first failure ends the run.
pub fn run(project: Project<'_>, arguments: &Arguments) -> Result<ExitCode> {
    host::ensure(Go::Needed, project.cancel)?;
    checks(project)?;
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
    step(
        project,
        "boot order of PID 1",
        boot_order::prepare(project)?,
    )?;
    e2e::run(project, &e2e::Arguments::through_release_server("quick"))
}

/// Those without a VM.
fn checks(project: Project<'_>) -> Result<()> {
    let step = |name: &str, command: Cmd<'_>| step(project, name, command.into());
    let (shell, cargo) = (Shell::new()?, process::cargo());
    shell.change_dir(project.root);
    step("formatting", cmd!(shell, "{cargo} fmt --all --check"))?;
    let lints = cmd!(
        shell,
        "{cargo} clippy --workspace --all-targets --locked -- -D warnings"
    );
    step("lints", lints)?;
    let tests = cmd!(shell, "{cargo} test --workspace --locked");
    step("unit and integration tests", tests)?;
    let documentation = cmd!(shell, "{cargo} doc --workspace --no-deps --locked --quiet");
    step(
        "API documentation",
        documentation.env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    let scripts = shell_scripts(project.root)?;
    step(
        "shellcheck",
        cmd!(shell, "shellcheck --external-sources {scripts...}"),
    )?;
    // The installer's own program is the one that it gets in HookOS.
    let outputs = project.produce(&Options::default(), &[INSTALLER])?;
    let installer = outputs.directory(INSTALLER)?.join(INSTALLER);
    let bats = cmd!(shell, "bats --recursive hookos/installer/tests");
    step("shell tests", bats.env("EMTS_INSTALLER", installer))?;
    match workflows::linters(project) {
        Ok([of_syntax, of_security]) => {
            self::step(project, "workflows", of_syntax)?;
            self::step(project, "security of workflows", of_security)?;
        }
        Err(error) if error.is::<NotRun>() => println!("--- workflows: {error}"),
        Err(error) => return Err(error),
    }
    shell.change_dir("vm-tests/reference/refk3s");
    // gofmt lists unformatted files but ends with 0 all the same.
    let gofmt = "files=$(gofmt -l .); [ -z \"$files\" ] || { echo \"$files\"; exit 1; }";
    step("Go formatting", cmd!(shell, "sh -c {gofmt}"))?;
    // With the flags of the stage `k3s`: what one compiles, minutes of it, the other finds in Go's cache.
    shell.set_var("CGO_ENABLED", "0");
    shell.set_var("GOFLAGS", "-trimpath -buildvcs=false");
    step("Go vet", cmd!(shell, "go vet ./..."))?;
    step("Go tests", cmd!(shell, "go test ./..."))
}

fn step(project: Project<'_>, name: &str, command: Command) -> Result<()> {
    let mut command = process::tied(&command);
    println!("--- {name}: {}", process::display(&command));
    let begun = Instant::now();
    group::run(&mut command, project.cancel).with_context(|| name.to_owned())?;
    println!(
        "--- {name}: passed in {}",
        progress::short(begun.elapsed().as_secs_f64())
    );
    Ok(())
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
