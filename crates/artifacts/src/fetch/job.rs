//! One download, from the lock on its partial file to its final name.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crate::Sha256;
use crate::request::{Attempt, Download, Failure, Fetched, Outcome};

use super::address::shown;
use super::client::Client;
use super::fault::{Fault, Kind};
use super::partial::Partial;
use super::transfer::Transfer;
use super::writer::Held;
use super::{Event, Observer};

/// Connections that may break with progress, for a URL.
const CONTINUED: u32 = 5;

/// A download and whom to tell of it.
pub struct Job {
    client: Arc<Client>,
    download: Download,
    index: usize,
    observer: Arc<dyn Observer>,
}

/// What is under the final name.
struct Done {
    url: Option<String>,
    sha256: Sha256,
    size: u64,
    resumed_at: u64,
    passed_over: Vec<Attempt>,
}

/// An artifact whose bytes are verified.
struct Verified {
    sha256: Sha256,
    size: u64,
    /// How many bytes an earlier run had left.
    resumed_at: u64,
}

impl Job {
    pub fn new(
        client: Arc<Client>,
        download: Download,
        index: usize,
        observer: Arc<dyn Observer>,
    ) -> Self {
        Self {
            client,
            download,
            index,
            observer,
        }
    }

    /// Does all of it.
    pub async fn run(self) -> Outcome {
        let begun = Instant::now();
        let name = self.download.name.clone();
        let outcome = match self.fetch().await {
            Ok(done) => Outcome::Fetched(Fetched {
                name,
                url: done.url,
                sha256: done.sha256,
                size: done.size,
                seconds: begun.elapsed().as_secs_f64(),
                resumed_at: done.resumed_at,
                passed_over: done.passed_over,
            }),
            Err(attempts) => Outcome::Failed(Failure { name, attempts }),
        };
        self.observer.event(self.index, Event::Ended(&outcome));
        outcome
    }

    async fn fetch(&self) -> Result<Done, Vec<Attempt>> {
        let first = &self.download.urls[0];
        let local = |fault: Fault| vec![fault.at(first)];
        let partial = self.lock().await.map_err(local)?;
        if let Some(present) = self.present().await.map_err(local)? {
            partial
                .leave()
                .map_err(|error| local(Fault::file("to remove", &self.download.partial, &error)))?;
            return Ok(present);
        }
        let mut held = self.held(&partial).await.map_err(local)?;
        let mut attempts = Vec::new();
        for url in &self.download.urls {
            let transfer = self.transfer(&partial, url);
            match from(&transfer, &mut held).await {
                Ok(verified) => return self.finish(partial, url, verified, attempts),
                Err(fault) => {
                    let local = fault.kind == Kind::Local;
                    attempts.push(fault.at(url));
                    if local {
                        break;
                    }
                    self.note_next(&attempts);
                }
            }
        }
        // What cannot be removed is in nobody's way.
        let _ = partial.leave();
        Err(attempts)
    }

