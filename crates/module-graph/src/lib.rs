//! The files of code that a module reaches: of each module the modules that it names, over all members of a workspace that
//! are read.
//!
//! The sources are read as text, with comments, strings and tests left out. What a path leads to is found as the compiler
//! does it, by `crate`, `self`, `super`, child modules, `use` declarations and re-exports; a name that leads nowhere
//! belongs to no member. That a module has children says nothing: who uses them names them. A child that nobody names is
//! reached by its parent, as it can only have implementations.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

mod circles;
mod functions;
mod scan;

pub use functions::{Function, functions};

use scan::{Path as Steps, Scanned};

/// Re-exports that are followed from one name.
const DEEPEST: usize = 8;

/// The modules of several members and what each names.
#[derive(Debug)]
pub struct Graph {
    modules: BTreeMap<Steps, Module>,
    uses: BTreeMap<Steps, BTreeSet<Steps>>,
}

#[derive(Debug)]
struct Module {
    file: PathBuf,
    scanned: Scanned,
}

impl Graph {
    /// Reads the modules of one member, a library or a program, from the directory of its code. Paths in it begin with
    /// `name`.
    ///
    /// # Errors
    /// A source cannot be read.
    pub fn of_member(name: &str, directory: &Path) -> Result<Self> {
        let library = directory.join("lib.rs");
        let root = match library.is_file() {
            true => library,
            false => directory.join("main.rs"),
        };
        Self::of_roots([(name, &*root, directory)])
    }

    /// Reads the modules of members: name as a path begins with it, and the directory with its `lib.rs`.
    ///
    /// # Errors
    /// A source cannot be read.
    pub fn read(members: &[(String, PathBuf)]) -> Result<Self> {
        let roots: Vec<PathBuf> = members.iter().map(|(_, at)| at.join("lib.rs")).collect();
        let with_root = members.iter().zip(&roots);
        Self::of_roots(with_root.map(|((name, at), root)| (name.as_str(), &**root, &**at)))
    }

    /// Each with the file and the directory of its modules.
    fn of_roots<'a>(
        roots: impl IntoIterator<Item = (&'a str, &'a Path, &'a Path)>,
    ) -> Result<Self> {
        let mut graph = Self {
            modules: BTreeMap::new(),
            uses: BTreeMap::new(),
        };
        for (name, root, directory) in roots {
            graph.add(vec![name.to_owned()], root, directory)?;
        }
        let modules = graph.modules.keys();
        graph.uses = modules
            .map(|module| (module.clone(), graph.named_by(module)))
            .collect();
        Ok(graph)
    }

    /// Adds the module in `file`, whose children are in `directory`.
    fn add(&mut self, module: Steps, file: &Path, directory: &Path) -> Result<()> {
        let text = fs_err::read_to_string(file)?;
        let scanned = Scanned::of(&text);
        for child in &scanned.children {
            let below = directory.join(child);
            let places = [below.with_extension("rs"), below.join("mod.rs")];
            let place = places.iter().find(|place| place.is_file());
            let place =
                place.with_context(|| format!("{} declares the module {child}", file.display()))?;
            self.add(
                [&*module, std::slice::from_ref(child)].concat(),
                place,
                &below,
            )?;
        }
        let file = file.to_owned();
        self.modules.insert(module, Module { file, scanned });
        Ok(())
    }

