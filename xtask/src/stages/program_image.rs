//! Stages `bootstrapper-image` and `disk-writer-image`: a static binary as a container image, from scratch, one file.

use std::collections::BTreeMap;
use std::path::Path;

use ::hookos::oci::{Compression, Entry, ImageConfig, ImageSpec, LayerInput, LayoutWriter};
use anyhow::Result;

use super::{Context, Input, Stage, sources};

/// zstd level; the default of the zstd library.
const LEVEL: i32 = 3;

/// The images' names in `hook-os.yaml`: that of cluster-bootstrapper is the proposal's.
pub const REFERENCES: [&str; 2] = [
    "registry-rs.edgeorchestration.intel.com/edge-node/cluster-bootstrapper:1.0.0",
    "emts/disk-writer:0.1",
];

pub const BOOTSTRAPPER: Stage = Stage {
    name: "bootstrapper-image",
    summary: "OCI image of cluster-bootstrapper",
    compiles: false,
    needs: |_| &["bootstrapper"],
    inputs: |root, _| inputs(root),
    build: |context| {
        let binary = context.need("bootstrapper")?.join("cluster-bootstrapper");
        build(REFERENCES[0], &binary, &context.out)
    },
};

pub const DISK_WRITER: Stage = Stage {
    name: "disk-writer-image",
    summary: "OCI image of disk-writer",
    compiles: false,
    needs: |_| &["disk-writer"],
    inputs: |root, _| inputs(root),
    build: |context: &Context| {
        let binary = context.need("disk-writer")?.join("disk-writer");
        build(REFERENCES[1], &binary, &context.out)
    },
};

fn inputs(root: &Path) -> Result<Vec<Input>> {
    let files = [
        "xtask/src/stages/program_image.rs",
        "hookos/assembler/src/oci",
    ];
    Ok(sources(root, &files))
}

fn build(reference: &str, binary: &Path, out: &Path) -> Result<()> {
    let name = binary.file_name().unwrap_or_default().to_string_lossy();
    let label =
        |key: &str, value: &str| (format!("org.opencontainers.image.{key}"), value.to_owned());
    let labels = BTreeMap::from([
        label("title", &name),
        label("licenses", "Apache-2.0"),
        label("version", env!("CARGO_PKG_VERSION")),
    ]);
    let mut layout = LayoutWriter::create(out)?;
    layout.add_image(ImageSpec {
        reference: reference.into(),
        config: ImageConfig {
            entrypoint: vec![format!("/{name}")],
            labels,
            ..ImageConfig::default()
        },
        layers: vec![LayerInput::Entries(vec![Entry::file_from(
            &*name, 0o755, binary,
        )])],
        compression: Compression::Zstd(LEVEL),
    })?;
    Ok(())
}
