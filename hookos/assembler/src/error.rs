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
    #[error("{}", lines(paths, sources, diagnostics))]
    Definition {
        /// The YAML files.
        paths: Vec<PathBuf>,
        /// Their texts.
        sources: Vec<String>,
        /// Their errors, in the files' order.
        diagnostics: Vec<Diagnostic>,
    },
}

fn lines(paths: &[PathBuf], sources: &[String], diagnostics: &[Diagnostic]) -> String {
    let shown = |it: &Diagnostic| {
        let source = sources.get(it.position.file).map_or("", String::as_str);
        format!("{}\n{}", located(paths, it), it.snippet(source))
    };
    let shown: Vec<String> = diagnostics.iter().map(shown).collect();
    shown.concat().trim_end().to_owned()
}

/// A diagnostic behind the path of its file, in the form that editors jump to.
pub(crate) fn located(paths: &[PathBuf], diagnostic: &Diagnostic) -> String {
    let path = paths.get(diagnostic.position.file);
    let path = path.map_or_else(String::new, |path| path.display().to_string());
    let space = if diagnostic.position.line == 0 {
        " "
    } else {
        ""
    };
    format!("{path}:{space}{diagnostic}")
}
