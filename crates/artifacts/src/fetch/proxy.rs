//! Proxies of the environment: which one serves a URL, and what it says when it refuses.
//!
//! The HTTP client chooses by the same rules; of a refused CONNECT it keeps no status.

use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::Url;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// How long a proxy may take to say why it refuses.
const ANSWER: Duration = Duration::from_secs(5);

/// HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY.
pub struct Proxies(Matcher);

/// The proxy of a URL.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// `HOST:PORT`.
    address: String,
    scheme: String,
    authorization: Option<String>,
}

impl Proxies {
    pub fn of_environment() -> Self {
        Self(Matcher::from_env())
    }

    /// The proxy that serves `url`, if any does.
    pub fn of(&self, url: &Url) -> Option<Proxy> {
        let found = self.0.intercept(&url.as_str().parse().ok()?)?;
        let host = found.uri().host()?;
        let scheme = found.uri().scheme_str().unwrap_or("http");
        let usual = if scheme == "https" { 443 } else { 80 };
        let port = found.uri().port_u16().unwrap_or(usual);
        let authorization = found.basic_auth().and_then(|value| value.to_str().ok());
        Some(Proxy {
            address: format!("{host}:{port}"),
            scheme: scheme.into(),
            authorization: authorization.map(str::to_owned),
        })
    }
}

impl Proxy {
    /// As people know it, without user and password.
    pub fn shown(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// The status line with which it answers a CONNECT to the host of `url`; `None` if it
    /// cannot be asked.
    pub async fn status(&self, url: &Url) -> Option<String> {
        if self.scheme != "http" {
            return None;
        }
        let answer = tokio::time::timeout(ANSWER, self.connect(url));
        answer.await.ok()?.ok().filter(|line| !line.is_empty())
    }

    async fn connect(&self, url: &Url) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(&self.address).await?;
        let host = url.host_str().unwrap_or_default();
        let target = format!("{host}:{}", url.port_or_known_default().unwrap_or(443));
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        if let Some(value) = &self.authorization {
            request += &format!("Proxy-Authorization: {value}\r\n");
        }
        stream.write_all((request + "\r\n").as_bytes()).await?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).await?;
        Ok(line.trim_end().to_owned())
    }
}
