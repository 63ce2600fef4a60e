//! The node's Kubernetes API, asked from the host by the node's own certificates: nothing starts in the guest for it.
//! What is said of objects here is what the API server said; nothing is kept from before a restart of it.

mod client;
mod collection;
mod credentials;
mod event;
mod log;
mod objects;
#[cfg(test)]
mod test_server;
mod watch;

pub use client::{Client, KubeError};
pub use credentials::{Credentials, CredentialsError, PATH as KUBECONFIG};
pub use log::KubeLog;
pub use objects::{Boot, Objects};
pub use watch::Cluster;
