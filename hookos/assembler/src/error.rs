//! What can go wrong with an assembly.

use std::io;
use std::path::PathBuf;

use crate::linuxkit::Diagnostic;
use crate::oci;

/// The result of an assembly.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An assembly that failed. Nothing of an earlier output has been replaced then.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading or writing failed; the message names the file.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// An image source cannot be read.
    #[error(transparent)]
    Source(#[from] oci::Error),
    /// An image cannot be unpacked.
    #[error("unpacking image {reference}")]
    Image {
        /// Its canonical reference.
        reference: String,
        /// What is wrong.
        #[source]
        source: oci::Error,
    },
    /// The kernel's image lacks what the definition asks for.
    #[error("kernel image {reference}: {reason}")]
    Kernel {
        /// Its canonical reference.
        reference: String,
        /// What is missing.
        reason: String,
    },
    /// The definition is refused; every error is listed with line and column.
    #[error("{}", lines(path, diagnostics))]
    Definition {
        /// The YAML file.
        path: PathBuf,
        /// Its errors, in the file's order.
        diagnostics: Vec<Diagnostic>,
    },
}

fn lines(path: &std::path::Path, diagnostics: &[Diagnostic]) -> String {
    let line = |diagnostic: &Diagnostic| match diagnostic.position.line {
        0 => format!("{}: {diagnostic}", path.display()),
        _ => format!("{}:{diagnostic}", path.display()),
    };
    diagnostics.iter().map(line).collect::<Vec<_>>().join("\n")
}
