//! The documents of an image, as far as they are read: OCI image specification 1.1, and Docker's image specification 1.2
//! for archives of `docker save`. A crate has all of them, with builders and what these bring; that took longer to compile
//! than the rest of this crate.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Media types (OCI image specification, media-types.md).
pub(super) mod media_type {
    pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    pub const CONFIGURATION: &str = "application/vnd.oci.image.config.v1+json";
    pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
    pub const LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
    /// Docker's name for an index (distribution, manifest-v2-2.md).
    pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
}

/// The annotation of an index's entry that has the image's name (annotations.md).
pub const REFERENCE_ANNOTATION: &str = "org.opencontainers.image.ref.name";

/// What leads to a blob (descriptor.md).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the blob is.
    pub media_type: String,
    /// `sha256:<hex>`.
    pub digest: String,
    /// Bytes.
    pub size: u64,
    /// Names among other things.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// What the image is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

/// What an image is for (image-index.md).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// As Go names it, such as `amd64`.
    pub architecture: String,
    /// As Go names it, such as `linux`.
    pub os: String,
    /// Of the processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// One image for several platforms (image-index.md).
#[derive(Clone, Debug, Deserialize)]
pub struct Index {
    /// The manifests.
    pub manifests: Vec<Descriptor>,
}

/// The parts of an image (manifest.md).
#[derive(Clone, Debug, Deserialize)]
pub struct Manifest {
    /// The configuration.
    pub config: Descriptor,
    /// The layers, the lowest first.
    pub layers: Vec<Descriptor>,
}

/// The configuration of an image (config.md).
#[derive(Clone, Debug, Deserialize)]
pub struct Configuration {
    /// As Go names it, such as `amd64`.
    pub architecture: String,
    /// As Go names it, such as `linux`.
    pub os: String,
    /// How the image is run.
    #[serde(default)]
    pub config: Option<Execution>,
    /// The layers.
    pub rootfs: Rootfs,
}

impl Configuration {
    /// The labels.
    pub fn labels(&self) -> Option<&BTreeMap<String, String>> {
        self.config.as_ref()?.labels.as_ref()
    }
}

/// How an image is run (config.md).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Execution {
    /// Each `NAME=value`.
    pub env: Option<Vec<String>>,
    /// The program and its first arguments.
    pub entrypoint: Option<Vec<String>>,
    /// More arguments.
    pub cmd: Option<Vec<String>>,
    /// Where it runs.
    pub working_dir: Option<String>,
    /// Labels.
    pub labels: Option<BTreeMap<String, String>>,
}

/// The layers of an image (config.md).
#[derive(Clone, Debug, Deserialize)]
pub struct Rootfs {
    /// Digests of the uncompressed layers.
    pub diff_ids: Vec<String>,
}
