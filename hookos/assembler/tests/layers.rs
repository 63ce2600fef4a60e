//! Layers on top of each other, every kind of entry, and the archive formats.

mod common;

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use common::{Bench, raw_tar, unpack, unpack_into};
use hookos::oci::{Entry, ImageSource, sha256_hex, write_tar};
use hookos::{Request, assemble};
use tar::EntryType::{Directory, Regular, Symlink};

const INIT: &str = "init: ['i:1']";

/// The files of an image made of these layers, by path.
fn files(layers: &[&[(&str, tar::EntryType, &str)]]) -> BTreeMap<String, Vec<u8>> {
    let bench = Bench::new();
    bench.image_of_tars("i:1", layers.iter().map(|layer| raw_tar(layer)).collect());
    let mut files = unpack(&bench.build(INIT).initrd);
    files.retain(|path, _| !path.starts_with("etc/"));
    files
}

fn names(layers: &[&[(&str, tar::EntryType, &str)]]) -> Vec<String> {
    files(layers).into_keys().collect()
}

#[test]
fn an_upper_file_replaces_a_lower_one() {
    let lower: &[_] = &[("a", Regular, "lower"), ("b", Regular, "lower")];
    let files = files(&[lower, &[("a", Regular, "upper")]]);
    assert_eq!(files["a"], b"upper");
    assert_eq!(files["b"], b"lower");
}

#[test]
fn a_whiteout_hides_what_is_below_it() {
    let lower: &[_] = &[
        ("d/a", Regular, "x"),
        ("d/b", Regular, "x"),
        ("d.x", Regular, "x"),
        ("f", Regular, "x"),
    ];
    assert_eq!(
        names(&[lower, &[(".wh.d", Regular, ""), (".wh.f", Regular, "")]]),
        ["d.x"]
    );
    assert_eq!(
        names(&[lower, &[("d/.wh.a", Regular, "")]]),
        ["d.x", "d/b", "f"]
    );
}

#[test]
fn a_whiteout_spares_its_own_layer_wherever_it_stands() {
    let lower: &[_] = &[("d/a", Regular, "lower")];
    for upper in [
        [(".wh.d", Regular, ""), ("d/b", Regular, "upper")],
        [("d/b", Regular, "upper"), (".wh.d", Regular, "")],
    ] {
        assert_eq!(names(&[lower, &upper]), ["d/b"]);
    }
}

#[test]
fn an_opaque_folder_hides_all_lower_ones() {
    let lower: &[_] = &[
        ("d/a", Regular, "x"),
        ("d/e/f", Regular, "x"),
        ("c", Regular, "x"),
    ];
    let upper: &[_] = &[("d/b", Regular, "x"), ("d/.wh..wh..opq", Regular, "")];
    assert_eq!(names(&[lower, upper]), ["c", "d/b"]);
}

#[test]
fn types_replace_each_other() {
    let folder: &[_] = &[("a/b", Regular, "x")];
    assert_eq!(files(&[folder, &[("a", Regular, "file")]])["a"], b"file");
    assert_eq!(
        names(&[
            &[("a", Regular, "file")],
            &[("a", Directory, ""), ("a/b", Regular, "x")]
        ]),
        ["a/b"]
    );
    assert_eq!(
        names(&[
            &[("a", Symlink, "c")],
            &[("a", Directory, ""), ("a/b", Regular, "x")]
        ]),
        ["a/b"]
    );
}

#[test]
fn a_folder_named_again_keeps_its_content() {
    assert_eq!(
        names(&[&[("a/b", Regular, "x")], &[("a", Directory, "")]]),
        ["a/b"]
    );
}

#[test]
fn what_no_image_can_bring_is_left_out() {
    let layer: &[_] = &[
        (".dockerenv", Regular, ""),
        ("Dockerfile", Regular, ""),
        ("dev/console", Regular, ""),
        ("etc/hostname", Regular, "image"),
        ("keep", Regular, ""),
    ];
    let bench = Bench::new();
    bench.image_of_tars("i:1", vec![raw_tar(layer)]);
    let names: Vec<String> = unpack(&bench.build(INIT).initrd).into_keys().collect();
    assert_eq!(names, ["etc/hosts", "keep"]);
}

