//! The linters of the workflows in `.github/`, each of one version, installed from the package registries into the cache.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use pipeline::not_run::NotRun;
use pipeline::{cache, group, process};

use crate::project::Project;

/// Of syntax, expressions and the shell in them; its Go module's checksum is that of Go's database.
const ACTIONLINT: [&str; 2] = ["github.com/rhysd/actionlint/cmd/actionlint", "v1.7.12"];
/// Of security: version and checksum.
const ZIZMOR: &str = ".github/zizmor.txt";

/// The commands that check the workflows of the checkout.
///
/// # Errors
/// [`NotRun`] where the registries do not answer.
pub fn linters(project: Project<'_>) -> Result<[Command; 2]> {
    let tools = cache::directory()?.join("tools");
    let mut actionlint = Command::new(actionlint(project, &tools)?);
    actionlint.current_dir(project.root);
    let mut zizmor = Command::new(zizmor(project, &tools)?);
    zizmor
        .current_dir(project.root)
        .args(["--offline", "--no-progress", "--quiet", ".github"]);
    Ok([actionlint, zizmor])
}

fn actionlint(project: Project<'_>, tools: &Path) -> Result<PathBuf> {
    let [package, version] = ACTIONLINT;
    let directory = tools.join(format!("actionlint-{version}"));
    let program = directory.join("actionlint");
    if !program.is_file() {
        let mut install = process::go();
        install
            .args(["install", &format!("{package}@{version}")])
            .env("GOBIN", &directory)
            .env("GOFLAGS", "-mod=mod")
            .current_dir(project.root);
        installed(project, "actionlint", &mut install, &program)?;
    }
    Ok(program)
}

fn zizmor(project: Project<'_>, tools: &Path) -> Result<PathBuf> {
    let wanted = fs_err::read_to_string(project.root.join(ZIZMOR))?;
    let digest = pipeline::digest::of_text(&wanted);
    let directory = tools.join(format!("zizmor-{}", &digest[..16]));
    let program = directory.join("bin/zizmor");
    if !program.is_file() {
        let mut venv = Command::new("/usr/bin/python3");
        venv.args(["-m", "venv", "--clear"]).arg(&directory);
        let pip = directory.join("bin/pip");
        installed(project, "zizmor", &mut venv, &pip)?;
        let mut install = Command::new(&pip);
        install
            .args(["install", "--quiet", "--disable-pip-version-check"])
            .args(["--require-hashes", "--only-binary=:all:", "--requirement"])
            .arg(project.root.join(ZIZMOR));
        installed(project, "zizmor", &mut install, &program)?;
    }
    Ok(program)
}

/// Runs a command that has to make `program`.
fn installed(
    project: Project<'_>,
    name: &str,
    command: &mut Command,
    program: &Path,
) -> Result<()> {
    let ended = group::run(&mut process::tied(command), project.cancel);
    project.cancel.check(&format!("installing {name}"))?;
    if let Err(error) = ended {
        return Err(NotRun(format!("{name} cannot be installed: {error:#}")).into());
    }
    ensure!(
        program.is_file(),
        "{name} was installed without {}",
        program.display()
    );
    Ok(())
}
