//! What is asked of the running node and what it answers. An emulated CPU makes
//! every round trip dear, so many commands go in one script; what the API knows
//! is asked from the host.

mod gather;
mod probe;
mod restart;
mod tls;

pub use gather::{GatherError, gather};
pub use probe::{Facts, Probe, ProbeError, parse_answers, script};
pub use restart::{Account, Cause, Restart};
