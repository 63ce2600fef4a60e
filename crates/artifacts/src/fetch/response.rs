//! What an answer's head says: whether it is the artifact, where it begins, how long it is.

use reqwest::header::{
    CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, LAST_MODIFIED,
};
use reqwest::{Response, StatusCode};

use crate::request::Download;

use super::fault::Fault;
use super::partial::Origin;

/// How much of an HTML page is looked at for its title.
const PAGE: usize = 64 * 1024;

/// A body that is the artifact's, or its rest.
#[derive(Debug)]
pub struct Head {
    /// The position of its first byte.
    pub from: u64,
    /// The size of the whole artifact, if the server says.
    pub total: Option<u64>,
    pub origin: Origin,
}

/// Reads the head of an answer to a request for the bytes from `asked` on.
pub async fn head(
    response: &mut Response,
    download: &Download,
    asked: u64,
    url: &str,
) -> Result<Head, Fault> {
    let (from, total) = match response.status() {
        StatusCode::OK => (0, number(response.headers(), CONTENT_LENGTH)),
        StatusCode::PARTIAL_CONTENT => range(response, asked)?,
        status => return Err(Fault::status(status, response.url())),
    };
    if is_html(response.headers()) {
        return Err(Fault::html(&start_of(response).await));
    }
    check_size(total, download)?;
    Ok(Head {
        from,
        total,
        origin: origin(response.headers(), url),
    })
}

fn range(response: &Response, asked: u64) -> Result<(u64, Option<u64>), Fault> {
    let text = text(response.headers(), CONTENT_RANGE).unwrap_or_default();
    match content_range(&text) {
        Some((from, total)) if from == asked => Ok((from, total)),
        _ => Err(Fault::refused(
            format!("the bytes from {asked} on"),
            format!("206 Partial Content with the Content-Range `{text}`"),
            "name another mirror by --mirror: this server does not serve ranges as asked",
        )),
    }
}

/// First position and size of the whole, of `bytes FIRST-LAST/SIZE`.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    let total = match total {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    Some((first.parse().ok()?, total))
}

fn check_size(total: Option<u64>, download: &Download) -> Result<(), Fault> {
    match (total, download.size) {
        (Some(total), Some(size)) if total != size => Err(Fault::size(size, total)),
        (Some(total), _) if total > download.max_size => Err(Fault::too_large(
            download.max_size,
            &format!("{total} bytes"),
        )),
        _ => Ok(()),
    }
}

fn is_html(headers: &HeaderMap) -> bool {
    text(headers, CONTENT_TYPE).is_some_and(|kind| {
        let kind = kind.to_ascii_lowercase();
        kind.starts_with("text/html") || kind.starts_with("application/xhtml")
    })
}

async fn start_of(response: &mut Response) -> String {
    let mut page = Vec::new();
    while page.len() < PAGE
        && let Ok(Some(chunk)) = response.chunk().await
    {
        page.extend_from_slice(&chunk);
    }
    String::from_utf8_lossy(&page).into_owned()
}

fn origin(headers: &HeaderMap, url: &str) -> Origin {
    Origin {
        url: url.into(),
        // RFC 9110, 13.1.5: If-Range takes no weak entity tag.
        etag: text(headers, ETAG).filter(|tag| !tag.starts_with("W/")),
        last_modified: text(headers, LAST_MODIFIED),
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

fn number(headers: &HeaderMap, name: HeaderName) -> Option<u64> {
    text(headers, name)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_its_first_byte_and_the_size_of_the_whole() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, Some(10))));
    }

    #[test]
    fn a_range_may_be_of_an_unknown_whole() {
        assert_eq!(content_range("bytes 5-9/*"), Some((5, None)));
    }

    #[test]
    fn an_unsatisfied_range_is_none() {
        assert_eq!(content_range("bytes */10"), None);
    }

    #[test]
    fn a_weak_entity_tag_is_no_validator() {
        let mut headers = HeaderMap::new();
        headers.insert(ETAG, "W/\"1\"".parse().unwrap());
        assert_eq!(origin(&headers, "https://host/a").validator(), None);
    }
}
