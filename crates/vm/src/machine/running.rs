//! A machine that runs: started from its plan, watched, taken down in order.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use arch::ARCH;
use thiserror::Error;
use tokio::process::Command;

use super::code_cache;
use super::config::AtReset;
use super::group::ProcessGroup;
use super::network;
use super::plan::VmPlan;
use super::tpm::Tpm;
use crate::qmp::{Qmp, QmpError};

/// How long QEMU or swtpm may take to open its control socket.
const START: Duration = Duration::from_secs(30);
/// How long QEMU may take to end after it was asked to.
const QUIT: Duration = Duration::from_secs(10);
/// The port of sshd in the guest.
const SSH: u16 = 22;
/// How many of QEMU's last messages a failure quotes.
const QUOTED_LINES: usize = 8;

/// Why a machine could not be started or taken down.
#[derive(Debug, Error)]
pub enum MachineError {
    /// QEMU, or a program beside it, could not be started.
    #[error("cannot start {program}; install the package {package} (`cargo xtask setup` does)")]
    Start {
        /// The program.
        program: PathBuf,
        /// What brings it.
        package: &'static str,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The machine's TPM does not work.
    #[error("the machine's TPM, swtpm, {reason}; its messages are in {log}")]
    Tpm {
        /// What it did instead.
        reason: String,
        /// The file with its messages.
        log: PathBuf,
    },
    /// The machine has no such disk to attach.
    #[error("the machine `{machine}` has no disk `{disk}` that is attached later")]
    NoLateDisk {
        /// The machine.
        machine: String,
        /// The disk's name.
        disk: String,
    },
    /// QEMU ended by itself.
    #[error(transparent)]
    Died(#[from] Death),
    /// The control socket did not open.
    #[error(
        "QEMU did not open its control socket {socket} within {START:?}; its messages are in {log}"
    )]
    NoControl {
        /// The socket.
        socket: PathBuf,
        /// The file with QEMU's messages.
        log: PathBuf,
    },
    /// The control channel failed.
    #[error("QEMU's control channel failed")]
    Qmp(#[from] QmpError),
    /// The forwarded port is not in QEMU's answer.
    #[error(
        "QEMU does not tell the port that it forwards to the guest's port {guest}; it said: {said}"
    )]
    NoPort {
        /// The port in the guest.
        guest: u16,
        /// QEMU's answer.
        said: String,
    },
    /// The monitor refuses a command.
    #[error("QEMU answers `{said}` to `{command}`")]
    Refused {
        /// The command.
        command: String,
        /// QEMU's answer.
        said: String,
    },
    /// Processes were left.
    #[error(
        "processes of the machine `{0}` survive its end; look for {qemu} and swtpm in the process list",
        qemu = ARCH.qemu
    )]
    Survivors(String),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] std::io::Error),
}

/// QEMU's end while the machine was still wanted.
#[derive(Debug, Clone, Error)]
#[error("QEMU ended ({status}); its last messages: {messages}")]
pub struct Death {
    /// The exit status in words.
    pub status: String,
    /// The end of QEMU's messages.
    pub messages: String,
}

/// A running machine. Dropped, it is killed with all its processes.
#[derive(Debug)]
pub struct RunningVm {
    plan: VmPlan,
    group: ProcessGroup,
    /// The process that is its TPM.
    tpm: Option<ProcessGroup>,
    /// The control channel.
    pub qmp: Qmp,
}

impl RunningVm {
    /// Starts the machine of `plan` and opens its control channel, whose
    /// messages go to `qmp_log`. Call it from a thread that lives as long as
    /// the machine (see [`ProcessGroup::spawn`]).
    ///
    /// # Errors
    /// QEMU is missing, ends at once, or does not answer.
    pub async fn start(plan: VmPlan, qmp_log: &Path) -> Result<Self, MachineError> {
        let tpm = match &plan.tpm {
            Some(tpm) => Some(start_tpm(tpm).await?),
            None => None,
        };
        let group = guarded(
            &plan.program,
            ARCH.qemu_package.debian,
            &plan.args,
            &plan.qemu_log,
        )?;
        let connect = async {
            let mut poll = tokio::time::interval(Duration::from_millis(20));
            loop {
                poll.tick().await;
                if let Ok(stream) = tokio::net::UnixStream::connect(&plan.qmp_socket).await {
                    return Qmp::new(stream, qmp_log).await;
                }
            }
        };
        let qmp = tokio::select! {
            qmp = connect => qmp,
            status = group.ended() => return Err(death(&plan, status).into()),
            () = tokio::time::sleep(START) => {
                return Err(MachineError::NoControl { socket: plan.qmp_socket.clone(), log: plan.qemu_log.clone() });
            }
        };
        match qmp {
            Ok(qmp) => Ok(Self {
                plan,
                group,
                tpm,
                qmp,
            }),
            // A channel that breaks at once mostly means that QEMU is about to end: its reason says more.
            Err(error) => match tokio::time::timeout(Duration::from_secs(2), group.ended()).await {
                Ok(status) => Err(death(&plan, status).into()),
                Err(_) => Err(error.into()),
            },
        }
    }

