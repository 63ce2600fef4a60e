//! The definition that is shipped: accepted as it stands, and free of LinuxKit's traps.

mod common;

use std::path::Path;
use std::process::Command;

use common::{Bench, unpack};
use hookos::oci::{Entry, write_tar};
use hookos::{Request, assemble, derive};

/// Every image that the definition names, made of next to nothing.
fn stand_ins(yaml: &str) -> Bench {
    let bench = Bench::new();
    let mut modules = Vec::new();
    write_tar(&[], &mut modules).unwrap();
    for line in yaml
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
    {
        let named = line.split_once("image: ").map(|(_, reference)| reference);
        let Some(reference) = named.or_else(|| {
            line.strip_prefix("- ")
                .filter(|rest| rest.starts_with("emts/"))
        }) else {
            continue;
        };
        let files = vec![
            Entry::file("kernel", 0o644, "KERNEL"),
            Entry::file("kernel.tar", 0o644, modules.clone()),
        ];
        bench.image(reference, files);
    }
    bench
}

#[test]
fn it_is_built_without_an_error_or_a_warning() {
    let definition = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hook-os.yaml");
    let bench = stand_ins(&fs_err::read_to_string(&definition).unwrap());
    let images = hookos::oci::ImageSource::open([bench.path("images")]).unwrap();
    let report = assemble(&Request::new(&definition, images, bench.path("out")))
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(report.warnings, []);
    let files = unpack(&report.initrd);
    assert!(files.contains_key("containers/services/os-installer/config.json"));
    assert!(files.contains_key("etc/scripts/install-os.sh"));
}

#[test]
fn with_another_init_the_rest_of_the_tree_is_the_same() {
    let definition = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hook-os.yaml");
    let bench = stand_ins(&fs_err::read_to_string(&definition).unwrap());
    for name in ["linuxkit/init:1", "linuxkit/runc:1"] {
        bench.image(
            name,
            vec![Entry::file(format!("of-{}", &name[9..13]), 0o755, "x")],
        );
    }
    let init = ["linuxkit/init:1", "linuxkit/runc:1"].map(str::to_owned);
    let derived = derive(
        std::slice::from_ref(&definition),
        &init,
        &bench.path("derived"),
    )
    .unwrap();
    let tree = |definition: &Path| {
        let images = hookos::oci::ImageSource::open([bench.path("images")]).unwrap();
        let mut request = Request::new(definition, images, bench.path("out"));
        request.base = Some(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
        let report = assemble(&request).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(report.warnings, []);
        unpack(&report.initrd)
    };
    let (mut own, mut other) = (tree(&definition), tree(&derived[0]));
    // What the stand-ins of the two lists have at their root.
    for name in ["kernel", "kernel.tar"] {
        assert!(own.remove(name).is_some(), "{name} is missing");
    }
    for name in ["of-init", "of-runc"] {
        assert!(other.remove(name).is_some(), "{name} is missing");
    }
    assert_eq!(own, other);
}

/// Whether the service getty opens a terminal where this is the kernel's command line.
fn opens_a_shell(cmdline: &str) -> bool {
    let definition = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hook-os.yaml");
    let bench = stand_ins(&fs_err::read_to_string(&definition).unwrap());
    let images = hookos::oci::ImageSource::open([bench.path("images")]).unwrap();
    let report = assemble(&Request::new(&definition, images, bench.path("out")))
        .unwrap_or_else(|error| panic!("{error}"));
    let files = unpack(&report.initrd);
    let config = &files["containers/services/getty/config.json"];
    let config: serde_json::Value = serde_json::from_slice(config).unwrap();
    let script = config["process"]["args"][2].as_str().unwrap();
    assert!(script.contains("</proc/cmdline"));
    fs_err::write(bench.path("cmdline"), format!("{cmdline}\n")).unwrap();
    // In place of the program: it notes that it was called, and ends the shell that would call it for ever.
    let called = bench.path("called");
    fs_err::write(
        bench.path("getty"),
        format!("echo \"$@\" >{}\nkill $PPID\n", called.display()),
    )
    .unwrap();
    let here = script
        .replace("/proc/cmdline", bench.path("cmdline").to_str().unwrap())
        .replace("getty ", &format!("sh {} ", bench.path("getty").display()));
    let ended = Command::new("sh").args(["-c", &here]).status().unwrap();
    let opened = called.exists();
    assert_eq!(ended.success(), !opened, "{ended}");
    opened
}

#[test]
fn a_shell_is_opened_with_the_kernels_option_alone() {
    assert!(opens_a_shell("console=tty0 emts.shell loglevel=5"));
    for cmdline in [
        "",
        "console=tty0 loglevel=5",
        "emts.shell=0 xemts.shell emts.shells",
    ] {
        assert!(!opens_a_shell(cmdline), "{cmdline}");
    }
}

#[test]
fn the_command_line_that_is_shipped_opens_none() {
    let definition = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hook-os.yaml");
    let bench = stand_ins(&fs_err::read_to_string(&definition).unwrap());
    let images = hookos::oci::ImageSource::open([bench.path("images")]).unwrap();
    let report = assemble(&Request::new(&definition, images, bench.path("out"))).unwrap();
    let cmdline = fs_err::read_to_string(report.cmdline).unwrap();
    assert!(cmdline.contains("console=ttyS0,115200 "), "{cmdline}");
    assert!(!opens_a_shell(&cmdline), "{cmdline}");
}
