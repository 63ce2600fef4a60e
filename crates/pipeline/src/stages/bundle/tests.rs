//! Tests of the stage `bundle`, on small files in place of the parts.

use std::io::Read;

use super::super::node_image::described;
use super::super::node_image::manifest::{self, Description};
use super::super::test_double::{self, MARKER};
use super::*;

/// Inputs made up of small files in `dir`.
fn inputs(dir: &Path) -> Result<BundleInputs> {
    let image = b"image";
    let description = json!({
        "file": "os-image.raw.zst", "compression": "zstd", "size": image.len(),
        "sha256": digest::of_text("image"), "k3sVersion": "v1.33.13+refk3s1", "notBefore": 1_758_326_400,
    });
    fs_err::write(dir.join("os-image.raw.zst"), image)?;
    fs_err::write(dir.join("os-image.json"), description.to_string())?;
    for name in [
        "hookos.efi",
        "kernel",
        "cluster-bootstrapper",
        "script",
        "README",
        "config",
    ] {
        fs_err::write(dir.join(name), name)?;
    }
    Ok(BundleInputs {
        hookos_efi: dir.join("hookos.efi"),
        kernel: dir.join("kernel"),
        node_image: dir.to_owned(),
        bootstrapper: dir.join("cluster-bootstrapper"),
        profile: "reference".into(),
        script: dir.join("script"),
        readme: dir.join("README"),
        config_file: dir.join("config"),
        manual: vec![("completions/x".into(), "text".into())],
    })
}

fn members(archive: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut found = Vec::new();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(fs_err::File::open(archive)?));
    for entry in archive.entries()? {
        let mut entry = entry?;
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        found.push((entry.path()?.display().to_string(), content));
    }
    Ok(found)
}

#[test]
fn the_archives_are_the_same_bytes_every_time() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let inputs = inputs(dir.path())?;
    let (first, second) = (tempfile::tempdir()?, tempfile::tempdir()?);
    build(&inputs, first.path())?;
    build(&inputs, second.path())?;
    for name in [USB_ARCHIVE, USER_ARCHIVE] {
        assert_eq!(
            fs_err::read(first.path().join(name))?,
            fs_err::read(second.path().join(name))?,
            "{name}"
        );
    }
    Ok(())
}

#[test]
fn the_manifest_id_is_made_from_the_sums_of_the_other_files() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let inputs = inputs(dir.path())?;
    build(&inputs, dir.path())?;
    let found = members(&dir.path().join(USB_ARCHIVE))?;
    let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "SHA256SUMS",
        "cluster-bootstrapper",
        "hookos.efi",
        "manifest.json",
        "os-image.json",
        "os-image.raw.zst",
    ];
    assert_eq!(names, expected);
    let sums = String::from_utf8(found[0].1.clone())?;
    let others: String = sums
        .lines()
        .filter(|line| !line.ends_with("  manifest.json"))
        .map(|line| format!("{line}\n"))
        .collect();
    let manifest: Value = serde_json::from_slice(&found[3].1)?;
    assert_eq!(manifest["id"], digest::of_text(&others)[..16]);
    assert_eq!(manifest["osImage"]["k3sVersion"], "v1.33.13+refk3s1");
    assert_eq!(manifest["notBefore"], 1_758_326_400);
    assert_eq!(manifest["files"].as_array().map(Vec::len), Some(4));
    Ok(())
}

#[test]
fn an_image_that_is_not_the_described_one_is_refused() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let inputs = inputs(dir.path())?;
    fs_err::write(dir.path().join("os-image.raw.zst"), "other")?;
    let error = build(&inputs, dir.path()).expect_err("the sums differ");
    assert!(error.to_string().contains("os-image.json says"), "{error}");
    Ok(())
}

/// A bundle in `dir` of an OS image with a K3s whose executable is `k3s`.
fn bundle_of(dir: &Path, k3s: &str) -> Result<()> {
    let inputs = inputs(dir)?;
    fs_err::write(dir.join("k3s"), k3s)?;
    fs_err::write(dir.join("version"), "v1.33.13+refk3s1\n")?;
    test_double::note(dir, &["k3s"])?;
    let name = test_double::of(dir)?;
    let description = Description {
        name: "test",
        k3s_version: Some("v1.33.13+refk3s1"),
        reference: true,
        test_double: name.as_deref(),
        drivers: None,
        disk: &described::nothing(),
    };
    let image = format!("{}{k3s}", "boot files ".repeat(1000));
    manifest::write(&mut image.as_bytes(), &description, dir)?;
    build(&inputs, dir)
}

/// Names of the members of the archives for users and for the stick that have the marker, decompressed.
fn marked_members(dir: &Path) -> Result<Vec<String>> {
    let scratch = tempfile::tempdir()?;
    let file = scratch.path().join("member");
    let mut marked = Vec::new();
    for archive in [user_archive(dir)?, dir.join(USB_ARCHIVE)] {
        for (name, content) in members(&archive)? {
            fs_err::write(&file, content)?;
            if test_double::contains_marker(&file)? {
                marked.push(name);
            }
        }
    }
    Ok(marked)
}

fn text_of(archive: &Path, name: &str) -> Result<String> {
    let members = members(archive)?;
    let member = members.into_iter().find(|(found, _)| found == name);
    let (_, content) = member.with_context(|| format!("{} has no {name}", archive.display()))?;
    Ok(String::from_utf8(content)?)
}

