//! Stage `test-workload`: the image that the harness brings to a node for its pods, as an archive for containerd. It is
//! part of no released file.

use std::collections::BTreeMap;

use ::hookos::oci::{
    Compression, Entry, ImageConfig, ImageSource, ImageSpec, LayerInput, LayoutWriter, export,
};
use anyhow::Result;

use super::{Context, Stage, sources};

/// The archive in the stage's output.
pub const ARCHIVE: &str = "test-workload.tar";
/// The image's name, which the harness knows, too (`vm-tests/src/expectation/workload.rs`).
const REFERENCE: &str = "docker.io/emts/test-workload:1";
/// The program, which is the image's only file.
const PROGRAM: &str = "test-workload";
/// zstd level; the default of the zstd library.
const LEVEL: i32 = 3;

pub const STAGE: Stage = Stage {
    name: "test-workload-image",
    summary: "the image of the pods that the harness starts",
    compiles: false,
    needs: |_| &["test-workload"],
    inputs: |root, _| {
        let files = ["xtask/src/stages/workload.rs", "hookos/assembler/src/oci"];
        Ok(sources(root, &files))
    },
    build,
};

fn build(context: &Context) -> Result<()> {
    let program = context.need(PROGRAM)?.join(PROGRAM);
    let layout = context.scratch.join("layout");
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
    let archive = fs_err::File::create(context.out.join(ARCHIVE))?;
    export(
        &ImageSource::open([&layout])?,
        &[REFERENCE.to_owned()],
        archive,
    )?;
    Ok(())
}
