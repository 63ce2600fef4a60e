//! Where an image is asked for: mirrors first, then the registry in its reference.

use std::str::FromStr;

use oci_client::Reference;

use super::Error;

/// A registry that is asked before another one. Written `REGISTRY=URL`, or `URL` for one that is
/// asked before all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// The registry it stands for; `None` for all.
    pub registry: Option<String>,
    /// `HOST` or `HOST:PORT`.
    pub host: String,
    /// Whether its URL is `http://`.
    pub plain_http: bool,
}

impl FromStr for Mirror {
    type Err = Error;

    fn from_str(given: &str) -> Result<Self, Error> {
        let refuse = |reason: &str| Error::Mirror {
            given: given.into(),
            reason: reason.into(),
        };
        let (registry, url) = match given.split_once('=') {
            Some((registry, url)) => (Some(registry), url),
            None => (None, given),
        };
        let (plain_http, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return Err(refuse("its URL begins with neither https:// nor http://")),
        };
        let host = rest.trim_end_matches('/');
        if host.is_empty() || host.contains(['/', '@', '?']) {
            return Err(refuse(
                "its URL is to have a host and maybe a port, no more",
            ));
        }
        Ok(Self {
            registry: registry.map(str::to_owned).filter(|name| name != "*"),
            host: host.into(),
            plain_http,
        })
    }
}

impl Mirror {
    /// Whether it stands for `registry`; docker.io has several names.
    fn serves(&self, registry: &str) -> bool {
        let name = |host: &str| match host {
            "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
            host => host.to_owned(),
        };
        self.registry
            .as_deref()
            .is_none_or(|own| name(own) == name(registry))
    }
}

/// The references to ask for, one for each endpoint, in their order.
pub fn endpoints(wanted: &Reference, mirrors: &[Mirror]) -> Vec<Reference> {
    let mut all: Vec<Reference> = mirrors
        .iter()
        .filter(|mirror| mirror.serves(wanted.registry()))
        .map(|mirror| at(wanted, &mirror.host))
        .collect();
    all.push(wanted.clone());
    all
}

fn at(wanted: &Reference, host: &str) -> Reference {
    let (host, repository) = (host.to_owned(), wanted.repository().to_owned());
    match (wanted.digest(), wanted.tag()) {
        (Some(digest), _) => Reference::with_digest(host, repository, digest.into()),
        (None, tag) => Reference::with_tag(host, repository, tag.unwrap_or("latest").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(reference: &str, mirrors: &[&str]) -> Vec<String> {
        let mirrors: Vec<Mirror> = mirrors.iter().map(|text| text.parse().unwrap()).collect();
        let wanted: Reference = reference.parse().unwrap();
        let endpoints = endpoints(&wanted, &mirrors);
        endpoints.iter().map(Reference::to_string).collect()
    }

    #[test]
    fn mirrors_come_before_the_registry_they_stand_for() {
        assert_eq!(
            hosts(
                "docker.io/library/debian:12",
                &[
                    "quay.io=https://other",
                    "registry-1.docker.io=https://a:5000/",
                    "http://b",
                ]
            ),
            [
                "a:5000/library/debian:12",
                "b/library/debian:12",
                "docker.io/library/debian:12"
            ]
        );
    }

    #[test]
    fn a_digest_is_kept() {
        let digest = format!("sha256:{}", "0".repeat(64));
        assert_eq!(
            hosts(&format!("quay.io/a/b@{digest}"), &["*=https://m"]),
            [format!("m/a/b@{digest}"), format!("quay.io/a/b@{digest}")]
        );
    }

    #[test]
    fn mirrors_without_a_scheme_or_with_a_path_are_refused() {
        for bad in [
            "host",
            "docker.io=host",
            "https://",
            "https://host/path",
            "https://u@host",
        ] {
            assert!(bad.parse::<Mirror>().is_err(), "{bad}");
        }
    }
}
