//! Judgements that many expectations share.

use std::fmt::Display;

use serde_json::Value;

use crate::kube::Objects;
use crate::ssh::GuestOutput;

/// How many characters of an answer a check shows.
const SHOWN: usize = 300;

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What was found, for the report.
    pub actual: String,
    /// Whether it is what must be.
    pub passed: bool,
}

impl Verdict {
    /// As expected.
    pub fn good(actual: impl Into<String>) -> Self {
        Self {
            actual: shorten(&actual.into()),
            passed: true,
        }
    }

    /// Not as expected.
    pub fn bad(actual: impl Into<String>) -> Self {
        Self {
            actual: shorten(&actual.into()),
            passed: false,
        }
    }

    /// As expected when `passed`.
    pub fn when(passed: bool, actual: impl Into<String>) -> Self {
        Self {
            actual: shorten(&actual.into()),
            passed,
        }
    }
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    let head: String = text.chars().take(SHOWN).collect();
    format!("{head}…")
}

/// The failure of a command in words.
pub(super) fn failed(answer: &GuestOutput) -> Verdict {
    let stderr = String::from_utf8_lossy(&answer.stderr);
    Verdict::bad(format!(
        "status {}: {}{}",
        answer.status,
        stderr.trim(),
        answer.text().trim()
    ))
}

/// The command succeeds, and its output, without white space at the ends, is looked at.
pub(super) fn output(
    look: impl Fn(&str) -> Verdict + Send + Sync + 'static,
) -> impl Fn(&GuestOutput) -> Verdict + Send + Sync + 'static {
    move |answer| match answer.status {
        0 => look(answer.text().trim()),
        _ => failed(answer),
    }
}

/// The command succeeds and prints exactly `expected`, but for white space at the ends.
pub(super) fn equals(
    expected: impl Display,
) -> impl Fn(&GuestOutput) -> Verdict + Send + Sync + 'static {
    let expected = expected.to_string();
    output(move |text| Verdict::when(text == expected.trim(), text))
}

/// The command succeeds and one of its lines is `expected`.
pub(super) fn has_line(
    expected: impl Display,
) -> impl Fn(&GuestOutput) -> Verdict + Send + Sync + 'static {
    let expected = expected.to_string();
    output(move |text| {
        if text.lines().any(|line| line.trim() == expected.trim()) {
            return Verdict::good(expected.clone());
        }
        Verdict::bad(text.replace('\n', " | "))
    })
}

/// The command succeeds.
pub(super) fn succeeds(answer: &GuestOutput) -> Verdict {
    if answer.status == 0 {
        Verdict::good("yes")
    } else {
        failed(answer)
    }
}

/// Looks at the cluster's objects.
pub(super) fn objects(
    look: impl Fn(&Objects) -> Result<Verdict, String> + Send + Sync + 'static,
) -> impl Fn(&GuestOutput) -> Verdict + Send + Sync + 'static {
    move |answer| {
        if answer.status != 0 {
            return failed(answer);
        }
        Objects::parse(&answer.text())
            .and_then(|objects| look(&objects))
            .unwrap_or_else(Verdict::bad)
    }
}

/// Looks at the only node of the cluster.
pub(super) fn node(
    look: impl Fn(&Value) -> Verdict + Send + Sync + 'static,
) -> impl Fn(&GuestOutput) -> Verdict + Send + Sync + 'static {
    objects(move |objects| objects.node().map(&look))
}

#[cfg(test)]
pub(super) fn said(text: &str) -> GuestOutput {
    GuestOutput {
        status: 0,
        stdout: text.as_bytes().to_vec(),
        stderr: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_is_never_as_expected() {
        let answer = GuestOutput {
            status: 1,
            stdout: b"edge".to_vec(),
            stderr: b"no such host".to_vec(),
        };
        assert!(!equals("edge")(&answer).passed);
        assert!(equals("edge")(&answer).actual.contains("no such host"));
    }

    #[test]
    fn a_line_must_match_as_a_whole() {
        assert!(has_line("http_proxy=a")(&said("x\nhttp_proxy=a\n")).passed);
        assert!(!has_line("http_proxy=a")(&said("http_proxy=ab\n")).passed);
    }
}
