//! The section `files`: every form of an entry, with modes and owners as LinuxKit gives them.

mod common;

use std::collections::BTreeMap;

use common::Bench;
use hookos::assemble;

/// Type, mode, uid and gid, and content or link target of each entry.
type Tree = BTreeMap<String, (tar::EntryType, u32, (u64, u64), String)>;

/// The tree of a definition, in which a later entry replaces an earlier one of its name.
fn tree(bench: &Bench, yaml: &str) -> Tree {
    let mut request = bench.request(yaml);
    request.tar = true;
    let report = assemble(&request).unwrap_or_else(|error| panic!("{error}"));
    let mut tar = tar::Archive::new(fs_err::File::open(report.tar.unwrap()).unwrap());
    let mut tree = Tree::new();
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        let header = entry.header();
        let (kind, mode) = (header.entry_type(), header.mode().unwrap());
        let owner = (header.uid().unwrap(), header.gid().unwrap());
        let path = entry.path().unwrap().display().to_string();
        let target = entry.link_name().unwrap();
        let content = match target {
            Some(target) => target.display().to_string(),
            None => std::io::read_to_string(&mut entry).unwrap(),
        };
        let path = path.trim_end_matches('/').to_owned();
        tree.insert(path, (kind, mode, owner, content));
    }
    tree
}

#[test]
fn contents_sources_links_and_folders_become_entries() {
    let bench = Bench::new();
    fs_err::write(bench.path("local"), "from a file").unwrap();
    let tree = tree(
        &bench,
        "files:\n\
         \x20 - {path: a/text, contents: hello, mode: '0644'}\n\
         \x20 - {path: /a/copy, source: local, mode: '4755'}\n\
         \x20 - {path: a/empty, contents: ''}\n\
         \x20 - {path: a/link, symlink: ../text}\n\
         \x20 - {path: a/folder, directory: true}\n\
         \x20 - {path: a/missing/x, source: nowhere, optional: true}\n",
    );
    let entry = |path: &str| {
        let (kind, mode, _, content) = &tree[path];
        (*kind, *mode, content.as_str())
    };
    assert_eq!(entry("a"), (tar::EntryType::Directory, 0o755, ""));
    assert_eq!(entry("a/text"), (tar::EntryType::Regular, 0o644, "hello"));
    assert_eq!(
        entry("a/copy"),
        (tar::EntryType::Regular, 0o4755, "from a file")
    );
    assert_eq!(entry("a/empty"), (tar::EntryType::Regular, 0o600, ""));
    assert_eq!(entry("a/link").0, tar::EntryType::Symlink);
    assert_eq!(entry("a/link").2, "../text");
    assert_eq!(entry("a/folder"), (tar::EntryType::Directory, 0o700, ""));
    assert!(!tree.keys().any(|path| path.starts_with("a/missing")));
}

#[test]
fn owners_are_numbers_or_names_of_containers_and_folders_follow_their_first_file() {
    let bench = Bench::new();
    bench.image("i:1", Vec::new());
    let tree = tree(
        &bench,
        "onboot: [{name: first, image: 'i:1'}]\n\
         services: [{name: second, image: 'i:1'}]\n\
         files:\n\
         \x20 - {path: by/name, contents: x, uid: second, gid: first, mode: '0640'}\n\
         \x20 - {path: by/number, contents: x, uid: 7, gid: root}\n",
    );
    // The names count from 100 in the order of the definition.
    assert_eq!(tree["by/name"].2, (101, 100));
    assert_eq!(tree["by/number"].2, (7, 0));
    assert_eq!((tree["by"].1, tree["by"].2), (0o750, (101, 100)));
}
