//! A machine resolved to data: QEMU's command line and the paths it writes to.

use std::path::{Path, PathBuf};

use arch::ARCH;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use super::block_node::block_node;
use super::config::{Accelerator, AtReset, Bus, VmConfig};
use super::device::{attaching, devices};
use super::network::Network;
use super::tpm::Tpm;
use crate::firmware::Start;
use crate::shell::{escape, quote};

/// The longest name of a Unix socket, in bytes (`sun_path` without its NUL).
const SOCKET_NAME_LIMIT: usize = 107;

/// Why a machine cannot be built as described.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PlanError {
    /// Two disks have one name.
    #[error("two disks of the machine are named `{0}`; give each a name of its own")]
    DuplicateDisk(String),
    /// QEMU has no such disk.
    #[error("the disk `{0}` cannot be had on {1:?}: sectors of that size, or attached later")]
    Disk(String, Bus),
    /// A file is not there.
    #[error("{what} {path} does not exist; {advice}")]
    Missing {
        /// The part of the machine.
        what: &'static str,
        /// Where it was looked for.
        path: PathBuf,
        /// What to do.
        advice: String,
    },
    /// The folder for sockets has too long a name.
    #[error(
        "the socket {0} has a name of more than {SOCKET_NAME_LIMIT} bytes; set TMPDIR to a shorter path"
    )]
    LongSocket(PathBuf),
}

/// A serial port and the file that QEMU writes its output to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SerialLog {
    /// The guest's name of the port, such as `ttyS0`.
    pub port: &'static str,
    /// The file with its output.
    pub path: PathBuf,
}

/// All that is needed to start the machine, as a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VmPlan {
    /// The machine's name.
    pub name: String,
    /// QEMU's executable.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// The control socket that QEMU makes.
    pub qmp_socket: PathBuf,
    /// The debugger socket of an emulated machine.
    pub gdb_socket: Option<PathBuf>,
    /// The socket of the first serial port of an interactive machine.
    pub terminal_socket: Option<PathBuf>,
    /// The serial ports' outputs.
    pub serial_logs: Vec<SerialLog>,
    /// QEMU's own messages.
    pub qemu_log: PathBuf,
    /// What its own card reaches.
    pub network: Network,
    /// True when it has a card on a network with other machines.
    pub on_lan: bool,
    /// What becomes of it when its guest resets it.
    pub at_reset: AtReset,
    /// The process that is its TPM.
    pub tpm: Option<Tpm>,
    /// What attaches each disk that is not there at power-on, by the disk's name.
    pub(super) late_disks: Vec<(String, String)>,
}

impl VmConfig {
    /// Resolves the machine.
    ///
    /// # Errors
    /// Missing files, names used twice, a socket path that is too long.
    pub fn plan(&self) -> Result<VmPlan, PlanError> {
        self.check()?;
        let qmp_socket = self.socket("qmp.sock")?;
        let tpm = self.tpm.as_deref().map(|state| self.plan_tpm(state));
        let tpm = tpm.transpose()?;
        let serial_logs: Vec<SerialLog> = ARCH
            .serial
            .map(|port| SerialLog {
                port,
                path: self.logs.join(format!("serial-{port}.log")),
            })
            .into();
        let mut args = Args::default();
        self.push_base(&mut args);
        self.push_start(&mut args);
        for (number, disk) in self.disks.iter().enumerate() {
            args.pair("-blockdev", block_node(disk));
            for device in devices(disk, number) {
                args.pair("-device", device);
            }
        }
        for (option, value) in tpm.iter().flat_map(Tpm::arguments) {
            args.pair(option, value);
        }
        for (option, value) in self
            .network
            .arguments(self.lan.as_ref(), self.domain.as_deref())
        {
            args.pair(option, value);
        }
        let terminal_socket = self.is_interactive.then(|| self.sockets.join("ttyS0.sock"));
        push_consoles(&mut args, &serial_logs, terminal_socket.as_deref());
        push_socket(&mut args, "qmp", &qmp_socket);
        args.pair("-mon", "chardev=qmp,mode=control");
        let gdb_socket =
            (self.accelerator == Accelerator::Tcg).then(|| self.sockets.join("gdb.sock"));
        if let Some(socket) = &gdb_socket {
            push_socket(&mut args, "gdb", socket);
            args.pair("-gdb", "chardev:gdb");
        }
        Ok(VmPlan {
            name: self.name.clone(),
            program: self.qemu.clone(),
            args: args.0,
            qmp_socket,
            gdb_socket,
            terminal_socket,
            serial_logs,
            qemu_log: self.logs.join("qemu.log"),
            network: self.network,
            on_lan: self.lan.is_some(),
            at_reset: self.at_reset,
            tpm,
            late_disks: self.late_disks(),
        })
    }

