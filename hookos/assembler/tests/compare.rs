//! The comparison with LinuxKit's boot files: what counts as a difference, and what is documented.

mod common;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use common::Bench;
use hookos::compare::{BootFiles, Comparison, Documented, compare};
use hookos::oci::{Entry, ImageSource};

const DIRECTORY: u32 = 0o040_755;
const FILE: u32 = 0o100_644;
const LINK: u32 = 0o120_777;

/// An entry of an archive: name, type and mode, names of the file, inode, content.
type Raw<'a> = (&'a str, u32, u32, u32, &'a str);

fn folder(name: &str) -> Raw<'_> {
    (name, DIRECTORY, 2, 0, "")
}

fn file<'a>(name: &'a str, content: &'a str) -> Raw<'a> {
    (name, FILE, 1, 0, content)
}

/// One cpio archive in the kernel's format.
fn archive(entries: &[Raw<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, mode, links, inode, content) in entries.iter().chain([&file("TRAILER!!!", "")]) {
        let (size, name_size) = (content.len(), name.len() + 1);
        write!(
            out,
            "070701{inode:08x}{mode:08x}{0:08x}{0:08x}{links:08x}{0:08x}{size:08x}{0:08x}{0:08x}{0:08x}{0:08x}{name_size:08x}{0:08x}{name}\0",
            0
        )
        .unwrap();
        out.resize(out.len().next_multiple_of(4), 0);
        out.extend(content.as_bytes());
        out.resize(out.len().next_multiple_of(4), 0);
    }
    out.resize(out.len().next_multiple_of(512), 0);
    out
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn initrd(dir: &Path, name: &str, content: &[u8]) -> BootFiles {
    let initrd: PathBuf = dir.join(name);
    fs_err::write(&initrd, content).unwrap();
    BootFiles {
        kernel: None,
        initrd,
        cmdline: None,
    }
}

/// LinuxKit's side as one gzip member, the other as one zstd frame for each archive.
fn compared(theirs: &[Raw<'_>], ours: &[&[Raw<'_>]], opaque: &[&str]) -> Comparison {
    let dir = tempfile::tempdir().unwrap();
    let theirs = initrd(dir.path(), "theirs", &gzip(&archive(theirs)));
    let frames = ours
        .iter()
        .flat_map(|entries| zstd::encode_all(archive(entries).as_slice(), 1).unwrap());
    let ours = initrd(dir.path(), "ours", &frames.collect::<Vec<_>>());
    let opaque: BTreeSet<String> = opaque.iter().map(|it| (*it).to_owned()).collect();
    compare(&theirs, &ours, &opaque).unwrap()
}

fn texts(comparison: &Comparison) -> Vec<String> {
    comparison
        .unexpected()
        .map(|difference| format!("{}: {}", difference.path, difference.what))
        .collect()
}

#[test]
fn order_repetition_and_compression_do_not_count() {
    let comparison = compared(
        &[
            folder("a"),
            file("a/x", "old"),
            folder("b/"),
            folder("a"),
            file("a/x", "new"),
        ],
        &[&[folder("b"), folder("a")], &[file("a/x", "new")]],
        &[],
    );
    assert_eq!(comparison.differences, []);
    assert_eq!(comparison.paths, 4);
}

#[test]
fn type_mode_owner_target_and_content_count() {
    let comparison = compared(
        &[
            file("type", ""),
            file("mode", ""),
            ("link", LINK, 1, 0, "a"),
            file("content", "1"),
            file("theirs", ""),
        ],
        &[&[
            folder("type"),
            ("mode", 0o100_600, 1, 0, ""),
            ("link", LINK, 1, 0, "b"),
            file("content", "2"),
            file("ours", ""),
        ]],
        &[],
    );
    assert_eq!(
        texts(&comparison),
        [
            "/content: content of 1 bytes, here another of 1",
            "/link: leads to a, here to b",
            "/mode: mode 0644, here 0600",
            "/ours: a file only here",
            "/theirs: a file only in linuxkit's tree",
            "/type: a file, here a folder",
        ]
    );
}

