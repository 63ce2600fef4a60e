//! Stage `k3s`: what the node's Kubernetes consists of. A release of K3s, or refk3s, built here with Go.

pub mod output;
mod reference;
mod release;

use std::time::Duration;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::test_double;
use crate::choice::K3s as Choice;
use crate::choice::Release;
use crate::stage::{Recipe, Request, Stage, Work};

/// The stage.
pub const STAGE: Stage = Stage::of::<K3s>();

/// How it is made.
pub struct K3s;

/// What it is made of.
#[derive(Serialize, Deserialize)]
pub enum Inputs {
    /// refk3s.
    Double(reference::Inputs),
    /// A release.
    Release(Box<Release>),
}

impl Recipe for K3s {
    type Inputs = Inputs;
    const NAME: &'static str = "k3s";
    const SUMMARY: &'static str = "k3s, install.sh and the preloaded images: a release, or refk3s";
    const MODULE: &'static str = module_path!();
    const USUAL: Duration = Duration::from_secs(420);

    fn inputs(request: &Request<'_>) -> Result<Inputs> {
        Ok(match &request.options.k3s {
            Choice::Double => Inputs::Double(reference::inputs(request)?),
            Choice::Release(release) => Inputs::Release(release.clone()),
        })
    }

    fn build(inputs: Inputs, work: &Work) -> Result<()> {
        build(&inputs, work)
    }
}

fn build(inputs: &Inputs, work: &Work) -> Result<()> {
    let images = work.out.join(output::IMAGES);
    fs_err::create_dir(&images)?;
    match inputs {
        Inputs::Double(inputs) => reference::build(inputs, work),
        Inputs::Release(files) => release::take(files, &work.out),
    }?;
    let mut files = vec!["k3s".to_owned(), "install.sh".to_owned()];
    for entry in fs_err::read_dir(&images)? {
        let name = entry?.file_name();
        files.push(format!("{}/{}", output::IMAGES, name.display()));
    }
    test_double::note(&work.out, &files)?;
    let is_double = matches!(inputs, Inputs::Double(_));
    ensure!(
        !is_double || test_double::of(&work.out)?.is_some(),
        "refk3s was built without the marker by which it is told from a release"
    );
    Ok(())
}
