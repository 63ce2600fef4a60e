//! Why a URL did not give an artifact: what was expected, what was seen, what to do now.

use std::error::Error as StdError;
use std::io;
use std::path::Path;

use reqwest::{StatusCode, Url};

use crate::Sha256;
use crate::request::Attempt;

use super::address::{origin, shown};
use super::proxy::Proxy;
use super::redirect::{REDIRECTS, RefusedRedirect};

/// The step that helps where a publisher cannot be reached.
const WITHOUT_NETWORK: &str = "or bring the artifacts from a machine that has a network (`cargo xtask artifacts export DIR` there, `import DIR` here)";

/// What follows from a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// This machine's: another URL would not help.
    Local,
    /// Of this URL: the next one is tried.
    Refused,
    /// The connection broke while bytes came.
    Broken,
}

/// Why a URL did not give an artifact.
#[derive(Clone, Debug)]
pub struct Fault {
    pub kind: Kind,
    pub expected: String,
    pub seen: String,
    pub next: String,
}

impl Fault {
    pub fn new(
        kind: Kind,
        expected: impl Into<String>,
        seen: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            expected: expected.into(),
            seen: seen.into(),
            next: next.into(),
        }
    }

    pub fn refused(
        expected: impl Into<String>,
        seen: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self::new(Kind::Refused, expected, seen, next)
    }

    /// As it is reported for `url`.
    pub fn at(self, url: &str) -> Attempt {
        Attempt {
            url: shown(url),
            expected: self.expected,
            seen: self.seen,
            next: self.next,
        }
    }

    /// Reading, writing or naming a file failed.
    pub fn file(doing: &str, path: &Path, error: &io::Error) -> Self {
        let next = if is_full(error) {
            let dir = path.parent().unwrap_or(path);
            format!(
                "make room in the file system of {}, then run the same command again: it continues where it ended",
                dir.display()
            )
        } else {
            "fix the cause, then run the same command again: it continues where it ended".into()
        };
        let expected = format!("{doing} {}", path.display());
        Self::new(Kind::Local, expected, error.to_string(), next)
    }

    /// The bytes are not those of the artifact.
    pub fn sum(expected: Sha256, seen: Sha256, size: u64) -> Self {
        Self::refused(
            format!("SHA-256 {expected}"),
            format!("SHA-256 {seen} of {size} bytes"),
            "do not use what this URL gives; ask the publisher which sum is right, or name a mirror that has the artifact by --mirror",
        )
    }

    /// There are more or fewer bytes than the artifact has.
    pub fn size(expected: u64, seen: u64) -> Self {
        Self::refused(
            format!("{expected} bytes"),
            format!("{seen} bytes"),
            "check version and size in the profile, or name a mirror that has the artifact by --mirror",
        )
    }

    /// There are more bytes than an artifact of its kind may have.
    pub fn too_large(max: u64, seen: &str) -> Self {
        Self::refused(
            format!("at most {max} bytes"),
            seen,
            "check the URL; if the artifact is that large, raise its maximum size in the profile",
        )
    }

    /// A page for people came in place of a file.
    pub fn html(content: &str) -> Self {
        let titled = crate::checksums::title(content)
            .map_or(String::new(), |title| format!(" titled `{title}`"));
        Self::refused(
            "a file",
            format!("an HTML page{titled}"),
            "open the URL in a browser: a proxy's or publisher's page may be in the way; else name a mirror by --mirror",
        )
    }

    /// The server sent nothing for too long.
    pub fn silence(seconds: u64, seen: String) -> Self {
        Self::refused(
            format!("a byte at least every {seconds} s"),
            seen,
            "run the same command again: it continues where it ended; or name a mirror by --mirror",
        )
    }

    /// The connection broke while bytes came.
    pub fn broken(at: u64, total: Option<u64>, error: &reqwest::Error) -> Self {
        let expected = total.map_or("the whole artifact".into(), |total| {
            format!("{total} bytes")
        });
        Self::new(
            Kind::Broken,
            expected,
            format!("the connection broke after {at} bytes: {}", end_of(error)),
            "run the same command again: it continues where it ended; or name a mirror by --mirror",
        )
    }

    /// A status other than those of success.
    pub fn status(status: StatusCode, from: &Url) -> Self {
        let next = match status.as_u16() {
            404 | 410 => "check version and URL in the profile: the publisher has no such file",
            401 | 403 => {
                "check that the URL is public, or put user and password into the URL of a mirror (--mirror)"
            }
            407 => "put user and password into HTTPS_PROXY (http://USER:PASSWORD@HOST:PORT)",
            429 => "wait as long as the publisher asks for, or name a mirror by --mirror",
            500.. => "run the command again later, or name a mirror by --mirror",
            _ => "check the URL in the profile, or name a mirror by --mirror",
        };
        Self::refused("200 OK", format!("{status} from {}", origin(from)), next)
    }
}

