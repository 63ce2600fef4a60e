//! What an edit makes stale: each source file of the workspace is changed in turn.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use pipeline::choice::Options;
use pipeline::input::Output;
use pipeline::stage::{Request, Stage};
use pipeline::stages;
use pipeline::workspace::Workspace;

/// What the workspace and the stages read of a checkout.
const READ: [&str; 11] = [
    ".cargo",
    "Cargo.toml",
    "Cargo.lock",
    "bootstrapper",
    "configs",
    "crates",
    "hookos",
    "vm-tests/Cargo.toml",
    "vm-tests/src",
    "vm-tests/reference",
    "vm-tests/workload",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A copy of the checkout that may be edited.
fn checkout() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in READ.iter().chain(&["xtask"]) {
        let parent = dir.path().join(name);
        fs_err::create_dir_all(parent.parent().unwrap()).unwrap();
        let mut copy = std::process::Command::new("cp");
        copy.arg("-a").arg(root().join(name)).arg(&parent);
        assert!(copy.status().unwrap().success(), "{name}");
    }
    dir
}

/// The stages whose digests change from one to the other.
fn stale(
    before: &BTreeMap<&'static str, BTreeMap<String, String>>,
    after: &BTreeMap<&'static str, BTreeMap<String, String>>,
) -> BTreeSet<&'static str> {
    let names = before.keys().copied();
    names.filter(|name| before[name] != after[name]).collect()
}

/// The digests of the stages in a checkout, as if all that they need were built.
fn digests(
    root: &Path,
    workspace: &Workspace,
    of: impl Fn(&Stage, &Request<'_>) -> BTreeMap<String, String>,
) -> BTreeMap<&'static str, BTreeMap<String, String>> {
    let made = stages::ALL.iter().map(|stage| {
        let output = Output {
            stage: stage.name.into(),
            directory: root.to_owned(),
            digest: "built".into(),
        };
        (stage.name.to_owned(), output)
    });
    let request = Request {
        root,
        options: &Options::default(),
        workspace,
        outputs: &made.collect(),
    };
    let all = stages::ALL.iter();
    all.map(|stage| (stage.name, of(stage, &request))).collect()
}

fn sources(root: &Path) -> Vec<PathBuf> {
    let places = [
        "crates/arch/src",
        "crates/module-graph/src",
        "crates/pipeline/src",
        "crates/diagnostics/src",
        "hookos/assembler/src",
    ];
    let entries = places
        .iter()
        .flat_map(|place| walkdir::WalkDir::new(root.join(place)).sort_by_file_name());
    let paths = entries.map(|entry| entry.unwrap().into_path());
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .collect()
}

fn edit(path: &Path) {
    let text = fs_err::read_to_string(path).unwrap();
    let is_rust = path.extension().is_some_and(|end| end == "rs");
    let comment = if is_rust { "// edited" } else { "# edited" };
    fs_err::write(path, format!("{text}\n{comment}\n")).unwrap();
}

#[test]
fn an_edit_makes_those_stages_stale_that_reach_the_file() {
    let copy = checkout();
    let root = copy.path();
    let workspace = Workspace::read(root).unwrap();
    let code =
        |stage: &Stage, request: &Request<'_>| request.workspace.code_of(stage.module).unwrap();
    let files = sources(root);
    assert!(files.len() > 80, "{}", files.len());
    let mut before = digests(root, &workspace, code);
    for file in files {
        let name = file.strip_prefix(root).unwrap().display().to_string();
        let reach = before.iter().filter(|(_, code)| code.contains_key(&name));
        let reach: BTreeSet<&str> = reach.map(|(stage, _)| *stage).collect();
        edit(&file);
        let workspace = Workspace::read(root).unwrap();
        let after = digests(root, &workspace, code);
        assert_eq!(stale(&before, &after), reach, "{name}");
        before = after;
    }
}

/// What is known of single files: shared code, code of one stage, code of programs, and what is no code.
#[test]
fn an_edit_makes_these_stages_stale_and_no_others() {
    let programs = ["bootstrapper", "installer", "hookos-init", "test-workload"];
    let images = [
        "bootstrapper-image",
        "installer-image",
        "hookos",
        "reference-images",
        "test-workload-image",
    ];
    let signed = [
        "hookos",
        "node-image",
        "registry",
        "small-image",
        "workstation",
    ];
    let cases: [(&str, &[&str]); 15] = [
        ("hookos/assembler/src/oci/writer.rs", &images),
        ("hookos/assembler/src/oci/layer.rs", &images),
        ("hookos/assembler/src/tree/cpio.rs", &["hookos"]),
        ("crates/pipeline/src/signing.rs", &signed),
        ("crates/pipeline/src/stages/usb.rs", &["usb"]),
        ("crates/pipeline/src/stages/static_binary.rs", &programs),
        ("crates/pipeline/src/stages/mod.rs", &[]),
        ("crates/pipeline/src/build.rs", &[]),
        ("bootstrapper/src/main.rs", &["bootstrapper", "installer"]),
        ("bootstrapper/tests/all/main.rs", &[]),
        ("hookos/hook-os.yaml", &["hookos"]),
        ("hookos/installer/install-os.sh", &["hookos"]),
        ("hookos/installer/usb/README", &["bundle"]),
        ("vm-tests/reference/node/configure.sh", &["node-image"]),
        (
            "vm-tests/reference/assemble.sh",
            &["node-image", "registry", "workstation"],
        ),
    ];
    let copy = checkout();
    let root = copy.path();
    let workspace = Workspace::read(root).unwrap();
    let all = |stage: &Stage, request: &Request<'_>| {
        let inputs = stage.inputs(request).unwrap();
        stage.digests(request, &inputs).unwrap()
    };
    let mut before = digests(root, &workspace, all);
    for (name, expected) in cases {
        edit(&root.join(name));
        let workspace = Workspace::read(root).unwrap();
        let after = digests(root, &workspace, all);
        assert_eq!(
            stale(&before, &after),
            expected.iter().copied().collect(),
            "{name}"
        );
        before = after;
    }
    // Many stages run programs; those that do not are few.
    for name in ["process.rs", "digest.rs"] {
        edit(&root.join("crates/pipeline/src").join(name));
        let workspace = Workspace::read(root).unwrap();
        let after = digests(root, &workspace, all);
        let changed = stale(&before, &after);
        assert!(
            changed.contains("bundle") && changed.contains("k3s"),
            "{name}: {changed:?}"
        );
        before = after;
    }
}
