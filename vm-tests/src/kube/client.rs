//! One client of the API for a machine's life: connections are kept, the API's certificate is verified.

use std::time::{Duration, Instant};

use reqwest::{Certificate, Identity, Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use thiserror::Error;

use super::credentials::Credentials;
use super::event::status_text;
use super::log::KubeLog;

/// How long an emulated API server on a busy host may take for one answer.
const ANSWER: Duration = Duration::from_secs(60);
/// How long a connection may be silent. A watch ends by itself before ([`super::watch`]).
const SILENCE: Duration = Duration::from_secs(300);

/// Why a request has no answer.
#[derive(Debug, Error)]
pub enum KubeError {
    /// The credentials cannot be used.
    #[error("no client for the node's API can be made: {0}")]
    Client(String),
    /// Nobody answers, or breaks off.
    #[error("the API does not answer {request}: {reason}")]
    NoAnswer {
        /// Method and path.
        request: String,
        /// What was seen.
        reason: String,
    },
    /// The answer is not what was asked for.
    #[error("the API's answer cannot be read: {0}")]
    Format(String),
    /// The API server refuses.
    #[error("the API answers {request} with status {status}: {message}")]
    Refused {
        /// Method and path.
        request: String,
        /// HTTP's status.
        status: u16,
        /// The API server's words.
        message: String,
    },
}

/// A client of one node's API.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    log: KubeLog,
}

impl Client {
    /// A client that reaches the API at a port of the host's loopback. The API's certificate is verified: K3s has
    /// 127.0.0.1 among its names.
    ///
    /// # Errors
    /// The credentials are none.
    pub fn new(port: u16, credentials: &Credentials, log: KubeLog) -> Result<Self, KubeError> {
        let failed = |error: &dyn std::fmt::Display| KubeError::Client(error.to_string());
        let pem = [&credentials.key[..], &credentials.certificate[..]].concat();
        let identity = Identity::from_pem(&pem).map_err(|error| failed(&chain(&error)))?;
        let authorities = Certificate::from_pem_bundle(&credentials.authority)
            .map_err(|error| failed(&chain(&error)))?;
        // Fails when the process has a provider already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only(authorities)
            .identity(identity)
            .read_timeout(SILENCE)
            .build()
            .map_err(|error| failed(&chain(&error)))?;
        Ok(Self {
            http,
            base: format!("https://127.0.0.1:{port}"),
            log,
        })
    }

    /// What the API has at a path.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn get(&self, path: &str) -> Result<Vec<u8>, KubeError> {
        let request = self.request(Method::GET, path).timeout(ANSWER);
        self.body(format!("GET {path}"), request).await
    }

    /// What the API says its version is, as K3s has it.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn version(&self) -> Result<String, KubeError> {
        let text = self.get("/version").await?;
        let version: Value =
            serde_json::from_slice(&text).map_err(|error| KubeError::Format(error.to_string()))?;
        let part = |name: &str| version[name].as_str().unwrap_or("unknown").to_owned();
        Ok(format!(
            "K3s {} ({})",
            part("gitVersion"),
            part("goVersion")
        ))
    }

    /// Makes an object in the list at a path. One of its name that is there already is left as it is.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn create(&self, path: &str, object: &Value) -> Result<(), KubeError> {
        let request = self.request(Method::POST, path).timeout(ANSWER);
        let request = request
            .header("Content-Type", "application/json")
            .body(object.to_string());
        match self.body(format!("POST {path}"), request).await {
            Err(KubeError::Refused { status, .. }) if status == StatusCode::CONFLICT => Ok(()),
            result => result.map(drop),
        }
    }

    /// The begin of an answer that does not end soon.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub(super) async fn follow(&self, path: &str) -> Result<Response, KubeError> {
        let name = format!("GET {path}");
        let started = Instant::now();
        let result = send(&name, self.request(Method::GET, path)).await;
        let error = result.as_ref().err().map(ToString::to_string);
        self.log.record(&name, started.elapsed(), error);
        result
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    async fn body(&self, name: String, request: RequestBuilder) -> Result<Vec<u8>, KubeError> {
        let started = Instant::now();
        let result = async {
            let response = send(&name, request).await?;
            let bytes = response.bytes().await;
            bytes
                .map(|bytes| bytes.to_vec())
                .map_err(|error| no_answer(&name, &error))
        };
        let result = result.await;
        let error = result.as_ref().err().map(ToString::to_string);
        self.log.record(&name, started.elapsed(), error);
        result
    }
}

