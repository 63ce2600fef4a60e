//! The lines of a watch: <https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes>.

use serde_json::Value;

/// HTTP's status Gone: the API server does not remember what happened since the version that was asked for.
const GONE: u64 = 410;

/// What a line of a watch tells.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// An object is there, new or changed.
    Set(Value),
    /// An object is there no more.
    Removed(Value),
    /// Nothing happened up to a later version.
    Bookmark,
    /// The list has to be asked for again.
    Expired,
    /// The watch ends for this reason.
    Failed(String),
}

impl Event {
    /// Reads a line.
    ///
    /// # Errors
    /// It is not of the protocol.
    pub fn parse(line: &[u8]) -> Result<Self, String> {
        let mut event: Value = serde_json::from_slice(line)
            .map_err(|error| format!("a line of a watch is no JSON: {error}"))?;
        let object = event["object"].take();
        match event["type"].as_str() {
            Some("ADDED" | "MODIFIED") => Ok(Self::Set(object)),
            Some("DELETED") => Ok(Self::Removed(object)),
            Some("BOOKMARK") => Ok(Self::Bookmark),
            Some("ERROR") if object["code"].as_u64() == Some(GONE) => Ok(Self::Expired),
            Some("ERROR") => Ok(Self::Failed(status_text(&object))),
            other => Err(format!(
                "a watch has an event of an unknown type: {other:?}"
            )),
        }
    }
}

/// What a Status object says.
pub(super) fn status_text(status: &Value) -> String {
    let message = status["message"].as_str();
    message.map_or_else(|| status.to_string(), str::to_owned)
}

/// Puts the lines of a stream together that comes in pieces of any length.
#[derive(Debug, Default)]
pub struct Lines(Vec<u8>);

impl Lines {
    /// Takes a piece; gives the lines that are complete now, without empty ones.
    pub fn push(&mut self, piece: &[u8]) -> Vec<Vec<u8>> {
        self.0.extend_from_slice(piece);
        let mut lines = Vec::new();
        while let Some(end) = self.0.iter().position(|byte| *byte == b'\n') {
            let mut line: Vec<u8> = self.0.drain(..=end).collect();
            line.pop();
            if !line.is_empty() {
                lines.push(line);
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(line: &str) -> Event {
        Event::parse(line.as_bytes()).unwrap()
    }

    #[test]
    fn a_new_and_a_changed_object_are_the_same() {
        for kind in ["ADDED", "MODIFIED"] {
            let line = format!(r#"{{"type":"{kind}","object":{{"kind":"Node"}}}}"#);
            assert_eq!(parse(&line), Event::Set(json!({"kind": "Node"})));
        }
    }

    #[test]
    fn a_removed_object_is_told() {
        let line = r#"{"type":"DELETED","object":{"kind":"Pod"}}"#;
        assert_eq!(parse(line), Event::Removed(json!({"kind": "Pod"})));
    }

    #[test]
    fn a_bookmark_changes_nothing() {
        let line =
            r#"{"type":"BOOKMARK","object":{"kind":"Pod","metadata":{"resourceVersion":"12746"}}}"#;
        assert_eq!(parse(line), Event::Bookmark);
    }

    #[test]
    fn a_version_that_is_gone_asks_for_a_new_list() {
        let line = r#"{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"too old resource version: 1 (12)","reason":"Expired","code":410}}"#;
        assert_eq!(parse(line), Event::Expired);
    }

    #[test]
    fn another_error_keeps_its_message() {
        let line = r#"{"type":"ERROR","object":{"kind":"Status","status":"Failure","message":"etcdserver: leader changed","code":500}}"#;
        assert_eq!(
            parse(line),
            Event::Failed("etcdserver: leader changed".into())
        );
    }

    #[test]
    fn what_is_not_of_the_protocol_is_an_error() {
        assert!(Event::parse(b"<html>").is_err());
        assert!(Event::parse(br#"{"type":"RENAMED","object":{}}"#).is_err());
    }

    #[test]
    fn a_line_may_come_in_pieces_and_pieces_may_hold_lines() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(b"{\"a\""), Vec::<Vec<u8>>::new());
        assert_eq!(
            lines.push(b":1}\n\n{}\n{"),
            [b"{\"a\":1}".to_vec(), b"{}".to_vec()]
        );
        assert_eq!(lines.push(b"}\n"), [b"{}".to_vec()]);
    }
}
