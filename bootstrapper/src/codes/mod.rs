//! The codes of what is reported of a config-file: one code is one fault. Each is declared once, with its severities, a
//! title and an explanation; `cluster-bootstrapper explain` and docs/diagnostics.md are made from that.

mod arguments;
mod cluster;
mod document;
mod files;
mod machine;
pub mod page;
mod registries;

pub(crate) use arguments::Arguments::*;
pub(crate) use cluster::Cluster::*;
pub(crate) use document::Document;
pub(crate) use document::Document::*;
pub(crate) use files::Files::*;
pub(crate) use machine::Machine::*;
pub(crate) use registries::Registries::*;

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
    chapter("Keys and values", document::Document::ENTRIES),
    chapter("Operating system", machine::Machine::ENTRIES),
    chapter("Files and commands", files::Files::ENTRIES),
    chapter("Cluster and node", cluster::Cluster::ENTRIES),
    chapter("Arguments of components", arguments::Arguments::ENTRIES),
    chapter("Registries and containerd", registries::Registries::ENTRIES),
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
