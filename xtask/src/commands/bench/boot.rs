//! How long HookOS takes from the firmware's hand-over to the first line of os-installer, in an
//! emulated machine with two processors, one where QEMU is older than 8.1.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use arch::ARCH;
use xshell::{Shell, cmd};

use crate::host::qemu;

/// What EDK II's boot device selection prints when it starts a boot entry.
const HAND_OVER: &str = "BdsDxe: starting Boot";
/// What install-os.sh prints first.
const FIRST_LINE: &str = "EMTS step=find-media state=begin";
/// When a boot is given up.
const DEADLINE: Duration = Duration::from_secs(300);
/// Lines of the console that an error shows.
const TAIL_LINES: usize = 20;
/// Bytes of the stick beside hookos.efi: a FAT32 file system has at least 33 MB.
const MARGIN: u64 = 40 << 20;

/// Boots `efi` from a USB stick and returns the seconds. `directory` is for the machine's files.
pub fn seconds(efi: &Path, directory: &Path) -> Result<f64> {
    let stick = stick(efi, directory)?;
    let [code, template] = ARCH.plain.firmware();
    let vars = directory.join("vars.fd");
    fs_err::copy(template, &vars)?;
    let mut machine = Machine::start(&code, &vars, &stick)?;
    machine.time()
}

/// The image of a stick that has nothing but `efi`.
fn stick(efi: &Path, directory: &Path) -> Result<PathBuf> {
    let stick = directory.join("stick.img");
    let file = fs_err::File::create(&stick)?;
    file.set_len(fs_err::metadata(efi)?.len().next_multiple_of(1 << 20) + MARGIN)?;
    // mtools has a shell read the name of an image that has a character special to it.
    let (shell, boot_file) = (Shell::new()?, ARCH.boot_file);
    shell.change_dir(directory);
    cmd!(shell, "mkfs.vfat -F 32 stick.img").read()?;
    cmd!(shell, "mmd -i stick.img ::/EFI ::/EFI/BOOT").read()?;
    cmd!(shell, "mcopy -i stick.img {efi} ::/{boot_file}").read()?;
    Ok(stick)
}

/// A running QEMU and the lines of its first serial port; it ends with this value.
struct Machine {
    qemu: Child,
    lines: Receiver<(Instant, String)>,
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

impl Machine {
    fn start(code: &Path, vars: &Path, stick: &Path) -> Result<Self> {
        let mut command = Command::new(ARCH.qemu);
        command
            .args(["-nodefaults", "-no-user-config"])
            .args(["-machine", ARCH.plain.kind])
            .args(["-accel", "tcg,thread=multi", "-cpu", "max"])
            .args(["-smp", &qemu::emulated_processors()?.to_string()])
            .args(["-m", "4096", "-display", "none"])
            .args(["-device", "VGA", "-device", "qemu-xhci,id=xhci"])
            .args(["-device", "virtio-rng-pci", "-serial", "stdio"])
            .args(["-netdev", "user,id=net0,restrict=on"])
            .args(["-device", "virtio-net-pci,netdev=net0,romfile="])
            .args(["-device", "usb-storage,drive=stick,bus=xhci.0,removable=on"]);
        for (drive, file) in [
            ("if=pflash,unit=0,readonly=on", code),
            ("if=pflash,unit=1", vars),
            ("if=none,id=stick", stick),
        ] {
            let file = file.to_string_lossy().replace(',', ",,");
            command.arg("-drive");
            command.arg(format!("{drive},format=raw,file={file}"));
        }
        Self::of(&mut command)
    }

    /// Starts what writes a console to its standard output.
    fn of(command: &mut Command) -> Result<Self> {
        let mut qemu = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| {
                format!(
                    "starting {} (`cargo xtask setup` installs it)",
                    command.get_program().display()
                )
            })?;
        let output = qemu.stdout.take().context("QEMU has no output")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                // Nobody listens any more once the boot is over.
                let _ = sender.send((Instant::now(), line));
            }
        });
        Ok(Self { qemu, lines })
    }

    /// The seconds between the two lines.
    fn time(&mut self) -> Result<f64> {
        let begun = Instant::now();
        let (mut hand_over, mut seen) = (None, Vec::new());
        loop {
            let left = DEADLINE.saturating_sub(begun.elapsed());
            let (at, line) = match self.lines.recv_timeout(left) {
                Ok(received) => received,
                Err(RecvTimeoutError::Timeout) => bail!(
                    "os-installer printed nothing within {} s; the end of the console:\n{}",
                    DEADLINE.as_secs(),
                    tail(&seen)
                ),
                Err(RecvTimeoutError::Disconnected) => bail!(
                    "QEMU ended ({}); the end of the console:\n{}",
                    self.qemu.wait()?,
                    tail(&seen)
                ),
            };
            if line.contains(HAND_OVER) {
                hand_over.get_or_insert(at);
            }
            if let (Some(hand_over), true) = (hand_over, line.contains(FIRST_LINE)) {
                return Ok(at.duration_since(hand_over).as_secs_f64());
            }
            seen.push(line);
        }
    }
}

fn tail(lines: &[String]) -> String {
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn console(script: &str) -> Result<f64> {
        Machine::of(Command::new("sh").args(["-c", script]))?.time()
    }

    #[test]
    fn the_time_is_that_between_the_two_lines() -> Result<()> {
        let seconds = console(
            "echo 'EMTS step=find-media state=begin of an earlier boot'; \
             echo 'BdsDxe: starting Boot0001 from the stick'; \
             echo 'EMTS step=find-media state=begin t=0.2'; exec sleep 60",
        )?;
        assert!(seconds < 60.0);
        Ok(())
    }

    #[test]
    fn a_machine_that_ends_early_shows_the_end_of_its_console() {
        let error = console("echo 'BdsDxe: starting Boot0001'; echo 'Kernel panic'; exit 3");
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("Kernel panic") && error.contains("exit status: 3"),
            "{error}"
        );
    }

    #[test]
    fn the_stick_has_the_file_where_firmware_looks_for_it() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let efi = dir.path().join("hookos.efi");
        fs_err::write(&efi, "an EFI executable")?;
        let stick = stick(&efi, dir.path())?;
        let (shell, boot_file) = (Shell::new()?, ARCH.boot_file);
        let read = cmd!(shell, "mtype -i {stick} ::/{boot_file}").read()?;
        assert_eq!(read, "an EFI executable");
        Ok(())
    }
}
