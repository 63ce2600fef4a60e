//! One container's life: prepared, created and started by runc, and what is told of its end.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::bundle::{Bundle, Runtime};
use crate::console::say;
use crate::events::Supervisor;
use crate::links;
use crate::logs::{Logs, tell_end, tell_failure};
use crate::options::Options;
use crate::prepare;

/// runc only creates or starts; a minute is far more than a slow machine needs.
const RUNC_PATIENCE: Duration = Duration::from_secs(60);
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const PID_FILES: &str = "/run/hookos-init";

/// Where a container's output goes.
pub enum Output<'a> {
    /// To its log files.
    Logs(&'a Logs),
    /// To the console that PID 1 was started with.
    Console,
}

/// A container between the call of runc and its end.
pub struct Starting {
    runc: u32,
    word: &'static str,
    pid_file: PathBuf,
    runtime: Runtime,
}

/// Prepares a container and calls runc for it, without waiting.
pub fn begin(
    supervisor: &mut Supervisor,
    bundle: &Bundle,
    output: &Output<'_>,
    options: Options,
) -> anyhow::Result<Starting> {
    let runtime = bundle.runtime()?;
    // The files exist before runc runs: a service may bind its own log.
    let (stderr, stdout) = match output {
        Output::Logs(logs) => {
            let (err, out) = logs.create()?;
            (Stdio::from(err), Stdio::from(out))
        }
        Output::Console => (Stdio::inherit(), Stdio::inherit()),
    };
    prepare::filesystem(bundle, &runtime)?;
    fs::create_dir_all(PID_FILES).with_context(|| format!("making {PID_FILES}"))?;
    let pid_file = Path::new(PID_FILES).join(format!("{}.pid", bundle.name));
    let words = first_call(&runtime);
    let mut command = runc(options);
    command
        .args(words)
        .arg("--bundle")
        .arg(&bundle.dir)
        .arg("--pid-file")
        .arg(&pid_file);
    let runc = supervisor.spawn(command.arg(&bundle.name).stderr(stderr).stdout(stdout))?;
    Ok(Starting {
        runc,
        word: words[0],
        pid_file,
        runtime,
    })
}

/// Waits for runc and returns the process id of the container's first process.
pub fn finish(
    supervisor: &mut Supervisor,
    bundle: &Bundle,
    starting: &Starting,
    output: &Output<'_>,
    options: Options,
) -> anyhow::Result<u32> {
    succeed(supervisor, starting.runc, starting.word)?;
    let file = &starting.pid_file;
    let pid = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let pid: u32 = pid
        .trim()
        .parse()
        .with_context(|| format!("{} holds {pid:?}", file.display()))?;
    if needs_a_stop(&starting.runtime) {
        links::give(&starting.runtime.interfaces, pid)?;
        prepare::namespaces(&starting.runtime, pid)?;
        let mut start = runc(options);
        start
            .arg("start")
            .arg(&bundle.name)
            .stderr(log_end(output))
            .stdout(Stdio::null());
        let runc = supervisor.spawn(&mut start)?;
        succeed(supervisor, runc, "start")?;
    }
    Ok(pid)
}

/// Where nothing is done between creation and start, one call of runc does both, in half the time.
fn first_call(runtime: &Runtime) -> &'static [&'static str] {
    if needs_a_stop(runtime) {
        &["create"]
    } else {
        &["run", "--detach"]
    }
}

/// Whether something is done between creation and start.
fn needs_a_stop(runtime: &Runtime) -> bool {
    !runtime.interfaces.is_empty() || runtime.bind_ns.wanted().next().is_some()
}

/// Runs a container to its end and tells how it ended.
pub fn run(supervisor: &mut Supervisor, bundle: &Bundle, word: &str, options: Options) {
    let logs = match Logs::of_step(word, &bundle.name) {
        Ok(logs) => logs,
        Err(error) => return say!("{word} {}: not run: {error:#}", bundle.name),
    };
    let output = if options.runc_console {
        Output::Console
    } else {
        Output::Logs(&logs)
    };
    let ending = begin(supervisor, bundle, &output, options)
        .and_then(|starting| finish(supervisor, bundle, &starting, &output, options))
        .and_then(|pid| Ok(supervisor.wait_for(pid, &bundle.name, None)?));
    let name = format!("{word} {}", bundle.name);
    prepare::unmount_rootfs(bundle);
    match ending {
        Ok(ending) => tell_end(&name, ending, &logs),
        Err(error) => tell_failure(&name, &error, &logs),
    }
}

fn runc(options: Options) -> Command {
    let mut command = Command::new("runc");
    command.env_clear().env("PATH", PATH).stdin(Stdio::null());
    if options.runc_debug {
        command.arg("--debug");
    }
    command
}

/// `runc start` writes its errors behind what the container has written.
fn log_end(output: &Output<'_>) -> Stdio {
    match output {
        Output::Logs(logs) => File::options()
            .append(true)
            .open(&logs.err)
            .map_or_else(|_| Stdio::null(), Stdio::from),
        Output::Console => Stdio::inherit(),
    }
}

fn succeed(supervisor: &mut Supervisor, runc: u32, word: &str) -> anyhow::Result<()> {
    let ending = supervisor.wait_for(runc, &format!("runc {word}"), Some(RUNC_PATIENCE))?;
    if !ending.is_success() {
        bail!("runc {word} {ending}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::Interface;

    #[test]
    fn creation_and_start_are_apart_only_when_something_is_done_between() {
        let mut runtime = Runtime::default();
        assert_eq!(first_call(&runtime)[0], "run");
        runtime.bind_ns.net = "/run/netns/x".into();
        assert_eq!(first_call(&runtime), ["create"]);
        let runtime = Runtime {
            interfaces: vec![Interface::default()],
            ..Runtime::default()
        };
        assert_eq!(first_call(&runtime), ["create"]);
    }
}
