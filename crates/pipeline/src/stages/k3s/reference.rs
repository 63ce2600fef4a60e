//! refk3s, the test double of K3s: compiled with Go, packed like a release.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use arch::ARCH;
use serde::{Deserialize, Serialize};

use super::super::test_double::MARKER;
use super::output::{self, make_executable};
use crate::input::Source;
use crate::process;
use crate::stage::{Request, Work};

/// Where the double's sources are, below the checkout.
const SOURCE: &str = "vm-tests/reference/refk3s";
/// Kubernetes' version, as the double reports it. Its first part is that of `k8s.io/kubernetes` in go.mod.
const VERSION: &str = "v1.33.13+refk3s1";
/// containerd's version, as the node reports it. Its first part is that of nodetools/go.mod.
const CONTAINERD_VERSION: &str = "v2.2.9-refk3s1";
/// The preloaded images: name, and the command of the module that is the image's only program.
const PRELOADED: [(&str, &str); 1] = [("docker.io/rancher/mirrored-pause:3.6", "pause")];
/// Commands of the module.
const COMMANDS: [&str; 6] = [
    "./cmd/k3s",
    "./cmd/server",
    "./cmd/kubectl",
    "./cmd/pack",
    "./cmd/airgap",
    "./cmd/pause",
];
/// Programs that go into the executable: directory on the node, name.
const PROGRAMS: [(&str, &str); 9] = [
    ("bin", "k3s-server"),
    ("bin", "kubectl"),
    ("bin", "containerd"),
    ("bin", "containerd-shim-runc-v2"),
    ("bin", "ctr"),
    ("cni", "bridge"),
    ("cni", "host-local"),
    ("cni", "loopback"),
    ("cni", "portmap"),
];

/// What the double's files are made of.
#[derive(Serialize, Deserialize)]
pub struct Inputs {
    source: Source,
    /// What `go version` says.
    go: String,
}

pub(super) fn inputs(request: &Request<'_>) -> Result<Inputs> {
    Ok(Inputs {
        source: request.source(SOURCE),
        go: request.workspace.go()?.to_owned(),
    })
}

/// Builds refk3s and fills the output with `k3s`, `install.sh`, the archive of preloaded images and `version`.
pub(super) fn build(inputs: &Inputs, work: &Work) -> Result<()> {
    let (source, out) = (inputs.source.path(), &work.out);
    let scratch =
        tempfile::tempdir_in(&work.scratch).context("a directory for the parts of refk3s")?;
    let parts = scratch.path();
    let tools = source.join("nodetools");
    compile(source, parts, &stamps(), &COMMANDS)?;
    // Under its own name it would not tell from ps and top what it is.
    fs_err::rename(parts.join("server"), parts.join("k3s-server"))?;
    compile(&tools, parts, &tool_stamps(), &["tool"])?;
    pack(parts, &out.join("k3s"))?;
    preload(parts, &out.join(output::IMAGES).join(ARCH.k3s_images))?;
    let script = out.join("install.sh");
    fs_err::copy(source.join("install.sh"), &script)?;
    make_executable(&script)?;
    fs_err::write(out.join(output::VERSION), format!("{VERSION}\n"))?;
    Ok(())
}

/// Compiles packages of the module in `directory` to static programs in `parts`.
fn compile(directory: &Path, parts: &Path, stamps: &str, packages: &[&str]) -> Result<()> {
    let mut target = parts.as_os_str().to_owned();
    target.push("/");
    let mut command = process::go();
    command
        .current_dir(directory)
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-mod=readonly")
        .args([
            "build",
            "-trimpath",
            "-buildvcs=false",
            "-ldflags",
            &format!("-s -w {stamps}"),
            "-o",
        ])
        .arg(target)
        .args(packages);
    process::run(&mut command).with_context(|| format!("compiling {}", directory.display()))
}

/// Linker settings by which `k3s` and every Kubernetes component report the double's version.
fn stamps() -> String {
    let packages = [
        "k8s.io/component-base/version",
        "k8s.io/client-go/pkg/version",
    ];
    let stamps = packages.map(|package| {
        format!(
            "-X {package}.gitVersion={VERSION} -X {package}.gitMajor=1 -X {package}.gitMinor=33 \
             -X {package}.gitTreeState=clean -X {package}.gitCommit={MARKER}"
        )
    });
    format!("-X main.version={VERSION} {}", stamps.join(" "))
}

/// Linker settings by which containerd and the network plugins say whose they are.
fn tool_stamps() -> String {
    format!(
        "-X github.com/containerd/containerd/v2/version.Version={CONTAINERD_VERSION} \
         -X github.com/containerd/containerd/v2/version.Revision={MARKER} \
         -X github.com/containernetworking/plugins/pkg/utils/buildversion.BuildVersion={MARKER}"
    )
}

/// Makes the one executable: the double's binary with its programs behind it.
fn pack(parts: &Path, out: &Path) -> Result<()> {
    let mut command = Command::new(parts.join("pack"));
    command.current_dir(parts).arg(out).arg("k3s");
    command.args(PROGRAMS.map(|(directory, name)| format!("{directory}={name}")));
    process::run(&mut command)
}

fn preload(parts: &Path, out: &Path) -> Result<()> {
    let mut command = Command::new(parts.join("airgap"));
    command.current_dir(parts).arg(out);
    command.args(PRELOADED.map(|(image, program)| format!("{image}={program}")));
    process::run(&mut command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_kubernetes_module() -> Result<()> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .and_then(Path::parent)
            .context("the checkout")?
            .join(SOURCE);
        let module = fs_err::read_to_string(root.join("go.mod"))?;
        let (base, _) = VERSION
            .split_once('+')
            .context("a version of the form vX+Y")?;
        assert!(
            module.contains(&format!("k8s.io/kubernetes {base}\n")),
            "go.mod does not require {base}"
        );
        Ok(())
    }

    #[test]
    fn the_containerd_version_is_that_of_its_module() -> Result<()> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .and_then(Path::parent)
            .context("the checkout")?
            .join(SOURCE);
        let module = fs_err::read_to_string(root.join("nodetools/go.mod"))?;
        let (base, _) = CONTAINERD_VERSION
            .split_once('-')
            .context("a version of the form vX-Y")?;
        assert!(
            module.contains(&format!("github.com/containerd/containerd/v2 {base}")),
            "go.mod does not require {base}"
        );
        Ok(())
    }

    #[test]
    fn the_marker_is_that_of_the_module_and_of_its_script() -> Result<()> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .and_then(Path::parent)
            .context("the checkout")?
            .join(SOURCE);
        for name in ["internal/marker/marker.go", "install.sh"] {
            let text = fs_err::read_to_string(root.join(name))?;
            assert!(text.contains(MARKER), "{name} does not have {MARKER}");
        }
        Ok(())
    }

    #[test]
    fn every_component_is_stamped_with_the_version() {
        assert_eq!(stamps().matches(VERSION).count(), 3);
    }
}
