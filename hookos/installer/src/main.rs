//! What `install-os.sh` calls for all that needs more than a shell: one command for each.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use installer::error::{Error, escaped};
use installer::state::State;
use installer::write;

/// The parts of install-os.sh that need more than a shell.
#[derive(Parser)]
#[command(name = "installer", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write the zstd-compressed image on standard input to a disk, from its first byte on
    ///
    /// It goes past the page cache, and an image of many frames is decompressed on all processors. The disk's own cache
    /// is not flushed.
    WriteImage {
        /// Leave out what is zero, as DISK reads as zeros there already
        #[arg(long)]
        sparse: bool,
        /// The disk
        disk: PathBuf,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The shell's failure takes its advice from there; without a place for it, the line below is all.
            if let Some(problem) = error.downcast_ref::<Error>() {
                let _ = State::from_environment().write(problem);
            }
            eprintln!("installer: {}", escaped(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::WriteImage { sparse, disk } => write::from_standard_input(&disk, sparse),
    }
}
