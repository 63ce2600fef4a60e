//! Stage `k3s`: what the node's Kubernetes consists of. A release of K3s, or refk3s, built here with Go.

pub mod output;
mod reference;
mod release;

use std::path::Path;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::{Context, Input, Options, Stage, sources, test_double};

pub use release::{Release, Taken};

/// Which Kubernetes the node runs.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum K3s {
    /// refk3s, the test double.
    #[default]
    Double,
    /// The files of a release.
    Release(Release),
}

/// The stage.
pub const STAGE: Stage = Stage {
    name: "k3s",
    summary: "k3s, install.sh and the preloaded images: a release, or refk3s",
    compiles: false,
    needs: |_| &[],
    inputs,
    build,
};

fn inputs(root: &Path, options: &Options) -> Result<Vec<Input>> {
    let mut inputs = sources(
        root,
        &[
            "xtask/src/stages/k3s.rs",
            "xtask/src/stages/decoder.rs",
            "xtask/src/stages/test_double.rs",
        ],
    );
    inputs.extend(match &options.k3s {
        K3s::Double => reference::inputs(root)?,
        K3s::Release(release) => release.inputs(root),
    });
    Ok(inputs)
}

fn build(context: &Context) -> Result<()> {
    let images = context.out.join(output::IMAGES);
    fs_err::create_dir(&images)?;
    match &context.options.k3s {
        K3s::Double => reference::build(&context.root, &context.out),
        K3s::Release(release) => release.take(&context.out),
    }?;
    let mut files = vec!["k3s".to_owned(), "install.sh".to_owned()];
    for entry in fs_err::read_dir(&images)? {
        let name = entry?.file_name();
        files.push(format!("{}/{}", output::IMAGES, name.display()));
    }
    test_double::note(&context.out, &files)?;
    let is_double = matches!(context.options.k3s, K3s::Double);
    ensure!(
        !is_double || test_double::of(&context.out)?.is_some(),
        "refk3s was built without the marker by which it is told from a release"
    );
    Ok(())
}
