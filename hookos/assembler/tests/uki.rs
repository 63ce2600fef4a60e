//! The UEFI image: sections where a loader finds them, and nothing that varies.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use arch::ARCH;
use hookos::uki;

fn build(dir: &Path, initrd: &[u8]) -> PathBuf {
    let (kernel, initrd_path, out) = (dir.join("kernel"), dir.join("initrd"), dir.join("a.efi"));
    fs_err::write(&kernel, vec![7; 70_001]).unwrap();
    fs_err::write(&initrd_path, initrd).unwrap();
    uki::build(
        Path::new(ARCH.boot_stub),
        &kernel,
        &initrd_path,
        "quiet",
        "ID=hookos\n",
        &out,
    )
    .unwrap();
    out
}

/// Name to virtual address, virtual size and raw content, read independently of the writer.
fn sections(image: &[u8]) -> BTreeMap<String, (usize, usize, Vec<u8>)> {
    let word = |at: usize| u32::from_le_bytes(image[at..at + 4].try_into().unwrap()) as usize;
    let half = |at: usize| usize::from(u16::from_le_bytes(image[at..at + 2].try_into().unwrap()));
    let pe = word(0x3c);
    let table = pe + 24 + half(pe + 20);
    (0..half(pe + 6))
        .map(|index| {
            let entry = table + index * 40;
            let name = String::from_utf8_lossy(&image[entry..entry + 8])
                .trim_end_matches('\0')
                .to_owned();
            let (size, address, raw, offset) = (
                word(entry + 8),
                word(entry + 12),
                word(entry + 16),
                word(entry + 20),
            );
            let content = image[offset..offset + size.min(raw)].to_vec();
            (name, (address, size, content))
        })
        .collect()
}

#[test]
fn sections_hold_the_files_and_do_not_overlap() {
    let dir = tempfile::tempdir().unwrap();
    let image = fs_err::read(build(dir.path(), &[9; 12_345])).unwrap();
    let sections = sections(&image);
    assert_eq!(sections[".cmdline"].2, b"quiet");
    assert_eq!(sections[".osrel"].2, b"ID=hookos\n");
    assert_eq!(sections[".initrd"].2, [9; 12_345]);
    assert_eq!(sections[".linux"].2, vec![7; 70_001]);
    let mut places: Vec<(usize, usize)> = sections.values().map(|s| (s.0, s.0 + s.1)).collect();
    places.sort_unstable();
    assert!(
        places.windows(2).all(|pair| pair[0].1 <= pair[1].0),
        "{places:x?}"
    );
    for name in [".osrel", ".cmdline", ".initrd", ".linux"] {
        assert_eq!(sections[name].0 % 4096, 0, "{name}");
    }
}

#[test]
fn the_size_of_the_image_covers_its_last_section() {
    let dir = tempfile::tempdir().unwrap();
    let image = fs_err::read(build(dir.path(), &[9; 5_000])).unwrap();
    let pe = u32::from_le_bytes(image[0x3c..0x40].try_into().unwrap()) as usize;
    let size = u32::from_le_bytes(image[pe + 80..pe + 84].try_into().unwrap()) as usize;
    let end = sections(&image).values().map(|s| s.0 + s.1).max().unwrap();
    assert!(size >= end && size.is_multiple_of(4096), "{size:x} {end:x}");
}

#[test]
fn the_same_files_give_the_same_bytes() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let read = |dir: &tempfile::TempDir| fs_err::read(build(dir.path(), &[1; 100])).unwrap();
    assert!(read(&a) == read(&b));
}

#[test]
fn a_file_that_is_no_stub_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x");
    fs_err::write(&file, "text").unwrap();
    let error = uki::build(&file, &file, &file, "", "", &dir.path().join("out")).unwrap_err();
    assert!(error.to_string().contains("no PE image"), "{error}");
}

#[test]
fn an_image_that_already_has_a_kernel_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let image = build(dir.path(), b"x");
    let out = dir.path().join("out");
    let error = uki::build(&image, &image, &image, "", "", &out).unwrap_err();
    assert!(
        error.to_string().contains("already has a kernel"),
        "{error}"
    );
}

#[test]
fn a_signed_image_is_verified_by_its_certificate_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let image = build(dir.path(), &[9; 12_345]);
    let run = |program: &str, arguments: &[&str]| {
        let command = Command::new(program)
            .current_dir(dir.path())
            .args(arguments)
            .output();
        let output = command.unwrap_or_else(|error| panic!("{program}: {error}"));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), text)
    };
    let decrypt = [
        "rsa",
        "-in",
        ARCH.test_key,
        "-passin",
        "pass:snakeoil",
        "-out",
        "key.pem",
    ];
    let (ok, text) = run("openssl", &decrypt);
    assert!(ok, "{text}");
    let unsigned = fs_err::read(&image).unwrap();
    let (key, certificate) = (dir.path().join("key.pem"), Path::new(ARCH.test_certificate));
    uki::sign(&image, &key, certificate).unwrap();
    let signed = sections(&fs_err::read(&image).unwrap());
    assert_eq!(signed, sections(&unsigned), "signing changed a section");
    let name = image.to_str().unwrap();
    let (ok, text) = run("sbverify", &["--cert", ARCH.test_certificate, name]);
    assert!(ok, "{text}");
    let other = [
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=other",
        "-keyout",
        "o.key",
        "-out",
        "other.pem",
    ];
    let (ok, text) = run("openssl", &other);
    assert!(ok, "{text}");
    assert!(!run("sbverify", &["--cert", "other.pem", name]).0);
}

#[test]
fn an_image_that_cannot_be_signed_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let image = build(dir.path(), &[9; 100]);
    let before = fs_err::read(&image).unwrap();
    let error = uki::sign(&image, Path::new("/no/key"), Path::new("/no/cert")).unwrap_err();
    assert!(error.to_string().contains("sbsign"), "{error}");
    assert_eq!(fs_err::read(&image).unwrap(), before);
}
