//! What holds for every input: no panic, no disagreement between report and result, and texts that arrive unchanged.

use crate::support::{command_with, sample};
use cluster_bootstrapper::FirstBoot;
use cluster_bootstrapper::diagnostic::{MAX_FINDINGS, Severity};
use cluster_bootstrapper::{ParseOptions, parse, parse_bytes};
use proptest::prelude::*;
use serde_json::Value;

/// Reads bytes, renders every finding and converts what is valid.
fn read(bytes: Vec<u8>) -> Result<(), TestCaseError> {
    let parsed = parse_bytes(bytes, &ParseOptions::default());
    let errors = parsed
        .diagnostics
        .iter()
        .filter(|d| d.severity == Severity::Error);
    prop_assert_eq!(parsed.config.is_none(), errors.count() > 0);
    prop_assert!(parsed.diagnostics.len() <= 3 * MAX_FINDINGS);
    let lines = parsed.source().lines().count();
    for finding in &parsed.diagnostics {
        prop_assert!(
            finding.line >= 1 && finding.line <= lines + 1,
            "{:?}",
            finding
        );
        prop_assert!(!finding.render("f", parsed.source(), true).is_empty());
    }
    if let Some(config) = &parsed.config {
        let boot = config.first_boot();
        prop_assert!(
            boot.is_ok(),
            "an accepted config-file does not convert: {:?}",
            boot
        );
    }
    Ok(())
}

/// A change to the sample that a slip of the hand or a bad copy makes.
#[derive(Debug, Clone)]
enum Slip {
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
    Repeat(prop::sample::Index, prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
    Indent(prop::sample::Index, usize),
    Cut(prop::sample::Index),
}

fn slip() -> impl Strategy<Value = Slip> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        4 => (at(), "[ \t\n:\\-\\[\\]{}&*!|>'\"%@`#,?~a0\u{e4}]{1,4}")
            .prop_map(|(at, text)| Slip::Insert(at, text.into_bytes())),
        1 => (at(), prop::collection::vec(any::<u8>(), 1..4))
            .prop_map(|(at, bytes)| Slip::Insert(at, bytes)),
        2 => (at(), 1..60_usize).prop_map(|(at, count)| Slip::Remove(at, count)),
        2 => (at(), at()).prop_map(|(from, to)| Slip::Repeat(from, to)),
        2 => (at(), at()).prop_map(|(a, b)| Slip::Swap(a, b)),
        2 => (at(), 0..12_usize).prop_map(|(line, spaces)| Slip::Indent(line, spaces)),
        1 => at().prop_map(Slip::Cut),
    ]
}

impl Slip {
    fn apply(&self, text: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        let mut lines: Vec<Vec<u8>> = text
            .split_inclusive(|b| *b == b'\n')
            .map(<[u8]>::to_vec)
            .collect();
        match self {
            Self::Insert(at, bytes) => {
                let at = at.index(text.len());
                drop(text.splice(at..at, bytes.iter().copied()));
                return;
            }
            Self::Remove(at, count) => {
                let at = at.index(text.len());
                drop(text.drain(at..(at + count).min(text.len())));
                return;
            }
            Self::Cut(at) => return text.truncate(at.index(text.len())),
            Self::Repeat(from, to) => {
                let line = from.get(&lines).clone();
                lines.insert(to.index(lines.len()), line);
            }
            Self::Swap(a, b) => {
                let (a, b) = (a.index(lines.len()), b.index(lines.len()));
                lines.swap(a, b);
            }
            Self::Indent(at, spaces) => {
                let at = at.index(lines.len());
                let line = lines[at].trim_ascii_start().to_vec();
                lines[at] = [vec![b' '; *spaces], line].concat();
            }
        }
        *text = lines.concat();
    }
}

fn boot(file: &str, command: &str) -> Option<FirstBoot> {
    // JSON is YAML once what JSON leaves bare is escaped.
    let quoted = |text: &str| {
        text.chars().fold(String::from("\""), |out, c| match c {
            '"' | '\\' => out + &format!("\\{c}"),
            ' '..='~' => out + &c.to_string(),
            c => out + &format!("\\U{:08X}", c as u32),
        }) + "\""
    };
    let text = format!(
        "kubernetes: {{kind: KThreesControlPlaneTemplate, apiVersion: controlplane.cluster.x-k8s.io/v1beta2, \
         spec: {{template: {{spec: {{files: [{{path: /etc/x, content: {}}}], postK3sCommands: [{}]}}}}}}}}\n",
        quoted(file),
        quoted(command)
    );
    let config = parse(&text, &ParseOptions::default()).config?;
    config.first_boot().ok()
}

/// What a YAML 1.2 parser finds in the output: the first file and all commands.
fn arrived(boot: &FirstBoot) -> Result<(Vec<u8>, Vec<String>), TestCaseError> {
    use base64::Engine as _;
    let value: Value = serde_saphyr::from_str(&boot.cloud_config())
        .map_err(|error| TestCaseError::fail(format!("the output is not YAML: {error}")))?;
    let file = &value["write_files"][0];
    let content = file["content"].as_str().unwrap_or_default();
    let bytes = match file["encoding"].as_str() {
        Some("b64") => base64::engine::general_purpose::STANDARD.decode(content),
        _ => Ok(content.as_bytes().to_vec()),
    };
    let commands = value["runcmd"].as_array().into_iter().flatten();
    Ok((
        bytes.map_err(|error| TestCaseError::fail(error.to_string()))?,
        commands
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
    ))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes_of_any_kind_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        read(bytes)?;
    }

    #[test]
    fn text_of_any_kind_is_read_or_refused(
        text in "([ \t\n:\\-\\[\\]{}&*!|>'\"%@`#,?~a0<=\u{e4}]|\\PC|kind: |spec:\n){0,200}"
    ) {
        read(text.into_bytes())?;
    }

    #[test]
    fn a_sample_with_slips_is_read_or_refused(slips in prop::collection::vec(slip(), 1..6)) {
        let mut text = sample().into_bytes();
        for slip in &slips {
            slip.apply(&mut text);
        }
        read(text)?;
    }

    #[test]
    fn a_files_content_arrives_unchanged(text in "([^\0]|[ \t\r\n#:{}%\\-]){0,60}") {
        let boot = boot(&text, "true");
        prop_assert!(boot.is_some(), "refused");
        let (bytes, _) = arrived(&boot.expect("checked"))?;
        prop_assert_eq!(bytes, text.into_bytes());
    }

    #[test]
    fn a_command_arrives_unchanged(text in "([^\0]|[ \t\r\n#:{}%\\-]){0,60}") {
        let command = command_with(&text);
        let boot = boot("", &command);
        prop_assert!(boot.is_some(), "refused");
        let (_, commands) = arrived(&boot.expect("checked"))?;
        prop_assert!(commands.contains(&command), "{:?}", commands);
    }
}
