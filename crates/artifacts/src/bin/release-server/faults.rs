//! Faults on request: what is wrong with which file.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::Deserialize;

/// What is wrong with a file; nothing by default.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fault {
    /// Answered in place of the file.
    pub status: Option<u16>,
    /// A login page with the status 200 comes in place of the file.
    pub html: bool,
    /// Comes in place of the file.
    pub text: Option<String>,
    /// The byte at this position is another one.
    pub wrong_byte_at: Option<u64>,
    /// The line is that slow.
    pub bytes_per_second: Option<u64>,
    /// The connection ends after so many bytes of a body.
    pub end_after: Option<u64>,
    /// Nothing comes any more after so many bytes of a body.
    pub stall_after: Option<u64>,
    /// The entity tag, with its quotation marks.
    pub etag: Option<String>,
    /// Ranges are not served.
    pub no_ranges: bool,
    /// The size is not said; the end of the connection is the end of the file.
    pub no_length: bool,
    /// A release's redirect leads to plain HTTP.
    pub downgrade: bool,
    /// A release's redirect leads to itself.
    pub endless_redirects: bool,
}

/// The present fault of the file `name`.
///
/// # Errors
/// Those of reading the control file, and of one that is not understood.
pub fn of(control: Option<&Path>, name: &str) -> io::Result<Fault> {
    let Some(control) = control.filter(|path| path.exists()) else {
        return Ok(Fault::default());
    };
    let mut faults: BTreeMap<String, Fault> = serde_json::from_slice(&std::fs::read(control)?)?;
    Ok(faults.remove(name).unwrap_or_default())
}
