//! Keys of the config-file that no expectation can be made for, and why. A test
//! fails when a leaf of the schema has neither an expectation nor a reason.

/// Leaves (as in [`cluster_bootstrapper::schema::schema_leaves`]; a prefix
/// counts for all below it) and the reasons.
pub const REASONS: &[(&str, &str)] = &[
    (
        "/version",
        "the format's version has no effect on the node; another one is refused by cluster-bootstrapper's checks",
    ),
    (
        "/operatingSystem/installDisk/wipe",
        "what it allows happens to the disk before there is a node; tested with the installer",
    ),
    (
        "/kubernetes/apiVersion",
        "there is one version of the kind; another one is refused by cluster-bootstrapper's checks",
    ),
    (
        "/kubernetes/metadata",
        "labels of Cluster API objects; a standalone node has none",
    ),
    (
        "/kubernetes/spec/template/metadata",
        "labels of Cluster API objects; a standalone node has none",
    ),
    (
        "/kubernetes/spec/template/spec/rolloutAfter",
        "Cluster API's roll-out time; a standalone node has no roll-out",
    ),
    (
        "/kubernetes/spec/template/spec/machineTemplate",
        "Cluster API's machines; a standalone node is none",
    ),
    (
        "/kubernetes/spec/template/spec/remediationStrategy",
        "Cluster API's remediation; nothing remediates a standalone node",
    ),
    (
        "/operatingSystem/writeFiles/*/contentFrom",
        "refused by cluster-bootstrapper's checks: there is no API server to read a Secret from",
    ),
    (
        "/kubernetes/spec/template/spec/files/*/contentFrom",
        "refused by cluster-bootstrapper's checks: there is no API server to read a Secret from",
    ),
    (
        "/kubernetes/spec/template/spec/serverConfig/disableExternalCloudProvider",
        "deprecated in cluster-api-k3s and used by nothing there",
    ),
    (
        "/kubernetes/spec/template/spec/serverConfig/etcdProxyImage",
        "the image of a proxy that only Cluster API's management cluster needs",
    ),
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

/// The written reason of a leaf, if it has one.
#[must_use]
pub fn reason(leaf: &str) -> Option<&'static str> {
    let leaf = normal(leaf);
    let covers = |prefix: &str| {
        leaf.strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    REASONS
        .iter()
        .find(|(prefix, _)| covers(prefix))
        .map(|(_, reason)| *reason)
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
