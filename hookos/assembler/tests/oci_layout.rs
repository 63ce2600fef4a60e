//! Image layouts: what is written can be read back, and the same input gives the same bytes.

use std::collections::BTreeMap;
use std::path::Path;

use hookos::oci::{
    Compression, Entry, Error, ImageConfig, ImageSource, ImageSpec, LayerInput, Layout,
    LayoutWriter,
};

fn spec(reference: &str, compression: Compression) -> ImageSpec<'static> {
    let labels = ["c", "a", "b", "d"].map(|key| (key.to_owned(), key.to_uppercase()));
    ImageSpec {
        reference: reference.into(),
        config: ImageConfig {
            entrypoint: vec!["/tool".into()],
            env: vec!["A=b".into()],
            labels: BTreeMap::from(labels),
            ..ImageConfig::default()
        },
        layers: vec![LayerInput::Entries(vec![
            Entry::directory("etc", 0o755),
            Entry::file("etc/name", 0o644, "value\n"),
            Entry::symlink("link", "etc/name"),
        ])],
        compression,
    }
}

fn snapshot(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().display().to_string();
                files.insert(name, fs_err::read(path).unwrap());
            }
        }
    }
    files
}

#[test]
fn an_image_written_is_found_by_any_spelling() {
    let dir = tempfile::tempdir().unwrap();
    for (reference, compression) in [
        ("debian:12.10", Compression::Zstd(3)),
        ("quay.io/a/b:1", Compression::None),
    ] {
        LayoutWriter::create(dir.path())
            .unwrap()
            .add_image(spec(reference, compression))
            .unwrap();
    }
    let source = ImageSource::open([dir.path()]).unwrap();
    assert_eq!(
        source.references(),
        ["docker.io/library/debian:12.10", "quay.io/a/b:1"]
    );
    let (image, _) = source.find("docker.io/library/debian:12.10").unwrap();
    let config = image.config.config.as_ref().unwrap();
    assert_eq!(
        config.entrypoint.as_deref(),
        Some(&["/tool".to_owned()][..])
    );
    let names = image.layers[0]
        .with_decoded(|data| {
            let mut tar = tar::Archive::new(data);
            Ok(tar
                .entries()?
                .map(|e| e.unwrap().path().unwrap().display().to_string())
                .collect())
        })
        .map(|names: Vec<String>| names.join(" "));
    assert_eq!(names.unwrap(), "etc/ etc/name link");
    assert!(matches!(
        source.find("debian:13"),
        Err(Error::NotFound { .. })
    ));
}

#[test]
fn the_same_images_give_the_same_bytes() {
    let write = || {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = LayoutWriter::create(dir.path()).unwrap();
        writer.add_image(spec("b:1", Compression::Zstd(3))).unwrap();
        writer.add_image(spec("a:1", Compression::None)).unwrap();
        snapshot(dir.path())
    };
    assert_eq!(write(), write());
}

#[test]
fn a_layout_in_a_tar_is_read_like_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    LayoutWriter::create(dir.path())
        .unwrap()
        .add_image(spec("a:1", Compression::None))
        .unwrap();
    let tar = tempfile::NamedTempFile::new().unwrap();
    let mut builder = tar::Builder::new(tar.as_file());
    builder.append_dir_all(".", dir.path()).unwrap();
    builder.finish().unwrap();
    let image = Layout::open(tar.path())
        .unwrap()
        .find("docker.io/library/a:1")
        .unwrap()
        .unwrap();
    let mut bytes = Vec::new();
    image.layers[0]
        .with_decoded(|data| Ok(data.read_to_end(&mut bytes)?))
        .unwrap();
    assert!(bytes.windows(6).any(|window| window == b"value\n"));
}

