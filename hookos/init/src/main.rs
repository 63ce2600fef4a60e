//! PID 1 of a LinuxKit tree: mounts, modules, volumes, onboot containers,
//! services, shutdown. It knows nothing of the installer that runs in one of
//! the services, and nothing of how the tree was assembled.

mod boot;
mod bundle;
mod console;
mod container;
mod devices;
mod ending;
mod events;
mod host;
mod links;
mod logs;
mod modules;
mod mount_options;
mod mounts;
mod netlink;
mod options;
mod plan;
mod prepare;
mod root;
mod shutdown;
mod steps;
mod volumes;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    if std::process::id() != 1 {
        let name = std::env::args_os().next().unwrap_or_default();
        if Path::new(&name).ends_with(modules::PROGRAM) {
            return modules::load_early();
        }
        eprintln!(
            "hookos-init is PID 1 of a HookOS machine and does nothing when started as PID {}; \
             put it into the init image as /init",
            std::process::id()
        );
        return ExitCode::from(2);
    }
    boot::run()
}