    fn plan_tpm(&self, state: &Path) -> Result<Tpm, PlanError> {
        Ok(Tpm {
            state: state.to_owned(),
            socket: self.socket("tpm.sock")?,
            log: self.logs.join("swtpm.log"),
        })
    }

    fn late_disks(&self) -> Vec<(String, String)> {
        let late = self.disks.iter().filter(|disk| disk.late);
        late.map(|disk| (disk.name.clone(), attaching(disk)))
            .collect()
    }

    /// The path of a Unix socket, which cannot be long.
    fn socket(&self, name: &str) -> Result<PathBuf, PlanError> {
        let socket = self.sockets.join(name);
        if socket.as_os_str().len() > SOCKET_NAME_LIMIT {
            return Err(PlanError::LongSocket(socket));
        }
        Ok(socket)
    }

    fn check(&self) -> Result<(), PlanError> {
        let missing = |what, path: &Path, advice: String| PlanError::Missing {
            what,
            path: path.to_owned(),
            advice,
        };
        let files = match &self.start {
            Start::Firmware(firmware) => [
                ("the firmware's code", &firmware.code),
                ("the firmware's variable file", &firmware.vars),
            ],
            Start::Kernel(kernel) => [
                ("the kernel", &kernel.image),
                ("the initial file system", &kernel.initrd),
            ],
        };
        let package = ARCH.firmware_package.debian;
        let advice = match &self.start {
            Start::Firmware(_) => {
                format!("install the package {package} (`cargo xtask setup` does)")
            }
            Start::Kernel(_) => "build it first (`cargo xtask build hookos` does)".to_owned(),
        };
        for (what, path) in files {
            if !path.is_file() {
                return Err(missing(what, path, advice));
            }
        }
        for (at, disk) in self.disks.iter().enumerate() {
            if self.disks[..at].iter().any(|other| other.name == disk.name) {
                return Err(PlanError::DuplicateDisk(disk.name.clone()));
            }
            if !disk.bus.takes_sectors_of(disk.sector_size)
                || disk.late && !disk.bus.takes_late_disks()
            {
                return Err(PlanError::Disk(disk.name.clone(), disk.bus));
            }
            if !disk.file.exists() {
                return Err(missing(
                    "the disk image",
                    &disk.file,
                    "build it first (`cargo xtask e2e` does)".to_owned(),
                ));
            }
        }
        Ok(())
    }

