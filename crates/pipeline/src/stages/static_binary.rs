//! Stages `bootstrapper`, `installer`, `hookos-init` and `test-workload`: static binaries of workspace members.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use arch::ARCH;
use serde::{Deserialize, Serialize};

use crate::input::{Place, Source};
use crate::process;
use crate::stage::{Recipe, Request, Stage, Work};

/// What a static binary is made of.
#[derive(Serialize, Deserialize)]
pub struct Inputs {
    /// The checkout, and the sources of the member and of those that it is compiled with.
    workspace: Place,
    sources: Vec<Source>,
    /// What `rustc --version` says.
    rustc: String,
}

macro_rules! stages {
    ($($stage:ident = $recipe:ident, $name:literal, $package:literal, $seconds:literal s, $summary:literal;)+) => {$(
        #[doc = $summary]
        pub const $stage: Stage = Stage::of::<$recipe>();

        #[doc = $summary]
        pub struct $recipe;

        impl Recipe for $recipe {
            type Inputs = Inputs;
            const NAME: &'static str = $name;
            const SUMMARY: &'static str = $summary;
            const MODULE: &'static str = module_path!();
            const USUAL: Duration = Duration::from_secs($seconds);
            const COMPILES: bool = true;

            fn inputs(request: &Request<'_>) -> Result<Inputs> {
                inputs(request, $package)
            }

            fn build(inputs: Inputs, work: &Work) -> Result<()> {
                build(&inputs.workspace.path, $package, &work.out)
            }
        }
    )+};
}

stages! {
    BOOTSTRAPPER = Bootstrapper, "bootstrapper", "cluster-bootstrapper", 150 s,
        "cluster-bootstrapper, a static binary";
    INSTALLER = Installer, "installer", "installer", 40 s,
        "what install-os.sh calls, a static binary";
    HOOKOS_INIT = HookosInit, "hookos-init", "hookos-init", 60 s,
        "PID 1 of the reference HookOS, a static binary";
    TEST_WORKLOAD = TestWorkload, "test-workload", "test-workload", 6 s,
        "the program of the pods that the harness starts, a static binary";
}

fn inputs(request: &Request<'_>, package: &str) -> Result<Inputs> {
    let names = ["Cargo.toml", "Cargo.lock", ".cargo/config.toml"];
    let mut sources: Vec<Source> = names.iter().map(|name| request.source(name)).collect();
    sources.push(Source::named(
        "libc.a",
        request.workspace.libc()?.to_owned(),
    ));
    for directory in request.workspace.directories(package)? {
        let directory = directory.strip_prefix(request.root).unwrap_or(&directory);
        let parts = ["src", "Cargo.toml", "build.rs"].map(|part| directory.join(part));
        let there = parts.iter().filter(|part| request.root.join(part).exists());
        sources.extend(there.map(|part| request.source(&part.to_string_lossy())));
    }
    Ok(Inputs {
        workspace: Place::new(request.root),
        sources,
        rustc: request.workspace.rustc()?.to_owned(),
    })
}

fn build(root: &Path, package: &str, out: &Path) -> Result<()> {
    let target = root.join("target");
    let mut command = Command::new(process::cargo());
    command
        .current_dir(root)
        .args([
            "build",
            "--locked",
            "--profile",
            "dist",
            "--target",
            // No musl target is needed: glibc links into a static position-independent executable.
            ARCH.rust,
            "--package",
            package,
        ])
        .arg("--target-dir")
        .arg(&target)
        .env_remove("RUSTFLAGS")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("CARGO_BUILD_RUSTC_WRAPPER")
        .env("CARGO_ENCODED_RUSTFLAGS", rust_flags(root));
    process::run(&mut command)?;
    let program = target.join(ARCH.rust).join("dist").join(package);
    fs_err::copy(program, out.join(package))?;
    Ok(())
}

/// Static, and without the paths of this machine, so that any machine makes the same bytes. Cargo parts them at U+001F:
/// a path may have blanks.
fn rust_flags(root: &Path) -> OsString {
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo = cargo.unwrap_or_else(|| {
        let home = std::env::var_os("HOME").unwrap_or_default();
        Path::new(&home).join(".cargo")
    });
    let mut flags = OsString::from("-Ctarget-feature=+crt-static");
    for (path, name) in [(root, "emts"), (&*cargo, "cargo")] {
        flags.push("\u{1f}--remap-path-prefix=");
        flags.push(path);
        flags.push("=");
        flags.push(name);
    }
    flags
}
