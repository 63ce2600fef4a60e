//! Tools of the host, such as sgdisk and mtools.

use std::process::{Command, Output};

use anyhow::{Context as _, Result, bail};

/// A tool of `/usr/sbin`, which is not in the PATH of ordinary users.
pub(crate) fn tool(name: &str) -> Command {
    let mut command = Command::new(name);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    command
}

/// Runs a tool; its standard output.
pub(crate) fn run(command: Command) -> Result<String> {
    Ok(String::from_utf8_lossy(&output(command)?.stdout).into_owned())
}

/// Runs a tool; what it says where it fails is in the error.
pub(crate) fn output(mut command: Command) -> Result<Output> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| {
        format!("cannot start {name} (`cargo xtask setup` installs what is missing)")
    })?;
    if !output.status.success() {
        bail!(
            "{name} ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(output)
}
