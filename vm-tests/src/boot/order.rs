//! What PID 1 does, in order: lines that a small LinuxKit file has to write to its console.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use arch::ARCH;
use diagnostics::decode::decode;
use serde::Deserialize;
use vm::accel::Accelerator;
use vm::firmware::Kernel;
use vm::machine::{AtReset, Bus, Disk, DiskFormat, Mebibytes, VmConfig, create_empty_disk};

use super::{DEADLINE, Watched};

/// What the network says its domain is.
const DOMAIN: &str = "boot.test";

/// One machine that is started, from power-on until it ends by itself.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Boot {
    /// What it is about.
    name: String,
    /// The kernel's arguments besides those of every machine.
    #[serde(default)]
    arguments: String,
    /// Keys that are pressed when the console shows something.
    #[serde(default)]
    press: Option<Press>,
    /// Texts that the console has to show, each in a line after the one before.
    lines: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Press {
    /// The text that the console shows before.
    after: String,
    /// The keys, in the words of QEMU's `sendkey`.
    keys: String,
}

/// Boots `kernel` with `initrd` as each of the machines in the file `expected`, in emulated machines of `cpus` processors;
/// what was seen, in words.
///
/// # Errors
/// A machine does not end by itself, or its console does not show what it has to.
pub async fn check_order(
    kernel: &Path,
    initrd: &Path,
    expected: &Path,
    cpus: u8,
) -> Result<String> {
    let text = fs_err::read_to_string(expected)?;
    let boots: Vec<Boot> = decode(&text).with_context(|| expected.display().to_string())?;
    let mut seen = Vec::new();
    for boot in &boots {
        let doing = || format!("the machine `{}`", boot.name);
        let count = run(boot, kernel, initrd, cpus).await.with_context(doing)?;
        seen.push(format!("{}: {count} lines seen in order", boot.name));
    }
    Ok(seen.join("; "))
}

async fn run(boot: &Boot, kernel: &Path, initrd: &Path, cpus: u8) -> Result<usize> {
    let directory = tempfile::tempdir()?;
    let directory = directory.path();
    let disk = directory.join("disk.raw");
    create_empty_disk(&disk, 16 << 20)?;
    let [console, _] = ARCH.serial;
    let kernel = Kernel {
        image: kernel.to_owned(),
        initrd: initrd.to_owned(),
        arguments: format!("console={console} loglevel=5 panic=-1 {}", boot.arguments),
    };
    let config = VmConfig::new("emts-boot-order", kernel, directory, directory)
        .accelerator(Accelerator::Tcg)
        .cpus(cpus)
        .memory(Mebibytes(1024))
        .domain(DOMAIN)
        // The restart that PID 1 makes ends the machine.
        .at_reset(AtReset::Ends)
        .disk(Disk::new(
            "disk",
            &disk,
            DiskFormat::Raw,
            Bus::Virtio,
            "EMTS-BOOT-0",
        ));
    let machine = Watched::start(&config, directory).await?;
    if let Some(press) = &boot.press {
        let shown = |state: &vm::console::ConsoleState| {
            let lines = state.tail(usize::MAX);
            lines
                .iter()
                .any(|line| line.contains(&press.after))
                .then_some(())
        };
        let wanted = format!("the console does not show `{}`", press.after);
        machine.wait_for(&wanted, shown).await?;
        let keys = format!("sendkey {}", press.keys);
        machine.vm.qmp.monitor(&keys).await?;
    }
    let ended = tokio::time::timeout(DEADLINE, machine.vm.died()).await;
    let Ok(ended) = ended else {
        let limit = humantime::format_duration(DEADLINE);
        anyhow::bail!(
            "it did not end within {limit}; {}",
            machine.last_lines().await
        );
    };
    machine.console.caught_up().await;
    let path = &machine.vm.plan().serial_logs[0].path;
    let text = fs_err::read(path)?;
    let text = String::from_utf8_lossy(&text);
    in_order(&text, &boot.lines)?;
    ensure!(ended.status == "exit status: 0", "{ended}");
    Ok(boot.lines.len())
}

/// Each expected text is in a line after the one before. A machine that hangs fills the end of its console with traces, the
/// cause is before them: so all of it is shown.
fn in_order(console: &str, expected: &[String]) -> Result<()> {
    let mut lines = console.lines();
    for text in expected {
        ensure!(
            lines.any(|line| line.contains(text.as_str())),
            "not seen on the console: {text}\nthe console:\n{console}"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_to_come_in_their_order() {
        let expected = ["one", "two"].map(str::to_owned);
        in_order("x one\ny\nand two\n", &expected).unwrap();
        let error = in_order("two\none\n", &expected).unwrap_err();
        assert!(error.to_string().contains("not seen on the console: two"));
        assert!(in_order("one two\n", &expected).is_err());
    }

    #[test]
    fn the_projects_file_can_be_read() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../hookos/tests/boot-order.lines.yaml"
        );
        let boots: Vec<Boot> = decode(&fs_err::read_to_string(path).unwrap()).unwrap();
        assert!(boots.iter().all(|boot| boot.lines.len() > 5));
    }
}
