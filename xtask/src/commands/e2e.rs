//! `cargo xtask e2e`: from sources to a report on a verified node.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use pipeline::build::{Outputs, StageRun};
use pipeline::cancel::Ended;
use pipeline::choice::{Layout, Options};
use pipeline::not_run::NotRun;
use pipeline::signing;
use pipeline::stages::{bundle, registry, small_image, workload, workstation};
use pipeline::store::Store;
use pipeline::{cache, group};
use run_request::{
    AcceleratorChoice, LeaseChoice, ListedChecks, Medium, OsImage, RunRequest, StageRecord,
    WorkstationParts,
};

use crate::commands::scenarios::{self, Machine, Scenario};
use crate::commands::side_by_side::{self, Prepared};
use crate::harness;
use crate::host::qemu;
use crate::host::{self, Go};
use crate::named::{self, Takes};
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
    pub config_file: Option<PathBuf>,
    /// Scenarios of `configs/scenarios/`: names, patterns such as `disk-*`, sets (`quick`), or `all`
    #[arg(long, value_name = "NAME,…", default_value = "sample")]
    pub scenario: String,
    /// What runs the guest's instructions [default: kvm where it works, else tcg]
    #[arg(long, value_enum)]
    pub accel: Option<AcceleratorChoice>,
    /// How long K3s' components keep their leases: K3s' own 15 s or 60 s [default: long for an emulated machine]
    #[arg(long, value_enum)]
    leases: Option<LeaseChoice>,
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
    pub keep: bool,
    /// Fetch K3s from a server on loopback that stands in for its publishers: refk3s under the names of a release, or
    /// the files of --k3s-dir
    #[arg(long, conflicts_with_all = ["profile", "artifacts", "offline", "os_image"])]
    release_server: bool,
    #[command(flatten)]
    pub parts: Parts,
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
    let jobs = arguments
        .jobs
        .map_or_else(side_by_side::jobs_by_default, usize::from);
    println!("{}", side_by_side::planned(root, &scenarios, jobs));
    let built = harness_and_stages(project, arguments, &selection, &scenarios)?;
    let failed = side_by_side::run(&scenarios, jobs, cancel, |scenario| {
        prepare_run(project, arguments, &selection, &built, scenario)
    })?;
    if scenarios.len() + not_run.len() > 1 {
        let text = side_by_side::summary(scenarios.len(), &failed, not_run.len());
        println!("{text}");
    }
    Ok(if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Builds what one scenario needs: the harness, and what it is asked to run, from config-files in `files`.
///
/// # Errors
/// Several scenarios are asked for, one is not run with these parts, or those of [`run`].
pub fn one(
    project: Project<'_>,
    arguments: &Arguments,
    files: &Path,
) -> Result<(PathBuf, RunRequest)> {
    let scenarios = selected(project.root, arguments)?;
    let [scenario] = scenarios.as_slice() else {
        bail!(
            "--scenario {} names {} scenarios: one is wanted",
            arguments.scenario,
            scenarios.len()
        );
    };
    arguments.parts.check()?;
    let store = Store::of_user()?;
    let selection = profile::select(project, &store, &arguments.parts, Network::Allowed)?;
    selection.announce();
    if let Some(why) = scenario.not_run(selection.builds_double()) {
        return Err(NotRun(why.to_owned()).into());
    }
    host::ensure(Go::when(selection.builds_double()), project.cancel)?;
    let (harness, built) = harness_and_stages(project, arguments, &selection, &scenarios)?;
    let of = (&*harness, &*built);
    let request = whole_request(project, arguments, &selection, of, scenario, files)?;
    Ok((harness, request))
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

/// Compiles the harness, and meanwhile builds what the first scenario needs but its stick, which needs the harness. Also
/// gives what was built.
fn harness_and_stages(
    project: Project<'_>,
    arguments: &Arguments,
    selection: &Selection,
    scenarios: &[Scenario],
) -> Result<(PathBuf, Vec<StageRun>)> {
    let scenario = &scenarios[0];
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
        let harness = harness::build(project)?;
        check_scenarios(project, &harness, scenarios)?;
        return Ok((harness, Vec::new()));
    }
    std::thread::scope(|scope| {
        // The one that fails first ends the other.
        let both = project.cancel;
        let stages = scope.spawn(|| build().inspect_err(|_| both.request()));
        // A file that cannot be used is reported as soon as the harness can read it.
        let harness = harness::build(project).and_then(|harness| {
            check_scenarios(project, &harness, scenarios)?;
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

/// Has the harness read the scenario files, of which this program knows a part alone.
fn check_scenarios(project: Project<'_>, harness: &Path, scenarios: &[Scenario]) -> Result<()> {
    let mut command = Command::new(harness);
    let files = scenarios.iter().map(|scenario| &scenario.path);
    command.arg("check").args(files);
    group::output(&mut command, project.cancel).context("checking the scenario files")?;
    Ok(())
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
        if machine.os_image.is_small() && options.os_image.is_none() {
            let mut of_image = options.clone();
            if machine.os_image == OsImage::SmallUnsigned {
                of_image.signing = None;
            }
            let outputs = project.produce(&of_image, &["small-image"])?;
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
            named::check("--config-file", Takes::File, path)?;
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
    (harness, built): &(PathBuf, Vec<StageRun>),
    scenario: &Scenario,
) -> Result<Prepared> {
    let files = tempfile::tempdir()?;
    let request = whole_request(
        project,
        arguments,
        selection,
        (harness, built),
        scenario,
        files.path(),
    )?;
    let file = files.path().join("request.json");
    fs_err::write(&file, serde_json::to_vec_pretty(&request)?)?;
    let mut command = Command::new(harness);
    command.arg("run").arg(file);
    Ok(Prepared { command, files })
}

/// Builds the scenario's sticks, from config-files in `files`; what the harness is asked to run.
fn whole_request(
    project: Project<'_>,
    arguments: &Arguments,
    selection: &Selection,
    (harness, built): (&Path, &[StageRun]),
    scenario: &Scenario,
    files: &Path,
) -> Result<RunRequest> {
    let key = tempfile::tempdir()?;
    let mut runs: Vec<StageRun> = Vec::new();
    let (mut media, mut made) = (BTreeMap::new(), None);
    for (name, machine) in scenario.nodes() {
        let name = name.unwrap_or_default();
        let copy = files.join(format!("config-file{name}"));
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
        let config_file = copy;
        media.insert(name.to_owned(), Medium { config_file, usb });
        made = Some(outputs);
    }
    let outputs = made.context("the scenario installs no machine")?;
    let mut request = request(project.root, arguments, selection, scenario)?;
    request.media = media;
    request.stages = runs.iter().map(|run| record(run, built)).collect();
    add_outputs(&mut request, scenario, &outputs)?;
    Ok(request)
}

/// A stage for the report. What this command has built beside the harness is in the store by now.
fn record(run: &StageRun, built: &[StageRun]) -> StageRecord {
    let earlier = built
        .iter()
        .find(|earlier| earlier.name == run.name && !earlier.cached);
    let run = earlier.filter(|_| run.cached).unwrap_or(run).clone();
    StageRecord {
        name: run.name,
        seconds: run.seconds,
        cached: run.cached,
        notes: run.notes,
    }
}

/// What was built that the scenario needs besides its sticks.
fn add_outputs(request: &mut RunRequest, scenario: &Scenario, outputs: &Outputs) -> Result<()> {
    if scenario.workstation.is_some() {
        request.workstation = Some(WorkstationParts {
            image: outputs.directory("workstation")?.join(workstation::IMAGE),
            installation_files: bundle::user_archive(outputs.directory("bundle")?)?,
        });
    }
    if scenario.has_registry() {
        let directory = outputs.directory(registry::STAGE.name)?;
        request.registry = Some(directory.join(registry::IMAGE));
    }
    if scenario.runs_pods() {
        let directory = outputs.directory(workload::STAGE.name)?;
        request.workload = Some(directory.join(workload::ARCHIVE));
    }
    Ok(())
}

/// How the scenario is run; what it is run with is still to come.
fn request(
    root: &Path,
    arguments: &Arguments,
    selection: &Selection,
    scenario: &Scenario,
) -> Result<RunRequest> {
    let list = root.join(format!("configs/scenarios/checks/{}.txt", scenario.name));
    // With a config-file or an OS image of somebody's own, or an alteration, other things are checked.
    let own = arguments.config_file.is_some() || arguments.parts.os_image.is_some();
    let checks = match own || scenario.altered.is_some() {
        true => ListedChecks::Ignored,
        false if arguments.bless => ListedChecks::Written(list),
        false => ListedChecks::Compared(list),
    };
    Ok(RunRequest {
        scenario: scenario.path.clone(),
        must_fail: scenario.altered,
        media: BTreeMap::new(),
        registry: None,
        workstation: None,
        workload: None,
        evidence: root.join(scenarios::EVIDENCE),
        cache: cache::directory()?,
        profile: selection.name.clone(),
        replaced: selection.replaced.clone(),
        accelerator: arguments.accel,
        emulated_cpus: qemu::emulated_processors()?,
        leases: arguments.leases,
        checks,
        stages: Vec::new(),
        keep: arguments.keep,
    })
}

/// Has the harness check a config-file and copy it to `copy`, with passwords where it has placeholders.
fn copy_config_file(project: Project<'_>, harness: &Path, file: &Path, copy: &Path) -> Result<()> {
    let mut command = Command::new(harness);
    command.arg("config-file").arg(file).arg("--out").arg(copy);
    group::output(&mut command, project.cancel).context("preparing the config-file")?;
    Ok(())
}
