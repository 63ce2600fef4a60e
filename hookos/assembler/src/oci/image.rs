//! An image as it was found, ready to be read.

use super::{Blob, spec};

/// A single-platform image: its configuration and its layers, ready to be read.
#[derive(Clone, Debug)]
pub struct Image {
    /// Canonical reference.
    pub reference: String,
    /// `sha256:<hex>` that changes with any change of the image: the manifest's digest (for
    /// docker-archives the configuration's).
    pub digest: String,
    /// The image configuration.
    pub config: spec::Configuration,
    /// Layers, the lowest first.
    pub layers: Vec<Blob>,
    /// What makes up the image as stored, for volumes of the format `oci`.
    pub stored: Stored,
}

/// An image's documents as they are in its layout.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// The descriptor in `index.json`; `None` for a docker-archive.
    pub root: Option<spec::Descriptor>,
    /// The index that the descriptor leads to; `None` for a bare manifest.
    pub index: Option<(spec::Index, Blob)>,
}
