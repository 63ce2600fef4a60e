//! A build that is ended at any moment leaves nothing behind, and the next one is green. One whose inputs are edited
//! meanwhile is not kept.
//!
//! `EMTS_MOMENTS` is the number of moments, `EMTS_SEED` what they are drawn from; both are printed.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The stage that is built: it runs several programs and needs neither network nor compiler.
const STAGE: &str = "small-image";
/// How long anything may take here.
const LIMIT: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(10);

fn number(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.map_or(default, |text| text.parse().expect("a number"))
}

/// A build with caches in a directory of its own.
fn build(caches: &Path) -> Child {
    command(caches).spawn().expect("xtask")
}

fn command(caches: &Path) -> Command {
    command_of(Path::new(env!("CARGO_BIN_EXE_xtask")), caches)
}

fn command_of(program: &Path, caches: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .args(["build", STAGE, "--profile", "reference"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .env("XDG_CACHE_HOME", caches)
        .env("TMPDIR", caches.join("tmp"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn wait(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(status) = child.try_wait().expect("a child") {
            return status;
        }
        assert!(Instant::now() < deadline, "xtask does not end");
        std::thread::sleep(POLL);
    }
}

/// Processes that were started with these caches and have not ended.
fn processes(caches: &Path) -> Vec<String> {
    let caches = caches.as_os_str().as_encoded_bytes();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        if environment.windows(caches.len()).any(|it| it == caches) {
            let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            found.push(format!("{} {}", entry.file_name().display(), name.trim()));
        }
    }
    found
}

fn files_in(directory: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    names.map(|name| name.display().to_string()).collect()
}

/// Ends builds by a signal at moments that are drawn, and builds again after each.
fn ended_by(signal: Signal) {
    let (moments, seed) = (number("EMTS_MOMENTS", 2), number("EMTS_SEED", 1));
    let home = tempfile::tempdir().expect("a directory");
    let caches = home.path().join("a cache of 'mine' $(touch x)");
    std::fs::create_dir_all(caches.join("tmp")).expect("a directory");
    let begun = Instant::now();
    assert!(
        wait(&mut build(&caches)).success(),
        "the build fails by itself"
    );
    let whole = begun.elapsed().as_millis();
    let whole = u64::try_from(whole).expect("a build takes less than ages");
    let mut state = seed;
    for moment in 0..moments {
        // The first is within the first 100 ms. (A linear congruential generator, Knuth's MMIX.)
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let span = if moment == 0 { 100 } else { whole };
        let after = Duration::from_millis((state >> 33) % span);
        let told = format!("{signal:?} after {after:?} of {whole} ms, seed {seed}");
        std::fs::remove_dir_all(caches.join("emts")).expect("the caches of the build before");
        let mut running = build(&caches);
        std::thread::sleep(after);
        let id = Pid::from_child(&running);
        // It may have ended by itself.
        let _ = kill_process(id, signal);
        let status = wait(&mut running);
        let is_ended = status.signal() == Some(signal.as_raw()) || status.code() == Some(130);
        assert!(status.success() || is_ended, "{told}: {status}");
        let deadline = Instant::now() + LIMIT;
        while !processes(&caches).is_empty() {
            assert!(
                Instant::now() < deadline,
                "{told}: {:?}",
                processes(&caches)
            );
            std::thread::sleep(POLL);
        }
        if signal == Signal::INT {
            for directory in ["emts/store/tmp", "tmp"] {
                assert_eq!(files_in(&caches.join(directory)), [""; 0], "{told}");
            }
        }
        assert_eq!(
            wait(&mut build(&caches)).code(),
            Some(0),
            "{told}: the next build"
        );
        assert_eq!(
            files_in(&caches.join("emts/store/tmp")),
            [""; 0],
            "{told}: after the next build"
        );
        assert_eq!(files_in(home.path()).len(), 1, "{told}");
    }
}

/// What of the checkout a build of [`STAGE`] reads.
const READ: [&str; 8] = [
    ".cargo",
    "Cargo.lock",
    "Cargo.toml",
    "bootstrapper",
    "configs",
    "crates",
    "hookos",
    "xtask",
];

#[test]
fn what_was_edited_while_a_stage_was_built_is_not_kept() {
    let home = tempfile::tempdir().expect("a directory");
    let (checkout, caches) = (home.path().join("checkout"), home.path().join("caches"));
    std::fs::create_dir_all(checkout.join("vm-tests")).expect("a directory");
    std::fs::create_dir_all(caches.join("tmp")).expect("a directory");
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let harness = ["Cargo.toml", "src", "workload"].map(|name| format!("vm-tests/{name}"));
    for name in READ
        .iter()
        .copied()
        .chain(harness.iter().map(String::as_str))
    {
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(own.join(name)).arg(checkout.join(name));
        assert!(copy.status().expect("cp").success(), "{name}");
    }
    let said = home.path().join("said");
    let mut command = command(&caches);
    let mut running = command
        .env("CARGO_MANIFEST_DIR", checkout.join("xtask"))
        .stderr(std::fs::File::create(&said).expect("a file"))
        .spawn()
        .expect("xtask");
    // The stage runs once there is its request.
    let deadline = Instant::now() + LIMIT;
    while files_in(&caches.join("emts/store/tmp")).is_empty() {
        assert!(Instant::now() < deadline, "the stage is not started");
        assert!(
            running.try_wait().expect("a child").is_none(),
            "xtask ended"
        );
        std::thread::sleep(POLL);
    }
    let lock = checkout.join("Cargo.lock");
    let text = std::fs::read_to_string(&lock).expect("a lock file");
    std::fs::write(&lock, text + "# edited\n").expect("a lock file");
    assert_eq!(wait(&mut running).code(), Some(1));
    let said = std::fs::read_to_string(said).expect("what it said");
    assert!(
        said.contains("Cargo.lock was changed while the stage small-image"),
        "{said}"
    );
    let entries = files_in(&caches.join("emts/store"));
    assert!(
        !entries.iter().any(|name| name.ends_with(STAGE)),
        "{entries:?}"
    );
}

#[test]
fn a_build_goes_on_after_its_program_was_replaced() {
    let home = tempfile::tempdir().expect("a directory");
    let caches = home.path().join("caches");
    std::fs::create_dir_all(caches.join("tmp")).expect("a directory");
    let program = home.path().join("xtask");
    std::fs::copy(env!("CARGO_BIN_EXE_xtask"), &program).expect("a copy");
    let mut running = command_of(&program, &caches)
        .env("CARGO_MANIFEST_DIR", env!("CARGO_MANIFEST_DIR"))
        .spawn()
        .expect("xtask");
    std::fs::remove_file(&program).expect("a copy");
    assert_eq!(wait(&mut running).code(), Some(0));
}

#[test]
fn a_build_that_is_interrupted_leaves_nothing_and_is_built_again() {
    ended_by(Signal::INT);
}

#[test]
fn a_build_whose_command_is_killed_leaves_no_process_and_is_built_again() {
    ended_by(Signal::KILL);
}
