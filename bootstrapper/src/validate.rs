//! `validate`: one or many config-files checked in one run.

use crate::{Input, Output, WRONG_CONFIG, WRONG_IO, explain, print, read, refused, report};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use cluster_bootstrapper::diagnostic::Diagnostic;
use diagnostics::report::Sarif;
use diagnostics::report::to_json;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What `validate` takes.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Config-files. `-` is standard input; of a folder, its files `config-file`, `*.yaml` and `*.yml` are taken.
    #[arg(value_name = "PATH", required_unless_present = "config_file")]
    paths: Vec<PathBuf>,
    /// One config-file, in place of PATH.
    #[arg(long, value_name = "FILE", conflicts_with = "paths")]
    config_file: Option<PathBuf>,
    /// The K3s version in the OS image; a `version` in a config-file that differs is an error.
    #[arg(long, value_name = "VERSION")]
    k3s_version: Option<String>,
    /// Treat warnings as errors.
    #[arg(long)]
    deny_warnings: bool,
    /// Form of the report: for people on standard error; JSON or SARIF on standard output.
    #[arg(long, value_enum, default_value_t = Output::Human)]
    output: Output,
}

/// Checks all files. The worst of them decides the exit code.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    if let Some(path) = &arguments.config_file {
        return single(&arguments.input(path), arguments.output);
    }
    let mut worst = 0;
    let mut sarif = new_sarif();
    let mut reports = vec![];
    let mut all = vec![];
    for path in files(&arguments.paths)? {
        let input = arguments.input(&path);
        let path = path.display().to_string();
        match read(&input) {
            Ok(parsed) => {
                let valid = !refused(&input, &parsed);
                worst = worst.max(if valid { 0 } else { WRONG_CONFIG });
                if arguments.output == Output::Human {
                    report(&input.config_file, &parsed);
                    print(&format!(
                        "{path}: {}\n",
                        if valid { "valid" } else { "invalid" }
                    ))?;
                }
                let found = &parsed.diagnostics;
                sarif.file(&path, found);
                reports.push(json!({"path": path, "valid": valid, "diagnostics": found}));
                all.extend(parsed.diagnostics);
            }
            // The others are checked all the same.
            Err(error) => {
                worst = WRONG_IO;
                eprintln!("error: {error:#}");
                let error = format!("{error:#}");
                sarif.failure(&error);
                reports.push(json!({"path": path, "valid": false, "error": error}));
            }
        }
    }
    match arguments.output {
        Output::Json => print(&format!("{}\n", json!({ "files": reports })))?,
        Output::Sarif => print(&sarif.into_text())?,
        Output::Human => explained(&all),
    }
    Ok(ExitCode::from(worst))
}

fn single(input: &Input, output: Output) -> Result<ExitCode> {
    let parsed = read(input)?;
    match output {
        Output::Json => print(&to_json(&parsed.diagnostics))?,
        Output::Sarif => {
            let mut sarif = new_sarif();
            sarif.file(
                &input.config_file.display().to_string(),
                &parsed.diagnostics,
            );
            print(&sarif.into_text())?;
        }
        Output::Human => {
            report(&input.config_file, &parsed);
            explained(&parsed.diagnostics);
        }
    }
    if refused(input, &parsed) {
        return Ok(ExitCode::from(WRONG_CONFIG));
    }
    if output == Output::Human {
        print(&format!("{}: valid\n", input.config_file.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Says where the codes of a report are explained.
fn explained(found: &[Diagnostic]) {
    if let Some(hint) = explain::hint(found) {
        eprintln!("{hint}");
    }
}

fn new_sarif() -> Sarif {
    Sarif::new("cluster-bootstrapper", env!("CARGO_PKG_VERSION"))
}

impl Arguments {
    fn input(&self, path: &Path) -> Input {
        Input {
            config_file: path.to_owned(),
            k3s_version: self.k3s_version.clone(),
            deny_warnings: self.deny_warnings,
        }
    }
}

/// The files that the paths stand for, those of a folder by name.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut found = vec![];
    for path in paths {
        if path == Path::new("-") || !path.is_dir() {
            found.push(path.clone());
            continue;
        }
        let mut inside = config_files(path)
            .with_context(|| format!("looking for config-files in {}", path.display()))?;
        if inside.is_empty() {
            bail!(
                "no config-file in {}: looked for `config-file`, `*.yaml` and `*.yml`",
                path.display()
            );
        }
        inside.sort();
        found.append(&mut inside);
    }
    Ok(found)
}

fn config_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let is_yaml = path
            .extension()
            .is_some_and(|end| end == "yaml" || end == "yml");
        let is_plain = path.file_name().is_some_and(|name| name == "config-file");
        if (is_yaml || is_plain) && path.is_file() {
            found.push(path);
        }
    }
    Ok(found)
}