    /// The plan it was started from.
    #[must_use]
    pub fn plan(&self) -> &VmPlan {
        &self.plan
    }

    /// Waits for QEMU's end. Never ends before.
    pub async fn died(&self) -> Death {
        let status = self.group.ended().await;
        death(&self.plan, status)
    }

    /// The port of the host's loopback that leads to the guest's SSH.
    ///
    /// # Errors
    /// QEMU does not answer, or forwards no port.
    pub async fn ssh_port(&self) -> Result<u16, MachineError> {
        let said = self.qmp.monitor("info usernet").await?;
        network::forwarded(&said, SSH).ok_or(MachineError::NoPort { guest: SSH, said })
    }

    /// The port on the host's loopback at which an interactive machine's screen is served by VNC; none of another one.
    ///
    /// # Errors
    /// QEMU does not answer.
    pub async fn vnc_port(&self) -> Result<Option<u16>, QmpError> {
        let server = self.qmp.ask("query-vnc", serde_json::json!({})).await?;
        Ok(server["service"]
            .as_str()
            .and_then(|port| port.parse().ok()))
    }

    /// A port of the host's loopback that leads to a port of the guest, from now on. Its owner in the guest sees
    /// connections of the host as those of its network's gateway.
    ///
    /// # Errors
    /// QEMU does not answer, or cannot forward the port.
    pub async fn forward(&self, guest: u16) -> Result<u16, MachineError> {
        let said = self.qmp.monitor("info usernet").await?;
        if let Some(port) = network::forwarded(&said, guest) {
            return Ok(port);
        }
        let refusal = self.qmp.monitor(&network::forwarding(guest)).await?;
        let said = self.qmp.monitor("info usernet").await?;
        let said = format!("{}{said}", refusal.trim());
        network::forwarded(&said, guest).ok_or(MachineError::NoPort { guest, said })
    }

    /// Connects a machine without a network to a restricted one, as plugging in a card does.
    ///
    /// # Errors
    /// QEMU refuses, or does not answer.
    pub async fn connect_network(&self) -> Result<(), MachineError> {
        self.disturb(&self.plan.network.connecting()).await
    }

    /// Pulls every network cable, or plugs it in again: the guest sees that its cards have no carrier.
    ///
    /// # Errors
    /// QEMU refuses, or does not answer.
    pub async fn link(&self, plugged: bool) -> Result<(), MachineError> {
        let plan = &self.plan;
        self.disturb(&plan.network.linking(plan.on_lan, plugged))
            .await
    }

    /// Holds every frame from and to the machine back for up to `delay`; none ends that.
    ///
    /// # Errors
    /// QEMU refuses, or does not answer.
    pub async fn delay(&self, delay: Option<Duration>) -> Result<(), MachineError> {
        let plan = &self.plan;
        self.disturb(&plan.network.delaying(plan.on_lan, delay))
            .await
    }

    /// Attaches a disk that was not there at power-on.
    ///
    /// # Errors
    /// The machine has no such disk, QEMU refuses, or does not answer.
    pub async fn attach(&self, disk: &str) -> Result<(), MachineError> {
        let mut late = self.plan.late_disks.iter();
        let Some((_, command)) = late.find(|(name, _)| name == disk) else {
            return Err(MachineError::NoLateDisk {
                machine: self.plan.name.clone(),
                disk: disk.to_owned(),
            });
        };
        self.disturb(std::slice::from_ref(command)).await
    }

