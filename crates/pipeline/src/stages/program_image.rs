//! Stages `bootstrapper-image` and `installer-image`: a static binary as a container image, from scratch, one file.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use ::hookos::oci::{Compression, Entry, ImageConfig, ImageSpec, LayerInput, LayoutWriter};
use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::choice::Options;
use crate::input::Output;
use crate::stage::{Recipe, Request, Stage, Work};

/// zstd level; the default of the zstd library.
const LEVEL: i32 = 3;

/// The images' names in `hook-os.yaml`: that of cluster-bootstrapper is the proposal's.
pub const REFERENCES: [&str; 2] = [
    "registry-rs.edgeorchestration.intel.com/edge-node/cluster-bootstrapper:1.0.0",
    "emts/installer:0.1",
];

/// What an image is made of.
#[derive(Serialize, Deserialize)]
pub struct Inputs {
    program: Output,
}

macro_rules! stages {
    ($($stage:ident = $recipe:ident, $name:literal, $program:literal of $need:literal, $reference:expr;)+) => {$(
        #[doc = concat!("The image of ", $program, ".")]
        pub const $stage: Stage = Stage::of::<$recipe>();

        #[doc = concat!("How the image of ", $program, " is made.")]
        pub struct $recipe;

        impl Recipe for $recipe {
            type Inputs = Inputs;
            const NAME: &'static str = $name;
            const SUMMARY: &'static str = concat!("OCI image of ", $program);
            const MODULE: &'static str = module_path!();
            const USUAL: Duration = Duration::from_secs(1);

            fn needs(_: &Options) -> &'static [&'static str] {
                &[$need]
            }

            fn inputs(request: &Request<'_>) -> Result<Inputs> {
                Ok(Inputs {
                    program: request.output($need)?,
                })
            }

            fn build(inputs: Inputs, work: &Work) -> Result<()> {
                build($reference, &inputs.program.directory.join($program), &work.out)
            }
        }
    )+};
}

stages! {
    BOOTSTRAPPER = Bootstrapper, "bootstrapper-image", "cluster-bootstrapper" of "bootstrapper", REFERENCES[0];
    INSTALLER = Installer, "installer-image", "installer" of "installer", REFERENCES[1];
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
