//! The way into the guest: SSH with deadlines of its own, every command logged,
//! secrets masked.

mod connection;
mod log;
mod output;
mod secrets;

pub use connection::{Ssh, SshError, SshTarget};
pub use log::SshLog;
pub use output::GuestOutput;
pub use secrets::Secrets;
