//! The assembly as a whole: outputs, their content, and that they are reproducible.

mod common;

use common::{Bench, archives, raw_tar, unpack, unpack_into};
use hookos::oci::Entry;
use std::os::unix::fs::MetadataExt;

const YAML: &str = r#"
kernel:
  image: test/kernel:1
  cmdline: "console=ttyS0 quiet"
init:
  - test/init:1
onboot:
  - name: first
    image: test/tool:1
    command: ["/tool", "a"]
services:
  - name: os-installer
    image: test/tool:1
    binds.add:
      - bootstrapper:/mnt/bootstrapper:ro
volumes:
  - name: bootstrapper
    image: test/volume:1
    readonly: true
  - name: blank
files:
  - path: etc/scripts/run.sh
    source: run.sh
    mode: "0755"
"#;

fn modules() -> Vec<u8> {
    let mut out = Vec::new();
    let entries = [
        Entry::directory("usr", 0o755),
        Entry::directory("usr/lib", 0o755),
        Entry::directory("usr/lib/modules", 0o755),
        Entry::file("usr/lib/modules/a.ko", 0o644, "module"),
    ];
    hookos::oci::write_tar(&entries, &mut out).unwrap();
    out
}

fn bench() -> Bench {
    let bench = Bench::new();
    bench.image(
        "test/kernel:1",
        vec![
            Entry::file("kernel", 0o644, "KERNEL"),
            Entry::file("kernel.tar", 0o644, modules()),
        ],
    );
    bench.image(
        "test/init:1",
        vec![
            Entry::directory("sbin", 0o755),
            Entry::file("sbin/init", 0o755, "INIT"),
        ],
    );
    bench.image("test/tool:1", vec![Entry::file("tool", 0o755, "TOOL")]);
    bench.image(
        "test/volume:1",
        vec![Entry::file("cluster-bootstrapper", 0o755, "BOOTSTRAPPER")],
    );
    fs_err::write(bench.path("run.sh"), "#!/bin/sh\n").unwrap();
    bench
}

#[test]
fn kernel_initrd_and_cmdline_hold_what_the_definition_says() {
    let bench = bench();
    let report = bench.build(YAML);
    assert_eq!(fs_err::read(report.kernel.unwrap()).unwrap(), b"KERNEL");
    assert_eq!(
        fs_err::read(report.cmdline).unwrap(),
        b"console=ttyS0 quiet"
    );
    let files = unpack(&report.initrd);
    assert_eq!(files["sbin/init"], b"INIT");
    assert_eq!(files["usr/lib/modules/a.ko"], b"module");
    assert_eq!(files["containers/onboot/000-first/lower/tool"], b"TOOL");
    assert_eq!(
        files["containers/volumes/bootstrapper/lower/cluster-bootstrapper"],
        b"BOOTSTRAPPER"
    );
    assert_eq!(files["etc/scripts/run.sh"], b"#!/bin/sh\n");
    assert!(!files.keys().any(|path| path.starts_with("boot/")));
    assert_eq!(report.warnings, []);
}

#[test]
fn an_image_used_twice_is_stored_once() {
    let bench = bench();
    let files = unpack(&bench.build(YAML).initrd);
    assert!(!files.contains_key("containers/services/os-installer/lower/tool"));
    let runtime = &files["containers/services/os-installer/runtime.json"];
    let runtime: serde_json::Value = serde_json::from_slice(runtime).unwrap();
    assert_eq!(
        runtime["mounts"][2]["options"][0],
        "lowerdir=/containers/onboot/000-first/lower"
    );
    assert_eq!(
        runtime["mounts"][2]["options"][1],
        "upperdir=/containers/services/os-installer/tmp/upper"
    );
}

#[test]
fn a_volume_has_its_folders_and_is_bound_by_path() {
    let bench = bench();
    let dir = tempfile::tempdir().unwrap();
    unpack_into(&bench.build(YAML).initrd, dir.path());
    for volume in ["bootstrapper", "blank"] {
        for name in ["lower", "tmp", "merged"] {
            assert!(
                dir.path()
                    .join(format!("containers/volumes/{volume}/{name}"))
                    .is_dir()
            );
        }
    }
    let config = fs_err::read(
        dir.path()
            .join("containers/services/os-installer/config.json"),
    )
    .unwrap();
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    let mounts = config["mounts"].as_array().unwrap();
    let mount = mounts
        .iter()
        .find(|mount| mount["destination"] == "/mnt/bootstrapper")
        .unwrap();
    assert_eq!(mount["source"], "/containers/volumes/bootstrapper/merged");
    assert_eq!(mount["options"], serde_json::json!(["ro", "rbind"]));
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let read = |bench: &Bench| {
        bench.build(YAML);
        ["kernel", "initrd.img", "cmdline"]
            .map(|name| fs_err::read(bench.path("out").join(name)).unwrap())
    };
    assert!(read(&bench()) == read(&bench()));
}

