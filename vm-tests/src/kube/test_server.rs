//! For tests: an HTTPS server on the loopback that asks for a client's certificate and answers by what it is given.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslAcceptor, SslMethod, SslVerifyMode};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Name};

use super::credentials::Credentials;

/// A certificate with its key.
pub struct Identity {
    pub certificate: X509,
    pub key: PKey<Private>,
}

impl Identity {
    /// An authority, or, by one, a certificate that is for an address.
    pub fn new(name: &str, issuer: Option<&Self>, address: Option<&str>) -> Self {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
        let mut subject = X509Name::builder().unwrap();
        subject.append_entry_by_nid(Nid::COMMONNAME, name).unwrap();
        let subject = subject.build();
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        let serial = BigNum::from_u32(fastrand::u32(1..)).unwrap();
        builder
            .set_serial_number(&serial.to_asn1_integer().unwrap())
            .unwrap();
        builder.set_subject_name(&subject).unwrap();
        let issued_by = issuer.map_or(&*subject, |issuer| issuer.certificate.subject_name());
        builder.set_issuer_name(issued_by).unwrap();
        builder.set_pubkey(&key).unwrap();
        builder
            .set_not_before(&Asn1Time::days_from_now(0).unwrap())
            .unwrap();
        builder
            .set_not_after(&Asn1Time::days_from_now(2).unwrap())
            .unwrap();
        if issuer.is_none() {
            let constraints = BasicConstraints::new().critical().ca().build().unwrap();
            builder.append_extension(constraints).unwrap();
        }
        if let Some(address) = address {
            let context = builder.x509v3_context(None, None);
            let names = SubjectAlternativeName::new()
                .ip(address)
                .build(&context)
                .unwrap();
            builder.append_extension(names).unwrap();
        }
        let signer = issuer.map_or(&key, |issuer| &issuer.key);
        builder.sign(signer, MessageDigest::sha256()).unwrap();
        Self {
            certificate: builder.build(),
            key,
        }
    }
}

/// The server and what its clients need.
pub struct TestServer {
    pub port: u16,
    pub credentials: Credentials,
}

impl TestServer {
    /// Answers each connection's one request, given as `METHOD PATH`, with the bytes that `answer` makes of it. Its
    /// certificate is for `address`.
    pub fn start(address: &str, answer: impl Fn(&str) -> String + Send + 'static) -> Self {
        let authority = Identity::new("authority", None, None);
        let server = Identity::new("server", Some(&authority), Some(address));
        let client = Identity::new("admin", Some(&authority), None);
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
        acceptor.set_private_key(&server.key).unwrap();
        acceptor.set_certificate(&server.certificate).unwrap();
        acceptor
            .cert_store_mut()
            .add_cert(authority.certificate.clone())
            .unwrap();
        // OpenSSL refuses to resume sessions of clients with certificates where this is not set.
        acceptor.set_session_id_context(b"test").unwrap();
        acceptor.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
        let acceptor = acceptor.build();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that does not like the certificate goes away.
                let Ok(mut stream) = acceptor.accept(stream.unwrap()) else {
                    continue;
                };
                let mut lines = BufReader::new(&mut stream).lines();
                let Some(Ok(request)) = lines.next() else {
                    continue;
                };
                while lines
                    .next()
                    .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
                {}
                let words: Vec<&str> = request.split(' ').take(2).collect();
                let _ = stream.write_all(answer(&words.join(" ")).as_bytes());
                let _ = stream.shutdown();
            }
        });
        let key = client.key.ec_key().unwrap().private_key_to_pem().unwrap();
        let credentials = Credentials {
            port: 6443,
            authority: authority.certificate.to_pem().unwrap(),
            certificate: client.certificate.to_pem().unwrap(),
            key,
        };
        Self { port, credentials }
    }
}

/// An answer in one piece.
pub fn whole(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

/// An answer that ends with its connection.
pub fn stream(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{body}")
}
