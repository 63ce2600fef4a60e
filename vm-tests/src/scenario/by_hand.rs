//! A scenario's machine for somebody who sits before it: switched on with its stick, disks and firmware as in a run, its
//! first serial port on the terminal, its screen by VNC. Nothing is done with it and nothing is checked.

use std::io::{IsTerminal as _, stdin};

use anyhow::{Context as _, Result, bail, ensure};
use run_request::BootRequest;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::watch;
use vm::machine::{Bus, Mebibytes, RunningVm};

use super::accelerator::{Host, choose_accelerator};
use super::context::{MACHINE, RunOptions};
use super::machine::{Hardware, Reached};
use super::machine_definition::{DiskContent, DiskDefinition, MachineDefinition};
use super::request::machines_of;
use super::run::accelerator;
use crate::access::Access;
use crate::evidence::Evidence;
use crate::leases::Leases;
use crate::output::Output;
use crate::ssh::Secrets;

/// Ctrl-], which ends telnet and `virsh console` as well.
const DETACH: u8 = 0x1d;

/// Switches the machine on, until it is switched off from within, or by Ctrl-] or a signal.
///
/// # Errors
/// The scenario has several machines or cannot be used, or QEMU does not start.
pub async fn by_hand(
    request: BootRequest,
    output: &Output,
    interrupted: watch::Receiver<bool>,
) -> Result<()> {
    let (machines, _) = machines_of(request.run.clone())?;
    let [mut options] = <[RunOptions; 1]>::try_from(machines).map_err(|all| {
        anyhow::anyhow!(
            "the scenario has {} machines: only one is booted by hand",
            all.len()
        )
    })?;
    alter(&mut options.scenario.machine, request.memory, request.disk);
    let evidence = Evidence::create(&options.evidence, Secrets::default())?;
    let folder = evidence.path(MACHINE);
    let ended = switch_on(&options, &evidence, output, interrupted).await;
    if !options.request.keep {
        fs_err::remove_dir_all(folder)?;
    }
    let ended = ended?;
    println!("{ended}; logs: {}", options.evidence.display());
    Ok(())
}

/// What is wished in place of what the scenario has.
fn alter(machine: &mut MachineDefinition, memory: Option<u32>, disk: Option<u32>) {
    if let Some(memory) = memory {
        machine.memory = Mebibytes(memory);
    }
    let Some(size) = disk else { return };
    machine.installs_to = None;
    machine.disks.clear();
    if size > 0 {
        machine.disks.push(DiskDefinition {
            name: "target".into(),
            bus: Bus::Nvme,
            size: Mebibytes(size),
            serial: "EMTS-DISK-0".into(),
            content: DiskContent::Empty,
            fault: None,
            sector_size: 512,
            discard: true,
            late: false,
        });
    }
}

async fn switch_on(
    options: &RunOptions,
    evidence: &Evidence,
    output: &Output,
    interrupted: watch::Receiver<bool>,
) -> Result<&'static str> {
    let scenario = &options.scenario;
    let host = Host {
        scenario,
        usb: &options.usb,
        cache: &options.request.cache,
    };
    let wanted = options.request.accelerator.map(accelerator);
    let probe = evidence.path("kvm-probe");
    let probed = choose_accelerator(&host, wanted, &probe, output, interrupted.clone()).await?;
    let folder = evidence.path(MACHINE);
    let access = Access::create(&folder, &Leases::default())?;
    let hardware = Hardware::build(&scenario.machine, &options.usb, &folder, &scenario.folder)?;
    let sockets = tempfile::tempdir().context("cannot make a directory for sockets")?;
    let reached = Reached {
        access: Some(&access),
        hub: None,
        person: true,
    };
    let processors = options.processors(probed.chosen.accelerator);
    let plan = hardware.plan(
        scenario,
        processors,
        reached,
        evidence.folder(),
        sockets.path(),
    )?;
    let vm = RunningVm::start(plan, &evidence.path("qmp.jsonl")).await?;
    tell(&vm, &access, output).await?;
    let ended = sit_before(&vm, interrupted).await;
    vm.stop().await?;
    ended
}

