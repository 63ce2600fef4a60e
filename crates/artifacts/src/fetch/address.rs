//! URLs as people see them.

use reqwest::Url;

/// Scheme, host and port: what can be shown of a URL that may be signed.
pub fn origin(url: &Url) -> String {
    let port = url.port().map_or(String::new(), |port| format!(":{port}"));
    format!(
        "{}://{}{port}",
        url.scheme(),
        url.host_str().unwrap_or_default()
    )
}

/// A URL as it is shown and noted: without user and password.
pub fn shown(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else {
        return text.to_owned();
    };
    if url.username().is_empty() && url.password().is_none() {
        return text.to_owned();
    }
    // Both fail only for URLs that cannot have them.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_user_and_password() {
        assert_eq!(
            shown("https://me:secret@mirror:8443/a?b"),
            "https://mirror:8443/a?b"
        );
    }

    #[test]
    fn a_token_in_place_of_a_user_is_not_shown() {
        assert_eq!(shown("https://token@mirror/a"), "https://mirror/a");
    }

    #[test]
    fn a_url_without_a_user_is_shown_as_it_was_given() {
        let url = "https://host/v1.33.13+k3s2/k3s";
        assert_eq!(shown(url), url);
    }
}
