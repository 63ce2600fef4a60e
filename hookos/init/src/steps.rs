//! The steps of the boot and of the shutdown.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::console::say;
use crate::container::{self, Output};
use crate::events::Supervisor;
use crate::logs::{self, Logs};
use crate::options::Options;
use crate::plan::Step;
use crate::{bundle, volumes};

/// Where the tree has its containers.
const CONTAINERS: &str = "/containers";
/// A program of /etc/init.d must not block; this is when it is left alone.
const PROGRAM_PATIENCE: Duration = Duration::from_secs(60);

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
            Err(error) => logs::tell_failure(&name, &error, &logs),
        }
    }
}
