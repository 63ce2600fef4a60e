//! Stage `bootstrapper-image`: cluster-bootstrapper as a container image, from scratch, one file.

use std::collections::BTreeMap;

use ::hookos::oci::{Compression, Entry, ImageConfig, ImageSpec, LayerInput, LayoutWriter};
use anyhow::Result;

use super::{Context, Stage, sources};

/// The name under which the proposal's `hook-os.yaml` mounts it.
const REFERENCE: &str =
    "registry-rs.edgeorchestration.intel.com/edge-node/cluster-bootstrapper:1.0.0";
/// zstd level; the default of the zstd library.
const LEVEL: i32 = 3;

pub const STAGE: Stage = Stage {
    name: "bootstrapper-image",
    summary: "OCI image of cluster-bootstrapper",
    needs: &["bootstrapper"],
    inputs: |root, _| {
        Ok(sources(
            root,
            &[
                "xtask/src/stages/bootstrapper_image.rs",
                "hookos/assembler/src/oci",
            ],
        ))
    },
    build,
};

fn build(context: &Context) -> Result<()> {
    let binary = context.need("bootstrapper")?.join("cluster-bootstrapper");
    let labels = BTreeMap::from([
        (
            "org.opencontainers.image.title".into(),
            "cluster-bootstrapper".into(),
        ),
        (
            "org.opencontainers.image.licenses".into(),
            "Apache-2.0".into(),
        ),
        (
            "org.opencontainers.image.version".into(),
            env!("CARGO_PKG_VERSION").into(),
        ),
    ]);
    let mut layout = LayoutWriter::create(&context.out)?;
    layout.add_image(ImageSpec {
        reference: REFERENCE.into(),
        config: ImageConfig {
            entrypoint: vec!["/cluster-bootstrapper".into()],
            labels,
            ..ImageConfig::default()
        },
        layers: vec![LayerInput::Entries(vec![Entry::file_from(
            "cluster-bootstrapper",
            0o755,
            binary,
        )])],
        compression: Compression::Zstd(LEVEL),
    })?;
    Ok(())
}
