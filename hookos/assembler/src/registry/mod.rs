//! Images from registries: pulled by digest into an image layout on disk.
//!
//! Source of the protocol: OCI distribution-spec 1.1. Every document and blob is checked against
//! its digest before it is in the layout.

mod credentials;
mod endpoint;
mod pull;

use std::path::PathBuf;
use std::time::Duration;

use oci_client::Client;
use oci_client::client::{Certificate, CertificateEncoding, ClientConfig, ClientProtocol};

pub use endpoint::Mirror;

/// How long a registry may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(30);
/// How long a registry may be silent in the middle of an answer.
const SILENCE: Duration = Duration::from_secs(120);

/// A pull that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading or writing failed; the message names the file.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The layout cannot be written, or a reference is none.
    #[error(transparent)]
    Layout(#[from] crate::oci::Error),
    /// A mirror that cannot be used.
    #[error("the mirror `{given}` is refused: {reason}")]
    Mirror {
        /// The text given.
        given: String,
        /// Why it is refused.
        reason: String,
    },
    /// The client cannot be set up.
    #[error("setting up the registry client: {0}")]
    Client(String),
    /// The Docker configuration has something for the registry that cannot be used.
    #[error("the credentials of {host} cannot be used: {reason}")]
    Credentials {
        /// The registry.
        host: String,
        /// Why not.
        reason: String,
    },
    /// No endpoint gave the image.
    #[error("pulling {reference}:{}", attempts(tried))]
    Pull {
        /// The canonical reference.
        reference: String,
        /// Each endpoint that was asked, with what it answered.
        tried: Vec<(String, Refusal)>,
    },
}

/// Why an endpoint did not give an image.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It cannot be reached, or does not have the image.
    #[error("{0}")]
    Unavailable(String),
    /// It gave something else than what was asked for.
    #[error("{0}")]
    Wrong(String),
}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Self::Unavailable(reason)
    }
}

impl Error {
    /// Whether the image is nowhere to be had, and nothing is amiss with what was received.
    pub fn is_unavailable(&self) -> bool {
        let unavailable = |refusal: &Refusal| matches!(refusal, Refusal::Unavailable(_));
        matches!(self, Self::Pull { tried, .. } if tried.iter().all(|(_, it)| unavailable(it)))
    }
}

/// The result of a pull.
pub type Result<T, E = Error> = std::result::Result<T, E>;

fn attempts(tried: &[(String, Refusal)]) -> String {
    tried
        .iter()
        .map(|(host, reason)| format!("\n  from {host}: {reason}"))
        .collect()
}

/// How registries are reached.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Registries that are asked before the one in a reference.
    pub mirrors: Vec<Mirror>,
    /// Hosts (`HOST` or `HOST:PORT`) that are spoken to without TLS. No other is.
    pub plain_http: Vec<String>,
    /// PEM files with certificates that are trusted beside the system's.
    pub certificates: Vec<PathBuf>,
}

/// A client of all registries.
pub struct Registries {
    client: Client,
    mirrors: Vec<Mirror>,
    runtime: tokio::runtime::Runtime,
}

impl Registries {
    /// A client with these settings; nothing is connected yet.
    ///
    /// # Errors
    /// [`Error::Io`] for a certificate that cannot be read, and [`Error::Client`].
    pub fn new(settings: &Settings) -> Result<Self> {
        let mut plain = settings.plain_http.clone();
        let mirrors = settings.mirrors.iter();
        plain.extend(mirrors.filter(|it| it.plain_http).map(|it| it.host.clone()));
        let mut certificates = Vec::new();
        for path in &settings.certificates {
            certificates.push(Certificate {
                encoding: CertificateEncoding::Pem,
                data: fs_err::read(path)?,
            });
        }
        let config = ClientConfig {
            protocol: ClientProtocol::HttpsExcept(plain),
            extra_root_certificates: certificates,
            connect_timeout: Some(CONNECT),
            read_timeout: Some(SILENCE),
            user_agent: concat!("emts-hookos/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        };
        // Fails when the process has one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::try_from(config).map_err(|error| Error::Client(chain(&error)))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok(Self {
            client,
            mirrors: settings.mirrors.clone(),
            runtime,
        })
    }
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
