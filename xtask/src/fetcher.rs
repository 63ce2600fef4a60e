//! The program `artifacts`, which has the HTTP client: it fetches files and asks whether servers answer.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use artifacts::request::{Probe, ProbeReport, Report, Request};
use pipeline::cancel::Cancel;
use pipeline::group::Group;
use pipeline::process;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cargo;

/// How the program ends when something was not fetched; its report then says what.
const NOT_ALL_FETCHED: i32 = 1;

/// The compiled program.
#[derive(Debug)]
pub struct Fetcher {
    program: PathBuf,
    proxy: Option<String>,
    cancel: Cancel,
}

impl Fetcher {
    /// Compiles it, if it is not. `proxy` takes the place of those in the environment.
    pub fn build(root: &Path, cancel: &Cancel, proxy: Option<&str>) -> Result<Self> {
        let arguments = [
            "--package",
            "artifacts",
            "--no-default-features",
            "--features",
            "fetch",
            "--bin",
            "artifacts",
        ];
        let program = cargo::build_program(root, cancel, "downloader", "artifacts", &arguments)?;
        Ok(Self {
            program,
            proxy: proxy.map(str::to_owned),
            cancel: cancel.clone(),
        })
    }

    /// Fetches all of a request, or as much as can be had. Progress goes to standard error.
    pub fn fetch(&self, request: &Request) -> Result<Report> {
        self.ask("fetch", request)
    }

    /// Which of several servers answers first.
    pub fn probe(&self, probe: &Probe) -> Result<ProbeReport> {
        self.ask("probe", probe)
    }

    /// The command that carries out a request.
    pub fn command(&self, verb: &str, request: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(verb).arg(request);
        if let Some(proxy) = &self.proxy {
            command.env("HTTPS_PROXY", proxy);
            for name in ["NO_PROXY", "no_proxy", "https_proxy"] {
                command.env_remove(name);
            }
        }
        command
    }

    fn ask<T: DeserializeOwned>(&self, verb: &str, question: &impl Serialize) -> Result<T> {
        let request = tempfile::NamedTempFile::new()?;
        serde_json::to_writer(request.as_file(), question)?;
        let mut answer = tempfile::tempfile()?;
        let mut command = self.command(verb, request.path());
        command.stdout(Stdio::from(answer.try_clone()?));
        let status = Group::spawn(&mut command, &self.cancel)?.wait(|| {});
        let status = status.context("the same command goes on where this one ended")?;
        if status.code() != Some(NOT_ALL_FETCHED) {
            process::expect_success(status, &format!("artifacts {verb}"))?;
        }
        let mut text = Vec::new();
        answer.seek(SeekFrom::Start(0))?;
        answer.read_to_end(&mut text)?;
        serde_json::from_slice(&text)
            .with_context(|| format!("reading what `artifacts {verb}` printed"))
    }
}