/// Whether a file system or a limit has no room for more.
fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// An error with its causes, in one line, without the URL (which may be signed).
pub fn chain(error: &reqwest::Error) -> String {
    let mut text = String::new();
    for cause in causes(error).skip(1) {
        let more = cause.to_string();
        if !text.contains(&more) {
            let separator = if text.is_empty() { "" } else { ": " };
            text = format!("{text}{separator}{more}");
        }
    }
    if text.is_empty() {
        error.to_string()
    } else {
        text
    }
}

/// An error and its causes. An I/O error is passed by what it wraps, which is no cause of it by
/// `source`.
fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| next_cause(*error))
}

fn next_cause<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    let wrapped = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    match wrapped {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

/// The innermost cause.
fn root(error: &reqwest::Error) -> String {
    let innermost = causes(error).last();
    innermost.map_or_else(|| error.to_string(), ToString::to_string)
}

/// Why a connection ended.
fn end_of(error: &reqwest::Error) -> String {
    match cause::<io::Error>(error) {
        Some(error) if error.kind() == io::ErrorKind::UnexpectedEof => "the server ended it".into(),
        _ => root(error),
    }
}

fn cause<T: StdError + 'static>(error: &reqwest::Error) -> Option<&T> {
    causes(error).find_map(|error| error.downcast_ref())
}

/// No answer came for `url`.
pub async fn of_sending(error: reqwest::Error, url: &Url, proxy: Option<Proxy>) -> Fault {
    let asked = error.url().cloned().unwrap_or_else(|| url.clone());
    let error = error.without_url();
    if let Some(redirect) = cause::<RefusedRedirect>(&error) {
        return Fault::refused(
            format!("an answer over https after at most {REDIRECTS} redirects"),
            format!("a redirect that is not followed: {redirect}"),
            "name a mirror by --mirror, or report it to the publisher",
        );
    }
    if let Some(tls) = cause::<rustls::Error>(&error) {
        return of_tls(tls, &asked);
    }
    if error.is_connect() {
        return of_connecting(&error, &asked, proxy).await;
    }
    Fault::refused(
        format!("an answer of {}", origin(&asked)),
        chain(&error),
        format!("run the command again, name a mirror by --mirror, {WITHOUT_NETWORK}"),
    )
}

fn of_tls(error: &rustls::Error, url: &Url) -> Fault {
    use rustls::CertificateError as C;
    let next = match error {
        rustls::Error::InvalidCertificate(
            C::UnknownIssuer | C::BadSignature | C::Other(_) | C::InvalidPurpose,
        ) => {
            "if your network or mirror has a certificate authority of its own, name its certificate (PEM) by --ca FILE"
        }
        rustls::Error::InvalidCertificate(
            C::Expired | C::ExpiredContext { .. } | C::NotValidYet | C::NotValidYetContext { .. },
        ) => "set this machine's clock; if it is right, the server's certificate has to be renewed",
        rustls::Error::InvalidCertificate(
            C::NotValidForName | C::NotValidForNameContext { .. },
        ) => "check the host name in the URL: the certificate is for another one",
        _ => "name a mirror by --mirror",
    };
    Fault::refused(
        format!("a trusted TLS connection to {}", origin(url)),
        error.to_string(),
        next,
    )
}

async fn of_connecting(error: &reqwest::Error, url: &Url, proxy: Option<Proxy>) -> Fault {
    let mut seen = root(error);
    let Some(proxy) = proxy else {
        let (expected, check) = if error.is_dns() {
            let host = url.host_str().unwrap_or_default();
            (
                format!("an address for the name {host}"),
                "check the network and its name server, or set HTTPS_PROXY",
            )
        } else {
            (
                format!("a connection to {}", origin(url)),
                "check the network, set HTTPS_PROXY, or name a mirror by --mirror",
            )
        };
        return Fault::refused(expected, seen, format!("{check}; {WITHOUT_NETWORK}"));
    };
    if seen.contains("tunnel")
        && let Some(line) = proxy.status(url).await
    {
        seen = format!("it answered `{line}`");
    }
    let next = if seen.contains(" 407") {
        "put user and password into HTTPS_PROXY (http://USER:PASSWORD@HOST:PORT)".to_owned()
    } else {
        format!(
            "check HTTPS_PROXY and what the proxy allows, or add the host to NO_PROXY; {WITHOUT_NETWORK}"
        )
    };
    let expected = format!("the proxy {} to connect to {}", proxy.shown(), origin(url));
    Fault::refused(expected, seen, next)
}
