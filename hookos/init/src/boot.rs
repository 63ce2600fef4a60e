//! The boot from the kernel's hand-over to the last service, and the wait for what comes after.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use crate::console::say;
use crate::container::{self, Logs, Output};
use crate::events::{Request, Supervisor};
use crate::options::Options;
use crate::plan::{self, Step};
use crate::{bundle, console, devices, host, modules, mounts, root, shutdown, volumes};

/// Where the tree has its containers.
pub const CONTAINERS: &str = "/containers";
/// A program of /etc/init.d must not block; this is when it is left alone.
const PROGRAM_PATIENCE: Duration = Duration::from_secs(60);

/// Boots, then serves until a shutdown. Returns only when the machine cannot be left.
pub fn run() -> ExitCode {
    if let Err(error) = root::leave_first_root() {
        say!("{error:#}; containers will not start");
    }
    mount_everything();
    let options = options();
    let mut supervisor = match Supervisor::new() {
        Ok(supervisor) => supervisor,
        Err(error) => {
            say!("PID 1 cannot work: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    host::gather_entropy();
    say!("loading modules");
    supervisor.coldplug(&modules::early());
    host::configure();
    for step in plan::boot(Path::new("/etc/init.d")) {
        if supervisor.requested().is_none() {
            carry_out(&mut supervisor, &step, options);
        }
    }
    serve(supervisor, options)
}

fn mount_everything() {
    mounts::apply(&mounts::PROC);
    mounts::root_read_only();
    mounts::FIRST.iter().for_each(mounts::apply);
    devices::fill_var();
    devices::fill_dev();
    mounts::SECOND.iter().for_each(mounts::apply);
    mounts::share_all();
    console::open();
}

fn options() -> Options {
    let options = Options::parse(&std::fs::read_to_string("/proc/cmdline").unwrap_or_default());
    if options.cgroup_v1_asked_for {
        say!("linuxkit.unified_cgroup_hierarchy=0 is not supported; control groups are version 2");
    }
    options
}

/// Carries out one step of the boot or the shutdown. A failure is told, and the next step comes.
pub fn carry_out(supervisor: &mut Supervisor, step: &Step, options: Options) {
    match step {
        Step::Volumes => {
            if let Err(error) = volumes::mount_all(Path::new(CONTAINERS)) {
                say!("volumes: {error:#}; the volumes after it are not mounted");
            }
        }
        Step::Onboot => run_section(supervisor, "onboot", "onboot", options),
        Step::Onshutdown => run_section(supervisor, "onshutdown", "shutdown", options),
        Step::Services => start_services(supervisor, options),
        Step::Program(path) => match supervisor.run(&mut Command::new(path), PROGRAM_PATIENCE) {
            Ok(ending) if ending.is_success() => {}
            Ok(ending) => say!("{} {ending}", path.display()),
            Err(error) => say!("{}: {error:#}", path.display()),
        },
    }
}

fn run_section(supervisor: &mut Supervisor, section: &str, word: &str, options: Options) {
    let bundles = bundle::section(Path::new(CONTAINERS), section).unwrap_or_else(|error| {
        say!("{section}: {error}");
        Vec::new()
    });
    for bundle in bundles {
        if supervisor.requested().is_some() {
            return;
        }
        say!("{word} {} starts", bundle.name);
        container::run(supervisor, &bundle, word, options);
    }
}

fn start_services(supervisor: &mut Supervisor, mut options: Options) {
    // LinuxKit starts services by containerd, which these options do not reach.
    options.runc_console = false;
    options.runc_debug = false;
    let bundles = bundle::section(Path::new(CONTAINERS), "services").unwrap_or_else(|error| {
        say!("services: {error}");
        Vec::new()
    });
    // runc is called in name order; as services do not depend on each other
    // none waits for the one before.
    let mut begun = Vec::new();
    for bundle in bundles {
        if supervisor.requested().is_some() {
            return;
        }
        say!("service {} starts", bundle.name);
        let logs = Logs::of_service(&bundle.name);
        let starting = container::begin(supervisor, &bundle, &Output::Logs(&logs), options);
        begun.push((bundle, logs, starting));
    }
    for (bundle, logs, starting) in begun {
        let name = format!("service {}", bundle.name);
        let output = Output::Logs(&logs);
        let pid = starting.and_then(|starting| {
            container::finish(supervisor, &bundle, &starting, &output, options)
        });
        match pid {
            Ok(pid) => supervisor.watch(pid, name, logs),
            Err(error) => container::tell_failure(&name, &error, &logs),
        }
    }
}

fn serve(mut supervisor: Supervisor, options: Options) -> ExitCode {
    loop {
        if let Some(request) = supervisor.requested() {
            let word = match request {
                Request::Reboot => "reboot",
                Request::PowerOff => "power off",
            };
            say!("{word}: stopping the containers");
            supervisor.begin_shutdown();
            shutdown::run(&mut supervisor, request, options);
        }
        supervisor.turn(None);
    }
}
