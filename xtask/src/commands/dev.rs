//! `cargo xtask dev`: machines for those who change the installer or HookOS, to sit before.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use run_request::{AcceleratorChoice, BootRequest};

use crate::commands::e2e;
use crate::commands::scenarios::EVIDENCE;
use crate::named::{self, Takes};
use crate::parts::Parts;
use crate::project::Project;

/// What `dev` does.
#[derive(Subcommand)]
pub enum Command {
    /// Switch a scenario's machine on with its stick: the serial console in this terminal, the screen by VNC
    ///
    /// Nothing is done with the machine and nothing is checked. Ctrl-] switches it off.
    Boot(Boot),
}

/// What `dev boot` takes.
#[derive(Args)]
pub struct Boot {
    /// The scenario whose machine and stick it is
    #[arg(long, value_name = "NAME", default_value = "sample")]
    scenario: String,
    /// The config-file of the stick [default: the scenario's]
    #[arg(long, value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// A real stick, or its image, in place of the one that is built; it is not written to
    #[arg(long, value_name = "DEVICE")]
    from_stick: Option<PathBuf>,
    /// Memory of the machine [default: the scenario's]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(128..))]
    memory: Option<u32>,
    /// One empty disk of this size in place of the scenario's disks
    #[arg(long, value_name = "GIB", value_parser = clap::value_parser!(u32).range(1..4096), conflicts_with = "no_disk")]
    disk: Option<u32>,
    /// No disk besides the stick
    #[arg(long)]
    no_disk: bool,
    /// What runs the guest's instructions [default: kvm where it works, else tcg]
    #[arg(long, value_enum)]
    accel: Option<AcceleratorChoice>,
    /// Keep the machine's disks beside its logs
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    parts: Parts,
}

/// Does what is asked for.
pub fn run(project: Project<'_>, command: Command) -> Result<ExitCode> {
    match command {
        Command::Boot(boot) => boot.run(project),
    }
}

impl Boot {
    fn run(self, project: Project<'_>) -> Result<ExitCode> {
        if let Some(stick) = &self.from_stick {
            named::check("--from-stick", Takes::File, stick)?;
        }
        let files = tempfile::tempdir()?;
        let mut arguments = e2e::Arguments::default();
        arguments.scenario = self.scenario;
        arguments.config_file = self.config_file;
        arguments.accel = self.accel;
        arguments.keep = self.keep;
        arguments.parts = self.parts;
        let (harness, mut run) = e2e::one(project, &arguments, files.path())?;
        // Not among the runs that have reports.
        run.evidence = project.root.join(EVIDENCE).with_file_name("dev");
        if let Some(stick) = &self.from_stick {
            let stick = fs_err::canonicalize(stick)?;
            run.media
                .values_mut()
                .for_each(|medium| medium.usb.clone_from(&stick));
        }
        let request = BootRequest {
            run,
            memory: self.memory,
            disk: self.disk.map(|gib| gib << 10).or(self.no_disk.then_some(0)),
        };
        let file = files.path().join("request.json");
        fs_err::write(&file, serde_json::to_vec_pretty(&request)?)?;
        // In the group of this terminal: it reads what is typed.
        let status = std::process::Command::new(harness)
            .arg("boot")
            .arg(file)
            .status();
        let status = status.context("starting the harness")?;
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        Ok(ExitCode::from(code.unwrap_or(1)))
    }
}
