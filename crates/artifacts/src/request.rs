//! What the program `artifacts` reads and answers, as JSON. No network here.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Sha256;

/// The input of `artifacts fetch`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// What to fetch; each has a `partial` and a `target` of its own.
    pub downloads: Vec<Download>,
    /// PEM files with certificates that are trusted beside the system's.
    #[serde(default)]
    pub ca: Vec<PathBuf>,
    /// How long a server may send nothing, in seconds.
    #[serde(default = "default_silence")]
    pub silence: u64,
    /// How many downloads run at once, 1 to 16.
    #[serde(default = "default_parallel")]
    pub parallel: usize,
}

/// One artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Download {
    /// The name that people see.
    pub name: String,
    /// Tried in this order; mirrors come first. `http://` only where `sha256` is known.
    pub urls: Vec<String>,
    /// The sum that is expected. Without it the sum of what came is in the outcome.
    #[serde(default)]
    pub sha256: Option<Sha256>,
    /// The size that is expected, in bytes.
    #[serde(default)]
    pub size: Option<u64>,
    /// The most that is taken, in bytes.
    pub max_size: u64,
    /// Where bytes are until they are complete and verified; kept for another run, with a
    /// file beside it whose name ends with `.resume.json`.
    pub partial: PathBuf,
    /// The final name, in the same file system as `partial`. What has the expected sum there
    /// already costs no request.
    pub target: PathBuf,
}

/// The output of `artifacts fetch`: an outcome for each download, in the order of the request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// One for each download.
    pub outcomes: Vec<Outcome>,
}

/// How a download ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Outcome {
    /// The artifact is verified and under its final name.
    Fetched(Fetched),
    /// It is not.
    Failed(Failure),
}

/// An artifact that is under its final name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fetched {
    /// The download's name.
    pub name: String,
    /// The URL that gave it, without user and password; `None` if it was there already.
    pub url: Option<String>,
    /// The sum of its bytes, which is the expected one where one was given.
    pub sha256: Sha256,
    /// In bytes.
    pub size: u64,
    /// How long it took, without waiting for a place among those that run.
    pub seconds: f64,
    /// How many bytes an earlier run had left.
    pub resumed_at: u64,
    /// URLs before `url` that did not give it, and why.
    pub passed_over: Vec<Attempt>,
}

/// An artifact that could not be fetched. Its `Display` is the message for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The download's name.
    pub name: String,
    /// What was tried, in order; at least one.
    pub attempts: Vec<Attempt>,
}

/// Why a URL did not give an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Without user and password.
    pub url: String,
    /// What should have been.
    pub expected: String,
    /// What was.
    pub seen: String,
    /// What to do now.
    pub next: String,
}

/// The input of `artifacts probe`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// Asked at once, each for its first byte.
    pub urls: Vec<String>,
    /// PEM files with certificates that are trusted beside the system's.
    #[serde(default)]
    pub ca: Vec<PathBuf>,
    /// How long all of it may take, in seconds.
    #[serde(default = "default_timeout")]
    pub timeout: u64,
}

/// The output of `artifacts probe`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeReport {
    /// The URL that answered first with a file, without user and password.
    pub answered: Option<String>,
    /// Those that did not, as far as known when the first answered, and why.
    pub failed: Vec<Attempt>,
}

fn default_silence() -> u64 {
    30
}

fn default_parallel() -> usize {
    3
}

fn default_timeout() -> u64 {
    5
}

impl Request {
    /// A request with the usual limits.
    pub fn new(downloads: Vec<Download>) -> Self {
        Self {
            downloads,
            ca: Vec::new(),
            silence: default_silence(),
            parallel: default_parallel(),
        }
    }
}

impl Probe {
    /// A probe with the usual limit.
    pub fn new(urls: Vec<String>) -> Self {
        Self {
            urls,
            ca: Vec::new(),
            timeout: default_timeout(),
        }
    }
}

impl Report {
    /// Those that failed.
    pub fn failures(&self) -> impl Iterator<Item = &Failure> {
        self.outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Failed(failure) => Some(failure),
            Outcome::Fetched(_) => None,
        })
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            url,
            expected,
            seen,
            ..
        } = self;
        write!(f, "{url}\n    expected: {expected}\n    seen:     {seen}")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: not fetched", self.name)?;
        for attempt in &self.attempts {
            write!(f, "\n  {attempt}")?;
        }
        let mut said: Vec<&str> = Vec::new();
        for attempt in &self.attempts {
            if !said.contains(&attempt.next.as_str()) {
                write!(f, "\n  next: {}", attempt.next)?;
                said.push(&attempt.next);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(url: &str) -> Attempt {
        Attempt {
            url: url.into(),
            expected: "200 OK".into(),
            seen: "404 Not Found".into(),
            next: "check the version".into(),
        }
    }

    #[test]
    fn a_request_without_limits_has_the_usual_ones() {
        let request: Request = serde_json::from_str(r#"{"downloads": []}"#).unwrap();
        assert_eq!(request, Request::new(Vec::new()));
    }

    #[test]
    fn an_unknown_field_is_refused() {
        assert!(serde_json::from_str::<Request>(r#"{"downloads": [], "retries": 9}"#).is_err());
    }

    #[test]
    fn a_report_survives_json() {
        let report = Report {
            outcomes: vec![Outcome::Failed(Failure {
                name: "k3s".into(),
                attempts: vec![attempt("https://a/k3s")],
            })],
        };
        let json = serde_json::to_string(&report).unwrap();
        assert!(json.contains(r#""state":"failed""#), "{json}");
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    }

    #[test]
    fn a_next_step_that_two_urls_share_is_said_once() {
        let failure = Failure {
            name: "k3s".into(),
            attempts: vec![attempt("https://a/k3s"), attempt("https://b/k3s")],
        };
        let message = failure.to_string();
        assert!(message.contains("https://a/k3s") && message.contains("https://b/k3s"));
        assert_eq!(message.matches("next:").count(), 1, "{message}");
    }
}
