//! Stage `test-workload`: the image that the harness brings to a node for its pods, as an archive for containerd. It is
//! part of no released file.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use ::hookos::oci::{
    Compression, Entry, ImageConfig, ImageSource, ImageSpec, LayerInput, LayoutWriter, export,
};
use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::choice::Options;
use crate::input::Output;
use crate::stage::{Recipe, Request, Stage, Work};

/// The archive in the stage's output.
pub const ARCHIVE: &str = "test-workload.tar";
/// The image's name, which the harness knows, too (`vm-tests/src/expectation/workload.rs`).
const REFERENCE: &str = "docker.io/emts/test-workload:1";
/// The program, which is the image's only file.
const PROGRAM: &str = "test-workload";
/// zstd level; the default of the zstd library.
const LEVEL: i32 = 3;

/// The stage.
pub const STAGE: Stage = Stage::of::<Workload>();

/// How the image is made.
pub struct Workload;

/// What the image is made of.
#[derive(Serialize, Deserialize)]
pub struct Inputs {
    program: Output,
}

impl Recipe for Workload {
    type Inputs = Inputs;
    const NAME: &'static str = "test-workload-image";
    const SUMMARY: &'static str = "the image of the pods that the harness starts";
    const MODULE: &'static str = module_path!();
    const USUAL: Duration = Duration::from_secs(1);

    fn needs(_: &Options) -> &'static [&'static str] {
        &[PROGRAM]
    }

    fn inputs(request: &Request<'_>) -> Result<Inputs> {
        Ok(Inputs {
            program: request.output(PROGRAM)?,
        })
    }

    fn build(inputs: Inputs, work: &Work) -> Result<()> {
        build(&inputs.program.directory.join(PROGRAM), work)
    }
}

fn build(program: &Path, work: &Work) -> Result<()> {
    let layout = work.scratch.join("layout");
    LayoutWriter::create(&layout)?.add_image(ImageSpec {
        reference: REFERENCE.into(),
        config: ImageConfig {
            entrypoint: vec![format!("/{PROGRAM}")],
            labels: BTreeMap::new(),
            ..ImageConfig::default()
        },
        layers: vec![LayerInput::Entries(vec![Entry::file_from(
            PROGRAM, 0o755, program,
        )])],
        compression: Compression::Zstd(LEVEL),
    })?;
    let archive = fs_err::File::create(work.out.join(ARCHIVE))?;
    export(
        &ImageSource::open([&layout])?,
        &[REFERENCE.to_owned()],
        archive,
    )?;
    Ok(())
}