    fn transfer<'a>(&'a self, partial: &'a Partial, url: &'a str) -> Transfer<'a> {
        Transfer {
            client: &self.client,
            download: &self.download,
            partial,
            url,
            index: self.index,
            observer: self.observer.as_ref(),
        }
    }

    /// The locked partial file. Another run that has it is waited for.
    async fn lock(&self) -> Result<Partial, Fault> {
        let (path, index, observer) = (
            self.download.partial.clone(),
            self.index,
            self.observer.clone(),
        );
        let wait = move |path: &Path| {
            let text = format!(
                "waiting for another run that fetches it into {}",
                path.display()
            );
            observer.event(index, Event::Note(&text));
        };
        blocking(move || Partial::open(&path, || wait(&path)))
            .await
            .map_err(|error| Fault::file("to open and lock", &self.download.partial, &error))
    }

    /// What is under the final name already, if it is the artifact.
    async fn present(&self) -> Result<Option<Done>, Fault> {
        let target = self.download.target.clone();
        let (sha256, size) = match blocking(move || Sha256::of_file(&target)).await {
            Ok(found) => found,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Fault::file("to read", &self.download.target, &error)),
        };
        if let Err(fault) = verify(&self.download, sha256, size) {
            self.observer.event(
                self.index,
                Event::Note(&format!(
                    "{} is not the artifact (expected {}, seen {}): fetching it again",
                    self.download.target.display(),
                    fault.expected,
                    fault.seen
                )),
            );
            return Ok(None);
        }
        Ok(Some(Done {
            url: None,
            sha256,
            size,
            resumed_at: 0,
            passed_over: Vec::new(),
        }))
    }

    /// What an earlier run left.
    async fn held(&self, partial: &Partial) -> Result<Held, Fault> {
        let fault = |error| Fault::file("to read", partial.path(), &error);
        let file = partial.file.try_clone().map_err(fault)?;
        blocking(move || Held::of_file(&file)).await.map_err(fault)
    }

    fn finish(
        &self,
        partial: Partial,
        url: &str,
        verified: Verified,
        passed_over: Vec<Attempt>,
    ) -> Result<Done, Vec<Attempt>> {
        match partial.finish(&self.download.target) {
            Ok(()) => Ok(Done {
                url: Some(shown(url)),
                sha256: verified.sha256,
                size: verified.size,
                resumed_at: verified.resumed_at,
                passed_over,
            }),
            Err(error) => {
                let fault = Fault::file("to rename to", &self.download.target, &error);
                let mut attempts = passed_over;
                attempts.push(fault.at(url));
                Err(attempts)
            }
        }
    }

    fn note_next(&self, attempts: &[Attempt]) {
        if let (Some(failed), Some(next)) =
            (attempts.last(), self.download.urls.get(attempts.len()))
        {
            let text = format!(
                "not from {}\n    expected: {}\n    seen:     {}\n    trying {}",
                failed.url,
                failed.expected,
                failed.seen,
                shown(next)
            );
            self.observer.event(self.index, Event::Note(&text));
        }
    }
}

/// All of the artifact from one URL, verified and synced. A rest that does not fit what was there
/// is fetched once more as a whole; connections that break with progress are taken up again.
async fn from(transfer: &Transfer<'_>, held: &mut Held) -> Result<Verified, Fault> {
    loop {
        complete(transfer, held).await?;
        let fault = match verified(transfer, held).await {
            Ok(verified) => return Ok(verified),
            Err(fault) => fault,
        };
        let again = held.continued && fault.kind != Kind::Local;
        transfer.restart(held)?;
        if !again {
            return Err(fault);
        }
        transfer.note(&format!(
            "the continued file is not the artifact (expected {}, seen {}); fetching it once more from the start",
            fault.expected, fault.seen
        ));
    }
}

/// Transfers until all is there.
async fn complete(transfer: &Transfer<'_>, held: &mut Held) -> Result<(), Fault> {
    if held.length > 0 && transfer.download.size == Some(held.length) {
        return Ok(());
    }
    let mut continued = 0;
    loop {
        let before = held.length;
        let Err(fault) = transfer.run(held).await else {
            return Ok(());
        };
        let progress = fault.kind == Kind::Broken && held.length > before;
        if !progress || continued == CONTINUED {
            return Err(fault);
        }
        continued += 1;
        held.continued = true;
        transfer.note(&format!(
            "{}; continuing there ({continued} of {CONTINUED} times)",
            fault.seen
        ));
    }
}

/// What is held, if it is the artifact; it is on the disk then.
async fn verified(transfer: &Transfer<'_>, held: &Held) -> Result<Verified, Fault> {
    let sha256 = held.hasher.clone().finish();
    verify(transfer.download, sha256, held.length)?;
    let fault = |error| Fault::file("to write to the disk", transfer.partial.path(), &error);
    let file = transfer.partial.file.try_clone().map_err(fault)?;
    blocking(move || file.sync_all()).await.map_err(fault)?;
    Ok(Verified {
        sha256,
        size: held.length,
        resumed_at: held.earlier,
    })
}

fn verify(download: &Download, sum: Sha256, size: u64) -> Result<(), Fault> {
    if let Some(expected) = download.size.filter(|expected| *expected != size) {
        return Err(Fault::size(expected, size));
    }
    match download.sha256 {
        Some(expected) if expected != sum => Err(Fault::sum(expected, sum, size)),
        _ => Ok(()),
    }
}

/// Runs what blocks in a thread made for that.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.unwrap_or_else(|error| Err(std::io::Error::other(error)))
}
