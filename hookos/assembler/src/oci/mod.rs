//! OCI images on disk: reading and writing image layouts, reference names, layers.
//!
//! Sources of the formats: OCI image-spec 1.1 (image layout, manifest, config, layer) and, for
//! names and lookup, LinuxKit's cache (exact match on the canonical reference).

mod archive;
mod blob;
mod digest;
mod error;
mod export;
mod image;
mod layer;
mod layout;
mod reference;
mod source;
pub mod spec;
mod time;
mod writer;

pub use blob::Blob;
pub use digest::{HashingReader, HashingWriter, is_sha256, sha256_hex};
pub use error::{Error, Result};
pub use export::export;
pub use image::{Image, Stored};
pub use layer::{Content, Entry, Kind, write_tar};
pub use layout::Layout;
pub use reference::canonical;
pub use source::ImageSource;
pub use spec::REFERENCE_ANNOTATION;
pub use time::T0;
pub use writer::{Compression, ImageConfig, ImageSpec, LayerInput, LayoutWriter};
