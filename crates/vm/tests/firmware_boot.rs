//! Boots OVMF in QEMU for real: seconds, no operating system.

use std::path::Path;
use std::time::Duration;

use arch::ARCH;
use tokio::io::AsyncReadExt as _;
use vm::console::Console;
use vm::firmware::{Firmware, Kind};
use vm::machine::{
    Bus, Disk, DiskFormat, MachineError, Mebibytes, RunningVm, VmConfig, VmPlan, create_empty_disk,
};
use vm::nvram::{BootVariables, Quirk, add_variable};

/// Far more than OVMF needs under software emulation on a loaded host.
const DEADLINE: Duration = Duration::from_secs(120);

fn config(folder: &Path) -> (VmConfig, Firmware) {
    let firmware =
        Firmware::new_machine(Kind::Plain, &folder.join("vars.fd")).expect("the firmware");
    let disk = folder.join("disk.raw");
    create_empty_disk(&disk, 64 << 20).unwrap();
    let disk = Disk::new("target", &disk, DiskFormat::Raw, Bus::Nvme, "EMTS-TEST-7");
    (
        VmConfig::new("firmware-boot", firmware.clone(), folder, folder)
            .cpus(1)
            .memory(Mebibytes(256))
            .disk(disk),
        firmware,
    )
}

/// A machine of which every device can be saved, with new firmware variables.
fn saveable(folder: &Path, memory: u32) -> (VmConfig, Firmware) {
    let firmware =
        Firmware::new_machine(Kind::Plain, &folder.join("vars.fd")).expect("the firmware");
    create_empty_disk(&folder.join("disk.raw"), 64 << 20).unwrap();
    (saveable_with(&firmware, folder, folder, memory), firmware)
}

fn saveable_with(firmware: &Firmware, folder: &Path, logs: &Path, memory: u32) -> VmConfig {
    let file = folder.join("disk.raw");
    VmConfig::new("firmware-boot", firmware.clone(), logs, logs)
        .cpus(1)
        .memory(Mebibytes(memory))
        .disk(Disk::new(
            "target",
            &file,
            DiskFormat::Raw,
            Bus::Sata,
            "EMTS-TEST-7",
        ))
}

async fn start(plan: VmPlan, folder: &Path) -> Result<RunningVm, MachineError> {
    tokio::time::timeout(DEADLINE, RunningVm::start(plan, &folder.join("qmp.jsonl")))
        .await
        .expect("QEMU answers in time")
}

