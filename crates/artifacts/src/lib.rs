//! Artifacts that publishers have: what is to be fetched, and by which sums it is known.
//!
//! * [`request`] is what the program `artifacts` reads and answers.
//! * [`checksums`] reads the checksum files of publishers.
//!
//! Without the feature `fetch` nothing here needs a network or brings an HTTP client.

pub mod checksums;
pub mod request;
mod sha256;

pub use sha256::{Invalid, Sha256};
