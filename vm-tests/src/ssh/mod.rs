//! The way into the guest: SSH with deadlines of its own, every command logged,
//! secrets masked.

mod connection;
mod log;
mod secrets;

pub use connection::{GuestOutput, Ssh, SshError, SshTarget};
pub use log::SshLog;
pub use secrets::Secrets;
