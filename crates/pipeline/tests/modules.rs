//! No module of these crates uses one that uses it, directly or by others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use module_graph::Graph;

/// Members without a circle: name in paths, directory, and how many modules there are at least, which says that they
/// were found.
const MEMBERS: [(&str, &str, usize); 4] = [
    ("cluster_bootstrapper", "bootstrapper", 80),
    ("diagnostics", "crates/diagnostics", 10),
    ("module_graph", "crates/module-graph", 1),
    ("pipeline", "crates/pipeline", 30),
];

#[test]
fn no_module_uses_one_that_uses_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (name, directory, least) in MEMBERS {
        let member = (name.to_owned(), root.join(directory).join("src"));
        let graph = Graph::read(&[member]).unwrap();
        let mut edges = BTreeMap::new();
        for (module, uses) in graph.uses() {
            // That a module uses what is below it is its structure.
            let others = uses.iter().filter(|other| !other.starts_with(module));
            edges.insert(module.clone(), others.cloned().collect::<BTreeSet<_>>());
        }
        assert!(edges.len() > least, "{name}: {}", edges.len());
        has_no_circle(edges.clone());
        // The modules of the crate's root, each with all that is below it.
        let top = |module: &[String]| module[..module.len().min(2)].to_vec();
        let mut tops: BTreeMap<Vec<String>, BTreeSet<Vec<String>>> = BTreeMap::new();
        for (module, uses) in &edges {
            let others = uses.iter().map(|other| top(other));
            let others = others.filter(|other| other.len() > 1 && *other != top(module));
            tops.entry(top(module)).or_default().extend(others);
        }
        has_no_circle(tops);
    }
}

fn has_no_circle(mut edges: BTreeMap<Vec<String>, BTreeSet<Vec<String>>>) {
    // What uses nothing that is left can be in no circle.
    while let Some((free, _)) = edges
        .iter()
        .find(|(_, uses)| uses.iter().all(|other| !edges.contains_key(other)))
    {
        let free = free.clone();
        edges.remove(&free);
    }
    let shown = edges.iter().map(|(module, uses)| {
        let inside = uses.iter().filter(|other| edges.contains_key(*other));
        let inside: Vec<String> = inside.map(|other| other.join("::")).collect();
        format!("{} uses {}", module.join("::"), inside.join(", "))
    });
    let shown: Vec<String> = shown.collect();
    assert!(
        shown.is_empty(),
        "modules in a circle, or using one:\n{}",
        shown.join("\n")
    );
}
