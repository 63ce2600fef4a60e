//! The state of a machine that stands still: memory, devices and what QEMU they are of, from which another process goes on.
//! The disks and the firmware's variables are the caller's: with them as they were when the machine was saved, or as
//! overlays over these.
//!
//! QEMU writes it as a migration into a file with a fixed place for each page of memory (`mapped-ram`): pages of zeros are
//! holes, and loading takes as long as reading what is not. Not every device can be saved: QEMU refuses one with NVMe.

use std::path::{Path, PathBuf};
use std::time::Duration;

use qapi::qmp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use thiserror::Error;

use super::plan::VmPlan;
use super::running::{MachineError, RunningVm};
use crate::qmp::{Qmp, QmpError};

/// Memory and devices, in a state's directory.
const MEMORY: &str = "memory";
/// What they are of.
const DESCRIPTION: &str = "machine.json";
/// How long writing or reading the state may take: 4 GiB on a slow disk of a busy host.
const TRANSFER: Duration = Duration::from_secs(300);
/// How often QEMU is asked how far it is.
const ASK: Duration = Duration::from_millis(50);

/// Why a state was not written or is not used.
#[derive(Debug, Error)]
pub enum StateError {
    /// The directory has no whole state.
    #[error("{directory} holds no saved machine: {why}")]
    Absent {
        /// The directory.
        directory: PathBuf,
        /// What is missing or cannot be read.
        why: String,
    },
    /// It is of another machine.
    #[error(
        "the saved machine in {directory} has {saved}, the one to go on with it has {wanted}: make the state again"
    )]
    Differs {
        /// The directory.
        directory: PathBuf,
        /// The first thing that differs, as it was saved.
        saved: String,
        /// The same of the machine that was to go on.
        wanted: String,
    },
    /// QEMU did not write or read it.
    #[error("QEMU did not {doing} the machine's state: {why}")]
    Failed {
        /// `save` or `load`.
        doing: &'static str,
        /// What QEMU says.
        why: String,
    },
    /// The machine's QEMU.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// The control channel.
    #[error("QEMU's control channel failed")]
    Qmp(#[from] QmpError),
    /// A file.
    #[error(transparent)]
    File(#[from] std::io::Error),
}

/// What a state is of. Another QEMU, or one with other devices, cannot go on with it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Description {
    /// QEMU's version with that of its package.
    qemu: String,
    /// The options of the command line that make the machine.
    machine: Vec<String>,
}

impl Description {
    async fn of(vm: &RunningVm) -> Result<Self, QmpError> {
        let version = vm.qmp.execute(qmp::query_version {}).await?;
        let number = &version.qemu;
        Ok(Self {
            qemu: format!(
                "QEMU {}.{}.{} {}",
                number.major, number.minor, number.micro, version.package
            ),
            machine: machine(vm.plan()),
        })
    }

    /// The first thing that is not the same in another one: here and there.
    fn difference(&self, other: &Self) -> Option<(String, String)> {
        if self.qemu != other.qemu {
            return Some((self.qemu.clone(), other.qemu.clone()));
        }
        let length = self.machine.len().max(other.machine.len());
        let option =
            |of: &Self, at: usize| of.machine.get(at).map_or("no more", |it| it).to_owned();
        (0..length)
            .map(|at| (option(self, at), option(other, at)))
            .find(|(one, other)| one != other)
    }
}

/// The options that make a machine: none that names a file of the host.
fn machine(plan: &VmPlan) -> Vec<String> {
    const OPTIONS: [&str; 7] = [
        "-machine", "-accel", "-cpu", "-smp", "-m", "-global", "-device",
    ];
    let pairs = plan.args.iter().zip(plan.args.iter().skip(1));
    let of_machine = pairs.filter(|(option, _)| OPTIONS.contains(&option.as_str()));
    of_machine
        .map(|(option, value)| format!("{option} {value}"))
        .collect()
}

impl RunningVm {
    /// Halts the machine, writes its state into the new directory `directory` and ends QEMU. Whatever comes of it, the
    /// machine does not go on. A directory that is there is whole.
    ///
    /// # Errors
    /// A device cannot be saved, there is no room, or QEMU does not end.
    pub async fn save(self, directory: &Path) -> Result<(), StateError> {
        let beside = directory.with_extension("new");
        if beside.exists() {
            fs_err::remove_dir_all(&beside)?;
        }
        fs_err::create_dir_all(&beside)?;
        let saved = self.write_state(&beside).await;
        let stopped = self.stop().await;
        if let Err(error) = saved.and(stopped.map_err(StateError::from)) {
            fs_err::remove_dir_all(&beside)?;
            return Err(error);
        }
        Ok(fs_err::rename(beside, directory)?)
    }

