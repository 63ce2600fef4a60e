//! `cargo xtask e2e`: from sources to a report on a verified node.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use clap::Args;
use pipeline::build::{Outputs, StageRun};
use pipeline::cancel::Ended;
use pipeline::choice::{Layout, Options};
use pipeline::signing;
use pipeline::stages::{bundle, registry, small_image, workload, workstation};
use pipeline::store::Store;
use pipeline::{cache, group, progress};

use crate::commands::scenarios::{self, Machine, OsImage, Scenario};
use crate::commands::side_by_side::{self, Prepared};
use crate::harness;
use crate::host::qemu;
use crate::host::{self, Go};
use crate::parts::Parts;
use crate::profile;
use crate::project::Project;
use crate::release_server::ReleaseServer;
use crate::selection::Selection;
use crate::sources::Network;

/// What `e2e` takes.
#[derive(Args, Default)]
pub struct Arguments {
    /// The config-file to install with; its checks are derived from it [default: the sample]
    #[arg(long, value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// Scenarios of `configs/scenarios/`: names, patterns such as `disk-*`, sets (`quick`), or `all`
    #[arg(long, value_name = "NAME,…", default_value = "sample")]
    scenario: String,
    /// What runs the guest's instructions [default: kvm where it works, else tcg]
    #[arg(long, value_parser = ["kvm", "tcg"])]
    accel: Option<String>,
    /// How long K3s' components keep their leases: K3s' own 15 s or 60 s [default: long for an emulated machine]
    #[arg(long, value_parser = ["default", "long"])]
    leases: Option<String>,
    /// Scenarios to run side by side, if the memory holds their machines [default: one for each two processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Write the lists of what the scenarios check, configs/scenarios/checks/, after runs that passed; else a run is
    /// compared with its list
    #[arg(long, conflicts_with_all = ["config_file", "os_image"])]
    bless: bool,
    /// Run the scenarios altered as their `mustFail` says: each has to fail then, so that none passes whatever happens
    #[arg(long, conflicts_with_all = ["config_file", "os_image", "bless"])]
    must_fail: bool,
    /// Keep the VM's disks in the evidence directory
    #[arg(long)]
    keep: bool,
    /// Fetch K3s from a server on loopback that stands in for its publishers: refk3s under the names of a release, or
    /// the files of --k3s-dir
    #[arg(long, conflicts_with_all = ["profile", "artifacts", "offline", "os_image"])]
    release_server: bool,
    #[command(flatten)]
    parts: Parts,
}

impl Arguments {
    /// Scenarios with the reference parts, so that a run does not depend on what can be reached today.
    pub fn of_scenarios(names: &str) -> Self {
        let mut arguments = Self {
            scenario: names.into(),
            ..Self::default()
        };
        arguments.parts.sources.profile = Some("reference".into());
        arguments
    }

    /// Scenarios with refk3s, fetched as a release would be.
    pub fn through_release_server(names: &str) -> Self {
        Self {
            scenario: names.into(),
            release_server: true,
            ..Self::default()
        }
    }

    /// With another LinuxKit file merged before hook-os.yaml.
    pub fn before_hookos(mut self, definition: PathBuf) -> Self {
        self.parts.before_hookos = Some(definition);
        self
    }
}

