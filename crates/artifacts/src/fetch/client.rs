//! The HTTP client: TLS roots, redirects, and what a URL may be.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Url};

use super::Error;
use super::fault::{Fault, chain};
use super::proxy::Proxies;
use super::redirect;

/// How long a server or proxy may take to accept a connection, at most.
const CONNECT: Duration = Duration::from_secs(30);

/// A client of all publishers.
pub struct Client {
    pub http: reqwest::Client,
    pub proxies: Proxies,
    /// How long a server may send nothing.
    pub silence: Duration,
}

impl Client {
    /// Trusts the system's roots and those in `ca`; proxies are those of the environment.
    pub fn new(ca: &[PathBuf], silence: Duration) -> Result<Self, Error> {
        // Fails when the process has a provider already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut certificates = Vec::new();
        for path in ca {
            certificates.extend(read_certificates(path)?);
        }
        let http = reqwest::Client::builder()
            .tls_certs_merge(certificates)
            .redirect(Policy::custom(redirect::follow))
            .referer(false)
            .connect_timeout(silence.min(CONNECT))
            .user_agent(concat!("emts-artifacts/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Error::Client(chain(&error)))?;
        Ok(Self {
            http,
            proxies: Proxies::of_environment(),
            silence,
        })
    }
}

fn read_certificates(path: &Path) -> Result<Vec<Certificate>, Error> {
    let refuse = |reason: String| Error::Ca {
        path: path.display().to_string(),
        reason,
    };
    let pem = std::fs::read(path).map_err(|error| refuse(error.to_string()))?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if certificates.is_empty() => {
            Err(refuse("it has no certificate in PEM form".into()))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(refuse(chain(&error))),
    }
}

/// A URL that may be fetched. Plain HTTP proves nothing, so a sum has to be known for it.
pub fn usable(text: &str, sum_known: bool) -> Result<Url, Fault> {
    let expected = "a URL that begins with https://";
    let next = "correct the URL in the profile, or name another by --mirror";
    let url =
        Url::parse(text).map_err(|error| Fault::refused(expected, format!("{error}"), next))?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if sum_known => Ok(url),
        "http" => Err(Fault::refused(
            "https://, or an artifact whose SHA-256 is known beforehand",
            "http://, and nothing to verify the artifact with",
            "use https://, or give its sha256 in the profile",
        )),
        other => Err(Fault::refused(expected, format!("{other}://"), next)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_needs_a_known_sum() {
        assert!(usable("http://mirror/k3s", true).is_ok());
        assert!(usable("http://mirror/sums.txt", false).is_err());
    }

    #[test]
    fn other_schemes_are_refused() {
        assert!(usable("ftp://mirror/k3s", true).is_err());
        assert!(usable("mirror/k3s", true).is_err());
    }
}
