//! `cargo xtask e2e`: from sources to a report on a verified node.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args;

use crate::build::{self, StageRun};
use crate::commands::stages::Parts;
use crate::host;
use crate::process::{self, Group};
use crate::profile::{self, Profile};
use crate::progress::Progress;
use crate::store::{Store, cache_dir};

/// What `e2e` takes.
#[derive(Args, Default)]
pub struct Arguments {
    /// The config-file to install with; its checks are derived from it [default: the sample]
    #[arg(long, value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// Scenario: a name in `configs/scenarios/`
    #[arg(long, value_name = "NAME", default_value = "sample")]
    scenario: String,
    /// Where the parts come from; a named profile never falls back [default: upstream if it can be had]
    #[arg(long, value_enum)]
    profile: Option<Profile>,
    /// What runs the guest's instructions [default: kvm where it works, else tcg]
    #[arg(long, value_name = "kvm|tcg")]
    accel: Option<String>,
    /// Private key of an SSH key in the config-file, to log in with instead of the run's own
    #[arg(long, value_name = "FILE")]
    ssh_identity: Option<PathBuf>,
    /// Keep the VM's disks in the evidence folder
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    parts: Parts,
}

impl Arguments {
    /// The sample config-file in its scenario, with everything else by default.
    pub fn of_sample() -> Self {
        Self {
            scenario: "sample".into(),
            ..Self::default()
        }
    }
}

/// Builds what is not in the store, then hands over to `vm-tests`.
pub fn run(root: &Path, arguments: &Arguments) -> Result<ExitCode> {
    host::ensure()?;
    let profile = profile::choose(arguments.profile, &arguments.parts)?;
    println!("profile: {} ({})", profile.name, profile.reason);
    let scenario = root
        .join("configs/scenarios")
        .join(format!("{}.yaml", arguments.scenario));
    fs_err::metadata(&scenario).context("looking for the scenario")?;
    let config_file = match &arguments.config_file {
        Some(path) => fs_err::canonicalize(path)?,
        None => root.join("configs/config-file.yaml"),
    };
    let harness = build_harness(root)?;
    let prepared = prepare(&harness, arguments, &config_file)?;
    let options = arguments
        .parts
        .options(Some(prepared.join("config-file")))?;
    let outputs = build::produce(root, &Store::of_user()?, &options, &["usb", "node-image"])?;
    let stages = tempfile::NamedTempFile::new()?;
    write_stages(stages.path(), &outputs.runs)?;

    let mut command = Command::new(&harness);
    command
        .arg("run")
        .arg("--scenario")
        .arg(&scenario)
        .arg("--config-file")
        .arg(prepared.join("config-file"))
        .arg("--usb")
        .arg(outputs.folder("usb")?.join("usb.img"))
        .arg("--evidence")
        .arg(root.join("target/e2e"))
        .arg("--stages")
        .arg(stages.path())
        .args(["--profile", profile.name]);
    command
        .arg("--ssh-identity")
        .arg(match &arguments.ssh_identity {
            Some(key) => fs_err::canonicalize(key)?,
            None => prepared.join("id_ed25519"),
        });
    if let Some(accel) = &arguments.accel {
        command.args(["--accel", accel]);
    }
    if arguments.keep {
        command.arg("--keep");
    }
    let status = Group::spawn(&mut command)?.wait(|| {})?;
    // The harness has told what failed; 1 is its verdict, anything else a fault of its own.
    if status.code() == Some(1) && !process::interrupted() {
        return Ok(ExitCode::FAILURE);
    }
    process::expect_success(status, "vm-tests")?;
    Ok(ExitCode::SUCCESS)
}

/// The harness is a program of its own: unlike this one it needs a system library.
fn build_harness(root: &Path) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command
        .current_dir(root)
        .args(["build", "--quiet", "--locked", "--package", "vm-tests"]);
    command.arg("--target-dir").arg(root.join("target"));
    let progress = Progress::begin("test harness", None);
    let begun = Instant::now();
    let status = Group::spawn(&mut command)?.wait(|| progress.tick())?;
    process::expect_success(status, "cargo build --package vm-tests")?;
    progress.end("built", begun.elapsed());
    Ok(root.join("target/debug/vm-tests"))
}

/// Makes the config-file copy that also lists the harness's own SSH key. Returns its folder.
fn prepare(harness: &Path, arguments: &Arguments, config_file: &Path) -> Result<PathBuf> {
    let folder = cache_dir()?.join("harness");
    fs_err::create_dir_all(&folder)?;
    let mut command = Command::new(harness);
    command
        .arg("prepare")
        .arg("--config-file")
        .arg(config_file)
        .arg("--out")
        .arg(&folder);
    if let Some(key) = &arguments.ssh_identity {
        command
            .arg("--ssh-identity")
            .arg(fs_err::canonicalize(key)?);
    }
    process::run(&mut command).context("preparing the config-file")?;
    Ok(folder)
}

fn write_stages(path: &Path, runs: &[StageRun]) -> Result<()> {
    Ok(fs_err::write(path, serde_json::to_vec(runs)?)?)
}
