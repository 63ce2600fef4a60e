//! `cargo xtask artifacts`: a profile's artifacts, seen, fetched, checked, and carried to a site without a network.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail, ensure};
use artifacts::Sha256;
use artifacts::plan::Artifact;
use clap::{Args, Subcommand};
use pipeline::progress;
use pipeline::store::Store;

use crate::acquire::{self, Acquirer};
use crate::carry;
use crate::catalogue::Catalogue;
use crate::project::Project;
use crate::shelf::{Place, Shelf};
use crate::sources::Sources;

/// The profile that has artifacts.
const DEFAULT: &str = "upstream";

/// What `artifacts` takes.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Say of each artifact whether it is here, its size, its licence and where it comes from
    List(Sources),
    /// Fetch what is not here; what is here costs no request
    Fetch(Sources),
    /// Read every artifact that is here again and compare its sum
    Verify(Sources),
    /// Ask the publishers for their sums again, fetch what has none, and write the lock file; a sum that differs from
    /// a known one is an error
    Lock(Sources),
    /// Copy the artifacts, and the outputs of stages that take packages from a network, to a directory
    Export(Carry),
    /// Take what `export` wrote into the store
    Import(Carry),
}

#[derive(Args)]
struct Carry {
    /// The directory
    dir: PathBuf,
    #[command(flatten)]
    sources: Sources,
}

/// Carries out a verb.
pub fn run(project: Project<'_>, arguments: &Arguments) -> Result<ExitCode> {
    let store = Store::of_user()?;
    match &arguments.verb {
        Verb::List(sources) => Session::open(project, &store, sources)?.list()?,
        Verb::Fetch(sources) => Session::open(project, &store, sources)?.fetch()?,
        Verb::Verify(sources) => Session::open(project, &store, sources)?.verify()?,
        Verb::Lock(sources) => Session::open(project, &store, sources)?.lock()?,
        Verb::Export(carry) => {
            let session = Session::open(project, &store, &carry.sources)?;
            carry::export(project, &session.shelf, &session.catalogue, &carry.dir)?;
        }
        Verb::Import(carry) => {
            let mut session = Session::open(project, &store, &carry.sources)?;
            carry::import(&session.shelf, &mut session.catalogue, &carry.dir)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

struct Session<'a> {
    project: Project<'a>,
    sources: &'a Sources,
    shelf: Shelf<'a>,
    catalogue: Catalogue,
}

impl<'a> Session<'a> {
    fn open(project: Project<'a>, store: &'a Store, sources: &'a Sources) -> Result<Self> {
        sources.check()?;
        let name = sources.profile.as_deref().unwrap_or(DEFAULT);
        Ok(Self {
            project,
            sources,
            shelf: Shelf {
                store,
                directory: sources.artifacts.as_deref(),
                cancel: project.cancel,
            },
            catalogue: Catalogue::read(project.root, name, &sources.changes())?,
        })
    }

    fn list(&self) -> Result<()> {
        println!(
            "profile: {}, {}",
            self.catalogue.profile.name, self.catalogue.profile.summary
        );
        for artifact in &self.catalogue.artifacts {
            println!("{}", self.line(artifact)?);
        }
        if self.catalogue.artifacts.is_empty() {
            println!("it takes nothing from publishers");
        }
        Ok(())
    }

    fn line(&self, artifact: &Artifact) -> Result<String> {
        let present = self.shelf.find(artifact)?;
        let state = match present.as_ref().map(|it| it.place) {
            Some(Place::Store) => "in the store",
            Some(Place::Directory) => "in the directory",
            Some(Place::Own) => "own file",
            None if artifact.sha256.is_none() => "not here, no sum",
            None => "not here",
        };
        let size = present.map(|it| it.size).or(artifact.size);
        Ok(format!(
            "{:<9} {:<16} {:<32} {state:<17} {:>11}  {:<11} {}",
            artifact.part,
            artifact.version,
            artifact.file,
            size.map_or_else(|| "-".to_owned(), progress::bytes),
            artifact.licence,
            artifact.source
        ))
    }

    fn acquirer(&self) -> Result<Acquirer<'_>> {
        ensure!(
            !self.sources.offline,
            "--offline opens no connection, and this command asks publishers; `list`, `verify`, `export` and `import` do not"
        );
        Acquirer::new(self.project.root, &self.shelf, self.sources.reach()?)
    }

    fn fetch(mut self) -> Result<()> {
        let wanted = self.catalogue.artifacts.clone();
        let mut missing = Vec::new();
        for artifact in wanted {
            if self.shelf.find(&artifact)?.is_none() {
                missing.push(artifact);
            }
        }
        if !missing.is_empty() {
            let mut catalogue = self.catalogue.clone();
            self.acquirer()?.fetch(&mut catalogue, &missing)?;
            self.catalogue = Catalogue::read(
                self.project.root,
                self.sources.profile.as_deref().unwrap_or(DEFAULT),
                &self.sources.changes(),
            )?;
        }
        self.list()
    }

    fn lock(self) -> Result<()> {
        let acquirer = self.acquirer()?;
        let mut seen: Vec<&[String]> = Vec::new();
        for artifact in &self.catalogue.artifacts {
            if artifact.checksums.is_empty() || seen.contains(&&artifact.checksums[..]) {
                continue;
            }
            seen.push(&artifact.checksums);
            let sums = acquirer.checksums(&artifact.checksums)?;
            let of_file = |it: &&Artifact| it.checksums == artifact.checksums;
            for artifact in self.catalogue.artifacts.iter().filter(of_file) {
                acquire::apply(
                    &mut artifact.clone(),
                    &sums,
                    artifact.checksums.last().map_or("", String::as_str),
                )?;
            }
        }
        println!("the publishers' sums agree with what is known");
        drop(acquirer);
        self.fetch()
    }

    fn verify(&self) -> Result<()> {
        let mut damaged = Vec::new();
        let mut absent = 0;
        for artifact in &self.catalogue.artifacts {
            let Some(present) = self.shelf.find(artifact)? else {
                println!("{}: not here", artifact.file);
                absent += 1;
                continue;
            };
            let (seen, _) = Sha256::of_file(&present.path)
                .with_context(|| format!("reading {}", present.path.display()))?;
            if artifact.sha256.unwrap_or(present.sha256) == seen {
                println!("{}: sha256 {seen}, as it has to be", artifact.file);
            } else {
                damaged.push(format!(
                    "{} has sha256 {seen}, expected {}; remove its directory and fetch it again",
                    present.path.display(),
                    present.sha256
                ));
            }
        }
        if !damaged.is_empty() {
            bail!("{}", damaged.join("\n"));
        }
        if absent > 0 {
            println!("{absent} not here: `cargo xtask artifacts fetch` gets them");
        }
        Ok(())
    }
}