/// Builds what is not in the store, then hands each scenario over to `vm-tests`.
pub fn run(project: Project<'_>, arguments: &Arguments) -> Result<ExitCode> {
    let (root, cancel) = (project.root, project.cancel);
    let scenarios = selected(root, arguments)?;
    for scenario in &scenarios {
        for (_, machine) in scenario.nodes() {
            config_file(root, arguments, scenario, machine)?;
        }
    }
    arguments.parts.check()?;
    let store = Store::of_user()?;
    // It serves until the end: nothing is fetched later, but its files are below it.
    let mut server = None;
    let selection = if arguments.release_server {
        host::ensure(Go::when(arguments.parts.k3s_dir.is_none()), cancel)?;
        let server = server.insert(ReleaseServer::start(project, &arguments.parts)?);
        profile::select(
            project,
            &server.store()?,
            &server.parts(&arguments.parts),
            Network::Allowed,
        )?
    } else {
        profile::select(project, &store, &arguments.parts, Network::Allowed)?
    };
    selection.announce();
    let (scenarios, not_run): (Vec<_>, Vec<_>) = scenarios
        .into_iter()
        .partition(|scenario| scenario.not_run(selection.builds_double()).is_none());
    for scenario in &not_run {
        let why = scenario.not_run(selection.builds_double());
        println!("not run: {}: {}", scenario.name, why.unwrap_or_default());
    }
    ensure!(!scenarios.is_empty(), "no scenario was run");
    host::ensure(Go::when(selection.builds_double()), cancel)?;
    let jobs = arguments.jobs.map_or_else(jobs_by_default, usize::from);
    println!("{}", planned(root, &scenarios, jobs));
    let (harness, built) = harness_and_stages(project, arguments, &selection, &scenarios[0])?;
    let failed = side_by_side::run(&scenarios, jobs, cancel, |scenario| {
        prepare_run(project, arguments, &selection, &harness, &built, scenario)
    })?;
    if scenarios.len() + not_run.len() > 1 {
        println!("{}", summary(scenarios.len(), &failed, not_run.len()));
    }
    Ok(if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The scenarios that are asked for, or their variants that have to fail.
fn selected(root: &Path, arguments: &Arguments) -> Result<Vec<Scenario>> {
    let scenarios = scenarios::select(root, &arguments.scenario)?;
    if !arguments.must_fail {
        return Ok(scenarios);
    }
    let altered = scenarios.iter().map(Scenario::alterations);
    let altered = altered.collect::<Result<Vec<_>>>()?;
    let altered: Vec<Scenario> = altered.into_iter().flatten().collect();
    ensure!(
        !altered.is_empty(),
        "none of the scenarios {} says with what it must fail (`mustFail`)",
        arguments.scenario
    );
    Ok(altered)
}

/// What became of several scenarios.
fn summary(run: usize, failed: &[&str], not_run: usize) -> String {
    let mut text = format!(
        "{} scenarios: {} passed, {} failed",
        run + not_run,
        run - failed.len(),
        failed.len()
    );
    if !failed.is_empty() {
        text += &format!(": {}", failed.join(", "));
    }
    if not_run > 0 {
        text += &format!(", {not_run} not run");
    }
    text
}

/// What is done once all is built, and about how long it takes.
fn planned(root: &Path, scenarios: &[Scenario], jobs: usize) -> String {
    let usual = |scenario: &Scenario| scenario.usual_seconds(root);
    let all: f64 = scenarios.iter().map(usual).sum();
    let longest = scenarios.iter().map(usual).fold(0.0, f64::max);
    let about = (all / jobs as f64).max(longest);
    let what = match scenarios {
        [one] => format!("scenario {}", one.name),
        many => format!("{} scenarios, {jobs} at a time", many.len()),
    };
    format!(
        "to run when all is built: {what}; about {}",
        progress::rough(about)
    )
}

/// One scenario for each two processors: so many has a machine.
fn jobs_by_default() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| processors.get().div_ceil(2))
}