#[test]
fn a_symbolic_link_that_linuxkit_fails_on_is_replaced_and_warned_of() {
    let container = "services: [{name: s, image: 'i:1'}]";
    for (path, yaml) in [
        ("etc/hosts", INIT),
        ("etc/hosts", container),
        ("etc/resolv.conf", container),
    ] {
        let bench = Bench::new();
        bench.image_of_tars("i:1", vec![raw_tar(&[(path, Symlink, "../other")])]);
        let mut request = bench.request(yaml);
        request.cache = Some(bench.path("cache"));
        for _ in ["made", "cached"] {
            let report = assemble(&request).unwrap();
            let [warning] = report.warnings.as_slice() else {
                panic!("{path}: {:?}", report.warnings);
            };
            assert!(warning.message.contains(path), "{warning:?}");
            assert!(warning.message.contains("write too long"), "{warning:?}");
            let size = if path == "etc/hosts" { 160 } else { 29 };
            let files = unpack(&report.initrd);
            let stored = files.iter().find(|(name, _)| name.ends_with(path));
            assert_eq!(stored.map(|(_, content)| content.len()), Some(size));
        }
    }
}

#[test]
fn resolv_conf_of_the_root_may_be_a_symbolic_link() {
    let bench = Bench::new();
    bench.image_of_tars(
        "i:1",
        vec![raw_tar(&[("etc/resolv.conf", Symlink, "../other")])],
    );
    assert_eq!(bench.build(INIT).warnings, []);
}

/// A layer with one entry of a special type, owner, mode and time.
fn special(kind: tar::EntryType, name: &str, data: &[u8], device: Option<(u32, u32)>) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(0o4751);
    header.set_uid(7);
    header.set_gid(8);
    header.set_mtime(1_000_000_000);
    header.set_size(data.len() as u64);
    if let Some((major, minor)) = device {
        header.set_device_major(major).unwrap();
        header.set_device_minor(minor).unwrap();
    }
    tar.append_data(&mut header, name, data).unwrap();
    tar.into_inner().unwrap()
}

/// Needs root: device nodes and owners can be made by nobody else.
fn is_root() -> bool {
    fs_err::metadata("/proc/self").unwrap().uid() == 0
}

#[test]
fn modes_owners_and_times_are_kept() {
    let bench = Bench::new();
    bench.image_of_tars("i:1", vec![special(Regular, "f", b"x", None)]);
    let dir = tempfile::tempdir().unwrap();
    unpack_into(&bench.build(INIT).initrd, dir.path());
    let metadata = fs_err::metadata(dir.path().join("f")).unwrap();
    assert_eq!(metadata.mode() & 0o7777, 0o4751);
    assert_eq!(metadata.mtime(), 1_000_000_000);
    if is_root() {
        assert_eq!((metadata.uid(), metadata.gid()), (7, 8));
    }
}

#[test]
fn device_nodes_and_pipes_are_kept() {
    let layers = vec![
        special(tar::EntryType::Char, "c", b"", Some((1, 3))),
        special(tar::EntryType::Block, "b", b"", Some((259, 70_000))),
        special(tar::EntryType::Fifo, "p", b"", None),
    ];
    let bench = Bench::new();
    bench.image_of_tars("i:1", layers);
    let mut request = bench.request(INIT);
    request.tar = true;
    let report = assemble(&request).unwrap();
    let mut tar = tar::Archive::new(fs_err::File::open(report.tar.unwrap()).unwrap());
    let mut found = BTreeMap::new();
    for entry in tar.entries().unwrap() {
        let entry = entry.unwrap();
        let header = entry.header();
        let device = (
            header.device_major().ok().flatten(),
            header.device_minor().ok().flatten(),
        );
        found.insert(
            entry.path().unwrap().display().to_string(),
            (header.entry_type(), device),
        );
    }
    assert_eq!(found["c"], (tar::EntryType::Char, (Some(1), Some(3))));
    assert_eq!(
        found["b"],
        (tar::EntryType::Block, (Some(259), Some(70_000)))
    );
    assert_eq!(found["p"].0, tar::EntryType::Fifo);
    let dir = tempfile::tempdir().unwrap();
    if is_root() {
        unpack_into(&report.initrd, dir.path());
        let kind = |name: &str| fs_err::metadata(dir.path().join(name)).unwrap().file_type();
        assert!(kind("c").is_char_device() && kind("b").is_block_device() && kind("p").is_fifo());
    }
}

