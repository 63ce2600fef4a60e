//! What no input may do to the reader: panic, hang or flood the report.

use crate::support::read;
use cluster_bootstrapper::diagnostic::MAX_FINDINGS;

#[test]
fn refuses_nesting_without_end() {
    let parsed = read(&"[".repeat(100_000));
    assert!(["too-deep", "yaml-syntax"].contains(&parsed.diagnostics[0].code));
}

#[test]
fn stops_after_many_errors() {
    let keys: String = (0..20_000).map(|n| format!("key{n}: 1, ")).collect();
    let parsed = read(&format!("{{{keys}}}"));
    assert_eq!(parsed.diagnostics.len(), MAX_FINDINGS);
}