    async fn write_state(&self, directory: &Path) -> Result<(), StateError> {
        self.qmp.execute(qmp::stop {}).await?;
        let description = Description::of(self).await?;
        let text = serde_json::to_vec_pretty(&description).map_err(std::io::Error::from)?;
        fs_err::write(directory.join(DESCRIPTION), text)?;
        transfer(self, "save", "migrate", &directory.join(MEMORY)).await
    }

    /// Starts QEMU with the plan of [`super::VmConfig::resumed`] and lets the machine whose state is in `directory` go on.
    ///
    /// # Errors
    /// There is no state, it is of another machine or another QEMU, or those of [`RunningVm::start`].
    pub async fn resume(
        plan: VmPlan,
        directory: &Path,
        qmp_log: &Path,
    ) -> Result<Self, StateError> {
        let absent = |why: String| StateError::Absent {
            directory: directory.to_owned(),
            why,
        };
        let text = fs_err::read(directory.join(DESCRIPTION));
        let text = text.map_err(|error| absent(error.to_string()))?;
        let saved: Description =
            serde_json::from_slice(&text).map_err(|error| absent(error.to_string()))?;
        let vm = Self::start(plan, qmp_log).await?;
        let wanted = Description::of(&vm).await?;
        if let Some((saved, wanted)) = saved.difference(&wanted) {
            vm.stop().await?;
            return Err(StateError::Differs {
                directory: directory.to_owned(),
                saved,
                wanted,
            });
        }
        transfer(&vm, "load", "migrate-incoming", &directory.join(MEMORY)).await?;
        vm.qmp.execute(qmp::cont {}).await?;
        Ok(vm)
    }
}

/// Lets QEMU write its state to a file or read it from there, until it has done so, it dies or the time is up.
async fn transfer(
    vm: &RunningVm,
    doing: &'static str,
    command: &'static str,
    file: &Path,
) -> Result<(), StateError> {
    let failed = |why: String| StateError::Failed { doing, why };
    let done = async {
        let capability = json!({"capabilities": [{"capability": "mapped-ram", "state": true}]});
        vm.qmp.ask("migrate-set-capabilities", capability).await?;
        // As channels: a path in a URI could not have every character.
        let address = json!({"transport": "file", "filename": file, "offset": 0});
        let channels = json!({"channels": [{"channel-type": "main", "addr": address}]});
        match vm.qmp.ask(command, channels).await {
            // A device that cannot be saved is named there.
            Err(QmpError::Refused { description, .. }) => return Err(failed(description)),
            begun => begun?,
        };
        completed(&vm.qmp).await?.map_err(failed)
    };
    tokio::select! {
        done = done => done,
        death = vm.died() => Err(MachineError::Died(death).into()),
        () = tokio::time::sleep(TRANSFER) => {
            Err(failed(format!("it is not done after {TRANSFER:?}")))
        }
    }
}

async fn completed(qmp: &Qmp) -> Result<Result<(), String>, QmpError> {
    let mut poll = tokio::time::interval(ASK);
    loop {
        poll.tick().await;
        let seen = qmp.ask("query-migrate", json!({})).await?;
        let why = || seen["error-desc"].as_str().unwrap_or("it gives no reason");
        match seen["status"].as_str() {
            Some("completed") => return Ok(Ok(())),
            Some(status @ ("failed" | "cancelled")) => {
                return Ok(Err(format!("{status}: {}", why())));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description(machine: &[&str]) -> Description {
        Description {
            qemu: "QEMU 10.0.2 Debian".into(),
            machine: machine.iter().map(|option| (*option).to_owned()).collect(),
        }
    }

    #[test]
    fn what_differs_first_is_named() {
        let saved = description(&["-m 256", "-device VGA"]);
        assert_eq!(
            saved.difference(&description(&["-m 256", "-device VGA"])),
            None
        );
        let more = saved.difference(&description(&["-m 256", "-device VGA", "-device nvme"]));
        assert_eq!(more, Some(("no more".into(), "-device nvme".into())));
        let other = saved.difference(&description(&["-m 512", "-device VGA"]));
        assert_eq!(other, Some(("-m 256".into(), "-m 512".into())));
        let mut newer = description(&[]);
        newer.qemu = "QEMU 11.0.0".into();
        assert_eq!(saved.difference(&newer).unwrap().1, "QEMU 11.0.0");
    }
}