#[test]
fn long_names_and_extended_attributes_are_read() {
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(150));
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_pax_extensions([("SCHILY.xattr.security.capability", &b"\x01\x00value"[..])])
        .unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1);
    header.set_size(1);
    tar.append_data(&mut header.clone(), "x", &b"x"[..])
        .unwrap();
    tar.append_data(&mut header, &long, &b"y"[..]).unwrap();
    let bench = Bench::new();
    bench.image_of_tars("i:1", vec![tar.into_inner().unwrap()]);
    let mut request = bench.request(INIT);
    request.tar = true;
    let report = assemble(&request).unwrap();
    assert_eq!(unpack(&report.initrd)[&long], b"y");
    let mut tar = tar::Archive::new(fs_err::File::open(report.tar.unwrap()).unwrap());
    let mut attributes = Vec::new();
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        for extension in entry.pax_extensions().unwrap().into_iter().flatten() {
            let extension = extension.unwrap();
            attributes.push((
                path.clone(),
                extension.key().unwrap().to_owned(),
                extension.value_bytes().to_vec(),
            ));
        }
    }
    let wanted = (
        "x".to_owned(),
        "SCHILY.xattr.security.capability".to_owned(),
        b"\x01\x00value".to_vec(),
    );
    assert!(attributes.contains(&wanted), "{attributes:?}");
}

/// GNU tar's own sparse files, in each of its formats.
#[test]
fn sparse_files_are_made_whole() {
    let dir = tempfile::tempdir().unwrap();
    let file = fs_err::File::create(dir.path().join("sparse")).unwrap();
    file.set_len(3_000_000).unwrap();
    let file = file.into_parts().0;
    std::os::unix::fs::FileExt::write_all_at(&file, b"middle", 1_500_000).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"end", 2_999_997).unwrap();
    fs_err::write(dir.path().join("after"), "after").unwrap();
    let content = fs_err::read(dir.path().join("sparse")).unwrap();
    for format in [
        &["--format=gnu"][..],
        &["--format=posix", "--sparse-version=0.0"],
        &["--format=posix", "--sparse-version=0.1"],
        &["--format=posix", "--sparse-version=1.0"],
    ] {
        let tar = std::process::Command::new("tar")
            .args(["--create", "--sparse", "--file=-"])
            .args(format)
            .arg("--directory")
            .arg(dir.path())
            .args(["sparse", "after"])
            .output()
            .expect("tar is installed");
        assert!(
            tar.status.success() && tar.stdout.len() < 100_000,
            "{format:?}"
        );
        let bench = Bench::new();
        bench.image_of_tars("i:1", vec![tar.stdout]);
        let files = unpack(&bench.build(INIT).initrd);
        assert!(files["sparse"] == content, "{format:?}");
        assert_eq!(files["after"], b"after", "{format:?}");
    }
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// A `docker save` archive: configuration, two layers (one of them gzipped), `manifest.json`.
fn docker_archive(path: &Path) {
    let layer = |name: &str| {
        let mut tar = Vec::new();
        write_tar(&[Entry::file(name, 0o644, name)], &mut tar).unwrap();
        tar
    };
    let layers = [layer("one"), layer("two")];
    let diff_ids = layers
        .each_ref()
        .map(|layer| format!("sha256:{}", sha256_hex(layer)));
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux",
        "config": {"Cmd": ["/one"], "Labels": null},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    })
    .to_string();
    let manifest = serde_json::json!([
        {"Config": "c.json", "RepoTags": ["tool:1"], "Layers": ["a/layer.tar", "b/layer.tar"]}
    ])
    .to_string();
    let members = [
        Entry::file("c.json", 0o644, config),
        Entry::file("a/layer.tar", 0o644, layers[0].clone()),
        Entry::file("b/layer.tar", 0o644, gzip(&layers[1])),
        Entry::file("manifest.json", 0o644, manifest),
    ];
    write_tar(&members, fs_err::File::create(path).unwrap()).unwrap();
}

