//! What is answered: a decision without input and output.

use crate::directory::Content;
use crate::faults::Fault;
use crate::head::Head;
use crate::route::{Route, SIGNATURE};
use crate::{Server, faults};

const LOGIN: &str = "<!DOCTYPE html>\n<html><head><title>Log in to the network</title></head><body>Please log in.</body></html>\n";

/// An answer before it is sent.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub fields: Vec<(&'static str, String)>,
    pub content: Content,
    /// The first byte of the content that is sent.
    pub from: u64,
    /// The byte behind the last one.
    pub to: u64,
    pub fault: Fault,
}

impl Answer {
    fn text(status: u16, kind: &str, text: impl Into<String>) -> Self {
        let content = Content::Text(text.into());
        Self {
            status,
            fields: vec![("Content-Type", kind.into())],
            from: 0,
            to: content.size(),
            content,
            fault: Fault::default(),
        }
    }

    fn plain(status: u16, text: &str) -> Self {
        Self::text(status, "text/plain; charset=utf-8", text)
    }
}

/// Answers a request.
pub fn answer(server: &Server, head: &Head, secure: bool) -> Answer {
    if head.method != "GET" {
        return Answer::plain(405, "only GET is served");
    }
    let route = Route::of(&head.target);
    match &route {
        Route::Requests => {
            return Answer::text(200, "application/json", server.requests.json().to_string());
        }
        Route::Object { signed: false, .. } => {
            return Answer::text(
                403,
                "application/xml",
                "<Error><Code>AccessDenied</Code></Error>",
            );
        }
        _ => {}
    }
    let (Route::Release { version, file }
    | Route::Object { version, file, .. }
    | Route::Raw { version, file }) = &route
    else {
        return Answer::plain(404, "Not Found");
    };
    let fault = match faults::of(server.faults.as_deref(), file) {
        Ok(fault) => fault,
        Err(error) => return Answer::plain(500, &format!("the file with faults: {error}")),
    };
    let known = server.release.as_ref().is_none_or(|it| it == version);
    let Some(content) = server.directory.get(file).filter(|_| known) else {
        return Answer::plain(404, "Not Found");
    };
    match (&route, fault.status) {
        (_, Some(status)) => Answer::plain(status, "a fault that a test asked for"),
        (Route::Release { .. }, None) => redirect(server, head, secure, version, file, &fault),
        _ => serve(head, content, fault),
    }
}

/// As GitHub: to the object storage, which is another host.
fn redirect(
    server: &Server,
    head: &Head,
    secure: bool,
    version: &str,
    file: &str,
    fault: &Fault,
) -> Answer {
    let path = format!(
        "/objects/{}/{file}?{SIGNATURE}",
        version.replace('+', "%2B")
    );
    let location = if fault.endless_redirects {
        head.target.clone()
    } else if fault.downgrade || !secure {
        format!("http://127.0.0.1:{}{path}", server.http.port())
    } else {
        format!("https://{}{path}", other_host(server, head))
    };
    let mut answer = Answer::text(302, "text/html; charset=utf-8", "");
    answer.fields.push(("Location", location));
    answer
}

fn other_host(server: &Server, head: &Head) -> String {
    let asked = head.field("host").unwrap_or_default();
    let name = asked.split(':').next().unwrap_or_default();
    if server.names.iter().any(|own| own == name) {
        return format!("objects.{asked}");
    }
    server.https.to_string()
}

fn serve(head: &Head, content: Content, fault: Fault) -> Answer {
    if fault.html {
        return Answer::text(200, "text/html; charset=utf-8", LOGIN);
    }
    let content = match &fault.text {
        Some(text) => Content::Text(text.clone()),
        None => content,
    };
    let (size, etag) = (content.size(), fault.etag.clone().unwrap_or(content.etag()));
    let mut answer = Answer {
        status: 200,
        fields: vec![
            ("Content-Type", "application/octet-stream".into()),
            ("ETag", etag.clone()),
        ],
        content,
        from: 0,
        to: size,
        fault,
    };
    if answer.fault.no_ranges {
        return answer;
    }
    answer.fields.push(("Accept-Ranges", "bytes".into()));
    match range(head, size, &etag) {
        Some((from, to)) if from < to => {
            (answer.status, answer.from, answer.to) = (206, from, to);
            let range = format!("bytes {from}-{}/{size}", to - 1);
            answer.fields.push(("Content-Range", range));
            answer
        }
        Some(_) => {
            let mut answer = Answer::plain(416, "");
            answer
                .fields
                .push(("Content-Range", format!("bytes */{size}")));
            answer
        }
        None => answer,
    }
}

/// The range that is to be served, if one is: `bytes=FIRST-` or `bytes=FIRST-LAST`.
fn range(head: &Head, size: u64, etag: &str) -> Option<(u64, u64)> {
    if head.field("if-range").is_some_and(|tag| tag != etag) {
        return None;
    }
    let (first, last) = head
        .field("range")?
        .strip_prefix("bytes=")?
        .split_once('-')?;
    let end = match last {
        "" => size,
        last => size.min(last.parse::<u64>().ok()? + 1),
    };
    Some((first.parse().ok()?, end))
}
