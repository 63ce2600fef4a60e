//! PID 1's only waiting place: ended children, signals, new devices.
//!
//! One thread does everything, so that nobody else reaps a child that is waited for.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::WaitOptions;
use signal_hook::consts::{SIGCHLD, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};

use crate::console::{self, say};
use crate::ending::Ending;
use crate::logs::{Logs, tell_end};
use crate::modules::Modules;

/// How many endings of unknown processes are remembered: a container's first
/// process may end before its process id is read from runc's pid file.
const REMEMBERED: usize = 256;
/// How long a console that is held is left alone.
const HELD_CONSOLE: Duration = Duration::from_secs(1);

/// What the machine is asked to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Restart: SIGTERM, or SIGINT which ctrl-alt-del sends.
    Reboot,
    /// Power off: SIGUSR2, and SIGUSR1 which is busybox's halt.
    PowerOff,
}

/// Why a wait ended without the process.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// The deadline passed.
    #[error("{what} has not ended within {} s", .patience.as_secs())]
    Late {
        /// What was waited for.
        what: String,
        /// How long.
        patience: Duration,
    },
    /// A shutdown was asked for.
    #[error("a shutdown was asked for while waiting for {0}")]
    Shutdown(String),
}

/// Signals as flags, and a pipe that wakes the poll.
struct Signals {
    wake: UnixStream,
    reboot: Arc<AtomicBool>,
    power_off: Arc<AtomicBool>,
}

/// The state of the waiting place.
pub struct Supervisor {
    signals: Signals,
    devices: Option<OwnedFd>,
    modules: Modules,
    ended: VecDeque<(u32, Ending)>,
    services: BTreeMap<u32, (String, Logs)>,
    requested: Option<Request>,
}

impl Supervisor {
    /// Takes over the signals and the announcements of devices.
    pub fn new() -> anyhow::Result<Self> {
        let devices = crate::netlink::device_events()
            .inspect_err(|error| {
                say!("cannot hear of new devices: {error}; modules are loaded once only")
            })
            .ok();
        Ok(Self {
            signals: Signals::take_over().context("taking over the signals")?,
            devices,
            modules: Modules::default(),
            ended: VecDeque::new(),
            services: BTreeMap::new(),
            requested: None,
        })
    }

    /// What was asked for by a signal, if anything.
    #[must_use]
    pub fn requested(&self) -> Option<Request> {
        self.requested
    }

    /// From now on a wait goes to its end: this is the shutdown itself.
    pub fn begin_shutdown(&mut self) {
        self.requested = None;
        self.devices = None;
        self.services.clear();
    }

    /// Tells of the end of a service when it comes.
    pub fn watch(&mut self, pid: u32, name: String, logs: Logs) {
        if let Some(ending) = self.take_ending(pid) {
            tell_end(&name, ending, &logs);
        } else {
            self.services.insert(pid, (name, logs));
        }
    }

    /// Starts a program and waits for its end.
    pub fn run(&mut self, command: &mut Command, patience: Duration) -> anyhow::Result<Ending> {
        let what = command.get_program().to_string_lossy().into_owned();
        let pid = self.spawn(command)?;
        self.wait_for(pid, &what, Some(patience))
            .map_err(Into::into)
    }

    /// Starts a program; its end is found by `wait_for`.
    pub fn spawn(&mut self, command: &mut Command) -> anyhow::Result<u32> {
        let what = command.get_program().to_string_lossy().into_owned();
        // Dropping a `Child` neither ends nor reaps it.
        let pid = command
            .spawn()
            .with_context(|| format!("starting {what}"))?
            .id();
        self.ended.retain(|(ended, _)| *ended != pid);
        Ok(pid)
    }

