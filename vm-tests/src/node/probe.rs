//! Questions to the node: shell commands, asked together in one script, TLS
//! handshakes with its ports, requests to its API from the host.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::ssh::GuestOutput;
use vm::shell::quote;

/// The first word of the line before each answer.
const MARK: &str = "EMTS-ANSWER";
/// How long one question may take in the guest, in seconds.
const LIMIT_SECONDS: u32 = 60;

/// One question.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Probe {
    /// A shell command, run as root.
    Shell(String),
    /// Does the port take a TLS 1.2 handshake with this cipher suite alone?
    /// Status 0: yes. 1: the server refuses.
    Cipher {
        /// The port on the node's loopback.
        port: u16,
        /// The suite's name in the standard (`TLS_...`).
        suite: String,
    },
    /// The port's certificate: the first line is the kind of its key (`EC`,
    /// `RSA`), each further one a name that it is for.
    Certificate {
        /// The port on the node's loopback.
        port: u16,
    },
    /// The cluster's objects, as [`crate::kube::Objects::to_text`] writes them.
    Objects,
    /// What the API has at this path.
    Api(String),
    /// What the only node's kubelet has at this path, through the API.
    Kubelet(&'static str),
}

impl Probe {
    /// A shell command.
    pub fn shell(command: impl Into<String>) -> Self {
        Self::Shell(command.into())
    }
}

/// Why the answers cannot be read.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("the node's answers end after {read} of {asked} questions; the last answered was `{last}`")]
pub struct ProbeError {
    /// How many answers are complete.
    pub read: usize,
    /// How many questions there were.
    pub asked: usize,
    /// The last question that was answered.
    pub last: String,
}

/// Answers by question.
#[derive(Debug, Clone, Default)]
pub struct Facts(BTreeMap<Probe, GuestOutput>);

impl Facts {
    /// The answer to a question, if it was asked.
    #[must_use]
    pub fn get(&self, probe: &Probe) -> Option<&GuestOutput> {
        self.0.get(probe)
    }

    /// What a question's answer has on its standard output; nothing when it was not asked.
    #[must_use]
    pub fn text(&self, probe: &Probe) -> String {
        self.get(probe).map(GuestOutput::text).unwrap_or_default()
    }

    /// Adds an answer.
    pub fn insert(&mut self, probe: Probe, output: GuestOutput) {
        self.0.insert(probe, output);
    }
}

/// One shell script that runs all commands, each with its own time limit.
#[must_use]
pub fn script(commands: &[&str]) -> String {
    let mut script = format!(
        "umask 077\nd=$(mktemp -d) || exit 1\ntrap 'rm -rf \"$d\"' EXIT\n\
         ask() {{\n  timeout {LIMIT_SECONDS} sh -c \"$2\" </dev/null >\"$d/o\" 2>\"$d/e\"\n  s=$?\n  \
         printf '{MARK} %s %s %s %s\\n' \"$1\" \"$s\" \"$(wc -c <\"$d/o\")\" \"$(wc -c <\"$d/e\")\"\n  cat \"$d/o\" \"$d/e\"\n}}\n"
    );
    for (number, command) in commands.iter().enumerate() {
        script.push_str(&format!("ask {number} {}\n", quote(command)));
    }
    script
}

/// Reads what [`script`] printed: one answer a command.
///
/// # Errors
/// An answer is missing or cut short.
pub fn parse_answers(commands: &[&str], mut bytes: &[u8]) -> Result<Vec<GuestOutput>, ProbeError> {
    let mut answers = Vec::new();
    for number in 0..commands.len() {
        let Some((output, rest)) = answer(number, bytes) else {
            let last = number
                .checked_sub(1)
                .map_or("none", |last| commands[last])
                .to_owned();
            return Err(ProbeError {
                read: number,
                asked: commands.len(),
                last,
            });
        };
        answers.push(output);
        bytes = rest;
    }
    Ok(answers)
}

fn answer(number: usize, bytes: &[u8]) -> Option<(GuestOutput, &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let line = std::str::from_utf8(&bytes[..end]).ok()?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let [mark, index, status, out, err] = words[..] else {
        return None;
    };
    if mark != MARK || index.parse() != Ok(number) {
        return None;
    }
    let (out, err): (usize, usize) = (out.parse().ok()?, err.parse().ok()?);
    let body = &bytes[end + 1..];
    let output = GuestOutput {
        status: status.parse().ok()?,
        stdout: body.get(..out)?.to_vec(),
        stderr: body.get(out..out.checked_add(err)?)?.to_vec(),
    };
    Some((output, &body[out + err..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(commands: &[&str]) -> Vec<u8> {
        let output = std::process::Command::new("sh")
            .args(["-c", &script(commands)])
            .output()
            .unwrap();
        assert!(output.status.success());
        output.stdout
    }

    #[test]
    fn every_question_has_its_own_answer() {
        let commands = [
            "echo 'a b'; echo oops >&2; exit 3",
            "printf 'no newline'",
            "cat; printf '\\0\\n'",
        ];
        let answers = parse_answers(&commands, &ask(&commands)).unwrap();
        let first = &answers[0];
        assert_eq!(
            (first.status, first.text().as_str(), first.stderr.as_slice()),
            (3, "a b\n", b"oops\n".as_slice())
        );
        assert_eq!(answers[1].text(), "no newline");
        assert_eq!(answers[2].stdout, b"\0\n");
    }

    #[test]
    fn a_broken_question_does_not_take_the_others_along() {
        let commands = ["if (", "echo fine"];
        let answers = parse_answers(&commands, &ask(&commands)).unwrap();
        assert_ne!(answers[0].status, 0);
        assert_eq!(answers[1].text(), "fine\n");
    }

    #[test]
    fn answers_cut_short_are_an_error_that_says_where() {
        let commands = ["echo one", "echo two"];
        let bytes = ask(&commands);
        let error = parse_answers(&commands, &bytes[..bytes.len() - 2]).unwrap_err();
        assert_eq!((error.read, error.last.as_str()), (1, "echo one"));
    }
}
