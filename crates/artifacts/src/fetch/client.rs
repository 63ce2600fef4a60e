//! The HTTP client: TLS roots, redirects, and what a URL may be.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::redirect::{Action, Attempt, Policy};
use reqwest::{Certificate, Url};

use super::Error;
use super::fault::{Fault, chain};
use super::proxy::Proxies;

/// Redirects that are followed; GitHub needs one, a mirror in front of it two.
pub const REDIRECTS: usize = 10;
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
            .redirect(Policy::custom(redirect))
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

/// A redirect that is not followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedRedirect {
    #[error("it leads from https to {0}")]
    Downgrade(String),
    #[error("it is the {REDIRECTS}th but one in a row")]
    TooMany,
}

fn redirect(attempt: Attempt<'_>) -> Action {
    let secure = attempt.previous().iter().any(|url| url.scheme() == "https");
    if secure && attempt.url().scheme() != "https" {
        let to = origin(attempt.url());
        return attempt.error(RefusedRedirect::Downgrade(to));
    }
    if attempt.previous().len() > REDIRECTS {
        return attempt.error(RefusedRedirect::TooMany);
    }
    attempt.follow()
}

/// Scheme, host and port: what can be shown of a URL that may be signed.
pub fn origin(url: &Url) -> String {
    let port = url.port().map_or(String::new(), |port| format!(":{port}"));
    format!(
        "{}://{}{port}",
        url.scheme(),
        url.host_str().unwrap_or_default()
    )
}

/// A URL as it is shown and noted: without user and password.
pub fn shown(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else {
        return text.to_owned();
    };
    if url.username().is_empty() && url.password().is_none() {
        return text.to_owned();
    }
    // Both fail only for URLs that cannot have them.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
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
    fn a_url_is_shown_without_user_and_password() {
        assert_eq!(
            shown("https://me:secret@mirror:8443/a?b"),
            "https://mirror:8443/a?b"
        );
    }

    #[test]
    fn a_token_in_place_of_a_user_is_not_shown() {
        assert_eq!(shown("https://token@mirror/a"), "https://mirror/a");
    }

    #[test]
    fn a_url_without_a_user_is_shown_as_it_was_given() {
        let url = "https://host/v1.33.13+k3s2/k3s";
        assert_eq!(shown(url), url);
    }

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