#[test]
fn a_docker_archive_is_an_image_source() {
    let bench = Bench::new();
    let archive = bench.path("saved.tar");
    docker_archive(&archive);
    fs_err::write(
        bench.path("y.yaml"),
        "init: ['tool:1']\nservices: [{name: s, image: 'tool:1'}]\n",
    )
    .unwrap();
    let images = ImageSource::open([&archive]).unwrap();
    let report = assemble(&Request::new(
        bench.path("y.yaml"),
        images,
        bench.path("out"),
    ))
    .unwrap();
    let files = unpack(&report.initrd);
    assert_eq!(
        (&files["one"][..], &files["two"][..]),
        (&b"one"[..], &b"two"[..])
    );
    let config: serde_json::Value =
        serde_json::from_slice(&files["containers/services/s/config.json"]).unwrap();
    assert_eq!(config["process"]["args"], serde_json::json!(["/one"]));
}

#[test]
fn sources_that_are_none_are_refused_with_what_was_seen() {
    let bench = Bench::new();
    let refuse = |path: &Path| ImageSource::open([path]).unwrap_err().to_string();
    assert!(refuse(bench.dir.path()).contains("no index.json"));
    fs_err::write(bench.path("text"), "no tar at all".repeat(100)).unwrap();
    assert!(refuse(&bench.path("text")).contains("no readable tar"));
    fs_err::write(bench.path("a.tar.gz"), gzip(b"x")).unwrap();
    assert!(refuse(&bench.path("a.tar.gz")).contains("decompress"));
}

#[test]
fn a_volume_of_the_format_oci_is_a_layout_of_the_image() {
    let bench = Bench::new();
    bench.image("i:1", vec![Entry::file("a", 0o644, "x")]);
    let report = bench.build("volumes: [{name: v, image: 'i:1', format: oci}]");
    let dir = tempfile::tempdir().unwrap();
    unpack_into(&report.initrd, dir.path());
    let lower = dir.path().join("containers/volumes/v/lower");
    assert_eq!(
        sha256_hex(&fs_err::read(lower.join("oci-layout")).unwrap()),
        "4b449ea627976fc352d644e28ecee5844f03f9f20130043f367d82ba456cce17"
    );
    let (image, _) = ImageSource::open([&lower])
        .unwrap()
        .find("i:1")
        .map(|(i, l)| (i, l.references().count()))
        .unwrap();
    let mut names = Vec::new();
    image.layers[0]
        .with_decoded(|data| Ok(data.read_to_end(&mut names)?))
        .unwrap();
    assert!(names.starts_with(b"a\0"));
}

#[test]
fn an_image_for_another_machine_is_refused_by_its_platform() {
    let bench = Bench::new();
    bench.image("i:1", vec![]);
    let index = bench.path("images/index.json");
    let text = fs_err::read_to_string(&index).unwrap();
    let layout: serde_json::Value = serde_json::from_str(&text).unwrap();
    let digest = layout["manifests"][0]["digest"]
        .as_str()
        .unwrap()
        .replace("sha256:", "");
    let inner = fs_err::read_to_string(bench.path("images/blobs/sha256").join(&digest)).unwrap();
    let inner = inner.replace("amd64", "arm64");
    let hex = sha256_hex(inner.as_bytes());
    fs_err::write(bench.path("images/blobs/sha256").join(&hex), inner).unwrap();
    fs_err::write(&index, text.replace(&digest, &hex)).unwrap();
    let message = bench.refuse(INIT);
    assert!(
        message.contains("no linux/amd64 variant; it has: linux/arm64"),
        "{message}"
    );
}