/// Compiles the harness, and meanwhile builds what the first scenario needs but its stick, which needs the harness. Also
/// gives what was built.
fn harness_and_stages(
    project: Project<'_>,
    arguments: &Arguments,
    selection: &Selection,
    scenario: &Scenario,
) -> Result<(PathBuf, Vec<StageRun>)> {
    let build = || -> Result<Vec<StageRun>> {
        let key = tempfile::tempdir()?;
        let mut all = Vec::new();
        for (_, machine) in scenario.nodes() {
            let (needs, runs) = Needs::of(
                project,
                arguments,
                selection,
                (scenario, machine),
                key.path(),
            )?;
            let without_stick =
                |stage: &&'static str| if *stage == "usb" { "bundle" } else { *stage };
            let wanted: Vec<&str> = needs.stages.iter().map(without_stick).collect();
            let outputs = project.produce(&needs.options, &wanted)?;
            all.extend(runs);
            all.extend(outputs.runs);
        }
        Ok(all)
    };
    // What is signed by a key of this run is made once, with the stick.
    if scenario.nodes().any(|(_, machine)| machine.signed) {
        return Ok((harness::build(project)?, Vec::new()));
    }
    std::thread::scope(|scope| {
        // The one that fails first ends the other.
        let both = project.cancel;
        let stages = scope.spawn(|| build().inspect_err(|_| both.request()));
        // A config-file that cannot be used is reported as soon as the harness can read it.
        let harness = harness::build(project).and_then(|harness| {
            for (_, machine) in scenario.nodes() {
                let copy = tempfile::NamedTempFile::new()?;
                let file = config_file(project.root, arguments, scenario, machine)?;
                copy_config_file(project, &harness, &file, copy.path())?;
            }
            Ok(harness)
        });
        let harness = harness.inspect_err(|_| both.request());
        let runs = stages
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        match (harness, runs) {
            (Err(error), Err(other)) if Ended::is(&error) => Err(other),
            (harness, runs) => Ok((harness?, runs?)),
        }
    })
}

/// What a scenario is built with.
struct Needs {
    options: Options,
    stages: Vec<&'static str>,
}

impl Needs {
    /// Builds the small image where the scenario installs it; a signing key comes into `key`.
    fn of(
        project: Project<'_>,
        arguments: &Arguments,
        selection: &Selection,
        (scenario, machine): (&Scenario, &Machine),
        key: &Path,
    ) -> Result<(Self, Vec<StageRun>)> {
        let mut options = selection.options(&arguments.parts, None)?;
        if machine.signed {
            options.signing = Some(signing::test_key(key)?);
        }
        let mut runs = Vec::new();
        if machine.os_image == OsImage::Small && options.os_image.is_none() {
            let outputs = project.produce(&options, &["small-image"])?;
            options.os_image = Some(outputs.directory("small-image")?.join(small_image::IMAGE));
            runs = outputs.runs;
        }
        if machine.os_image == OsImage::Immutable {
            options.layout = Layout::Immutable;
        }
        let mut stages = vec!["usb", "node-image"];
        if scenario.workstation.is_some() {
            stages.push("workstation");
        }
        if scenario.has_registry() {
            stages.push(registry::STAGE.name);
        }
        if scenario.runs_pods() {
            stages.push(workload::STAGE.name);
        }
        Ok((Self { options, stages }, runs))
    }
}

/// The user's config-file, or the one of the scenario's machine.
fn config_file(
    root: &Path,
    arguments: &Arguments,
    scenario: &Scenario,
    machine: &Machine,
) -> Result<PathBuf> {
    Ok(match &arguments.config_file {
        Some(path) => {
            let is_file = path.is_file();
            ensure!(
                is_file,
                "--config-file {}: there is no such file",
                path.display()
            );
            let several = scenario.nodes().count() > 1;
            ensure!(
                !several,
                "--config-file: the scenario {} installs several machines, each with its own",
                scenario.name
            );
            fs_err::canonicalize(path)?
        }
        None => scenario.config_file(root, machine),
    })
}