#[test]
fn a_damaged_layer_is_told_by_its_digest() {
    let dir = tempfile::tempdir().unwrap();
    LayoutWriter::create(dir.path())
        .unwrap()
        .add_image(spec("a:1", Compression::None))
        .unwrap();
    let image = Layout::open(dir.path())
        .unwrap()
        .find("docker.io/library/a:1")
        .unwrap()
        .unwrap();
    let mut data = fs_err::read(&image.layers[0].path).unwrap();
    data[600] ^= 1;
    fs_err::write(&image.layers[0].path, data).unwrap();
    let outcome =
        image.layers[0].with_decoded(|data| Ok(std::io::copy(data, &mut std::io::sink())?));
    assert!(matches!(outcome, Err(Error::Damaged { .. })), "{outcome:?}");
}

#[test]
fn an_entry_outside_the_root_is_not_written() {
    for path in ["../x", "/x", "a/../../x", ""] {
        let refused = hookos::oci::write_tar(&[Entry::file(path, 0o644, "")], Vec::new());
        assert!(matches!(refused, Err(Error::BadEntry { .. })), "{path}");
    }
}

#[test]
fn a_digest_names_the_image_that_has_it_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let digest = LayoutWriter::create(dir.path())
        .unwrap()
        .add_image(spec("quay.io/a/b:1", Compression::None))
        .unwrap();
    let source = ImageSource::open([dir.path()]).unwrap();
    let found = |reference: String| source.find(&reference).is_ok();
    assert!(found(format!("quay.io/a/b@{digest}")));
    assert!(found(format!("quay.io/a/b:1@{digest}")));
    assert!(!found(format!("quay.io/a/b:2@{digest}")));
    assert!(!found(format!("quay.io/a/other@{digest}")));
    assert!(!found(format!("quay.io/a/b@sha256:{}", "0".repeat(64))));
}

#[test]
fn a_manifest_without_an_index_is_read_too() {
    let dir = tempfile::tempdir().unwrap();
    LayoutWriter::create(dir.path())
        .unwrap()
        .add_image(spec("a:1", Compression::None))
        .unwrap();
    let path = dir.path().join("index.json");
    let mut layout: serde_json::Value =
        serde_json::from_slice(&fs_err::read(&path).unwrap()).unwrap();
    let digest = layout["manifests"][0]["digest"]
        .as_str()
        .unwrap()
        .replace("sha256:", "");
    let blob = fs_err::read(dir.path().join("blobs/sha256").join(digest)).unwrap();
    let index: serde_json::Value = serde_json::from_slice(&blob).unwrap();
    for key in ["mediaType", "digest", "size"] {
        layout["manifests"][0][key] = index["manifests"][0][key].clone();
    }
    fs_err::write(&path, layout.to_string()).unwrap();
    let image = Layout::open(dir.path())
        .unwrap()
        .find("docker.io/library/a:1")
        .unwrap()
        .unwrap();
    assert_eq!(image.layers.len(), 1);
}

#[test]
fn an_image_added_again_takes_the_place_of_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = LayoutWriter::create(dir.path()).unwrap();
    let first = writer.add_image(spec("a:1", Compression::None)).unwrap();
    let second = writer
        .add_image(spec("docker.io/library/a:1", Compression::Zstd(3)))
        .unwrap();
    assert_ne!(first, second);
    let layout = fs_err::read_to_string(dir.path().join("index.json")).unwrap();
    assert!(!layout.contains(&first) && layout.contains(&second));
}

#[test]
fn a_missing_blob_is_told_by_its_digest() {
    let dir = tempfile::tempdir().unwrap();
    LayoutWriter::create(dir.path())
        .unwrap()
        .add_image(spec("a:1", Compression::None))
        .unwrap();
    let layout = Layout::open(dir.path()).unwrap();
    let image = layout.find("docker.io/library/a:1").unwrap().unwrap();
    fs_err::remove_file(&image.layers[0].path).unwrap();
    let outcome = layout.find("docker.io/library/a:1");
    assert!(
        matches!(outcome, Err(Error::MissingBlob { .. })),
        "{outcome:?}"
    );
}
