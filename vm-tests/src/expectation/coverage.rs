//! Which keys of the config-file need an expectation: a test fails where a leaf of the schema that has an effect on the
//! node has none.

use cluster_bootstrapper::schema;

/// Keys that no node shows: two say of which format the file is, and the effect of one is over before there is a node (what
/// is on the disk may be deleted; tested with the installer).
pub const NOT_ON_THE_NODE: [&str; 3] = [
    "/version",
    "/kubernetes/apiVersion",
    "/operatingSystem/installDisk/wipe",
];

/// Where the K3s configuration stands in the CRD; the same leaves stand directly
/// under the template's `spec` in the proposal's form.
const CRD_PLACE: &str = "/kubernetes/spec/template/spec/kthreesConfigSpec";
/// Where it stands in the proposal.
const PROPOSAL_PLACE: &str = "/kubernetes/spec/template/spec";

/// A leaf in the proposal's place, whichever of the two it is in, and of a list
/// of files, though one file may be given without a list.
#[must_use]
pub fn normal(leaf: &str) -> String {
    let leaf = leaf
        .strip_prefix(CRD_PLACE)
        .map_or_else(|| leaf.to_owned(), |rest| format!("{PROPOSAL_PLACE}{rest}"));
    let one_file = format!("{PROPOSAL_PLACE}/files/");
    match leaf.strip_prefix(&one_file) {
        Some(rest) if !rest.starts_with('*') => format!("{one_file}*/{rest}"),
        _ => leaf,
    }
}

/// The leaves of the schema that a running node shows, in the proposal's place.
#[must_use]
pub fn needed() -> Vec<String> {
    let leaves = schema::leaves_with_effect();
    let on_node = leaves
        .iter()
        .filter(|leaf| !NOT_ON_THE_NODE.contains(&leaf.as_str()));
    let mut needed: Vec<String> = on_node.map(|leaf| normal(leaf)).collect();
    needed.sort();
    needed.dedup();
    needed
}

/// The leaf that an expectation's key belongs to: numbers and free keys stand where the leaf has `*`, and the index
/// of a list of texts is dropped.
#[must_use]
pub fn leaf_of(key: &str, leaves: &[String]) -> Option<String> {
    let is_index = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
    let starred: Vec<&str> = key
        .split('/')
        .map(|part| if is_index(part) { "*" } else { part })
        .collect();
    let starred = normal(&starred.join("/"));
    let without = starred.strip_suffix("/*").unwrap_or(&starred);
    leaves
        .iter()
        .map(|leaf| normal(leaf))
        .find(|leaf| stands_for(leaf, &starred) || stands_for(leaf, without))
}

/// Whether a leaf is of a key's form.
fn stands_for(leaf: &str, key: &str) -> bool {
    leaf.split('/').count() == key.split('/').count()
        && leaf
            .split('/')
            .zip(key.split('/'))
            .all(|(leaf, key)| leaf == "*" || leaf == key)
}
