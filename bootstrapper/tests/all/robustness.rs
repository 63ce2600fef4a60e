//! What no input may do to the reader: panic, hang, flood the report, or show a secret.

use cluster_bootstrapper::{ParseOptions, parse};

fn options() -> ParseOptions {
    ParseOptions::default()
}

const DOCUMENTS: &[(&str, &str, usize, usize)] = &[
    ("", "empty", 1, 1),
    ("a: [", "yaml-syntax", 1, 5),
    ("a: b\n--- \nc: d\n", "several-documents", 2, 1),
    ("a: !!python/object:x 1", "yaml-tag", 1, 1),
    ("? [a]\n: b", "yaml-key", 1, 3),
    ("a: *b", "yaml-syntax", 1, 4),
    ("- a", "wrong-type", 1, 1),
];

#[test]
fn what_is_no_single_mapping_is_refused() {
    for (text, code, line, _column) in DOCUMENTS {
        let parsed = parse(text, &options());
        let first = parsed
            .diagnostics
            .first()
            .unwrap_or_else(|| panic!("nothing found: {text:?}"));
        assert_eq!(
            (first.code, first.line),
            (*code, *line),
            "{text:?}: {:#?}",
            parsed.diagnostics
        );
        assert!(parsed.config.is_none());
    }
}

#[test]
fn refuses_an_alias_bomb() {
    let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for level in 1..12 {
        let below = format!("*a{}", level - 1);
        text += &format!("a{level}: &a{level} [{}]\n", [below.as_str(); 10].join(","));
    }
    let parsed = parse(&text, &options());
    assert_eq!(parsed.diagnostics[0].code, "too-large");
}

#[test]
fn refuses_nesting_without_end() {
    let parsed = parse(&"[".repeat(100_000), &options());
    assert!(["too-deep", "yaml-syntax"].contains(&parsed.diagnostics[0].code));
}

#[test]
fn never_shows_a_password() {
    for text in [
        "operatingSystem:\n  users: [{username: a, password: hunter2-secret}]\n",
        "operatingSystem:\n  users:\n    - username: a\n      password: [hunter2]\n",
        "operatingSystem:\n  users:\n    - username: a\n      pasword: hunter2\n",
        "operatingSystem:\n  users:\n    - username: a\n      Password: hunter2\n",
        "operatingSystem:\n  users: []\n  users: {username: a, password: hunter2}\n",
        "operatingSystem:\n  users:\n    - username: a\n      password: \"hunter2\n",
        "operatingSystem:\n  users:\n    - {username: A A, odd: 1, password: hunter2}\n",
    ] {
        let parsed = parse(text, &options());
        let shown: String = parsed
            .diagnostics
            .iter()
            .map(|d| d.render("f", text, true))
            .collect();
        let json = cluster_bootstrapper::diagnostic::to_json(&parsed.diagnostics);
        assert!(parsed.has_errors() && !shown.contains("hunter2"), "{shown}");
        assert!(!json.contains("hunter2"), "{json}");
    }
}

#[test]
fn stops_after_many_errors() {
    let keys: String = (0..20_000).map(|n| format!("key{n}: 1, ")).collect();
    let parsed = parse(&format!("{{{keys}}}"), &options());
    assert_eq!(
        parsed.diagnostics.len(),
        cluster_bootstrapper::diagnostic::MAX_FINDINGS
    );
}
