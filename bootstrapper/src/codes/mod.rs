//! The codes of what is reported of a config-file: one code is one fault. Each is declared once, with its severities, a
//! title and an explanation; `cluster-bootstrapper explain` and docs/diagnostics.md are made from that.

mod arguments;
mod cluster;
mod document;
mod files;
mod machine;
pub mod page;
mod registries;

pub(crate) use arguments::ArgumentCode::*;
pub(crate) use cluster::ClusterCode::*;
pub(crate) use document::DocumentCode;
pub(crate) use document::DocumentCode::*;
pub(crate) use files::FileCode::*;
pub(crate) use machine::MachineCode::*;
pub(crate) use registries::ImageCode::*;

use diagnostics::code::Entry;
use diagnostics::yaml::YamlCode;

/// A chapter of codes and its title.
pub(crate) struct Chapter {
    pub(crate) title: &'static str,
    pub(crate) entries: &'static [Entry],
}

/// All codes, by what they are of.
pub(crate) const CHAPTERS: [Chapter; 7] = [
    chapter("YAML", YamlCode::ENTRIES),
    chapter("Keys and values", document::DocumentCode::ENTRIES),
    chapter("Operating system", machine::MachineCode::ENTRIES),
    chapter("Files and commands", files::FileCode::ENTRIES),
    chapter("Cluster and node", cluster::ClusterCode::ENTRIES),
    chapter("Arguments of components", arguments::ArgumentCode::ENTRIES),
    chapter("Registries and containerd", registries::ImageCode::ENTRIES),
];

const fn chapter(title: &'static str, entries: &'static [Entry]) -> Chapter {
    Chapter { title, entries }
}

/// What is declared of all codes.
pub(crate) fn all() -> impl Iterator<Item = &'static Entry> + Clone {
    CHAPTERS.iter().flat_map(|chapter| chapter.entries)
}

/// What is declared of the code of a name.
pub(crate) fn find(name: &str) -> Option<&'static Entry> {
    all().find(|entry| entry.name == name)
}
