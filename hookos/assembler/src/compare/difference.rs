//! What differs between two trees, and which differences are on the documented list.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use crate::tree::clean;

use super::rootfs::{Kind, Node, RootFs};

/// LinuxKit's list of packages, at the root of its tree.
const SBOM: &str = "sbom.spdx.json";

/// Why a difference is expected: what LinuxKit loses, and its SBOM. (It loses extended attributes
/// too, but no initrd has any.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Documented {
    /// A hard link that LinuxKit turns into a symbolic one.
    HardLink,
    /// A file below a folder that an upper layer marks opaque, which LinuxKit does not honour.
    OpaqueFolder,
    /// LinuxKit's SBOM.
    Sbom,
}

impl fmt::Display for Documented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HardLink => "hard links become symbolic links",
            Self::OpaqueFolder => "opaque folders are not honoured",
            Self::Sbom => "the SBOM",
        })
    }
}

/// A path that is not the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Path below the root, or the name of a boot file.
    pub path: String,
    /// What differs, LinuxKit's side first.
    pub what: String,
    /// On which point of the documented list it is.
    pub documented: Option<Documented>,
}

/// All differences.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// How many paths were looked at.
    pub paths: usize,
    /// Those that differ, by path; boot files last.
    pub differences: Vec<Difference>,
}

impl Comparison {
    /// Differences that are not on the documented list.
    pub fn unexpected(&self) -> impl Iterator<Item = &Difference> {
        let unexpected = |difference: &&Difference| difference.documented.is_none();
        self.differences.iter().filter(unexpected)
    }

    /// How many differences each point of the documented list explains.
    pub fn documented(&self) -> BTreeMap<Documented, usize> {
        let mut counts = BTreeMap::new();
        for point in self.differences.iter().filter_map(|it| it.documented) {
            *counts.entry(point).or_insert(0) += 1;
        }
        counts
    }

    pub(super) fn note_boot_file<T: PartialEq + fmt::Debug>(
        &mut self,
        name: &str,
        theirs: &T,
        ours: &T,
    ) {
        if theirs != ours {
            self.differences.push(Difference {
                path: name.into(),
                what: format!("{theirs:?}, here {ours:?}"),
                documented: None,
            });
        }
    }
}

/// Compares path by path.
pub fn of_trees(theirs: &RootFs, ours: &RootFs, opaque: &BTreeSet<String>) -> Comparison {
    let paths: BTreeSet<&str> = theirs.paths().chain(ours.paths()).collect();
    let mut comparison = Comparison {
        paths: paths.len(),
        differences: Vec::new(),
    };
    for path in paths {
        let what = match (theirs.get(path), ours.get(path)) {
            (Some(node), None) => vec![format!("a {} only in linuxkit's tree", node.kind.name())],
            (None, Some(node)) => vec![format!("a {} only here", node.kind.name())],
            (Some(theirs), Some(ours)) => of_nodes(theirs, ours),
            (None, None) => Vec::new(),
        };
        if !what.is_empty() {
            comparison.differences.push(Difference {
                path: format!("/{path}"),
                what: what.join("; "),
                documented: explanation(path, theirs, ours, opaque),
            });
        }
    }
    comparison
}

fn explanation(
    path: &str,
    theirs: &RootFs,
    ours: &RootFs,
    opaque: &BTreeSet<String>,
) -> Option<Documented> {
    let node = theirs.get(path)?;
    if let Kind::Symlink(target) = &node.kind {
        let target = aim(path, target)?;
        return ours
            .same_file(path, &target)
            .then_some(Documented::HardLink);
    }
    if ours.get(path).is_some() {
        return None;
    }
    if path == SBOM {
        return Some(Documented::Sbom);
    }
    let below = |folder: &String| {
        let rest = path.strip_prefix(folder.as_str());
        folder.is_empty() || rest.is_some_and(|rest| rest.starts_with('/'))
    };
    opaque.iter().any(below).then_some(Documented::OpaqueFolder)
}

/// The path that a relative symbolic link leads to.
fn aim(link: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = link.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    clean(&parts.join("/")).ok()
}

fn of_nodes(theirs: &Node, ours: &Node) -> Vec<String> {
    let mut out = Vec::new();
    if theirs.kind.name() != ours.kind.name() {
        let (a, b) = (theirs.kind.name(), ours.kind.name());
        out.push(format!("a {a}, here a {b}"));
        return out;
    }
    // A symbolic link has no mode of its own.
    if theirs.mode != ours.mode && !matches!(ours.kind, Kind::Symlink(_)) {
        out.push(format!("mode {:04o}, here {:04o}", theirs.mode, ours.mode));
    }
    if (theirs.uid, theirs.gid) != (ours.uid, ours.gid) {
        out.push(format!(
            "owner {}:{}, here {}:{}",
            theirs.uid, theirs.gid, ours.uid, ours.gid
        ));
    }
    match (&theirs.kind, &ours.kind) {
        (Kind::Symlink(a), Kind::Symlink(b)) if a != b => {
            out.push(format!("leads to {a}, here to {b}"));
        }
        (
            Kind::File {
                document: Some(a), ..
            },
            Kind::File {
                document: Some(b), ..
            },
        ) => out.extend(of_documents(a, b)),
        (Kind::File { size: a, .. }, Kind::File { size: b, .. }) if theirs.kind != ours.kind => {
            out.push(format!("content of {a} bytes, here another of {b}"));
        }
        (a @ (Kind::Char(..) | Kind::Block(..)), b) if a != b => {
            out.push(format!("{a:?}, here {b:?}"));
        }
        _ => {}
    }
    out
}

/// JSON documents differ by value only.
fn of_documents(theirs: &[u8], ours: &[u8]) -> Vec<String> {
    let mut out = Vec::new();
    match (
        serde_json::from_slice::<Value>(theirs),
        serde_json::from_slice::<Value>(ours),
    ) {
        (Ok(a), Ok(b)) => of_values("", Some(&a), Some(&b), &mut out),
        (Err(error), _) => out.push(format!("linuxkit's is no JSON: {error}")),
        (_, Err(error)) => out.push(format!("the one here is no JSON: {error}")),
    }
    out
}

fn of_values(at: &str, theirs: Option<&Value>, ours: Option<&Value>, out: &mut Vec<String>) {
    let shown = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
    match (theirs, ours) {
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                of_values(&format!("{at}.{key}"), a.get(key), b.get(key), out);
            }
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            for index in 0..a.len().max(b.len()) {
                of_values(&format!("{at}[{index}]"), a.get(index), b.get(index), out);
            }
        }
        (a, b) if a != b => out.push(format!("{at} is {}, here {}", shown(a), shown(b))),
        _ => {}
    }
}
