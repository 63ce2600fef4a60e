//! Image references in LinuxKit's canonical form.
//!
//! The rules are LinuxKit's, not Docker's: no tag is ever added, and only a name without `/`, or
//! with one `/` whose first part cannot be a host, is taken to be on docker.io.

use super::{Error, Result};

/// The canonical form by which images are looked up: `debian:12.10` becomes
/// `docker.io/library/debian:12.10`.
///
/// # Errors
/// [`Error::Reference`] for an empty name, a scheme (`://`) or white space.
pub fn canonical(reference: &str) -> Result<String> {
    let bad = |reason: &str| Error::Reference {
        reference: reference.to_owned(),
        reason: reason.to_owned(),
    };
    if reference.is_empty() {
        return Err(bad("it is empty"));
    }
    if reference.contains("://") {
        return Err(bad("it has a scheme; write host/name:tag"));
    }
    if reference
        .chars()
        .any(|c| c.is_whitespace() || c.is_control())
    {
        return Err(bad("it has white space or control characters"));
    }
    let expanded = expand(reference);
    let path = expanded.split_once('/').map_or("", |(_, path)| path);
    if path.is_empty() || path.starts_with([':', '@', '/']) {
        return Err(bad("it has no name after the host"));
    }
    if path.ends_with([':', '@']) {
        return Err(bad("its tag or digest is empty"));
    }
    Ok(expanded)
}

fn expand(reference: &str) -> String {
    let Some((first, rest)) = reference.split_once('/') else {
        return format!("docker.io/library/{reference}");
    };
    let could_be_host = first.contains(['.', ':']) || first == "localhost";
    if !rest.contains('/') && !could_be_host {
        return format!("docker.io/{reference}");
    }
    reference.to_owned()
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn expands_as_linuxkit_does() {
        for (given, wanted) in [
            ("debian:12.10", "docker.io/library/debian:12.10"),
            ("debian", "docker.io/library/debian"),
            ("linuxkit/init:v1", "docker.io/linuxkit/init:v1"),
            ("localhost/a:1", "localhost/a:1"),
            ("quay.io/a:1", "quay.io/a:1"),
            ("a/b/c:1", "a/b/c:1"),
            ("host:5000/a", "host:5000/a"),
            ("debian@sha256:00", "docker.io/library/debian@sha256:00"),
        ] {
            assert_eq!(canonical(given).unwrap(), wanted);
        }
    }

    #[test]
    fn rejects_what_is_no_reference() {
        for bad in [
            "",
            "https://host/a",
            "a b",
            "host.io/",
            "host.io/:tag",
            "debian:",
        ] {
            assert!(canonical(bad).is_err(), "{bad}");
        }
    }
}
