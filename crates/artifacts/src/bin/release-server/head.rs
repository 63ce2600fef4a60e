//! The head of an HTTP/1.1 request.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// The longest head that is read, in bytes.
const LONGEST: u64 = 64 * 1024;

/// Request line and fields.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Head {
    pub method: String,
    pub target: String,
    fields: Vec<(String, String)>,
}

impl Head {
    /// Reads one; `None` at the end of the connection.
    pub async fn read(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Self>> {
        let mut stream = stream.take(LONGEST);
        let mut text = String::new();
        while stream.read_line(&mut text).await? > 0 {
            if text.ends_with("\r\n\r\n") {
                return Self::parse(&text).map(Some);
            }
        }
        if text.is_empty() {
            return Ok(None);
        }
        Err(invalid("a head that does not end"))
    }

    fn parse(text: &str) -> io::Result<Self> {
        let mut lines = text.lines();
        let mut line = lines.next().unwrap_or_default().split(' ');
        let (Some(method), Some(target), Some("HTTP/1.1")) =
            (line.next(), line.next(), line.next())
        else {
            return Err(invalid("a request line that is not of HTTP/1.1"));
        };
        let fields = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
        Ok(Self {
            method: method.into(),
            target: target.into(),
            fields: fields.collect(),
        })
    }

    /// The value of the field `name`, which is given in lower case.
    pub fn field(&self, name: &str) -> Option<&str> {
        let field = self.fields.iter().find(|(field, _)| field == name);
        field.map(|(_, value)| value.as_str())
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_lower_case_name() {
        let head = Head::parse("GET /a HTTP/1.1\r\nIf-Range: \"1\"\r\n\r\n").unwrap();
        assert_eq!((head.method.as_str(), head.target.as_str()), ("GET", "/a"));
        assert_eq!(head.field("if-range"), Some("\"1\""));
    }

    #[test]
    fn other_versions_are_refused() {
        assert!(Head::parse("GET /a HTTP/1.0\r\n\r\n").is_err());
    }
}
