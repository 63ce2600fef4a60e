//! What is asked of the running node and what it answers. An emulated CPU makes
//! every round trip and every `kubectl` dear, so many questions go in one script.

mod gather;
mod objects;
mod probe;
mod tls;

pub use gather::{GatherError, gather};
pub use objects::{Boot, Objects};
pub use probe::{Facts, Probe, ProbeError, parse_answers, script};
