//! A build step: what it is made of, and how.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::choice::Options;
use crate::input::{self, Output, Source, Sources};
use crate::workspace::Workspace;

/// The file in a stage's output with what people should know of it, one note a line.
pub const NOTES: &str = "notes";

/// What a stage may look at to say what it is made of.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The checkout.
    pub root: &'a Path,
    /// The user's choices.
    pub options: &'a Options,
    /// The members of the workspace and their modules.
    pub workspace: &'a Workspace,
    /// What the needed stages have made, by name.
    pub outputs: &'a BTreeMap<String, Output>,
}

impl Request<'_> {
    /// A file or directory of the checkout.
    pub fn source(&self, name: &str) -> Source {
        Source::named(name, self.root.join(name))
    }

    /// Parts of a directory of the checkout.
    pub fn sources(&self, directory: &str, parts: &[&str]) -> Sources {
        Sources::of(self.root, directory, parts)
    }

    /// What a needed stage has made.
    ///
    /// # Errors
    /// It is not among the needed ones.
    pub fn output(&self, stage: &str) -> Result<Output> {
        let output = self.outputs.get(stage);
        let output =
            output.with_context(|| format!("the stage {stage} is not among the needed ones"))?;
        Ok(output.clone())
    }
}

/// Where a stage works.
#[derive(Debug, Clone)]
pub struct Work {
    /// The empty directory to fill.
    pub out: PathBuf,
    /// A directory for temporary files.
    pub scratch: PathBuf,
}

/// How one stage is made. The build sees what the inputs hold, and nothing else of the checkout and of the options.
pub trait Recipe {
    /// Everything that the output depends on beside the stage's code.
    type Inputs: Serialize + DeserializeOwned;
    /// Name, as commands and the store show it.
    const NAME: &'static str;
    /// One line for `cargo xtask stages`.
    const SUMMARY: &'static str;
    /// Where its code begins: `module_path!()`.
    const MODULE: &'static str;
    /// Whether cargo compiles it.
    const COMPILES: bool = false;
    /// How long it takes on two processors, until a machine has a figure of its own.
    const USUAL: Duration;
    /// How long it may take; several times of what it takes on a slow machine.
    const LIMIT: Duration = Duration::from_secs(3600);

    /// Stages whose outputs it reads.
    fn needs(_: &Options) -> &'static [&'static str] {
        &[]
    }

    /// What it is made of.
    ///
    /// # Errors
    /// Something that it depends on cannot be read.
    fn inputs(request: &Request<'_>) -> Result<Self::Inputs>;

    /// Fills the output directory.
    ///
    /// # Errors
    /// The stage's own.
    fn build(inputs: Self::Inputs, work: &Work) -> Result<()>;
}

/// A build step.
pub struct Stage {
    /// Name, as commands and the store show it.
    pub name: &'static str,
    /// One line for `cargo xtask stages`.
    pub summary: &'static str,
    /// Whether cargo compiles it.
    pub compiles: bool,
    /// Where its code begins.
    pub module: &'static str,
    /// How long it takes on two processors.
    pub usual: Duration,
    /// How long it may take.
    pub limit: Duration,
    /// Stages whose outputs it reads.
    pub needs: fn(&Options) -> &'static [&'static str],
    inputs: fn(&Request<'_>) -> Result<Value>,
    build: fn(Value, &Work) -> Result<()>,
}

impl Stage {
    /// The stage of a recipe.
    pub const fn of<R: Recipe>() -> Self {
        Self {
            name: R::NAME,
            summary: R::SUMMARY,
            compiles: R::COMPILES,
            module: R::MODULE,
            usual: R::USUAL,
            limit: R::LIMIT,
            needs: R::needs,
            inputs: |request| Ok(serde_json::to_value(R::inputs(request)?)?),
            build: |inputs, work| R::build(serde_json::from_value(inputs)?, work),
        }
    }

    /// What the stage is made of, as the process that builds it gets it.
    ///
    /// # Errors
    /// Something that it depends on cannot be read, or a needed stage has no output.
    pub fn inputs(&self, request: &Request<'_>) -> Result<Value> {
        (self.inputs)(request).with_context(|| format!("looking at the inputs of {}", self.name))
    }

    /// Name and digest of all that its output depends on: its inputs, and the files of its code.
    ///
    /// # Errors
    /// Something that it depends on cannot be read.
    pub fn digests(
        &self,
        request: &Request<'_>,
        inputs: &Value,
    ) -> Result<BTreeMap<String, String>> {
        let mut digests = input::digests(inputs)
            .with_context(|| format!("reading the inputs of {}", self.name))?;
        digests.extend(request.workspace.code_of(self.module)?);
        // The versions of the crates that the code uses, and the project's own.
        digests.extend(input::digests(&serde_json::to_value(
            request.source("Cargo.lock"),
        )?)?);
        Ok(digests)
    }

    /// Builds it.
    ///
    /// # Errors
    /// The stage's own.
    pub fn build(&self, inputs: Value, work: &Work) -> Result<()> {
        (self.build)(inputs, work)
    }
}