fn manifest_of(dir: &Path) -> Result<Value> {
    let text = text_of(&dir.join(USB_ARCHIVE), "manifest.json")?;
    Ok(serde_json::from_str(&text)?)
}

#[test]
fn a_bundle_with_a_release_has_the_usual_name_and_says_nothing_of_doubles() -> Result<()> {
    let dir = tempfile::tempdir()?;
    bundle_of(dir.path(), "a release")?;
    let archive = user_archive(dir.path())?;
    assert_eq!(archive, dir.path().join("sen-installation-files.tar.gz"));
    assert!(!is_reference(&archive));
    assert_eq!(text_of(&archive, "README")?, "README");
    let manifest = manifest_of(dir.path())?;
    assert_eq!(manifest.get("testDouble"), None);
    assert_eq!(manifest["osImage"].get("testDouble"), None);
    assert!(!dir.path().join(NOTES).exists());
    Ok(())
}

#[test]
fn a_bundle_with_a_release_has_no_byte_of_the_marker() -> Result<()> {
    let dir = tempfile::tempdir()?;
    bundle_of(dir.path(), "a release")?;
    assert_eq!(marked_members(dir.path())?, Vec::<String>::new());
    Ok(())
}

#[test]
fn the_marker_of_a_double_is_found_in_the_os_image_of_the_bundle() -> Result<()> {
    let dir = tempfile::tempdir()?;
    bundle_of(dir.path(), MARKER)?;
    let marked = marked_members(dir.path())?;
    assert!(
        marked.contains(&"os-image.raw.zst".to_owned()),
        "{marked:?}"
    );
    Ok(())
}

#[test]
fn a_bundle_with_a_double_has_a_name_of_its_own() -> Result<()> {
    let dir = tempfile::tempdir()?;
    bundle_of(dir.path(), MARKER)?;
    let archive = user_archive(dir.path())?;
    assert!(archive.ends_with("sen-installation-files-reference.tar.gz"));
    assert!(is_reference(&archive));
    assert!(!dir.path().join(USER_ARCHIVE).exists());
    Ok(())
}

#[test]
fn the_manifest_of_a_bundle_with_a_double_names_it_at_its_top() -> Result<()> {
    let dir = tempfile::tempdir()?;
    bundle_of(dir.path(), MARKER)?;
    let manifest = manifest_of(dir.path())?;
    assert_eq!(manifest["testDouble"], "refk3s v1.33.13+refk3s1");
    assert_eq!(manifest["osImage"]["testDouble"], manifest["testDouble"]);
    Ok(())
}

#[test]
fn the_readme_of_a_bundle_with_a_double_begins_with_a_warning_and_ends_as_ever() -> Result<()> {
    let dir = tempfile::tempdir()?;
    bundle_of(dir.path(), MARKER)?;
    let readme = text_of(&user_archive(dir.path())?, "README")?;
    let title = "WARNING: a test double instead of K3s: refk3s v1.33.13+refk3s1\n=====";
    assert!(readme.starts_with(title), "{readme}");
    assert!(readme.contains("--allow-reference"), "{readme}");
    assert!(readme.ends_with("\nREADME"), "{readme}");
    Ok(())
}

#[test]
fn the_notes_of_a_bundle_with_a_double_name_it_and_the_way_to_a_release() -> Result<()> {
    let dir = tempfile::tempdir()?;
    bundle_of(dir.path(), MARKER)?;
    let notes = fs_err::read_to_string(dir.path().join(NOTES))?;
    let lines: Vec<&str> = notes.lines().collect();
    assert_eq!(lines.len(), 2, "{notes}");
    assert!(lines[0].contains("a test double instead of K3s: refk3s v1.33.13+refk3s1."));
    assert!(lines[1].contains("cargo xtask build --profile upstream"));
    Ok(())
}

#[test]
fn the_profile_does_not_decide_whether_a_bundle_holds_a_double() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut inputs = inputs(dir.path())?;
    inputs.profile = "upstream".into();
    let path = dir.path().join("os-image.json");
    let mut description: Value = serde_json::from_slice(&fs_err::read(&path)?)?;
    description["testDouble"] = "refk3s v1".into();
    fs_err::write(&path, description.to_string())?;
    build(&inputs, dir.path())?;
    assert!(is_reference(&user_archive(dir.path())?));
    Ok(())
}

#[test]
fn a_double_whose_name_is_not_a_string_is_an_error() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let inputs = inputs(dir.path())?;
    let path = dir.path().join("os-image.json");
    let mut description: Value = serde_json::from_slice(&fs_err::read(&path)?)?;
    description["testDouble"] = true.into();
    fs_err::write(&path, description.to_string())?;
    let error = build(&inputs, dir.path()).expect_err("true is no name");
    assert!(error.to_string().contains("testDouble is true"), "{error}");
    Ok(())
}

#[test]
fn an_output_without_an_archive_for_users_is_an_error_that_names_both() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let error = user_archive(dir.path()).expect_err("nothing is there");
    let message = error.to_string();
    assert!(
        message.contains(USER_ARCHIVE) && message.contains(REFERENCE_ARCHIVE),
        "{message}"
    );
    Ok(())
}