/// Builds the scenario's sticks; the command that runs it.
fn prepare_run(
    project: Project<'_>,
    arguments: &Arguments,
    selection: &Selection,
    harness: &Path,
    built: &[StageRun],
    scenario: &Scenario,
) -> Result<Prepared> {
    let files = tempfile::tempdir()?;
    let key = tempfile::tempdir()?;
    let mut command = Command::new(harness);
    command.arg("run").arg("--scenario").arg(&scenario.path);
    let mut runs: Vec<StageRun> = Vec::new();
    let mut made = None;
    for (name, machine) in scenario.nodes() {
        let copy = files
            .path()
            .join(format!("config-file{}", name.unwrap_or_default()));
        let file = config_file(project.root, arguments, scenario, machine)?;
        copy_config_file(project, harness, &file, &copy)?;
        let of = (scenario, machine);
        let (mut needs, before) = Needs::of(project, arguments, selection, of, key.path())?;
        needs.options.config_file = Some(copy.clone());
        let outputs = project.produce(&needs.options, &needs.stages)?;
        // Machines have most stages in common.
        for run in before.iter().chain(&outputs.runs) {
            if !run.cached || runs.iter().all(|known| known.name != run.name) {
                runs.push(run.clone());
            }
        }
        let usb = outputs.directory("usb")?.join("usb.img");
        match name {
            None => command.arg("--config-file").arg(copy).arg("--usb").arg(usb),
            Some(name) => command.args(["--machine", name]).arg(copy).arg(usb),
        };
        made = Some(outputs);
    }
    let outputs = made.context("the scenario installs no machine")?;
    // What this command has built beside the harness is in the store by now.
    for run in &mut runs {
        let earlier = built
            .iter()
            .find(|earlier| earlier.name == run.name && !earlier.cached);
        *run = earlier.filter(|_| run.cached).unwrap_or(run).clone();
    }
    let stages = files.path().join("stages.json");
    fs_err::write(&stages, serde_json::to_vec(&runs)?)?;
    command.arg("--stages").arg(stages);
    add_outputs(&mut command, scenario, &outputs)?;
    add_options(&mut command, project.root, arguments, selection, scenario)?;
    Ok(Prepared { command, files })
}

/// What was built that the scenario needs besides its sticks.
fn add_outputs(command: &mut Command, scenario: &Scenario, outputs: &Outputs) -> Result<()> {
    if scenario.workstation.is_some() {
        command
            .arg("--workstation")
            .arg(outputs.directory("workstation")?.join(workstation::IMAGE))
            .arg("--installation-files")
            .arg(bundle::user_archive(outputs.directory("bundle")?)?);
    }
    if scenario.has_registry() {
        let directory = outputs.directory(registry::STAGE.name)?;
        let disk = directory.join(registry::IMAGE);
        command.arg("--registry").arg(disk);
    }
    if scenario.runs_pods() {
        let directory = outputs.directory(workload::STAGE.name)?;
        let archive = directory.join(workload::ARCHIVE);
        command.arg("--workload").arg(archive);
    }
    Ok(())
}

/// How the scenario is run.
fn add_options(
    command: &mut Command,
    root: &Path,
    arguments: &Arguments,
    selection: &Selection,
    scenario: &Scenario,
) -> Result<()> {
    command
        .arg("--evidence")
        .arg(root.join(scenarios::EVIDENCE))
        .arg("--cache")
        .arg(cache::directory()?)
        .args(["--profile", &selection.name]);
    for replaced in &selection.replaced {
        command.args(["--replaced", replaced]);
    }
    let cpus = qemu::emulated_processors()?;
    command.args(["--emulated-cpus", &cpus.to_string()]);
    if let Some(accel) = &arguments.accel {
        command.args(["--accel", accel]);
    }
    if let Some(leases) = &arguments.leases {
        command.args(["--leases", leases]);
    }
    if let Some(number) = scenario.altered {
        command.args(["--must-fail", &number.to_string()]);
    // With a config-file or an OS image of somebody's own other things are checked.
    } else if arguments.config_file.is_none() && arguments.parts.os_image.is_none() {
        let list = format!("configs/scenarios/checks/{}.txt", scenario.name);
        command.arg("--checks").arg(root.join(list));
        if arguments.bless {
            command.arg("--bless");
        }
    }
    if arguments.keep {
        command.arg("--keep");
    }
    Ok(())
}

/// Has the harness check a config-file and copy it to `copy`, with passwords where it has placeholders.
fn copy_config_file(project: Project<'_>, harness: &Path, file: &Path, copy: &Path) -> Result<()> {
    let mut command = Command::new(harness);
    command.arg("config-file").arg(file).arg("--out").arg(copy);
    group::output(&mut command, project.cancel).context("preparing the config-file")?;
    Ok(())
}
