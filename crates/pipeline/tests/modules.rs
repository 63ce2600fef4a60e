//! No module of these crates uses one that uses it, directly or by others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use module_graph::Graph;

/// Directories of the members, as the workspace's file lists them. Their names do not matter for what is in them.
fn members(root: &Path) -> Vec<String> {
    let text = fs_err::read_to_string(root.join("Cargo.toml")).unwrap();
    let (_, list) = text.split_once("members = [").unwrap();
    let (list, _) = list.split_once(']').unwrap();
    let members = list.split('"').skip(1).step_by(2).map(str::to_owned);
    members.collect()
}

#[test]
fn no_module_uses_one_that_uses_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let members = members(&root);
    assert!(members.len() > 10, "{members:?}");
    let mut modules = 0;
    for member in &members {
        let graph = Graph::of_member("member", &root.join(member).join("src")).unwrap();
        let mut edges = BTreeMap::new();
        for (module, uses) in graph.uses() {
            // That a module uses what is below it is its structure.
            let others = uses.iter().filter(|other| !other.starts_with(module));
            edges.insert(module.clone(), others.cloned().collect::<BTreeSet<_>>());
        }
        modules += edges.len();
        has_no_circle(member, edges.clone());
        // The modules of the crate's root, each with all that is below it.
        let top = |module: &[String]| module[..module.len().min(2)].to_vec();
        let mut tops: BTreeMap<Vec<String>, BTreeSet<Vec<String>>> = BTreeMap::new();
        for (module, uses) in &edges {
            let others = uses.iter().map(|other| top(other));
            let others = others.filter(|other| other.len() > 1 && *other != top(module));
            tops.entry(top(module)).or_default().extend(others);
        }
        has_no_circle(member, tops);
    }
    // That they were found.
    assert!(modules > 350, "{modules}");
}

fn has_no_circle(member: &str, mut edges: BTreeMap<Vec<String>, BTreeSet<Vec<String>>>) {
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
        "{member}: modules in a circle, or using one:\n{}",
        shown.join("\n")
    );
}