/// Says how the machine is reached.
async fn tell(vm: &RunningVm, access: &Access, output: &Output) -> Result<()> {
    if let Some(port) = vm.vnc_port().await? {
        output.line(&format!("screen and keyboard: VNC at 127.0.0.1:{port}"));
    }
    if let Ok(port) = vm.ssh_port().await {
        output.line(&format!(
            "the node, once it runs: ssh -p {port} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -i '{}' root@127.0.0.1",
            access.identity.display()
        ));
    }
    output.line("below is the serial console; Ctrl-] switches the machine off");
    Ok(())
}

/// Carries what is typed to the machine and what it prints to the terminal; why it ended.
async fn sit_before(
    vm: &RunningVm,
    mut interrupted: watch::Receiver<bool>,
) -> Result<&'static str> {
    let socket = vm.plan().terminal_socket.as_ref();
    let socket = socket.context("the machine has no terminal")?;
    let stream = UnixStream::connect(socket).await;
    let mut stream = stream.with_context(|| format!("connecting to {}", socket.display()))?;
    let (mut from, mut to) = stream.split();
    let _raw = Raw::of_terminal()?;
    let shown = async {
        let mut terminal = tokio::io::stdout();
        let mut buffer = [0; 4096];
        loop {
            match from.read(&mut buffer).await? {
                0 => std::future::pending().await,
                read => terminal.write_all(&buffer[..read]).await?,
            }
            terminal.flush().await?;
        }
    };
    let typed = async {
        let mut keyboard = tokio::io::stdin();
        let mut buffer = [0; 256];
        loop {
            let read = match keyboard.read(&mut buffer).await? {
                // Nobody types: the machine runs all the same.
                0 => std::future::pending().await,
                read => read,
            };
            let keys = &buffer[..read];
            let detached = keys.iter().position(|key| *key == DETACH);
            to.write_all(&keys[..detached.unwrap_or(read)]).await?;
            if detached.is_some() {
                return Ok("the machine was switched off by Ctrl-]");
            }
        }
    };
    tokio::select! {
        death = vm.died() => {
            ensure!(death.status.ends_with(": 0"), "{death}");
            Ok("the machine has switched itself off")
        }
        ended = typed => ended,
        never = shown => never,
        _ = interrupted.wait_for(|interrupted| *interrupted) => bail!("interrupted"),
    }
}

/// The terminal hands over every key and changes nothing that is shown, until this is dropped.
struct Raw(Termios);

impl Raw {
    /// Nothing where standard input is no terminal.
    fn of_terminal() -> Result<Option<Self>> {
        if !stdin().is_terminal() {
            return Ok(None);
        }
        let before = tcgetattr(stdin()).context("asking for the terminal's settings")?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Now, &raw).context("setting the terminal")?;
        Ok(Some(Self(before)))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::scenario::ScenarioFile;

    fn altered(memory: Option<u32>, disk: Option<u32>) -> MachineDefinition {
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/scenarios/sample.yaml");
        let mut machine = ScenarioFile::load(&sample)
            .unwrap()
            .machines()
            .remove(0)
            .machine;
        alter(&mut machine, memory, disk);
        machine
    }

    #[test]
    fn a_wish_takes_the_place_of_what_the_scenario_has() {
        let sizes = |machine: &MachineDefinition| -> Vec<u32> {
            machine.disks.iter().map(|disk| disk.size.0).collect()
        };
        let as_it_is = altered(None, None);
        assert!(as_it_is.memory.0 > 700 && !as_it_is.disks.is_empty());
        let other = altered(Some(700), Some(3 << 10));
        assert_eq!((other.memory.0, sizes(&other)), (700, vec![3072]));
        assert_eq!(sizes(&altered(None, Some(0))), [0u32; 0]);
    }
}
