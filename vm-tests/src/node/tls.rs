//! TLS handshakes with a port of the node: what a client really gets.

use std::io::{Error, Read, Write};

use openssl::nid::Nid;
use openssl::pkey::Id;
use openssl::ssl::{Ssl, SslContext, SslMethod, SslStream, SslVerifyMode, SslVersion};
use openssl::x509::X509Ref;

use crate::ssh::GuestOutput;

/// Tries a TLS 1.2 handshake that offers one suite.
///
/// # Errors
/// The suite is unknown here, or the connection fails.
pub fn try_suite<S: Read + Write>(stream: S, suite: &str) -> std::io::Result<GuestOutput> {
    let name = openssl::ssl::cipher_name(suite);
    if name == "(NONE)" {
        return Err(Error::other(format!(
            "OpenSSL does not know the cipher suite {suite}"
        )));
    }
    let mut context = SslContext::builder(SslMethod::tls_client())?;
    // Suites such as those with CBC are offered on purpose: a refusal must come from the server.
    context.set_cipher_list(&format!("{name}:@SECLEVEL=0"))?;
    context.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    context.set_max_proto_version(Some(SslVersion::TLS1_2))?;
    context.set_verify(SslVerifyMode::NONE);
    let mut tls = SslStream::new(Ssl::new(&context.build())?, stream)?;
    match tls.connect() {
        Ok(()) => Ok(GuestOutput {
            status: 0,
            stdout: suite.as_bytes().to_vec(),
            stderr: Vec::new(),
        }),
        Err(error) if error.ssl_error().is_some() => Ok(GuestOutput {
            status: 1,
            stdout: b"refused".to_vec(),
            stderr: error.to_string().into_bytes(),
        }),
        Err(error) => Err(Error::other(error.to_string())),
    }
}

/// The certificate that a port shows.
///
/// # Errors
/// The handshake fails.
pub fn certificate<S: Read + Write>(stream: S) -> std::io::Result<GuestOutput> {
    let mut context = SslContext::builder(SslMethod::tls_client())?;
    context.set_verify(SslVerifyMode::NONE);
    let mut tls = SslStream::new(Ssl::new(&context.build())?, stream)?;
    tls.connect()
        .map_err(|error| Error::other(error.to_string()))?;
    let certificate = tls
        .ssl()
        .peer_certificate()
        .ok_or_else(|| Error::other("the server shows no certificate"))?;
    Ok(GuestOutput {
        status: 0,
        stdout: describe(&certificate)?.into_bytes(),
        stderr: Vec::new(),
    })
}

fn describe(certificate: &X509Ref) -> std::io::Result<String> {
    let kind = match certificate.public_key()?.id() {
        Id::EC => "EC",
        Id::RSA => "RSA",
        _ => "other",
    };
    let mut lines = vec![kind.to_owned()];
    for name in certificate.subject_alt_names().iter().flatten() {
        lines.extend(name.dnsname().map(str::to_owned));
        lines.extend(name.ipaddress().and_then(address));
    }
    let subject = certificate
        .subject_name()
        .entries_by_nid(Nid::COMMONNAME)
        .next();
    if lines.len() == 1
        && let Some(Ok(name)) = subject.map(|entry| entry.data().to_string())
    {
        lines.push(format!("(subject {name}, no alternative names)"));
    }
    Ok(lines.join("\n"))
}

fn address(bytes: &[u8]) -> Option<String> {
    let v4 = <[u8; 4]>::try_from(bytes).map(|bytes| std::net::IpAddr::from(bytes).to_string());
    let v6 = <[u8; 16]>::try_from(bytes).map(|bytes| std::net::IpAddr::from(bytes).to_string());
    v4.or(v6).ok()
}
