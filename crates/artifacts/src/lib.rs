//! Artifacts that publishers have: what is to be fetched, and by which sums it is known.
//!
//! * [`request`] is what the program `artifacts` reads and answers.
//! * [`checksums`] reads the checksum files of publishers.
//! * `fetch`, behind the feature of that name, is the downloader.
//!
//! Without the feature nothing here needs a network or brings an HTTP client.

pub mod checksums;
#[cfg(feature = "fetch")]
pub mod fetch;
pub mod request;
mod sha256;

pub use sha256::{Hasher, Invalid, Sha256};
