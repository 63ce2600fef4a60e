//! One request and its answer, into a partial file.

use reqwest::header::{ACCEPT_ENCODING, IF_RANGE, RANGE};
use reqwest::{Response, StatusCode, Url};

use crate::checksums::is_html;
use crate::request::Download;

use super::address::shown;
use super::client::Client;
use super::fault::{Fault, of_sending};
use super::partial::{Origin, Partial};
use super::response::{Head, head};
use super::writer::{Held, Writer};
use super::{Event, Observer};

/// What a transfer works with.
pub struct Transfer<'a> {
    pub client: &'a Client,
    pub download: &'a Download,
    pub partial: &'a Partial,
    /// The URL as it was given.
    pub url: &'a str,
    pub index: usize,
    pub observer: &'a dyn Observer,
}

impl Transfer<'_> {
    /// Fetches what `held` lacks. `held` is what there is afterwards, also after a fault; with
    /// [`Kind::Broken`](super::fault::Kind) it can be continued.
    pub async fn run(&self, held: &mut Held) -> Result<(), Fault> {
        let url = super::client::usable(self.url, self.download.sha256.is_some())?;
        let (mut response, head) = self.open(&url, held).await?;
        if head.from != held.length {
            self.note(&format!(
                "{} sends the file from its start: it has changed there, or cannot be continued",
                shown(self.url)
            ));
            self.restart(held)?;
        }
        let remembered = self.partial.remember(&head.origin);
        remembered.map_err(|error| Fault::file("to write beside", self.partial.path(), &error))?;
        self.event(Event::Started {
            url: &head.origin.url,
            from: held.length,
            size: head.total.or(self.download.size),
        });
        self.receive(&mut response, &head, held).await
    }

    /// Asks for what is lacking; a second time for all of it if there is no such rest.
    async fn open(&self, url: &Url, held: &mut Held) -> Result<(Response, Head), Fault> {
        // An answer with all of it makes what is here go, any other leaves it.
        let mut from = if self.can_continue() { held.length } else { 0 };
        let mut response = self.send(url, from).await?;
        if response.status() == StatusCode::RANGE_NOT_SATISFIABLE && from > 0 {
            self.note("the server has fewer bytes than are here; starting again");
            self.restart(held)?;
            from = 0;
            response = self.send(url, from).await?;
        }
        let shown = shown(self.url);
        let head = head(&mut response, self.download, from, &shown);
        match tokio::time::timeout(self.client.silence, head).await {
            Ok(head) => head.map(|head| (response, head)),
            Err(_) => {
                Err(self.silence(format!("the head of an answer, then nothing from {shown}")))
            }
        }
    }

    async fn send(&self, url: &Url, from: u64) -> Result<Response, Fault> {
        // What is counted and hashed are the bytes of the file, not of a compressed form of it.
        let mut request = self.client.http.get(url.clone());
        request = request.header(ACCEPT_ENCODING, "identity");
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
            let origin = self.partial.origin().filter(|origin| self.is_own(origin));
            if let Some(validator) = origin.as_ref().and_then(Origin::validator) {
                request = request.header(IF_RANGE, validator);
            }
        }
        match tokio::time::timeout(self.client.silence, request.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => {
                let asked = error.url().cloned().unwrap_or_else(|| url.clone());
                let proxy = self.client.proxies.of(&asked);
                Err(of_sending(error, url, proxy).await)
            }
            Err(_) => Err(self.silence("no answer to the request".into())),
        }
    }

    async fn receive(
        &self,
        response: &mut Response,
        head: &Head,
        held: &mut Held,
    ) -> Result<(), Fault> {
        let write_fault = |error| Fault::file("to write", self.partial.path(), &error);
        let mut writer = Writer::start(&self.partial.file, held.clone()).map_err(write_fault)?;
        let received = self.pump(response, head, held.length, &mut writer).await;
        *held = writer.finish().await.map_err(write_fault)?;
        received
    }

    /// Passes bytes on until they end, or the writer does, which then has the reason.
    async fn pump(
        &self,
        response: &mut Response,
        head: &Head,
        begin: u64,
        writer: &mut Writer,
    ) -> Result<(), Fault> {
        let mut at = begin;
        loop {
            let chunk = match tokio::time::timeout(self.client.silence, response.chunk()).await {
                Ok(Ok(Some(chunk))) => chunk,
                Ok(Ok(None)) => return Ok(()),
                Ok(Err(error)) => return Err(Fault::broken(at, head.total, &error)),
                Err(_) => return Err(self.silence(stalled(at, head.total))),
            };
            if at == 0 && is_html(&chunk) {
                return Err(Fault::html(&String::from_utf8_lossy(&chunk)));
            }
            at += chunk.len() as u64;
            if at > self.download.max_size {
                let seen = format!("at least {at} bytes");
                return Err(Fault::too_large(self.download.max_size, &seen));
            }
            self.event(Event::Received(chunk.len() as u64));
            if !writer.write(chunk).await {
                return Ok(());
            }
        }
    }

    /// Forgets what there is.
    pub fn restart(&self, held: &mut Held) -> Result<(), Fault> {
        *held = Held::default();
        let cleared = self.partial.clear();
        cleared.map_err(|error| Fault::file("to empty", self.partial.path(), &error))
    }

    fn is_own(&self, origin: &Origin) -> bool {
        origin.url == shown(self.url)
    }

    /// Whether what there is can be the beginning of what this URL has: the server can tell by a
    /// validator, or the sum will.
    fn can_continue(&self) -> bool {
        let origin = self.partial.origin().filter(|origin| self.is_own(origin));
        self.download.sha256.is_some() || origin.is_some_and(|it| it.validator().is_some())
    }

    fn silence(&self, seen: String) -> Fault {
        let seconds = self.client.silence.as_secs();
        Fault::silence(seconds, format!("{seen} for {seconds} s"))
    }

    pub fn note(&self, text: &str) {
        self.event(Event::Note(text));
    }

    fn event(&self, event: Event<'_>) {
        self.observer.event(self.index, event);
    }
}

fn stalled(at: u64, total: Option<u64>) -> String {
    match total {
        Some(total) => format!("{at} of {total} bytes, then nothing"),
        None => format!("{at} bytes, then nothing"),
    }
}
