//! Whether publishers can be reached: the first byte of a file, within a few seconds.

use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_TYPE, RANGE};
use tokio::task::JoinSet;

use crate::request::{Attempt, Probe, ProbeReport};

use super::address::shown;
use super::client::{Client, usable};
use super::fault::{Fault, of_sending};
use super::{Error, limit, runtime};

/// Asks all URLs at once; ends with the first that answers with a file.
///
/// # Errors
/// [`Error`] when none can be asked.
pub fn probe(probe: &Probe) -> Result<ProbeReport, Error> {
    limit("timeout", probe.timeout, 1..=600, "1 to 600 seconds")?;
    let limit = Duration::from_secs(probe.timeout);
    // The limit of all is the one that ends an attempt.
    let client = Arc::new(Client::new(&probe.ca, 2 * limit)?);
    let report = runtime()?.block_on(async {
        let mut asked = JoinSet::new();
        for url in probe.urls.clone() {
            let client = client.clone();
            asked.spawn(async move {
                let answer = tokio::time::timeout(limit, ask(&client, &url)).await;
                match answer.unwrap_or_else(|_| Err(late(limit))) {
                    Ok(()) => Ok(shown(&url)),
                    Err(fault) => Err(fault.at(&url)),
                }
            });
        }
        first(asked).await
    });
    Ok(report)
}

async fn first(mut asked: JoinSet<Result<String, Attempt>>) -> ProbeReport {
    let mut failed = Vec::new();
    while let Some(answer) = asked.join_next().await {
        match answer {
            Ok(Ok(url)) => {
                return ProbeReport {
                    answered: Some(url),
                    failed,
                };
            }
            Ok(Err(attempt)) => failed.push(attempt),
            // Only a panic ends a task in another way, and it has been printed.
            Err(_) => {}
        }
    }
    ProbeReport {
        answered: None,
        failed,
    }
}

/// A GET of one byte and not a HEAD: signed URLs are often good for one method only.
async fn ask(client: &Client, text: &str) -> Result<(), Fault> {
    let url = usable(text, true)?;
    let request = client.http.get(url.clone());
    let request = request.header(RANGE, "bytes=0-0");
    let response = match request.header(ACCEPT_ENCODING, "identity").send().await {
        Ok(response) => response,
        Err(error) => {
            let asked = error.url().cloned().unwrap_or_else(|| url.clone());
            return Err(of_sending(error, &url, client.proxies.of(&asked)).await);
        }
    };
    let kind = response.headers().get(CONTENT_TYPE);
    let html = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    match response.status() {
        StatusCode::OK | StatusCode::PARTIAL_CONTENT if html => Err(Fault::html("")),
        StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(()),
        status => Err(Fault::status(status, response.url())),
    }
}

fn late(limit: Duration) -> Fault {
    Fault::refused(
        format!("an answer within {} s", limit.as_secs()),
        "none",
        "check the network, or set HTTPS_PROXY",
    )
}
