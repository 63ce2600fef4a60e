//! The kubeconfig that K3s writes for its administrator.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use thiserror::Error;

/// Where K3s writes it, or puts a link to it where the configuration has another place.
pub const PATH: &str = "/etc/rancher/k3s/k3s.yaml";

/// Why a kubeconfig cannot be used.
#[derive(Debug, Error)]
pub enum CredentialsError {
    /// It is not one.
    #[error("the node's kubeconfig cannot be read: {0}")]
    Format(String),
    /// A part is not there.
    #[error("the node's kubeconfig has no {0}")]
    Missing(&'static str),
    /// A part is no base64.
    #[error("{0} in the node's kubeconfig is not base64")]
    Base64(&'static str, #[source] base64::DecodeError),
    /// The server's address has no port.
    #[error("the node's kubeconfig names the server `{0}`, which is no https://HOST:PORT")]
    Server(String),
}

/// How to reach the API as administrator.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The API's port on the node.
    pub port: u16,
    /// The certificate authority of the API's certificate, in PEM.
    pub authority: Vec<u8>,
    /// The administrator's certificate, in PEM.
    pub certificate: Vec<u8>,
    /// Its key, in PEM.
    pub key: Vec<u8>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Kubeconfig {
    #[serde(default)]
    clusters: Vec<Named<Cluster>>,
    #[serde(default)]
    users: Vec<Named<User>>,
}

#[derive(Deserialize)]
struct Named<T> {
    #[serde(alias = "cluster", alias = "user")]
    value: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    server: String,
    certificate_authority_data: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct User {
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
}

impl Credentials {
    /// Reads a kubeconfig as K3s writes it: one cluster, one user, all data in the file.
    ///
    /// # Errors
    /// The text is another, or a part is missing.
    pub fn parse(text: &str) -> Result<Self, CredentialsError> {
        let config: Kubeconfig = serde_saphyr::from_str(text)
            .map_err(|error| CredentialsError::Format(error.to_string()))?;
        let first = config.clusters.into_iter().next();
        let cluster = first.ok_or(CredentialsError::Missing("cluster"))?.value;
        let first = config.users.into_iter().next();
        let user = first.ok_or(CredentialsError::Missing("user"))?.value;
        Ok(Self {
            port: port(&cluster.server)?,
            authority: decode(
                "certificate-authority-data",
                cluster.certificate_authority_data,
            )?,
            certificate: decode("client-certificate-data", user.client_certificate_data)?,
            key: decode("client-key-data", user.client_key_data)?,
        })
    }
}

/// The port of `https://HOST:PORT`; the host is the node's own loopback, or the address that K3s was told to bind.
fn port(server: &str) -> Result<u16, CredentialsError> {
    let port = server
        .strip_prefix("https://")
        .and_then(|rest| rest.trim_end_matches('/').rsplit_once(':'))
        .and_then(|(_, port)| port.parse().ok());
    port.ok_or_else(|| CredentialsError::Server(server.to_owned()))
}

fn decode(name: &'static str, data: Option<String>) -> Result<Vec<u8>, CredentialsError> {
    let data = data.ok_or(CredentialsError::Missing(name))?;
    STANDARD
        .decode(data.trim())
        .map_err(|error| CredentialsError::Base64(name, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As K3s writes it, with other data.
    const KUBECONFIG: &str = "apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: Q0E=
    server: https://127.0.0.1:6443
  name: default
contexts:
- context:
    cluster: default
    user: default
  name: default
current-context: default
kind: Config
preferences: {}
users:
- name: default
  user:
    client-certificate-data: Q0VSVA==
    client-key-data: S0VZ
";

    #[test]
    fn reads_what_k3s_writes() {
        let credentials = Credentials::parse(KUBECONFIG).unwrap();
        assert_eq!(credentials.port, 6443);
        assert_eq!(credentials.authority, b"CA");
        assert_eq!(credentials.certificate, b"CERT");
        assert_eq!(credentials.key, b"KEY");
    }

    #[test]
    fn takes_the_port_of_any_address() {
        for (server, expected) in [
            ("https://10.0.2.15:7443", 7443),
            ("https://[::1]:6443", 6443),
        ] {
            let text = KUBECONFIG.replace("https://127.0.0.1:6443", server);
            assert_eq!(Credentials::parse(&text).unwrap().port, expected);
        }
    }

    #[track_caller]
    fn refused(from: &str, to: &str) -> String {
        let text = KUBECONFIG.replace(from, to);
        Credentials::parse(&text).unwrap_err().to_string()
    }

    #[test]
    fn names_the_part_that_is_missing() {
        let error = refused("    client-key-data: S0VZ\n", "");
        assert!(error.contains("has no client-key-data"), "{error}");
    }

    #[test]
    fn names_an_address_without_a_port() {
        let error = refused("https://127.0.0.1:6443", "https://node");
        assert!(error.contains("`https://node`"), "{error}");
    }

    #[test]
    fn a_file_that_is_being_written_is_no_kubeconfig() {
        assert!(Credentials::parse("").is_err());
        assert!(Credentials::parse("apiVersion: v1\nclusters:\n- cluster:\n").is_err());
    }
}
