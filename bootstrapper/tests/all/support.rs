//! What the tests of several subjects need: config-files from their parts, findings as tuples, runs of the program.

use cluster_bootstrapper::diagnostic::Severity;
use cluster_bootstrapper::install::{Machine, Owners, Root, plan};
use cluster_bootstrapper::values::Password;
use cluster_bootstrapper::{FirstBoot, ParseOptions, Parsed, parse};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The `kubernetes` section of K3s up to its `spec`.
pub const K3S: &str = "kubernetes:
  kind: KThreesControlPlaneTemplate
  apiVersion: controlplane.cluster.x-k8s.io/v1beta2
";

/// A K3s template without settings, in which a `{}` in flow style stands for `spec.template.spec`.
pub const EMPTY: &str = "kubernetes:
  kind: KThreesControlPlaneTemplate
  apiVersion: controlplane.cluster.x-k8s.io/v1beta2
  spec: {template: {spec: {}}}
";

/// Reads a config-file without an embedded version to compare with.
pub fn read(text: &str) -> Parsed {
    parse(text, &ParseOptions::default())
}

/// A config-file with the keys of `operatingSystem`, from line 2 on, and with K3s settings in flow style.
pub fn with(os: &str, spec: &str) -> Parsed {
    read(&format!(
        "operatingSystem:\n{os}{K3S}  spec: {{template: {{spec: {spec}}}}}\n"
    ))
}

/// The first boot of a config-file with these K3s settings and `runCommands`.
pub fn boot(spec: &str, commands: &str) -> FirstBoot {
    let parsed = with(&format!("  runCommands: [{commands}]\n"), spec);
    let config = parsed.config;
    let config = config.unwrap_or_else(|| panic!("refused: {spec}\n{:#?}", parsed.diagnostics));
    config.first_boot().expect("decoded")
}

/// The text of the file of a first boot whose path ends so.
pub fn boot_file(boot: &FirstBoot, end: &str) -> String {
    let file = boot.files.iter().find(|file| file.path.ends_with(end));
    let file = file.unwrap_or_else(|| panic!("no file {end}"));
    String::from_utf8(file.bytes.clone()).expect("text")
}

/// Whether files can be given away: only root can.
pub fn owners() -> Owners {
    match rustix::process::geteuid().is_root() {
        true => Owners::Set,
        false => Owners::Keep,
    }
}

/// Installs the keys of `operatingSystem` into a root tree.
pub fn install_into(root: &Path, os: &str) -> Result<(), String> {
    let parsed = with(os, "{}");
    let config = parsed.config;
    let config = config.ok_or_else(|| format!("{:?}", parsed.diagnostics))?;
    let root = Root::open(root, owners()).map_err(|error| error.to_string())?;
    let machine = Machine::new(None).map_err(|error| error.to_string())?;
    let plan = plan(&config, &machine, &root).map_err(|error| error.to_string())?;
    plan.carry_out(&root).map_err(|error| error.to_string())?;
    Ok(())
}

/// The text of a file in a root tree.
#[track_caller]
pub fn text_in(root: &Path, path: &str) -> String {
    let text = std::fs::read_to_string(root.join(path));
    text.unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Code, line and column of the findings of a severity.
pub fn found(parsed: &Parsed, severity: Severity) -> Vec<(&'static str, usize, usize)> {
    let all = parsed.diagnostics.iter();
    all.filter(|d| d.severity == severity)
        .map(|d| (d.code.as_str(), d.line, d.column))
        .collect()
}

/// A shell command that has a text in it, whatever is in that.
pub fn command_with(text: &str) -> String {
    format!("printf %s '{}'", text.replace('\'', "'\\''"))
}

/// All findings as people see them.
pub fn rendered(parsed: &Parsed) -> String {
    let all = parsed.diagnostics.iter();
    all.map(|d| d.render("f", parsed.source(), false)).collect()
}

/// A path in the crate's folder.
pub fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The sample as a user fills it in: with a password in the place of each placeholder.
pub fn sample() -> String {
    let text = std::fs::read_to_string(here("../configs/config-file.yaml")).expect("the sample");
    text.replace(Password::PLACEHOLDER, "Zm9yIHRoaXMgdGVzdA==")
}

/// A file with the [`sample`].
pub fn sample_file() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("temporary file");
    std::fs::write(file.path(), sample()).expect("written");
    file
}

/// Compares with a file below `tests/`, which `UPDATE_GOLDEN` writes anew.
#[track_caller]
pub fn golden(name: &str, text: &str) {
    let path = here("tests").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).expect("writing the golden file");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        text, expected,
        "run UPDATE_GOLDEN=1 cargo test -p cluster-bootstrapper --test all, and read the difference"
    );
}

/// The program with arguments.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cluster-bootstrapper"));
    command.args(args);
    command
}

/// Runs the program.
pub fn run(args: &[&str]) -> Output {
    command(args).output().expect("the program runs")
}

/// What a program printed.
pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What a program said on standard error.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