/// Sends a request; any status but success is an error.
async fn send(name: &str, request: RequestBuilder) -> Result<Response, KubeError> {
    let response = request
        .send()
        .await
        .map_err(|error| no_answer(name, &error))?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let text = response.text().await.unwrap_or_default();
    let message = match serde_json::from_str::<Value>(&text) {
        Ok(object) => status_text(&object),
        Err(_) => text.trim().to_owned(),
    };
    Err(KubeError::Refused {
        request: name.to_owned(),
        status: status.as_u16(),
        message,
    })
}

fn no_answer(name: &str, error: &reqwest::Error) -> KubeError {
    KubeError::NoAnswer {
        request: name.to_owned(),
        reason: chain(error),
    }
}

/// The innermost reason: the outer ones repeat the address.
pub(super) fn chain(error: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::test_server::{TestServer, whole};
    use super::*;

    fn client(server: &TestServer) -> Client {
        let folder = tempfile::tempdir().unwrap();
        let log = KubeLog::new(&folder.path().join("api.jsonl")).unwrap();
        Client::new(server.port, &server.credentials, log).unwrap()
    }

    /// Answers as an API server that has an object already, and is not ready.
    fn api(request: &str) -> String {
        match request {
            "GET /version" => whole(
                "200 OK",
                r#"{"gitVersion":"v1.33.13+k3s2","goVersion":"go1.24.1"}"#,
            ),
            "GET /readyz" => whole("500 Internal Server Error", "[-]etcd failed\n"),
            "POST /there" => whole(
                "409 Conflict",
                r#"{"kind":"Status","message":"already exists"}"#,
            ),
            _ => whole(
                "403 Forbidden",
                r#"{"kind":"Status","message":"no account default"}"#,
            ),
        }
    }

    #[tokio::test]
    async fn shows_its_certificate_and_verifies_the_servers() {
        let server = TestServer::start("127.0.0.1", api);
        let version = client(&server).version().await.unwrap();
        assert_eq!(version, "K3s v1.33.13+k3s2 (go1.24.1)");
    }

    #[tokio::test]
    async fn a_certificate_for_another_address_is_refused() {
        let server = TestServer::start("192.0.2.1", api);
        let error = client(&server).version().await.unwrap_err();
        assert!(matches!(error, KubeError::NoAnswer { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_certificate_of_another_authority_is_refused() {
        let mut server = TestServer::start("127.0.0.1", api);
        let other = TestServer::start("127.0.0.1", api);
        server.credentials.authority = other.credentials.authority;
        let error = client(&server).version().await.unwrap_err();
        assert!(matches!(error, KubeError::NoAnswer { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_refusal_has_the_servers_words() {
        let server = TestServer::start("127.0.0.1", api);
        let error = client(&server)
            .create("/pods", &json!({}))
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the API answers POST /pods with status 403: no account default"
        );
        let error = client(&server).get("/readyz").await.unwrap_err();
        assert!(
            error.to_string().ends_with("status 500: [-]etcd failed"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn an_object_that_is_there_is_left_as_it_is() {
        let server = TestServer::start("127.0.0.1", api);
        client(&server).create("/there", &json!({})).await.unwrap();
    }

    #[tokio::test]
    async fn nobody_there_is_told_with_the_request() {
        let mut server = TestServer::start("127.0.0.1", api);
        // A listener that is gone again: the port is free and refuses.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        server.port = free.local_addr().unwrap().port();
        drop(free);
        let error = client(&server)
            .get("/readyz")
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("the API does not answer GET /readyz: "),
            "{error}"
        );
    }
}
