//! The boot from the kernel's hand-over to the last service, and the wait for what comes after.

use std::path::Path;
use std::process::ExitCode;

use crate::console::say;
use crate::events::{Request, Supervisor};
use crate::options::Options;
use crate::{console, devices, host, modules, mounts, plan, root, shutdown, steps};

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
            steps::carry_out(&mut supervisor, &step, options);
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
