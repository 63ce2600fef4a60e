//! No module of the crate uses one that uses it, directly or by others. A module uses what its `use` declarations and paths
//! with `crate::` or `super::` name; what it re-exports belongs to where it is defined.

use crate::support::here;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

type Module = Vec<String>;

/// The modules below a directory and their product code.
fn modules(directory: &Path, module: &[String], found: &mut BTreeMap<Module, String>) {
    for entry in std::fs::read_dir(directory).expect("a directory of sources") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() {
            modules(&path, &[module, &[name]].concat(), found);
        } else if path.extension().is_some_and(|end| end == "rs")
            && name != "tests"
            && name != "main"
        {
            let text = std::fs::read_to_string(&path).expect("a source");
            let text = text
                .split("#[cfg(test)]\nmod tests")
                .next()
                .unwrap_or_default()
                .to_owned();
            let of_its_own = !["mod", "lib"].contains(&name.as_str());
            let module = if of_its_own {
                [module, &[name]].concat()
            } else {
                module.to_vec()
            };
            found.insert(module, text);
        }
    }
}

/// The paths that a `use` tree or a path in the code names, each as its steps.
fn paths(text: &str) -> Vec<Vec<String>> {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| format!("{line}\n"))
        .collect();
    let mut found = vec![];
    for (at, start) in code
        .match_indices("crate::")
        .chain(code.match_indices("super::"))
    {
        let before = code[..at].chars().next_back().unwrap_or(' ');
        if before.is_alphanumeric() || before == ':' || before == '$' {
            continue;
        }
        let end = code[at..].find(';').map_or(code.len(), |end| at + end);
        expand(
            &code[at + start.len()..end],
            &[start.trim_end_matches(':').to_owned()],
            &mut found,
        );
    }
    found
}

/// Reads one path, or a tree of them, from the beginning of a text.
fn expand(text: &str, before: &[String], found: &mut Vec<Vec<String>>) {
    let text = text.trim_start();
    if let Some(inside) = text.strip_prefix('{') {
        let mut depth = 0;
        let mut start = 0;
        for (at, c) in inside.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => return expand(&inside[start..at], before, found),
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    expand(&inside[start..at], before, found);
                    start = at + 1;
                }
                _ => {}
            }
        }
        return;
    }
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let end = text.find(|c| !is_name(c)).unwrap_or(text.len());
    if end == 0 {
        return found.push(before.to_vec());
    }
    let path = [before, &[text[..end].to_owned()]].concat();
    match text[end..].strip_prefix("::") {
        Some(rest) => expand(rest, &path, found),
        None => found.push(path),
    }
}

/// The module that a path of `from` leads to.
fn target(all: &BTreeMap<Module, String>, from: &Module, path: &[String]) -> Module {
    let mut base: Module = match path[0].as_str() {
        "crate" => vec![],
        _ => from[..from.len().saturating_sub(1)].to_vec(),
    };
    let mut steps = path[1..].iter().peekable();
    while steps.next_if(|step| *step == "super").is_some() {
        base.pop();
    }
    let full: Module = base.into_iter().chain(steps.cloned()).collect();
    let modules = (0..=full.len()).rev().map(|length| full[..length].to_vec());
    let module = modules
        .into_iter()
        .find(|module| all.contains_key(module))
        .unwrap_or_default();
    match full.get(module.len()) {
        Some(item) => defined_in(all, &module, item).unwrap_or(module),
        None => module,
    }
}

/// The module below one that it re-exports an item from.
fn defined_in(all: &BTreeMap<Module, String>, module: &Module, item: &str) -> Option<Module> {
    let is_word = |text: &str| {
        text.split(|c: char| !c.is_alphanumeric() && c != '_')
            .any(|word| word == item)
    };
    let uses = all[module]
        .split(';')
        .filter(|part| part.trim_start().starts_with("pub"));
    let mut uses = uses.filter(|part| part.contains(" use ") && is_word(part));
    let path = uses.next()?.split(" use ").nth(1)?;
    let first = path.split("::").next()?.trim();
    let inner = [module.as_slice(), &[first.to_owned()]].concat();
    all.contains_key(&inner)
        .then(|| defined_in(all, &inner, item).unwrap_or(inner))
}

#[test]
fn no_module_uses_one_that_uses_it() {
    has_no_circle("src", 80);
}

#[test]
fn no_module_of_the_diagnostics_does_either() {
    has_no_circle("../crates/diagnostics/src", 10);
}

/// `least` says that the sources were found.
fn has_no_circle(sources: &str, least: usize) {
    let mut all = BTreeMap::new();
    modules(&here(sources), &[], &mut all);
    assert!(all.len() > least, "{}", all.len());
    let mut edges: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
    for (module, text) in &all {
        let targets = paths(text)
            .into_iter()
            .map(|path| target(&all, module, &path));
        // That a module uses what is below it is its structure.
        let others = targets.filter(|other| !other.starts_with(module));
        edges.insert(module.clone(), others.collect());
    }
    // What uses nothing that is left can be in no circle.
    while let Some(free) = edges
        .iter()
        .find(|(_, uses)| uses.iter().all(|other| !edges.contains_key(other)))
    {
        let free = free.0.clone();
        edges.remove(&free);
    }
    let shown: Vec<String> = edges
        .iter()
        .map(|(module, uses)| {
            let inside = uses.iter().filter(|other| edges.contains_key(*other));
            let inside: Vec<String> = inside.map(|other| other.join("::")).collect();
            format!("{} uses {}", module.join("::"), inside.join(", "))
        })
        .collect();
    assert!(
        shown.is_empty(),
        "modules in a circle, or using one:\n{}",
        shown.join("\n")
    );
}