    fn push_base(&self, args: &mut Args) {
        for flag in ["-nodefaults", "-no-user-config"] {
            args.flag(flag);
        }
        args.pair("-name", &self.name);
        args.pair("-machine", self.start.machine().kind);
        match self.at_reset {
            AtReset::Restarts => {}
            AtReset::Ends => args.flag("-no-reboot"),
            AtReset::Stops => args.pair("-action", "reboot=shutdown,shutdown=pause"),
        }
        if let Some(time) = self.clock {
            args.pair("-rtc", format!("base={}", time.text()));
        }
        if self.is_resumed {
            args.pair("-incoming", "defer");
        }
        let (accel, cpu) = match self.accelerator {
            Accelerator::Kvm => ("kvm", "host"),
            Accelerator::Tcg => ("tcg,thread=multi", "max"),
        };
        args.pair("-accel", accel);
        args.pair("-cpu", cpu);
        args.pair("-smp", self.cpus.to_string());
        args.pair("-m", self.memory.0.to_string());
        args.pair("-object", "rng-random,id=rng0,filename=/dev/urandom");
        args.pair("-device", "virtio-rng-pci,rng=rng0");
        args.pair("-display", "none");
        if self.is_interactive {
            args.pair("-vnc", "127.0.0.1:0,to=99");
        }
        args.pair("-device", "VGA,id=screen");
        args.pair("-device", "qemu-xhci,id=xhci");
        for (name, value) in &self.credentials {
            let value = STANDARD.encode(value);
            args.pair(
                "-smbios",
                format!("type=11,value=io.systemd.credential.binary:{name}={value}"),
            );
        }
    }

    fn push_start(&self, args: &mut Args) {
        for setting in self.start.machine().globals {
            args.pair("-global", *setting);
        }
        match &self.start {
            Start::Kernel(kernel) => {
                args.pair("-kernel", kernel.image.to_string_lossy());
                args.pair("-initrd", kernel.initrd.to_string_lossy());
                args.pair("-append", &kernel.arguments);
            }
            Start::Firmware(firmware) => {
                let files = [("0,readonly=on", &firmware.code), ("1", &firmware.vars)];
                for (unit, file) in files {
                    let file = escape(file);
                    args.pair(
                        "-drive",
                        format!("if=pflash,unit={unit},format=raw,file={file}"),
                    );
                }
            }
        }
    }
}

/// A Unix socket that QEMU opens and does not wait at.
fn push_socket(args: &mut Args, id: &str, path: &Path) {
    let path = escape(path);
    args.pair(
        "-chardev",
        format!("socket,id={id},path={path},server=on,wait=off"),
    );
}

/// Each serial port into its log; the first one also to and from `terminal`, where that is given.
fn push_consoles(args: &mut Args, logs: &[SerialLog], terminal: Option<&Path>) {
    let mut terminal = terminal;
    for SerialLog { port, path } in logs {
        let log = escape(path);
        let device = match terminal.take() {
            Some(socket) => format!(
                "socket,id={port},path={},server=on,wait=off,logfile={log},logappend=on",
                escape(socket)
            ),
            None => format!("file,id={port},path={log},append=on"),
        };
        args.pair("-chardev", device);
        args.pair("-serial", format!("chardev:{port}"));
    }
}

impl VmPlan {
    /// The command line as a shell script that starts the same machine by hand.
    #[must_use]
    pub fn to_script(&self) -> String {
        let mut script = format!(
            "#!/bin/sh\n# The virtual machine `{}` as it was run. Its disks are there only when the run was kept (--keep).\nset -e\nmkdir -p {}\n",
            self.name,
            quote(
                &self
                    .qmp_socket
                    .parent()
                    .unwrap_or(Path::new("."))
                    .to_string_lossy()
            ),
        );
        if let Some(tpm) = &self.tpm {
            let words: Vec<_> = tpm.command().iter().map(|word| quote(word)).collect();
            script += &format!("{} --daemon\n", words.join(" "));
        }
        script += &format!("exec {}", quote(&self.program.to_string_lossy()));
        for arg in &self.args {
            let separator = if arg.starts_with('-') { " \\\n  " } else { " " };
            script.push_str(separator);
            script.push_str(&quote(arg));
        }
        script.push('\n');
        script
    }
}

#[derive(Default)]
struct Args(Vec<String>);

impl Args {
    fn flag(&mut self, flag: &str) {
        self.0.push(flag.to_owned());
    }

    fn pair(&mut self, option: &str, value: impl Into<String>) {
        self.0.push(option.to_owned());
        self.0.push(value.into());
    }
}

#[cfg(test)]
mod tests;
