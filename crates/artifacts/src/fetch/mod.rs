//! The downloader: fetches, verifies, and only then gives an artifact its final name.
//!
//! How it works is in `docs/artifacts.md`. It knows of URLs and sums; profiles and the lock file
//! are not its business.

mod address;
mod client;
mod fault;
mod job;
mod partial;
mod probe;
mod proxy;
mod redirect;
mod response;
mod transfer;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::request::{Outcome, Report, Request};

use client::Client;
use job::Job;
pub use probe::probe;

/// Why downloading cannot even start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file with certificates that cannot be used.
    #[error("the CA file {path}: {reason}")]
    Ca {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The HTTP client, among it the system's TLS roots, cannot be set up.
    #[error(
        "setting up the HTTP client: {0}; if the system has no certificates, install them (Debian: ca-certificates) or name one by --ca FILE"
    )]
    Client(String),
    /// A limit outside its range.
    #[error("`{field}` is {value}; it has to be {range}")]
    Limit {
        /// The field of the request.
        field: &'static str,
        /// What it is.
        value: u64,
        /// What it may be.
        range: &'static str,
    },
    /// A download without a URL.
    #[error("`{0}` has no URL")]
    NoUrl(String),
    /// The asynchronous runtime cannot be set up.
    #[error("setting up the runtime: {0}")]
    Runtime(#[source] std::io::Error),
}

/// What happens to a download, for those who show it.
#[derive(Debug)]
pub enum Event<'a> {
    /// Bytes begin to come.
    Started {
        /// Without user and password.
        url: &'a str,
        /// How many bytes are there already.
        from: u64,
        /// How many there will be, if the server says.
        size: Option<u64>,
    },
    /// So many more bytes came.
    Received(u64),
    /// Something that a person should know of.
    Note(&'a str),
    /// It ended.
    Ended(&'a Outcome),
}

/// Somebody who is told what happens.
pub trait Observer: Send + Sync {
    /// Something happened to a download, which is named by its position in the request.
    fn event(&self, download: usize, event: Event<'_>);
}

/// Fetches all downloads of a request; one that fails does not stop the others.
///
/// # Errors
/// [`Error`] when none can be started.
pub fn fetch(request: &Request, observer: Arc<dyn Observer>) -> Result<Report, Error> {
    check(request)?;
    let silence = Duration::from_secs(request.silence);
    let client = Arc::new(Client::new(&request.ca, silence)?);
    let outcomes = runtime()?.block_on(async {
        let places = Arc::new(Semaphore::new(request.parallel));
        let mut jobs = JoinSet::new();
        for (index, download) in request.downloads.iter().enumerate() {
            let job = Job::new(client.clone(), download.clone(), index, observer.clone());
            let places = places.clone();
            jobs.spawn(async move {
                // The semaphore is never closed; it gives its places in the order of the request.
                let _place = places.acquire().await;
                (index, job.run().await)
            });
        }
        jobs.join_all().await
    });
    Ok(Report {
        outcomes: in_order(outcomes),
    })
}

/// One thread: TLS runs here, hashing and writing in a thread for each download.
fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::Runtime)
}

fn in_order(mut outcomes: Vec<(usize, Outcome)>) -> Vec<Outcome> {
    outcomes.sort_by_key(|(index, _)| *index);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

fn check(request: &Request) -> Result<(), Error> {
    limit("silence", request.silence, 1..=3600, "1 to 3600 seconds")?;
    limit("parallel", request.parallel as u64, 1..=16, "1 to 16")?;
    match request.downloads.iter().find(|it| it.urls.is_empty()) {
        Some(download) => Err(Error::NoUrl(download.name.clone())),
        None => Ok(()),
    }
}

fn limit(
    field: &'static str,
    value: u64,
    allowed: std::ops::RangeInclusive<u64>,
    range: &'static str,
) -> Result<(), Error> {
    if allowed.contains(&value) {
        return Ok(());
    }
    Err(Error::Limit {
        field,
        value,
        range,
    })
}
