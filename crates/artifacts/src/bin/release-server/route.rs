//! What a path means, as GitHub and its object storage have it.

use percent_encoding::percent_decode_str;

/// The query of a signed URL. Real ones carry a key's signature and a time.
pub const SIGNATURE: &str = "signature=of-the-tests";

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Route {
    /// The list of requests.
    Requests,
    /// A file of a release: a redirect to the object storage.
    Release { version: String, file: String },
    /// A file in the object storage.
    Object {
        version: String,
        file: String,
        signed: bool,
    },
    /// A file of the source tree.
    Raw { version: String, file: String },
    /// Anything else.
    Unknown,
}

impl Route {
    /// Reads path and query.
    pub fn of(target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let decoded: Option<Vec<String>> = path.split('/').skip(1).map(segment).collect();
        let Some(segments) = decoded else {
            return Self::Unknown;
        };
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match segments[..] {
            ["_requests"] => Self::Requests,
            ["objects", version, file] => Self::Object {
                version: version.into(),
                file: file.into(),
                signed: query == SIGNATURE,
            },
            [_, _, "releases", "download", version, file] => Self::Release {
                version: version.into(),
                file: file.into(),
            },
            [_, _, version, file] => Self::Raw {
                version: version.into(),
                file: file.into(),
            },
            _ => Self::Unknown,
        }
    }
}

/// A segment of a path, decoded; `None` if it could lead out of a directory.
fn segment(text: &str) -> Option<String> {
    let text = percent_decode_str(text).decode_utf8().ok()?;
    let is_name = !text.is_empty() && !text.starts_with('.') && !text.contains('/');
    is_name.then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_has_its_version_decoded() {
        assert_eq!(
            Route::of("/k3s-io/k3s/releases/download/v1.33.13%2Bk3s2/k3s"),
            Route::Release {
                version: "v1.33.13+k3s2".into(),
                file: "k3s".into()
            }
        );
    }

    #[test]
    fn a_raw_file_is_of_a_version() {
        assert_eq!(
            Route::of("/k3s-io/k3s/v1.33.13+k3s2/install.sh"),
            Route::Raw {
                version: "v1.33.13+k3s2".into(),
                file: "install.sh".into()
            }
        );
    }

    #[test]
    fn an_object_without_a_signature_is_not_signed() {
        assert!(matches!(
            Route::of("/objects/v1/k3s"),
            Route::Object { signed: false, .. }
        ));
    }

    #[test]
    fn no_path_leads_out_of_the_directory() {
        assert_eq!(Route::of("/a/b/v1/..%2Fsecret"), Route::Unknown);
        assert_eq!(Route::of("/objects/v1/.."), Route::Unknown);
    }
}
