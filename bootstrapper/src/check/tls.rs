//! TLS settings among component arguments: names that Go's crypto/tls does not know stop the component.

use crate::report::Report;
use crate::text::closest;
use crate::values::ComponentArg;
use crate::yaml::Pointer;

/// Cipher suites of Go's crypto/tls, the insecure ones included (k8s.io/component-base, cli/flag).
const SUITES: &[&str] = &[
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_RSA_WITH_RC4_128_SHA",
];
const VERSIONS: &[&str] = &[
    "VersionTLS10",
    "VersionTLS11",
    "VersionTLS12",
    "VersionTLS13",
];

impl Report<'_> {
    pub(super) fn tls_argument(&mut self, arg: &ComponentArg, at: &Pointer) {
        if !arg.has_value() {
            return;
        }
        let (key, value) = arg.key_value();
        let (known, names): (&[&str], Vec<&str>) = match key {
            "tls-cipher-suites" => (SUITES, value.split(',').collect()),
            "tls-min-version" => (VERSIONS, vec![value]),
            _ => return,
        };
        for name in names {
            if known.contains(&name) {
                continue;
            }
            if self.found.is_full() {
                return;
            }
            let help = match closest(name.trim(), known.iter().copied()) {
                Some(near) if near == name.trim() => format!("write {near} without spaces"),
                Some(near) => format!("did you mean {near}?"),
                None => format!("known: {}", known.join(", ")),
            };
            self.error(
                "tls-name",
                at,
                format!("Go's TLS does not know `{name}` in {key}"),
            )
            .help(help);
        }
    }
}
