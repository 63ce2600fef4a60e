//! The program `artifacts` against the program `release-server`, over TLS.

mod failures;
mod fetching;
mod interrupting;
mod limits;
mod network;
mod probing;
mod program;
mod publisher;
mod resuming;
mod server;