    /// All files.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.modules.values().map(|module| &*module.file)
    }

    /// The files that a module reaches, its own among them. `module` is as `module_path!()` has it.
    ///
    /// # Errors
    /// There is no such module.
    pub fn reached(&self, module: &str) -> Result<BTreeSet<&Path>> {
        let start: Steps = module.split("::").map(str::to_owned).collect();
        self.modules
            .get(&start)
            .with_context(|| format!("the module {module} is not among those that were read"))?;
        let orphans = self.orphans();
        let (mut waiting, mut seen) = (vec![start], BTreeSet::new());
        while let Some(module) = waiting.pop() {
            if seen.insert(module.clone()) {
                waiting.extend(self.uses[&module].iter().cloned());
                waiting.extend(orphans.get(&module).into_iter().flatten().cloned());
            }
        }
        let files = seen.iter().map(|module| &*self.modules[module].file);
        Ok(files.collect())
    }

    /// Children that nobody names, by parent.
    fn orphans(&self) -> BTreeMap<Steps, Vec<Steps>> {
        let named: BTreeSet<&Steps> = self.uses.values().flatten().collect();
        let mut orphans: BTreeMap<Steps, Vec<Steps>> = BTreeMap::new();
        for module in self.modules.keys().filter(|module| module.len() > 1) {
            if !named.contains(module) {
                let parent = module[..module.len() - 1].to_vec();
                orphans.entry(parent).or_default().push(module.clone());
            }
        }
        orphans
    }

    /// Each module, as its steps from the member's name on, and the other modules that it names.
    pub fn uses(&self) -> &BTreeMap<Steps, BTreeSet<Steps>> {
        &self.uses
    }

    fn named_by(&self, module: &Steps) -> BTreeSet<Steps> {
        let scanned = &self.modules[module].scanned;
        let uses = scanned.uses.iter().map(|it| &it.path);
        let mut named = BTreeSet::new();
        for path in uses.chain(&scanned.paths) {
            if let Some(full) = self.absolute(module, path) {
                named.extend(self.home(&full, DEEPEST));
            }
        }
        named.remove(module);
        named
    }

    /// A path from a member's name on; `None` for one that leads out of the members.
    fn absolute(&self, module: &[String], path: &[String]) -> Option<Steps> {
        self.rooted(module, path).or_else(|| {
            let (first, rest) = path.split_first()?;
            let uses = self.modules[module].scanned.uses.iter();
            let mut uses = uses.filter(|it| it.name == *first);
            let used = uses.find_map(|it| self.rooted(module, &it.path))?;
            Some([&*used, rest].concat())
        })
    }

    /// The same for a path that begins with a keyword, a child or a member.
    fn rooted(&self, module: &[String], path: &[String]) -> Option<Steps> {
        let (first, rest) = path.split_first()?;
        let mut base = match first.as_str() {
            "crate" => module[..1].to_vec(),
            "self" => module.to_vec(),
            "super" => module[..module.len() - 1].to_vec(),
            name => {
                let child = [module, &[name.to_owned()]].concat();
                let places = [child, vec![name.to_owned()]].into_iter();
                let mut places = places.filter(|place| self.modules.contains_key(place));
                places.next()?
            }
        };
        let mut rest = rest.iter().peekable();
        while rest.next_if(|step| *step == "super").is_some() {
            base.pop();
        }
        base.extend(rest.cloned());
        Some(base)
    }

    /// The module that what a full path names is defined in. A name that a module re-exports belongs to where it is
    /// re-exported from.
    fn home(&self, full: &[String], deepest: usize) -> Option<Steps> {
        let prefixes = (1..=full.len()).rev().map(|length| full[..length].to_vec());
        let module = prefixes
            .into_iter()
            .find(|prefix| self.modules.contains_key(prefix))?;
        let re_exported = full
            .get(module.len())
            .and_then(|item| self.re_exported(&module, item, deepest));
        Some(re_exported.unwrap_or(module))
    }

    /// Where an item is defined that a module re-exports.
    fn re_exported(&self, module: &Steps, item: &str, deepest: usize) -> Option<Steps> {
        let scanned = &self.modules[module].scanned;
        if deepest == 0 || scanned.items.contains(item) {
            return None;
        }
        let exported = || scanned.uses.iter().filter(|it| it.exported);
        if let Some(it) = exported().find(|it| it.name == item) {
            let path = self.absolute(module, &it.path)?;
            return self.home(&path, deepest - 1);
        }
        exported().filter(|it| it.name == "*").find_map(|it| {
            let of = self.absolute(module, &it.path)?;
            let below = self.modules.get(&of)?;
            match below.scanned.items.contains(item) {
                true => Some(of),
                false => self.re_exported(&of, item, deepest - 1),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files that a module of a made-up workspace reaches, by name.
    fn reached(files: &[(&str, &str)], module: &str) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        }
        let members = ["one", "two"].map(|name| (name.to_owned(), dir.path().join(name)));
        let there = members.into_iter().filter(|(_, path)| path.exists());
        let graph = Graph::read(&there.collect::<Vec<_>>()).unwrap();
        let files = graph.reached(module).unwrap().into_iter();
        files
            .map(|path| path.strip_prefix(dir.path()).unwrap().display().to_string())
            .collect()
    }

    const MEMBER: [(&str, &str); 3] = [
        (
            "two/lib.rs",
            "mod a;\npub mod b;\npub use a::{Thing, run as start};\n",
        ),
        ("two/a.rs", "pub struct Thing;\npub fn run() {}\n"),
        (
            "two/b.rs",
            "use crate::a::Thing;\npub fn use_it(_: Thing) {}\n",
        ),
    ];

    #[test]
    fn paths_and_use_declarations_are_followed() {
        let files = [
            ("one/lib.rs", "mod x;\nmod y;\nmod z;\nmod other;\n"),
            (
                "one/x.rs",
                "use super::y::{self, Y};\nfn f() { y::g(); crate::z::h(); }\n",
            ),
            ("one/y.rs", "pub struct Y;\npub fn g() {}\n"),
            ("one/z.rs", "pub fn h() {}\n"),
            ("one/other.rs", "use crate::x;\nfn f() { x::f() }\n"),
        ];
        assert_eq!(
            reached(&files, "one::x"),
            ["one/x.rs", "one/y.rs", "one/z.rs"]
        );
        assert_eq!(reached(&files, "one::y"), ["one/y.rs"]);
    }

    #[test]
    fn a_re_export_leads_to_where_it_is_defined() {
        let mut files = MEMBER.to_vec();
        files.extend([
            ("one/lib.rs", "pub mod x;\npub mod y;\n"),
            ("one/x.rs", "fn f() { two::start(); }\n"),
            ("one/y.rs", "use two::b;\nfn f() { b::use_it(todo()) }\n"),
        ]);
        assert_eq!(reached(&files, "one::x"), ["one/x.rs", "two/a.rs"]);
        assert_eq!(
            reached(&files, "one::y"),
            ["one/y.rs", "two/a.rs", "two/b.rs"]
        );
    }

    #[test]
    fn what_is_in_comments_strings_and_tests_is_not_reached() {
        let files = [
            ("one/lib.rs", "pub mod x;\npub mod y;\nfn f() { y::g() }\n"),
            (
                "one/x.rs",
                "//! See crate::y.\n/* crate::y */ fn f<'a>(c: char) -> &'a str { if c == '\"' { \"crate::y\" } else { r#\"\"crate::y\"# } }\n\
                 #[cfg(test)]\nmod tests {\n    use crate::y;\n}\n",
            ),
            ("one/y.rs", "pub fn g() {}\n"),
        ];
        assert_eq!(reached(&files, "one::x"), ["one/x.rs"]);
    }

    #[test]
    fn a_child_that_nobody_names_belongs_to_its_parent() {
        let files = [
            ("one/lib.rs", "pub mod x;\n"),
            ("one/x.rs", "mod display;\npub struct X;\n"),
            (
                "one/x/display.rs",
                "impl std::fmt::Display for super::X {}\n",
            ),
        ];
        assert_eq!(reached(&files, "one::x"), ["one/x/display.rs", "one/x.rs"]);
    }
}
