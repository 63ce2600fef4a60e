//! The command line of `vm-tests`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::leases::LeaseChoice;
use vm::accel::AcceleratorChoice;

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
    /// Run a scenario and write its report
    Run(Box<RunArgs>),
}

/// The options of `run`.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// The scenario file.
    #[arg(long)]
    pub scenario: PathBuf,
    /// The config-file that the USB image was made with.
    #[arg(long, required_unless_present = "machine", requires = "usb")]
    pub config_file: Option<PathBuf>,
    /// The USB image. It is not written to.
    #[arg(long, requires = "config_file")]
    pub usb: Option<PathBuf>,
    /// Name, config-file and USB image of a machine, for a scenario that has several; once for each.
    #[arg(long, num_args = 3, value_names = ["NAME", "CONFIG_FILE", "USB"], conflicts_with = "config_file")]
    pub machine: Vec<PathBuf>,
    /// The disk of a registry, for a scenario that has one. It is not written to.
    #[arg(long)]
    pub registry: Option<PathBuf>,
    /// The disk of the workstation, for a scenario that has one. It is not written to.
    #[arg(long, requires = "installation_files")]
    pub workstation: Option<PathBuf>,
    /// `sen-installation-files.tar.gz` or its `-reference` form, for a scenario that has a workstation.
    #[arg(long, requires = "workstation")]
    pub installation_files: Option<PathBuf>,
    /// The archive with the image of the harness's pods, for a scenario that starts them.
    #[arg(long)]
    pub workload: Option<PathBuf>,
    /// Where the run's own folder `<time>-<scenario>` is made, with its report and all
    /// other evidence, and the link `latest` to it.
    #[arg(long)]
    pub evidence: PathBuf,
    /// The profile's name, for the report.
    #[arg(long, default_value = "reference")]
    pub profile: String,
    /// What is not as the profile has it, for the report; may be given several times.
    #[arg(long)]
    pub replaced: Vec<String>,
    /// How guest code is executed.
    #[arg(long, value_enum, default_value = "auto")]
    pub accel: AcceleratorChoice,
    /// The most processors that a guest gets under TCG. More than one needs QEMU 8.1 or later: with an earlier one
    /// such a guest can hang.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..))]
    pub emulated_cpus: u8,
    /// How long K3s' components keep their leases [default: long for an emulated machine, else default]
    #[arg(long, value_enum)]
    pub leases: Option<LeaseChoice>,
    /// The list of the scenario's checks, which a run has to make. Without it nothing is compared.
    #[arg(long, value_name = "FILE")]
    pub checks: Option<PathBuf>,
    /// Write the list of checks when the run passed, instead of comparing it.
    #[arg(long, requires = "checks")]
    pub bless: bool,
    /// Alter the scenario by this one of its `mustFail`, from 0; the run passes when it then fails as that says.
    #[arg(long, value_name = "NUMBER", conflicts_with = "checks")]
    pub must_fail: Option<usize>,
    /// Keep the machine's disks also when the run passed.
    #[arg(long)]
    pub keep: bool,
    /// The longest time for the whole run, such as `20m`; each phase has its own besides.
    #[arg(long, value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,
    /// The builder's stages, `[{"name", "seconds", "cached"}]`, to be carried into the report.
    #[arg(long)]
    pub stages: Option<PathBuf>,
    /// The directory where the accelerator's answer is remembered.
    #[arg(long)]
    pub cache: PathBuf,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
