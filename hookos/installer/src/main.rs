//! What `install-os.sh` calls for all that needs more than a shell: one command for each.

mod write;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

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
            eprintln!("installer: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::WriteImage { sparse, disk } => write::from_standard_input(&disk, sparse),
    }
}
