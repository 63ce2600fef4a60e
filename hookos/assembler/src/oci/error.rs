//! What can go wrong with images on disk.

use std::io;
use std::path::PathBuf;

use arch::ARCH;

/// The result of an operation on images.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An image, a layout or a layer that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading or writing failed; the message names the file.
    #[error(transparent)]
    Io(#[from] io::Error),

    /// A JSON document of an image is not what the OCI specification asks for.
    #[error("{what} in {} is not valid", path.display())]
    Json {
        /// The document: `index.json`, a manifest's digest, ...
        what: String,
        /// The layout it belongs to.
        path: PathBuf,
        /// What the decoder saw.
        #[source]
        source: serde_json::Error,
    },

    /// A folder or file that holds no images in a known form.
    #[error("{} is no image source: {seen}; expected an OCI image layout (folder or tar) or a docker-archive tar", path.display())]
    NotALayout {
        /// The folder or file given.
        path: PathBuf,
        /// What was seen there.
        seen: String,
    },

    /// No source has an image of this name.
    #[error(
        "image `{reference}` is in none of the image sources; they have: {}",
        list(known)
    )]
    NotFound {
        /// The canonical reference looked for.
        reference: String,
        /// The references that the sources have.
        known: Vec<String>,
    },

    /// The image exists, but not for the platform wanted.
    #[error(
        "image `{reference}` has no {} variant; it has: {}",
        ARCH.oci,
        list(platforms)
    )]
    Platform {
        /// The canonical reference.
        reference: String,
        /// The platforms of its index.
        platforms: Vec<String>,
    },

    /// A reference that is not one.
    #[error("`{reference}` is not an image reference: {reason}")]
    Reference {
        /// The text given.
        reference: String,
        /// Why it is refused.
        reason: String,
    },

    /// A blob whose content is not what its name says.
    #[error("blob {expected} in {} is damaged: its content has {actual}", path.display())]
    Damaged {
        /// Digest by which the blob is referred to.
        expected: String,
        /// Digest or size of the content.
        actual: String,
        /// The layout.
        path: PathBuf,
    },

    /// A blob that a manifest names and the layout lacks.
    #[error("blob {digest} is missing in {}", path.display())]
    MissingBlob {
        /// The digest.
        digest: String,
        /// The layout.
        path: PathBuf,
    },

    /// Something valid that is not supported.
    #[error("{what} is not supported: {hint}")]
    Unsupported {
        /// What was met.
        what: String,
        /// What to do instead.
        hint: String,
    },

    /// A layer entry that would write outside the image's root, or is malformed.
    #[error("layer {layer}: entry `{path}` is refused: {reason}")]
    BadEntry {
        /// Digest of the layer or the name of its source.
        layer: String,
        /// The entry's name.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}

fn list(items: &[String]) -> String {
    if items.is_empty() {
        "none".into()
    } else {
        items.join(", ")
    }
}