    /// Waits for the end of a child, of anybody's, and goes on with the rest of the work meanwhile.
    pub fn wait_for(
        &mut self,
        pid: u32,
        what: &str,
        patience: Option<Duration>,
    ) -> Result<Ending, WaitError> {
        let begun = Instant::now();
        loop {
            self.reap();
            if let Some(ending) = self.take_ending(pid) {
                return Ok(ending);
            }
            if self.requested.is_some() {
                return Err(WaitError::Shutdown(what.to_owned()));
            }
            let left = match patience {
                Some(patience) if begun.elapsed() >= patience => {
                    return Err(WaitError::Late {
                        what: what.to_owned(),
                        patience,
                    });
                }
                Some(patience) => Some(patience.saturating_sub(begun.elapsed())),
                None => None,
            };
            self.turn(left);
        }
    }

    /// Sleeps until something happens or the time is over, and deals with it.
    pub fn turn(&mut self, timeout: Option<Duration>) {
        let timeout = if console::flush() {
            timeout
        } else {
            Some(timeout.unwrap_or(HELD_CONSOLE).min(HELD_CONSOLE))
        };
        let timeout = timeout.map(|time| Timespec {
            tv_sec: time.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: i64::from(time.subsec_nanos()),
        });
        let mut fds = vec![PollFd::new(&self.signals.wake, PollFlags::IN)];
        fds.extend(
            self.devices
                .as_ref()
                .map(|devices| PollFd::new(devices, PollFlags::IN)),
        );
        // An interrupted poll is looked into like any other end of it.
        let _ = poll(&mut fds, timeout.as_ref());
        self.signals.drain();
        if let Some(request) = self.signals.request() {
            self.requested = Some(request);
        }
        if let Some(devices) = &self.devices {
            let command = self.modules.for_new_devices(devices);
            self.start_modprobe(command);
        }
        self.reap();
    }

    /// Loads the modules of all present devices, and waits until they are loaded.
    pub fn coldplug(&mut self, first: &[String]) {
        let Some(mut command) = self.modules.for_present_devices(first) else {
            return;
        };
        if let Err(error) = self.run(&mut command, crate::modules::PATIENCE) {
            say!("loading modules: {error:#}");
        }
    }

    /// Modules of a device that came later are nobody's to wait for.
    fn start_modprobe(&mut self, command: Option<Command>) {
        if let Some(mut command) = command
            && let Err(error) = self.spawn(&mut command)
        {
            say!("loading modules: {error:#}");
        }
    }

    fn take_ending(&mut self, pid: u32) -> Option<Ending> {
        let at = self.ended.iter().position(|(ended, _)| *ended == pid)?;
        self.ended.remove(at).map(|(_, ending)| ending)
    }

    fn reap(&mut self) {
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            let pid = pid.as_raw_nonzero().get().unsigned_abs();
            let ending = match (status.exit_status(), status.terminating_signal()) {
                (Some(status), _) => Ending::Exit(status),
                (None, Some(signal)) => Ending::Signal(signal),
                (None, None) => continue,
            };
            if let Some((name, logs)) = self.services.remove(&pid) {
                tell_end(&name, ending, &logs);
                continue;
            }
            if self.ended.len() == REMEMBERED {
                self.ended.pop_front();
            }
            self.ended.push_back((pid, ending));
        }
    }
}

impl Signals {
    fn take_over() -> anyhow::Result<Self> {
        let (wake, write) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        write.set_nonblocking(true)?;
        let (reboot, power_off) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicBool::new(false)),
        );
        for (signal, flag) in [
            (SIGTERM, &reboot),
            (SIGINT, &reboot),
            (SIGUSR1, &power_off),
            (SIGUSR2, &power_off),
        ] {
            signal_hook::flag::register(signal, Arc::clone(flag))?;
            signal_hook::low_level::pipe::register(signal, write.try_clone()?)?;
        }
        signal_hook::low_level::pipe::register(SIGCHLD, write)?;
        Ok(Self {
            wake,
            reboot,
            power_off,
        })
    }

    fn drain(&mut self) {
        let mut bytes = [0_u8; 64];
        while matches!(self.wake.read(&mut bytes), Ok(count) if count > 0) {}
    }

    fn request(&self) -> Option<Request> {
        if self.power_off.swap(false, Ordering::Relaxed) {
            return Some(Request::PowerOff);
        }
        self.reboot
            .swap(false, Ordering::Relaxed)
            .then_some(Request::Reboot)
    }
}