#[tokio::test(flavor = "multi_thread")]
async fn firmware_without_a_system_writes_its_entries_and_shows_its_screen() {
    let folder = tempfile::tempdir().unwrap();
    let (config, firmware) = config(folder.path());
    let plan = config.plan().unwrap();
    let console = Console::follow(&plan.serial_logs);
    let vm = start(plan, folder.path()).await.unwrap();
    assert_ne!(vm.ssh_port().await.unwrap(), 0);
    let line = console.wait_for(|state| {
        state
            .tail(50)
            .into_iter()
            .find(|line| line.contains("BdsDxe"))
    });
    let line = tokio::time::timeout(DEADLINE, line)
        .await
        .expect("the firmware tries an entry");
    assert!(line.starts_with("ttyS0: "), "{line}");
    let png = folder.path().join("screen.png");
    vm.qmp.screenshot(&png).await.unwrap();
    assert!(fs_err::read(&png).unwrap().starts_with(b"\x89PNG"));
    vm.stop().await.unwrap();
    let variables =
        BootVariables::from_file_content(&fs_err::read(&firmware.vars).unwrap()).unwrap();
    assert!(!variables.order.is_empty());
    let nvme = variables
        .entries
        .iter()
        .find(|entry| entry.description.contains("EMTS-TEST-7"));
    assert!(
        nvme.is_some_and(|entry| entry.decoded && entry.active),
        "{}",
        variables.order_text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_qemu_that_dies_at_once_is_reported_with_its_own_words() {
    let folder = tempfile::tempdir().unwrap();
    let (config, _) = config(folder.path());
    let mut plan = config.plan().unwrap();
    plan.args
        .extend(["-device".to_owned(), "no-such-device".to_owned()]);
    let error = start(plan, folder.path()).await.unwrap_err().to_string();
    assert!(
        error.contains("QEMU ended") && error.contains("no-such-device"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_qemu_killed_from_outside_ends_a_wait() {
    let folder = tempfile::tempdir().unwrap();
    let (config, _) = config(folder.path());
    let vm = start(config.plan().unwrap(), folder.path()).await.unwrap();
    let died = async {
        let quit = vm.qmp.quit();
        let (death, _) = tokio::join!(vm.died(), quit);
        death
    };
    let death = tokio::time::timeout(DEADLINE, died)
        .await
        .expect("the end is seen");
    assert!(
        death.to_string().starts_with("QEMU ended (exit status: 0)"),
        "{death}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_qemu_is_named_with_its_package() {
    let folder = tempfile::tempdir().unwrap();
    let (config, _) = config(folder.path());
    let mut plan = config.plan().unwrap();
    plan.program = Path::new("/nowhere").join(ARCH.qemu);
    let program = plan.program.display().to_string();
    let error = start(plan, folder.path()).await.unwrap_err().to_string();
    assert!(
        error.contains(&program)
            && error.contains(&format!("package {}", ARCH.qemu_package.debian)),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_machine_leaves_no_process() {
    let folder = tempfile::tempdir().unwrap();
    let (config, _) = config(folder.path());
    let vm = start(config.plan().unwrap(), folder.path()).await.unwrap();
    let mark = folder.path().to_string_lossy().into_owned();
    assert!(runs(&mark));
    drop(vm);
    let gone = async {
        let mut poll = tokio::time::interval(Duration::from_millis(50));
        while runs(&mark) {
            poll.tick().await;
        }
    };
    tokio::time::timeout(DEADLINE, gone)
        .await
        .expect("QEMU is gone");
}

async fn line_of_firmware(console: &Console) -> String {
    let line = console.wait_for(|state| {
        let lines = state.tail(200);
        lines.into_iter().rev().find(|line| line.contains("BdsDxe"))
    });
    tokio::time::timeout(DEADLINE, line)
        .await
        .expect("the firmware tries an entry")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_machine_goes_on_in_another_process_and_only_on_the_same_machine() {
    let folder = tempfile::tempdir().unwrap();
    let (first, firmware) = saveable(folder.path(), 256);
    let plan = first.plan().unwrap();
    let console = Console::follow(&plan.serial_logs);
    let vm = start(plan, folder.path()).await.unwrap();
    line_of_firmware(&console).await;
    let state = folder.path().join("a state, saved");
    vm.save(&state).await.unwrap();
    assert!(!runs(&folder.path().to_string_lossy()));
    let again = |memory| {
        let logs = folder.path().join(format!("resumed-{memory}"));
        fs_err::create_dir_all(&logs).unwrap();
        let config = saveable_with(&firmware, folder.path(), &logs, memory);
        (config.resumed().plan().unwrap(), logs.join("qmp.jsonl"))
    };
    let (other, log) = again(512);
    let error = RunningVm::resume(other, &state, &log).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("has -m 256, the one to go on with it has -m 512"),
        "{error}"
    );
    let (same, log) = again(256);
    let vm = RunningVm::resume(same, &state, &log).await.unwrap();
    let status = vm.qmp.monitor("info status").await.unwrap();
    assert!(status.contains("running"), "{status}");
    // What was on the screen is in the state, and what the firmware does next comes from there.
    let png = folder.path().join("resumed.png");
    vm.qmp.screenshot(&png).await.unwrap();
    assert!(fs_err::read(&png).unwrap().starts_with(b"\x89PNG"));
    vm.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interactive_machine_has_its_serial_port_in_a_socket_and_in_its_log_and_its_screen_on_loopback()
 {
    let folder = tempfile::tempdir().unwrap();
    let (config, _) = config(folder.path());
    let plan = config.interactive().plan().unwrap();
    let socket = plan.terminal_socket.clone().expect("a socket");
    let console = Console::follow(&plan.serial_logs);
    let vm = start(plan, folder.path()).await.unwrap();
    let mut terminal = tokio::net::UnixStream::connect(socket).await.unwrap();
    let port = vm.vnc_port().await.unwrap().expect("a port");
    let screen = tokio::net::TcpStream::connect(("127.0.0.1", port));
    assert!(screen.await.is_ok());
    line_of_firmware(&console).await;
    // With what moves the cursor in it, which the log is read without.
    let shown = async {
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains("BdsDxe") {
            assert_ne!(terminal.read_buf(&mut seen).await.unwrap(), 0);
        }
    };
    let shown = tokio::time::timeout(DEADLINE, shown).await;
    shown.expect("the socket has what the log has");
    vm.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_cannot_be_saved_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (config, _) = config(folder.path());
    let vm = start(config.plan().unwrap(), folder.path()).await.unwrap();
    let state = folder.path().join("state");
    let error = vm.save(&state).await.unwrap_err().to_string();
    assert!(error.contains("nvme"), "{error}");
    assert!(!state.exists() && !state.with_extension("new").exists());
    assert!(!runs(&folder.path().to_string_lossy()));
}

/// True while a process has `mark` in its command line.
fn runs(mark: &str) -> bool {
    let processes = fs_err::read_dir("/proc").unwrap().filter_map(Result::ok);
    let lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines
        .into_iter()
        .any(|line| String::from_utf8_lossy(&line).contains(mark))
}

/// The first line of the firmware that says what it starts, or tries to.
async fn first_choice(config: &VmConfig, folder: &Path) -> String {
    let plan = config.plan().unwrap();
    for log in &plan.serial_logs {
        fs_err::write(&log.path, "").unwrap();
    }
    let console = Console::follow(&plan.serial_logs);
    let vm = start(plan, folder).await.unwrap();
    let line = console.wait_for(|state| {
        let mut lines = state.tail(usize::MAX).into_iter();
        lines.find(|line| line.contains("BdsDxe: ") && line.contains(" Boot0"))
    });
    let line = tokio::time::timeout(DEADLINE, line)
        .await
        .expect("the firmware tries an entry");
    vm.kill().await.unwrap();
    line
}

#[tokio::test(flavor = "multi_thread")]
async fn a_firmware_starts_what_boot_next_names_unless_it_forgets_that() {
    let folder = tempfile::tempdir().unwrap();
    let (config, firmware) = config(folder.path());
    let by_order = first_choice(&config, folder.path()).await;
    assert!(by_order.contains("EMTS-TEST-7"), "{by_order}");
    let mut bytes = fs_err::read(&firmware.vars).unwrap();
    let boot = BootVariables::from_file_content(&bytes).unwrap();
    let mut entries = boot.entries.iter();
    let shell = entries
        .find(|entry| entry.description.contains("Shell"))
        .expect("OVMF has a shell");
    add_variable(&mut bytes, "BootNext", &shell.number.to_le_bytes()).unwrap();
    fs_err::write(&firmware.vars, &bytes).unwrap();
    let as_named = first_choice(&config, folder.path()).await;
    assert!(as_named.contains("Shell"), "{as_named}");
    Quirk::IgnoresBootNext.start(&mut bytes).unwrap();
    fs_err::write(&firmware.vars, &bytes).unwrap();
    assert_eq!(first_choice(&config, folder.path()).await, by_order);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tpm_is_there_with_the_machine_and_gone_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let (config, _) = config(folder.path());
    let state = folder.path().join("tpm");
    let plan = config.tpm(&state).plan().unwrap();
    let vm = start(plan, folder.path()).await.unwrap();
    let mark = format!("dir={}", state.display());
    assert!(runs(&mark));
    let said = vm.qmp.monitor("info tpm").await.unwrap();
    assert!(said.contains("model=tpm-tis"), "{said}");
    vm.stop().await.unwrap();
    assert!(!runs(&mark));
    assert!(fs_err::read_dir(&state).unwrap().next().is_some());
}
