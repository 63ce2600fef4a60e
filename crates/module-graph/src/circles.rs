//! Modules that use each other, directly or by others.

use std::collections::{BTreeMap, BTreeSet};

use crate::Graph;

type Edges = BTreeMap<Vec<String>, BTreeSet<Vec<String>>>;

impl Graph {
    /// Circles of modules, and of the modules of a crate's root, each with all that is below it. A module that uses what
    /// is below it makes none.
    #[must_use]
    pub fn circles(&self) -> Vec<Vec<String>> {
        let mut edges = Edges::new();
        for (module, uses) in self.uses() {
            let others = uses.iter().filter(|other| !other.starts_with(module));
            edges.insert(module.clone(), others.cloned().collect());
        }
        let top = |module: &[String]| module[..module.len().min(2)].to_vec();
        let mut tops = Edges::new();
        for (module, uses) in &edges {
            let others = uses.iter().map(|other| top(other));
            let others = others.filter(|other| other.len() > 1 && *other != top(module));
            tops.entry(top(module)).or_default().extend(others);
        }
        let mut found = of(&edges);
        found.extend(of(&tops));
        found.dedup();
        found
    }
}

/// The modules of each circle.
fn of(edges: &Edges) -> Vec<Vec<String>> {
    let reached: BTreeMap<_, _> = edges.keys().map(|it| (it, reached(edges, it))).collect();
    let mut found: Vec<Vec<String>> = vec![];
    for (module, others) in &reached {
        if !others.contains(*module) {
            continue;
        }
        let same = others.iter().filter(|other| {
            let back = reached.get(other);
            back.is_some_and(|back| back.contains(*module))
        });
        let circle: Vec<String> = same.map(|other| other.join("::")).collect();
        if !found.contains(&circle) {
            found.push(circle);
        }
    }
    found
}

fn reached(edges: &Edges, from: &Vec<String>) -> BTreeSet<Vec<String>> {
    let mut seen = BTreeSet::new();
    let mut waiting: Vec<&Vec<String>> = edges[from].iter().collect();
    while let Some(module) = waiting.pop() {
        if seen.insert(module.clone()) {
            waiting.extend(edges.get(module).into_iter().flatten());
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circles(uses: &[(&str, &[&str])]) -> Vec<Vec<String>> {
        let steps = |text: &&str| text.split("::").map(str::to_owned).collect::<Vec<_>>();
        let edges = uses
            .iter()
            .map(|(module, uses)| (steps(module), uses.iter().map(steps).collect()));
        of(&edges.collect())
    }

    #[test]
    fn only_modules_that_lead_back_to_themselves_are_in_a_circle() {
        assert_eq!(
            circles(&[("a", &["b"]), ("b", &["c"]), ("c", &[])]),
            [[""; 0]; 0]
        );
        assert_eq!(
            circles(&[
                ("a", &["b"]),
                ("b", &["c"]),
                ("c", &["b", "d"]),
                ("d", &[]),
                ("e", &["f"]),
                ("f", &["e"])
            ]),
            [["b", "c"], ["e", "f"]]
        );
    }
}