#[test]
fn documents_of_containers_are_compared_by_value() {
    let path = "containers/services/x/config.json";
    let parents = ["containers", "containers/services", "containers/services/x"].map(folder);
    let tree = |text| [parents.as_slice(), &[file(path, text)]].concat();
    let theirs = tree(r#"{"a": [1, 2], "b": {"c": true}}"#);
    let same = tree(r#"{"b":{"c":true},"a":[1,2]}"#);
    assert_eq!(compared(&theirs, &[&same], &[]).differences, []);
    let other = tree(r#"{"a": [1], "b": {"c": true, "d": 0}}"#);
    assert_eq!(
        texts(&compared(&theirs, &[&other], &[])),
        [format!(
            "/{path}: .a[1] is 2, here nothing; .b.d is nothing, here 0"
        )]
    );
}

#[test]
fn what_linuxkit_loses_is_documented() {
    let comparison = compared(
        &[
            folder("bin"),
            file("bin/a", "x"),
            ("bin/b", LINK, 1, 0, "a"),
            folder("gone"),
            file("gone/old", ""),
            file("sbom.spdx.json", "{}"),
        ],
        &[&[
            folder("bin"),
            ("bin/a", FILE, 2, 7, "x"),
            ("bin/b", FILE, 2, 7, ""),
            folder("gone"),
        ]],
        &["gone"],
    );
    assert_eq!(texts(&comparison), [""; 0]);
    assert_eq!(
        comparison.documented().into_iter().collect::<Vec<_>>(),
        [
            (Documented::HardLink, 1),
            (Documented::OpaqueFolder, 1),
            (Documented::Sbom, 1),
        ]
    );
}

#[test]
fn a_symbolic_link_to_another_file_is_no_hard_link() {
    let comparison = compared(
        &[file("a", "x"), file("c", "x"), ("b", LINK, 1, 0, "c")],
        &[&[
            ("a", FILE, 2, 7, "x"),
            ("b", FILE, 2, 7, ""),
            file("c", "x"),
        ]],
        &[],
    );
    assert_eq!(texts(&comparison), ["/b: a symbolic link, here a file"]);
}

#[test]
fn the_kernel_skips_what_has_no_folder_and_follows_links_to_folders() {
    let comparison = compared(
        &[
            folder("usr"),
            folder("usr/lib"),
            ("lib", LINK, 1, 0, "usr/lib"),
            file("lib/x", "1"),
            file("none/y", "1"),
        ],
        &[&[
            folder("usr"),
            folder("usr/lib"),
            ("lib", LINK, 1, 0, "usr/lib"),
            file("usr/lib/x", "1"),
        ]],
        &[],
    );
    assert_eq!(comparison.differences, []);
}

#[test]
fn kernel_and_command_line_count() {
    let dir = tempfile::tempdir().unwrap();
    let mut theirs = initrd(dir.path(), "theirs", &archive(&[]));
    let mut ours = initrd(dir.path(), "ours", &archive(&[]));
    for (files, content) in [(&mut theirs, "quiet"), (&mut ours, "loud")] {
        let path = dir.path().join(content);
        fs_err::write(&path, content).unwrap();
        files.kernel = Some(path.clone());
        files.cmdline = Some(path);
    }
    let comparison = compare(&theirs, &ours, &BTreeSet::new()).unwrap();
    let names: Vec<&str> = comparison.unexpected().map(|it| it.path.as_str()).collect();
    assert_eq!(names, ["the kernel", "the command line"]);
}

#[test]
fn what_is_no_initrd_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let files = initrd(dir.path(), "initrd.img", b"hello");
    let error = compare(&files, &files, &BTreeSet::new()).unwrap_err();
    assert!(error.to_string().contains("initrd.img"), "{error}");
}

#[test]
fn a_build_is_equal_to_itself() {
    let bench = Bench::new();
    bench.image(
        "docker.io/library/a:1",
        vec![Entry::file("bin/x", 0o755, "x")],
    );
    let report = bench.build("init: [a:1]\nonboot: [{name: b, image: a:1}]\n");
    let files = BootFiles {
        kernel: report.kernel,
        initrd: report.initrd,
        cmdline: Some(report.cmdline),
    };
    let comparison = compare(&files, &files, &BTreeSet::new()).unwrap();
    assert!(comparison.differences.is_empty() && comparison.paths > 10);
}

#[test]
fn exported_images_are_a_layout_of_their_own() {
    let bench = Bench::new();
    bench.image("docker.io/library/a:1", vec![Entry::file("x", 0o644, "x")]);
    bench.image("docker.io/library/b:1", vec![Entry::file("y", 0o644, "y")]);
    let request = bench.request("init: [a:1]\n");
    let references = hookos::references(&request.definitions).unwrap();
    assert_eq!(references, ["docker.io/library/a:1"]);
    let tar = bench.path("export.tar");
    let out = fs_err::File::create(&tar).unwrap();
    hookos::oci::export(&request.images, &references, out).unwrap();
    let exported = ImageSource::open([tar]).unwrap();
    assert_eq!(exported.references(), references);
    let (image, _) = exported.find("a:1").unwrap();
    assert_eq!(
        image.layers[0].read().unwrap().len() as u64,
        image.layers[0].size
    );
}
