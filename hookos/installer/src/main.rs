//! What `install-os.sh` calls for all that needs more than a shell: one command for each.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use installer::disks::list::Host;
use installer::disks::settle::SystemClock;
use installer::disks::steps;
use installer::error::{Error, escaped};
use installer::state::State;
use installer::{screen, write};

/// The parts of install-os.sh that need more than a shell.
#[derive(Parser)]
#[command(name = "installer", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print the steps in their order: name, effect, what a failure leaves, advice, with tabs between
    Steps,
    /// Show the installation on all consoles, by the lines that come on standard input
    ///
    /// It ends when the machine can be restarted.
    Screen,
    /// Wait for the installation medium and note its partitions
    FindMedia,
    /// Choose the disk to write to and note it, with what it loses
    ChooseDisk {
        /// What `cluster-bootstrapper show install-disk` prints, as a file
        #[arg(long)]
        selector: PathBuf,
    },
    /// Show all disks with the reason why each cannot be taken
    ListDisks,
    /// Fail where this medium has installed a disk of this machine
    RefuseInstalled {
        /// The medium's list
        list: PathBuf,
    },
    /// Mark the disk as a finished node, and note it in the medium's list
    NoteInstalled {
        /// When, for people
        #[arg(long)]
        time: String,
        /// The medium's list
        list: PathBuf,
    },
    /// Say what the target disk loses, and wait 15 s for the key S on a console, which stops it
    ///
    /// Nothing is said of an empty disk, or of one that the config-file selects.
    AnnounceLoss,
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
    let host = Host::default();
    let state = State::from_environment();
    let say = &mut steps::say;
    match command {
        Command::Steps => print!("{}", installer::steps::table()),
        Command::Screen => screen::from_standard_input(&state)?,
        Command::FindMedia => steps::find_media(&host, &state, &mut SystemClock)?,
        Command::ChooseDisk { selector } => {
            let selector = std::fs::read_to_string(selector)?;
            steps::choose_disk(&host, &state, &selector, &mut SystemClock, say)?;
        }
        Command::ListDisks => steps::list_disks(&host, say)?,
        Command::RefuseInstalled { list } => steps::refuse_installed(&host, &list, say)?,
        Command::NoteInstalled { time, list } => steps::note_installed(&state, &list, &time, say)?,
        Command::AnnounceLoss => screen::objection::wait_for_it(&state, say)?,
        Command::WriteImage { sparse, disk } => write::from_standard_input(&disk, sparse)?,
    }
    Ok(())
}
