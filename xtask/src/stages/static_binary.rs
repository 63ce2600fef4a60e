//! Stages `bootstrapper`, `disk-writer`, `hookos-init` and `test-workload`: static binaries of workspace members.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::{Context, Input, Options, Stage, sources};
use crate::{process, workspace};

/// No musl target is needed: glibc links into a static position-independent executable.
const TARGET: &str = "x86_64-unknown-linux-gnu";

pub const BOOTSTRAPPER: Stage = Stage {
    name: "bootstrapper",
    summary: "cluster-bootstrapper, a static binary",
    compiles: true,
    needs: |_| &[],
    inputs: |root, _: &Options| inputs(root, "cluster-bootstrapper"),
    build: |context| build(context, "cluster-bootstrapper"),
};

pub const DISK_WRITER: Stage = Stage {
    name: "disk-writer",
    summary: "what the installer writes the OS image with, a static binary",
    compiles: true,
    needs: |_| &[],
    inputs: |root, _: &Options| inputs(root, "disk-writer"),
    build: |context| build(context, "disk-writer"),
};

pub const HOOKOS_INIT: Stage = Stage {
    name: "hookos-init",
    summary: "PID 1 of the reference HookOS, a static binary",
    compiles: true,
    needs: |_| &[],
    inputs: |root, _: &Options| inputs(root, "hookos-init"),
    build: |context| build(context, "hookos-init"),
};

pub const TEST_WORKLOAD: Stage = Stage {
    name: "test-workload",
    summary: "the program of the pods that the harness starts, a static binary",
    compiles: true,
    needs: |_| &[],
    inputs: |root, _: &Options| inputs(root, "test-workload"),
    build: |context| build(context, "test-workload"),
};

fn inputs(root: &Path, package: &str) -> Result<Vec<Input>> {
    let mut inputs = sources(
        root,
        &[
            "Cargo.toml",
            "Cargo.lock",
            "xtask/src/stages/static_binary.rs",
        ],
    );
    for directory in workspace::directories(root, package)? {
        let parts = ["src", "Cargo.toml", "build.rs"].map(|part| directory.join(part));
        inputs.extend(
            parts
                .into_iter()
                .filter(|path| path.exists())
                .map(Input::Path),
        );
    }
    let version = Command::new("rustc")
        .arg("--version")
        .output()
        .context("asking rustc for its version")?;
    inputs.push(Input::Value(
        "rustc",
        String::from_utf8_lossy(&version.stdout).trim().to_owned(),
    ));
    Ok(inputs)
}

fn build(context: &Context, package: &str) -> Result<()> {
    let root = &context.root;
    let target = root.join("target");
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(root)
        .args([
            "build",
            "--locked",
            "--profile",
            "dist",
            "--target",
            TARGET,
            "--package",
            package,
        ])
        .arg("--target-dir")
        .arg(&target)
        .env("RUSTFLAGS", rust_flags(root));
    process::run(&mut command)?;
    fs_err::copy(
        target.join(TARGET).join("dist").join(package),
        context.out.join(package),
    )?;
    Ok(())
}

/// Static, and without the paths of this machine, so that any machine makes the same bytes.
fn rust_flags(root: &Path) -> String {
    let mut flags = format!(
        "-C target-feature=+crt-static --remap-path-prefix={}=emts",
        root.display()
    );
    let home = std::env::var("HOME").unwrap_or_default();
    let cargo = std::env::var("CARGO_HOME").unwrap_or_else(|_| format!("{home}/.cargo"));
    flags.push_str(&format!(" --remap-path-prefix={cargo}=cargo"));
    flags
}
