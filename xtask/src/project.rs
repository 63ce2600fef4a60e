//! What every command works on.

use std::path::Path;
use std::sync::OnceLock;

use anyhow::Result;
use pipeline::build::{self, Outputs};
use pipeline::cancel::Cancel;
use pipeline::choice::Options;
use pipeline::store::Store;
use pipeline::workspace::Workspace;

/// The checkout, and the wish to end.
#[derive(Clone, Copy)]
pub struct Project<'a> {
    /// The checkout.
    pub root: &'a Path,
    /// When to end early.
    pub cancel: &'a Cancel,
    /// What the stages are made by; read once.
    pub workspace: &'a OnceLock<Workspace>,
}

impl Project<'_> {
    /// What the stages are made by.
    ///
    /// # Errors
    /// Those of [`Workspace::read`].
    pub fn workspace(&self) -> Result<&Workspace> {
        if let Some(known) = self.workspace.get() {
            return Ok(known);
        }
        let read = Workspace::read(self.root)?;
        Ok(self.workspace.get_or_init(|| read))
    }

    /// Makes the outputs of stages with the user's store.
    ///
    /// # Errors
    /// Those of [`build::produce`].
    pub fn produce(&self, options: &Options, wanted: &[&str]) -> Result<Outputs> {
        build::produce(
            self.workspace()?,
            &Store::of_user()?,
            self.cancel,
            options,
            wanted,
        )
    }
}
