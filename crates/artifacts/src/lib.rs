//! Artifacts that publishers have: what is to be fetched, and by which sums it is known.
//!
//! * [`profile`] is the file that says where the parts of a build come from, [`lock`] what was learned of them;
//!   both make the [`plan`].
//! * [`request`] is what the program `artifacts` reads and answers.
//! * [`checksums`] reads the checksum files of publishers.
//! * `fetch`, behind the feature of that name, is the downloader.
//!
//! Without the feature nothing here needs a network or brings an HTTP client.

pub mod checksums;
#[cfg(feature = "fetch")]
pub mod fetch;
pub mod lock;
pub mod plan;
pub mod profile;
pub mod request;
mod sha256;

pub use sha256::{Hasher, Invalid, Sha256};
