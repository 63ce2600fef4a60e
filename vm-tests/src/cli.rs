//! The command line of `vm-tests`.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Installs a node in a virtual machine from a USB image and verifies it.
#[derive(Debug, Parser)]
#[command(
    name = "vm-tests",
    version,
    after_help = "Exit status: 0 all scenarios passed, 1 one failed, 2 wrong use, 130 interrupted."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check a config-file and copy it, with a password in the place of the sample's placeholders
    ConfigFile {
        /// The config-file.
        file: PathBuf,
        /// The copy, which the USB image has to be made with.
        #[arg(long)]
        out: PathBuf,
    },
    /// Print the JSON Schema of scenario files, configs/scenario.schema.json
    Schema,
    /// Boot a kernel and see on its console what PID 1 does in which order
    BootOrder {
        /// The kernel.
        #[arg(long)]
        kernel: PathBuf,
        /// Its initial file system.
        #[arg(long)]
        initrd: PathBuf,
        /// The machines to start and what their consoles have to show, as hookos/tests/boot-order.lines.yaml
        #[arg(long)]
        expected: PathBuf,
        /// Processors of the emulated machines; more than one needs QEMU 8.1 or later.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..))]
        cpus: u8,
    },
    /// Print how many seconds an EFI executable takes from the firmware's hand-over to the installer's first step
    BootTime {
        /// The EFI executable.
        efi: PathBuf,
        /// Processors of the emulated machine; more than one needs QEMU 8.1 or later.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..))]
        cpus: u8,
    },
    /// Check scenario files, also as their `mustFail` alters them
    Check {
        /// The files.
        scenarios: Vec<PathBuf>,
    },
    /// Switch a scenario's machine on for somebody who sits before it
    Boot {
        /// What is asked for: JSON, as `cargo xtask dev boot` writes it (crates/run-request).
        request: PathBuf,
    },
    /// Run a scenario and write its report
    Run {
        /// What is asked for: JSON, as `cargo xtask e2e` writes it (crates/run-request).
        request: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