#[test]
fn a_cached_build_gives_the_bytes_of_a_fresh_one() {
    let bench = bench();
    let fresh = fs_err::read(bench.build(YAML).initrd).unwrap();
    let mut request = bench.request(YAML);
    request.cache = Some(bench.path("cache"));
    for cached in [false, true] {
        let report = hookos::assemble(&request).unwrap();
        assert!(fs_err::read(&report.initrd).unwrap() == fresh);
        assert_eq!(report.parts.iter().any(|part| part.cached), cached);
    }
}

#[test]
fn a_damaged_cache_entry_is_made_anew() {
    let bench = bench();
    let mut request = bench.request(YAML);
    request.cache = Some(bench.path("cache"));
    let fresh = fs_err::read(hookos::assemble(&request).unwrap().initrd).unwrap();
    for part in fs_err::read_dir(bench.path("cache/parts")).unwrap() {
        let archive = part.unwrap().path().join("part.cpio.zst");
        let mut data = fs_err::read(&archive).unwrap();
        let middle = data.len() / 2;
        data[middle] ^= 0xff;
        fs_err::write(&archive, data).unwrap();
    }
    let report = hookos::assemble(&request).unwrap();
    assert!(fs_err::read(report.initrd).unwrap() == fresh);
    assert!(report.parts.iter().all(|part| !part.cached));
}

#[test]
fn the_base_folder_is_where_sources_are_looked_for() {
    let bench = bench();
    fs_err::create_dir(bench.path("elsewhere")).unwrap();
    fs_err::write(bench.path("elsewhere/run.sh"), "other").unwrap();
    let mut request = bench.request(YAML);
    request.base = Some(bench.path("elsewhere"));
    let report = hookos::assemble(&request).unwrap();
    assert_eq!(unpack(&report.initrd)["etc/scripts/run.sh"], b"other");
}

#[test]
fn every_image_gets_what_linuxkit_gives_it() {
    let bench = bench();
    let dir = tempfile::tempdir().unwrap();
    unpack_into(&bench.build(YAML).initrd, dir.path());
    let hosts = fs_err::read(dir.path().join("etc/hosts")).unwrap();
    assert_eq!(
        hookos::oci::sha256_hex(&hosts),
        "43037ff87af87fda11c4377e963593a0f55e513702779db721c6ce574c06e88e"
    );
    let link = |path: &str| {
        fs_err::read_link(dir.path().join(path))
            .unwrap()
            .display()
            .to_string()
    };
    assert_eq!(link("etc/resolv.conf"), "/run/resolvconf/resolv.conf");
    assert_eq!(link("etc/mtab"), "/proc/mounts");
    let lower = "containers/onboot/000-first/lower";
    let resolv = fs_err::read(dir.path().join(lower).join("etc/resolv.conf")).unwrap();
    assert_eq!(resolv.len(), 29);
    for folder in ["dev", "dev/pts", "dev/shm", "proc", "sys"] {
        let metadata = fs_err::metadata(dir.path().join(lower).join(folder)).unwrap();
        assert_eq!(metadata.mode() & 0o7777, 0o755, "{folder}");
    }
}

#[test]
fn hard_links_stay_one_file() {
    let bench = Bench::new();
    let tar = raw_tar(&[
        ("b", tar::EntryType::Regular, "content"),
        ("a", tar::EntryType::Link, "b"),
    ]);
    bench.image_of_tars("test/init:1", vec![tar]);
    let dir = tempfile::tempdir().unwrap();
    unpack_into(&bench.build("init: [test/init:1]").initrd, dir.path());
    let (a, b) = (
        fs_err::metadata(dir.path().join("a")).unwrap(),
        fs_err::metadata(dir.path().join("b")).unwrap(),
    );
    assert_eq!(a.ino(), b.ino());
    assert_eq!(fs_err::read(dir.path().join("a")).unwrap(), b"content");
}

#[test]
fn every_archive_ends_as_the_kernel_wants_it() {
    let bench = bench();
    for archive in archives(&bench.build(YAML).initrd) {
        assert_eq!(archive.len() % 512, 0);
        let text = String::from_utf8_lossy(&archive[archive.len() - 512..]).into_owned();
        assert!(text.contains("TRAILER!!!") || archive.len() > 512);
    }
}

