//! Programs of the workspace that this one starts: they need what it does not, such as system libraries or an HTTP client.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use pipeline::cancel::Cancel;
use pipeline::group::Group;
use pipeline::process;
use pipeline::progress::Progress;
use xshell::{Shell, cmd};

/// Compiles the program `name` with these arguments of `cargo build`; `what` is its name for people.
pub fn build_program(
    root: &Path,
    cancel: &Cancel,
    what: &str,
    name: &str,
    arguments: &[&str],
) -> Result<PathBuf> {
    let target = match std::env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => root.join(directory),
        None => root.join("target"),
    };
    let shell = Shell::new()?;
    shell.change_dir(root);
    let cargo = process::cargo();
    let command = cmd!(
        shell,
        "{cargo} build --quiet --locked {arguments...} --target-dir {target}"
    );
    let mut command = process::tied(&command.into());
    let progress = Progress::begin(what, None);
    let begun = Instant::now();
    let status = Group::spawn(&mut command, cancel)?.wait(|| progress.tick())?;
    process::expect_success(status, &process::display(&command))?;
    progress.end("built", begun.elapsed(), "");
    Ok(target.join("debug").join(name))
}
