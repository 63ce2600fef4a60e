//! Credentials as Docker keeps them: `$DOCKER_CONFIG/config.json` or `~/.docker/config.json`, and
//! the credential helpers that it names.

use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential};
use oci_client::secrets::RegistryAuth;

use super::{Error, Result};

/// The name under which Docker keeps what belongs to docker.io.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// What to show the registry `host`; anonymous if nothing is configured for it.
pub fn of(host: &str) -> Result<RegistryAuth> {
    let server = match host {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" => DOCKER_HUB,
        host => host,
    };
    let refuse = |reason: String| Error::Credentials {
        host: host.into(),
        reason,
    };
    match get_credential(server) {
        Ok(DockerCredential::UsernamePassword(user, password)) => {
            Ok(RegistryAuth::Basic(user, password))
        }
        Ok(DockerCredential::IdentityToken(_)) => Err(refuse(
            "they are an identity token, which is not supported; log in with a user and a password or an access token".into(),
        )),
        Err(
            CredentialRetrievalError::NoCredentialConfigured
            | CredentialRetrievalError::ConfigNotFound,
        ) => Ok(RegistryAuth::Anonymous),
        Err(CredentialRetrievalError::ConfigReadError) if !has_config() => {
            Ok(RegistryAuth::Anonymous)
        }
        // What a helper prints on its standard output may be a secret: only this text is looked for.
        Err(CredentialRetrievalError::HelperFailure { stdout, .. })
            if stdout.contains("credentials not found") =>
        {
            Ok(RegistryAuth::Anonymous)
        }
        Err(CredentialRetrievalError::HelperFailure { helper, .. }) => {
            Err(refuse(format!("the credential helper {helper} failed")))
        }
        Err(other) => Err(refuse(format!("{other} (Docker's config.json)"))),
    }
}

fn has_config() -> bool {
    let dir = std::env::var_os("DOCKER_CONFIG")
        .map(std::path::PathBuf::from)
        .or_else(|| Some(std::path::PathBuf::from(std::env::var_os("HOME")?).join(".docker")));
    dir.is_some_and(|dir| dir.join("config.json").exists())
}
