//! A certificate authority that lives as long as the server, and the server's certificate.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

/// TLS for `localhost`, `127.0.0.1`, `names` and what [`crate::route`] redirects to; the
/// authority's certificate is written to `ca`, its key nowhere.
pub fn acceptor(names: &[String], ca: &Path) -> Result<TlsAcceptor> {
    let issuer_key = KeyPair::generate()?;
    let issuer_params = authority()?;
    let authority = issuer_params.self_signed(&issuer_key)?;
    std::fs::write(ca, authority.pem()).with_context(|| format!("writing {}", ca.display()))?;
    let key = KeyPair::generate()?;
    let issuer = Issuer::new(issuer_params, issuer_key);
    let certificate = CertificateParams::new(hosts(names))?.signed_by(&key, &issuer)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn authority() -> Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let name = "EMTS release server for tests";
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}

fn hosts(names: &[String]) -> Vec<String> {
    let mut hosts = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    for name in names {
        hosts.extend([name.clone(), format!("objects.{name}")]);
    }
    hosts
}