    /// Runs commands of the monitor that print nothing when they succeed.
    async fn disturb(&self, commands: &[String]) -> Result<(), MachineError> {
        for command in commands {
            let said = self.qmp.monitor(command).await?;
            if !said.trim().is_empty() {
                return Err(MachineError::Refused {
                    command: command.clone(),
                    said: said.trim().to_owned(),
                });
            }
        }
        Ok(())
    }

    /// Makes an emulated machine start again as fast as it did the first time; to be called at each reset after which it
    /// starts again.
    ///
    /// # Errors
    /// QEMU does not answer. The machine goes on, more slowly.
    pub async fn forget_translations(&self) -> std::io::Result<()> {
        match (&self.plan.gdb_socket, self.plan.at_reset) {
            (Some(socket), AtReset::Restarts) => code_cache::empty(socket).await,
            _ => Ok(()),
        }
    }

    /// Holds the whole machine still, in the middle of whatever it does, while `look` looks at its files: they
    /// are then as a power cut at this moment would leave them.
    ///
    /// # Errors
    /// The machine has ended.
    pub fn held_still<T>(&self, look: impl FnOnce() -> T) -> std::io::Result<T> {
        self.group.freeze(true)?;
        let seen = look();
        self.group.freeze(false)?;
        Ok(seen)
    }

    /// Ends the machine: asks QEMU, then kills what is left.
    ///
    /// # Errors
    /// Something of it survives.
    pub async fn stop(self) -> Result<(), MachineError> {
        if self.group.status().is_none() && self.qmp.quit().await.is_ok() {
            let _ = tokio::time::timeout(QUIT, self.group.ended()).await;
        }
        self.kill().await
    }

    /// Ends the machine at once, as a power cut: nothing is flushed.
    ///
    /// # Errors
    /// Something of it survives.
    pub async fn kill(self) -> Result<(), MachineError> {
        let mut gone = self.group.kill().await;
        if let Some(tpm) = &self.tpm {
            gone &= tpm.kill().await;
        }
        if gone {
            return Ok(());
        }
        Err(MachineError::Survivors(self.plan.name.clone()))
    }
}

/// Whether a program is where its path says, or in `PATH`.
fn is_there(program: &Path) -> bool {
    if program.components().count() > 1 {
        return program.is_file();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// Starts a program that the kernel ends with this process; what it says goes to the end of `log`.
fn guarded(
    program: &Path,
    package: &'static str,
    args: &[String],
    log: &Path,
) -> Result<ProcessGroup, MachineError> {
    let failed = |source| MachineError::Start {
        program: program.to_owned(),
        package,
        source,
    };
    // setpriv would be started in any case.
    if !is_there(program) {
        return Err(failed(std::io::ErrorKind::NotFound.into()));
    }
    let log = fs_err::OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)?;
    let log = log.into_parts().0;
    // setpriv is of util-linux.
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--"])
        .arg(program)
        .args(args);
    command
        .stdout(Stdio::from(log.try_clone()?))
        .stderr(Stdio::from(log));
    ProcessGroup::spawn(command).map_err(failed)
}

/// Starts the machine's TPM; it can be reached when this ends.
async fn start_tpm(tpm: &Tpm) -> Result<ProcessGroup, MachineError> {
    fs_err::create_dir_all(&tpm.state)?;
    let words = tpm.command();
    let group = guarded(Path::new(&words[0]), "swtpm", &words[1..], &tpm.log)?;
    let opens = async {
        let mut poll = tokio::time::interval(Duration::from_millis(20));
        while !tpm.socket.exists() {
            poll.tick().await;
        }
    };
    let reason = tokio::select! {
        () = opens => return Ok(group),
        status = group.ended() => format!("ended ({})", in_words(status)),
        () = tokio::time::sleep(START) => format!("opened no socket within {START:?}"),
    };
    Err(MachineError::Tpm {
        reason,
        log: tpm.log.clone(),
    })
}

fn in_words(status: Option<ExitStatus>) -> String {
    status.map_or_else(|| "status unknown".to_owned(), |status| status.to_string())
}

fn death(plan: &VmPlan, status: Option<ExitStatus>) -> Death {
    let status = in_words(status);
    let text = fs_err::read(&plan.qemu_log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines[lines.len().saturating_sub(QUOTED_LINES)..].join(" | ");
    let messages = if tail.is_empty() {
        "none".to_owned()
    } else {
        tail
    };
    Death { status, messages }
}
