//! What `install-os.sh` calls for all that needs more than a shell: one command for each.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use installer::disks::list::Host;
use installer::disks::settle::SystemClock;
use installer::disks::steps;
use installer::error::{Error, escaped};
use installer::firmware::Firmware;
use installer::state::State;
use installer::{check, clock, screen, write};

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
    /// Put the installed disk's boot entry first in the firmware's boot order
    SetBootOrder(Firmware),
    /// Have the firmware start an installed disk next, unless that was tried in vain
    BootNext {
        #[command(flatten)]
        firmware: Firmware,
        /// The file on the installation medium that remembers it
        mark: PathBuf,
    },
    /// Tell whether Secure Boot is on, and fail where the firmware will refuse the OS image
    CheckSecureBoot(Firmware),
    /// Say what the target disk loses, and wait 15 s for the key S on a console, which stops it
    ///
    /// Nothing is said of an empty disk, or of one that the config-file selects.
    AnnounceLoss,
    /// Set the machine's clock to the time of the bundle where it cannot be right
    SetClock,
    /// Refuse the chosen disk where the OS image does not fit it or this machine
    CheckTarget,
    /// Empty the chosen disk, write the OS image to it and read it back
    WriteImage,
    /// Give the written disk identities of its own and grow its last partition
    GrowRoot,
    /// Have the system in ROOT start with a clock that is not behind the bundle
    NoteClock {
        /// Where its root file system is mounted
        root: PathBuf,
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
        Command::RefuseInstalled { list } => steps::refuse_installed(&host, &state, &list, say)?,
        Command::NoteInstalled { time, list } => steps::note_installed(&state, &list, &time, say)?,
        Command::AnnounceLoss => screen::objection::wait_for_it(&state, say)?,
        Command::SetClock => clock::set(&state)?.iter().for_each(|text| warn(text)),
        Command::CheckTarget => check::target(&state, &host.sysfs)?,
        Command::WriteImage => write::image(&state, &host.sysfs)?,
        Command::GrowRoot => write::grow::disk(&state)?
            .iter()
            .for_each(|text| warn(text)),
        Command::NoteClock { root } => clock::note(&state, &root)?,
        Command::SetBootOrder(firmware) => firmware.set_boot_order(&state, say)?,
        Command::BootNext { firmware, mark } => firmware.boot_next(&state, &mark, say)?,
        Command::CheckSecureBoot(firmware) => firmware.check_secure_boot(&state, say)?,
    }
    Ok(())
}

/// A line that install-os.sh makes a warning of.
fn warn(text: &str) {
    println!("warning: {}", escaped(text));
}
