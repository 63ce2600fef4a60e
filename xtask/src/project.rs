//! What every command works on.

use std::path::Path;

use anyhow::Result;
use pipeline::build::{self, Outputs};
use pipeline::cancel::Cancel;
use pipeline::choice::Options;
use pipeline::store::Store;

/// The checkout, and the wish to end.
#[derive(Clone, Copy)]
pub struct Project<'a> {
    /// The checkout.
    pub root: &'a Path,
    /// When to end early.
    pub cancel: &'a Cancel,
}

impl Project<'_> {
    /// Makes the outputs of stages with the user's store.
    ///
    /// # Errors
    /// Those of [`build::produce`].
    pub fn produce(&self, options: &Options, wanted: &[&str]) -> Result<Outputs> {
        build::produce(self.root, &Store::of_user()?, self.cancel, options, wanted)
    }
}
