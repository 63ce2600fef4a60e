//! `cargo xtask setup`: installs what the host lacks.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use pipeline::cancel::Cancel;

use crate::host::{self, Go};

/// What `setup` takes.
#[derive(Args)]
pub struct Arguments {
    /// Install without asking
    #[arg(long)]
    yes: bool,
}

/// Installs the missing packages.
pub fn run(arguments: &Arguments, cancel: &Cancel) -> Result<ExitCode> {
    host::install(arguments.yes, Go::Spared, cancel)?;
    println!("the host has all that is needed");
    Ok(ExitCode::SUCCESS)
}
