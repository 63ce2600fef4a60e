//! The reports for programs: JSON of this project's own, and SARIF 2.1.0, which forges and editors read.
//!
//! A run of SARIF is a dozen keys, so it is written by hand: serde-sarif has a type for each of the format's hundred
//! objects, and builders generated from its schema.

use crate::code::Code;
use crate::diagnostic::Diagnostic;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// `{"diagnostics": [...]}`, with a line break at its end.
pub fn to_json(diagnostics: &[Diagnostic]) -> String {
    let mut text = json!({ "diagnostics": diagnostics }).to_string();
    text.push('\n');
    text
}

/// One run of a tool over files, as SARIF.
#[derive(Debug)]
pub struct Sarif {
    tool: &'static str,
    version: &'static str,
    rules: Vec<Code>,
    results: Vec<Value>,
    failures: Vec<Value>,
}

impl Sarif {
    /// A run without results.
    pub fn new(tool: &'static str, version: &'static str) -> Self {
        Self {
            tool,
            version,
            rules: vec![],
            results: vec![],
            failures: vec![],
        }
    }

    /// Adds what was found in a file.
    pub fn file(&mut self, path: &str, diagnostics: &[Diagnostic]) {
        for diagnostic in diagnostics {
            let rule = self.rule(diagnostic.code);
            let help = diagnostic.help.iter().map(|help| format!("\nhelp: {help}"));
            let text: String = [diagnostic.message.clone()]
                .into_iter()
                .chain(help)
                .collect();
            self.results.push(json!({
                "ruleId": diagnostic.code,
                "ruleIndex": rule,
                "level": diagnostic.severity.as_str(),
                "message": {"text": text},
                "locations": [{"physicalLocation": {
                    "artifactLocation": {"uri": uri(path)},
                    "region": {"startLine": diagnostic.line, "startColumn": diagnostic.column},
                }}],
            }));
        }
    }

    /// Adds that a file could not be read.
    pub fn failure(&mut self, message: &str) {
        let failure = json!({"level": "error", "message": {"text": message}});
        self.failures.push(failure);
    }

    /// Index of a code among the rules, which are those that were met.
    fn rule(&mut self, code: Code) -> usize {
        let known = self.rules.iter().position(|rule| *rule == code);
        known.unwrap_or_else(|| {
            self.rules.push(code);
            self.rules.len() - 1
        })
    }

    /// The whole document, with a line break at its end.
    pub fn into_text(self) -> String {
        let rules: Vec<Value> = self.rules.iter().map(|id| json!({ "id": id })).collect();
        let run = json!({
            "tool": {"driver": {"name": self.tool, "version": self.version, "rules": rules}},
            "columnKind": "unicodeCodePoints",
            "invocations": [{
                "executionSuccessful": self.failures.is_empty(),
                "toolExecutionNotifications": self.failures,
            }],
            "results": self.results,
        });
        let document = json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [run],
        });
        format!("{document}\n")
    }
}

/// A path as a reference to a URI: what has a meaning in one is escaped.
fn uri(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                out.push(char::from(byte));
            }
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Sarif, to_json, uri};
    use crate::code::Sample;
    use crate::diagnostic::{Diagnostic, Severity};
    use serde_json::{Value, json};

    fn diagnostic(severity: Severity, code: Sample) -> Diagnostic {
        Diagnostic {
            severity,
            code: code.into(),
            pointer: "/key".to_owned(),
            line: 2,
            column: 7,
            message: "it is wrong".to_owned(),
            help: None,
            span: 12..18,
            hidden: vec![],
        }
    }

    #[test]
    fn the_report_for_programs_has_every_field_but_the_span() {
        let text = to_json(&[diagnostic(Severity::Note, Sample::ACode)]);
        assert!(text.ends_with('\n'));
        let value: Value = serde_json::from_str(&text).expect("JSON");
        let expected = json!({"diagnostics": [{
            "severity": "note", "code": "a-code", "pointer": "/key", "line": 2, "column": 7,
            "message": "it is wrong", "help": null,
        }]});
        assert_eq!(value, expected);
    }

    fn sarif(fill: impl FnOnce(&mut Sarif)) -> Value {
        let mut run = Sarif::new("a-tool", "1.2");
        fill(&mut run);
        serde_json::from_str(&run.into_text()).expect("JSON")
    }

    #[test]
    fn results_of_one_code_share_a_rule() {
        let value = sarif(|run| {
            let all = [Sample::Other, Sample::ACode, Sample::Other]
                .map(|code| diagnostic(Severity::Error, code));
            run.file("f", &all);
        });
        let rules = &value["runs"][0]["tool"]["driver"]["rules"];
        assert_eq!(*rules, json!([{"id": "other"}, {"id": "a-code"}]));
        let results = value["runs"][0]["results"].as_array().expect("a list");
        let indexes: Vec<&Value> = results.iter().map(|result| &result["ruleIndex"]).collect();
        assert_eq!(indexes, [0, 1, 0]);
    }

    #[test]
    fn a_result_has_level_place_and_help() {
        let value = sarif(|run| {
            let mut found = diagnostic(Severity::Warning, Sample::ACode);
            found.help("mend it");
            run.file("a file", &[found]);
        });
        let result = &value["runs"][0]["results"][0];
        assert_eq!(result["level"], "warning");
        assert_eq!(result["message"]["text"], "it is wrong\nhelp: mend it");
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "a%20file");
        assert_eq!(place["region"], json!({"startLine": 2, "startColumn": 7}));
    }

    #[test]
    fn a_file_that_cannot_be_read_makes_the_run_a_failed_one() {
        let good = sarif(|run| run.file("f", &[]));
        assert_eq!(
            good["runs"][0]["invocations"][0]["executionSuccessful"],
            true
        );
        let bad = sarif(|run| run.failure("no such file"));
        let invocation = &bad["runs"][0]["invocations"][0];
        assert_eq!(invocation["executionSuccessful"], false);
        let told = &invocation["toolExecutionNotifications"][0]["message"]["text"];
        assert_eq!(told, "no such file");
    }

    #[test]
    fn a_path_is_escaped_as_a_uri_wants_it() {
        assert_eq!(uri("/a-b/c_d.yaml"), "/a-b/c_d.yaml");
        assert_eq!(uri("\u{e4}#?%"), "%C3%A4%23%3F%25");
    }
}