#[test]
fn the_tree_can_be_had_as_a_tar() {
    let bench = bench();
    let mut request = bench.request(YAML);
    request.tar = true;
    let report = hookos::assemble(&request).unwrap();
    let mut tar = tar::Archive::new(fs_err::File::open(report.tar.unwrap()).unwrap());
    let names: Vec<String> = tar
        .entries()
        .unwrap()
        .map(|e| e.unwrap().path().unwrap().display().to_string())
        .collect();
    for name in [
        "boot/kernel",
        "boot/cmdline",
        "sbin/init",
        "etc/scripts/run.sh",
    ] {
        assert!(
            names.iter().any(|known| known == name),
            "{name} in {names:?}"
        );
    }
}

#[test]
fn an_output_that_is_no_more_made_is_removed() {
    let bench = bench();
    bench.build(YAML);
    assert!(bench.build("init: [test/init:1]").kernel.is_none());
    assert!(!bench.path("out/kernel").exists());
    assert_eq!(fs_err::read(bench.path("out/cmdline")).unwrap(), b"");
}

#[test]
fn package_databases_of_init_images_become_one() {
    let bench = Bench::new();
    for (name, text) in [("a:1", "P:a\n"), ("b:1", "P:b\n")] {
        bench.image(name, vec![Entry::file("lib/apk/db/installed", 0o600, text)]);
    }
    bench.image("c:1", vec![]);
    let files = unpack(&bench.build("init: ['a:1', 'b:1', 'c:1']").initrd);
    assert_eq!(files["lib/apk/db/installed"], b"P:a\n\n\nP:b\n\n\n");
    let files = unpack(&bench.build("init: ['a:1', 'c:1']").initrd);
    assert_eq!(files["lib/apk/db/installed"], b"P:a\n");
}

#[test]
fn boot_files_laid_over_win_and_the_rest_of_boot_is_dropped() {
    let bench = bench();
    let yaml = format!(
        "{YAML}  - {{path: boot/cmdline, contents: other, mode: '0644'}}\n  - {{path: boot/x, contents: x}}\n"
    );
    let report = bench.build(&yaml);
    assert_eq!(fs_err::read(report.cmdline).unwrap(), b"other");
    assert!(
        !unpack(&report.initrd)
            .keys()
            .any(|path| path.starts_with("boot"))
    );
}

#[test]
fn microcode_stands_uncompressed_before_all_else() {
    let bench = Bench::new();
    bench.image(
        "k:1",
        vec![
            Entry::file("kernel", 0o644, "K"),
            Entry::file("u", 0o644, "UCODE"),
        ],
    );
    let report = bench.build("kernel: {image: 'k:1', tar: none, ucode: u}");
    assert!(
        fs_err::read(report.initrd)
            .unwrap()
            .starts_with(b"UCODE\x28\xb5\x2f\xfd")
    );
}

#[test]
fn several_files_are_merged_from_the_first_to_the_last() {
    let bench = Bench::new();
    for name in ["a:1", "b:1"] {
        let content = format!("of {name}");
        let kernel = vec![Entry::file("kernel", 0o644, content)];
        bench.image(&format!("docker.io/library/{name}"), kernel);
    }
    let mut request = bench.request("kernel: {image: a:1, cmdline: one, tar: none}\ninit: [a:1]\n");
    let second = bench.path("second.yaml");
    let services = "services: [{name: s, image: b:1, binds: [\"v:/v\"]}]\nvolumes: [{name: v}]\n";
    fs_err::write(
        &second,
        format!("kernel: {{image: b:1}}\ninit: [b:1]\n{services}"),
    )
    .unwrap();
    request.definitions.push(second.clone());
    let report = hookos::assemble(&request).unwrap();
    assert_eq!(fs_err::read(report.kernel.unwrap()).unwrap(), b"of b:1");
    assert_eq!(fs_err::read(report.cmdline).unwrap(), b"one");
    let names: Vec<&str> = report.parts.iter().map(|part| part.name.as_str()).collect();
    let at = |name: &str| names.iter().position(|part| part.contains(name));
    assert!(
        at("/ docker.io/library/a:1") < at("/ docker.io/library/b:1"),
        "{names:?}"
    );
    // As with LinuxKit, binds know the volumes of the last file only; places name their file.
    request.definitions.reverse();
    let error = hookos::assemble(&request).unwrap_err().to_string();
    let place = format!("{}:3:", second.display());
    assert!(
        error.starts_with(&place) && error.contains("no volume `v`"),
        "{error}"
    );
}

#[test]
fn a_kernel_section_without_an_image_counts_for_nothing() {
    let bench = Bench::new();
    let request = bench.request("kernel: {cmdline: quiet}\n");
    assert_eq!(hookos::references(&request.definitions).unwrap(), [""; 0]);
    let report = hookos::assemble(&request).unwrap();
    assert!(report.kernel.is_none());
    assert_eq!(fs_err::read(report.cmdline).unwrap(), b"");
}
