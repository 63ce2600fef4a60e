//! Every key of the config-file that has an effect on the node has an expectation.

use std::collections::BTreeSet;

use cluster_bootstrapper::schema::schema_leaves;
use cluster_bootstrapper::{ParseOptions, parse};
use vm_tests::expectation::coverage::{NOT_ON_THE_NODE, leaf_of, needed};
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
fn every_leaf_that_the_node_shows_has_an_expectation() {
    let covered = covered();
    let needed = needed().into_iter();
    let missing: Vec<String> = needed.filter(|leaf| !covered.contains(leaf)).collect();
    assert!(
        missing.is_empty(),
        "add an expectation for:\n{}",
        missing.join("\n")
    );
}

#[test]
fn there_is_no_expectation_for_a_key_without_effect() {
    let needed = needed();
    let extra: Vec<String> = covered()
        .into_iter()
        .filter(|leaf| !needed.contains(leaf))
        .collect();
    assert!(extra.is_empty(), "{}", extra.join("\n"));
}

#[test]
fn the_keys_that_no_node_shows_exist() {
    let leaves = schema_leaves();
    for key in NOT_ON_THE_NODE {
        assert!(leaves.iter().any(|leaf| leaf == key), "{key}");
    }
}
