//! Every key of the config-file has an expectation or a written reason.

use std::collections::BTreeSet;

use cluster_bootstrapper::schema::schema_leaves;
use cluster_bootstrapper::{ParseOptions, parse};
use vm_tests::expectation::coverage::{REASONS, leaf_of, normal, reason};
use vm_tests::expectation::derive;

/// Config-files that have together every key with an effect: one that is installed, and what it cannot have beside it.
const EVERY_KEY: [&str; 2] = [
    include_str!("../../configs/scenarios/config-files/many-keys.yaml"),
    include_str!("every-key.yaml"),
];

fn covered() -> BTreeSet<String> {
    EVERY_KEY.iter().flat_map(|text| covered_by(text)).collect()
}

fn covered_by(text: &str) -> Vec<String> {
    let parsed = parse(text, &ParseOptions::default());
    let expectations = derive(&parsed).unwrap_or_else(|| panic!("{:#?}", parsed.diagnostics));
    let leaves = schema_leaves();
    let keys = expectations
        .iter()
        .map(|expectation| expectation.key.clone());
    keys.map(|key| {
        leaf_of(&key, &leaves)
            .unwrap_or_else(|| panic!("the expectation's key {key} is no leaf of the schema"))
    })
    .collect()
}

#[test]
fn every_leaf_of_the_schema_has_an_expectation_or_a_reason() {
    let covered = covered();
    let missing: Vec<String> = schema_leaves()
        .into_iter()
        .filter(|leaf| !covered.contains(&normal(leaf)) && reason(leaf).is_none())
        .collect();
    assert!(
        missing.is_empty(),
        "add an expectation, or a reason in vm-tests/src/expectation/coverage.rs, for:\n{}",
        missing.join("\n")
    );
}

#[test]
fn a_reason_is_given_only_where_there_is_no_expectation() {
    let both: Vec<String> = covered()
        .into_iter()
        .filter(|leaf| reason(leaf).is_some())
        .collect();
    assert!(both.is_empty(), "{}", both.join("\n"));
}

#[test]
fn every_reason_is_for_a_leaf_that_exists() {
    let leaves: Vec<String> = schema_leaves().iter().map(|leaf| normal(leaf)).collect();
    for (prefix, _) in REASONS {
        assert!(
            leaves.iter().any(|leaf| leaf.starts_with(prefix)),
            "{prefix} is no leaf of the schema"
        );
    }
}
