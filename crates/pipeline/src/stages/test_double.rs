//! What tells a test double of K3s from a release: a marker in its files, and the file that carries its name from
//! stage to stage. What stands in for K3s is judged by this alone, never by the name of a profile.

use std::io::Read;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use memchr::memmem::Finder;

use super::decoder::Decoder;

/// The text that every part of refk3s has in it and no release has.
pub const MARKER: &str = "emts-reference-k3s-test-double";
/// Beside `version` in a K3s directory that holds a test double: its name, one line. A release has no such file.
pub const FILE: &str = "double";
/// Bytes that are searched at a time.
const BLOCK: usize = 1 << 20;
/// Characters of a name: it has to fit into a line on a screen.
const LONGEST: usize = 80;

/// Writes [`FILE`] into the K3s directory `dir` if any of its `files` has the marker.
pub fn note(dir: &Path, files: &[impl AsRef<str>]) -> Result<()> {
    let mut marked = Vec::new();
    for name in files.iter().map(AsRef::as_ref) {
        if contains_marker(&dir.join(name))? {
            marked.push(name);
        }
    }
    let version = fs_err::read_to_string(dir.join("version"))?;
    if let Some(name) = name_of(&marked, version.trim()) {
        fs_err::write(dir.join(FILE), format!("{name}\n"))?;
    }
    Ok(())
}

fn name_of(marked: &[&str], version: &str) -> Option<String> {
    if marked.is_empty() {
        None
    } else if marked.contains(&"k3s") {
        Some(format!("refk3s {version}"))
    } else {
        Some(format!("{} of refk3s", marked.join(" and ")))
    }
}

/// The name of the test double in the K3s directory `dir`; nothing for a release.
pub fn of(dir: &Path) -> Result<Option<String>> {
    let path = dir.join(FILE);
    if !path.exists() {
        return Ok(None);
    }
    let text = fs_err::read_to_string(&path)?;
    let name = text.trim();
    if name.is_empty() || name.chars().count() > LONGEST || name.contains(char::is_control) {
        bail!(
            "{} holds {text:?}; expected one line of at most {LONGEST} characters such as refk3s v1.33.13+refk3s1",
            path.display()
        );
    }
    Ok(Some(name.to_owned()))
}

/// Whether the file has the marker in it, decompressed where it is compressed by zstd, gzip or xz. Members of an
/// archive are not decompressed.
pub fn contains_marker(path: &Path) -> Result<bool> {
    let context = || format!("looking for a test double in {}", path.display());
    let mut decoder = Decoder::open(path).with_context(context)?;
    let found = has(decoder.reader(), MARKER.as_bytes()).with_context(context)?;
    if !found {
        // What ends too early has not been searched.
        decoder.finish().with_context(context)?;
    }
    Ok(found)
}

fn has(reader: &mut dyn Read, text: &[u8]) -> Result<bool> {
    let finder = Finder::new(text);
    let mut window = vec![0; BLOCK];
    // Bytes at the window's start that may be the first ones of the text.
    let mut kept = 0;
    loop {
        let read = reader.read(&mut window[kept..])?;
        if read == 0 {
            return Ok(false);
        }
        let filled = kept + read;
        if finder.find(&window[..filled]).is_some() {
            return Ok(true);
        }
        kept = filled.min(text.len() - 1);
        window.copy_within(filled - kept..filled, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A K3s directory whose files have the given contents.
    fn k3s(files: &[(&str, &str)]) -> Result<tempfile::TempDir> {
        let dir = tempfile::tempdir()?;
        fs_err::write(dir.path().join("version"), "v1.33.13+refk3s1\n")?;
        for (name, content) in files {
            fs_err::write(dir.path().join(name), content)?;
        }
        Ok(dir)
    }

    /// What [`note`] says of a directory with these files.
    fn noted(files: &[(&str, &str)]) -> Result<Option<String>> {
        let dir = k3s(files)?;
        let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
        note(dir.path(), &names)?;
        of(dir.path())
    }

    /// Gives one byte at a time.
    struct Drops<'a>(&'a [u8]);

    impl Read for Drops<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let one = buffer.len().min(1);
            self.0.read(&mut buffer[..one])
        }
    }

    #[test]
    fn finds_the_marker_wherever_two_reads_divide_it() -> Result<()> {
        for place in BLOCK - MARKER.len() - 1..=BLOCK + 1 {
            let mut bytes = vec![b'e'; place];
            bytes.extend_from_slice(MARKER.as_bytes());
            assert!(has(&mut bytes.as_slice(), MARKER.as_bytes())?, "at {place}");
        }
        Ok(())
    }

    #[test]
    fn finds_the_marker_in_a_reader_that_gives_single_bytes() -> Result<()> {
        let text = format!("some text, emts-reference-{MARKER}");
        assert!(has(&mut Drops(text.as_bytes()), MARKER.as_bytes())?);
        Ok(())
    }

    #[test]
    fn a_part_of_the_marker_is_not_the_marker() -> Result<()> {
        let text = format!("{} {}", &MARKER[1..], &MARKER[..MARKER.len() - 1]);
        assert!(!has(&mut text.as_bytes(), MARKER.as_bytes())?);
        assert!(!has(&mut Drops(text.as_bytes()), MARKER.as_bytes())?);
        Ok(())
    }

    #[test]
    fn finds_the_marker_in_a_compressed_file() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let plain = dir.path().join("plain");
        fs_err::write(&plain, format!("{}{MARKER}", "x".repeat(100_000)))?;
        for tool in ["zstd", "gzip", "xz"] {
            let packed = dir.path().join(tool);
            let status = std::process::Command::new(tool)
                .arg("--stdout")
                .arg(&plain)
                .stdout(fs_err::File::create(&packed)?.into_file())
                .status()?;
            assert!(status.success());
            assert!(contains_marker(&packed)?, "{tool}");
        }
        Ok(())
    }

    #[test]
    fn a_compressed_file_that_ends_too_early_is_an_error_and_not_free_of_the_marker() -> Result<()>
    {
        let dir = tempfile::tempdir()?;
        let file = dir.path().join("images.tar.zst");
        let packed = zstd::encode_all(MARKER.as_bytes(), 1)?;
        fs_err::write(&file, &packed[..packed.len() / 2])?;
        let error = contains_marker(&file).expect_err("half of a frame");
        assert!(error.to_string().contains("images.tar.zst"), "{error:#}");
        Ok(())
    }

    #[test]
    fn a_release_gets_no_name_of_a_double() -> Result<()> {
        assert_eq!(noted(&[("k3s", "k3s"), ("install.sh", "sh")])?, None);
        Ok(())
    }

    #[test]
    fn a_double_is_named_with_its_version() -> Result<()> {
        let name = noted(&[("k3s", MARKER), ("install.sh", MARKER)])?;
        assert_eq!(name.as_deref(), Some("refk3s v1.33.13+refk3s1"));
        Ok(())
    }

    #[test]
    fn a_release_with_a_file_of_the_double_is_a_double() -> Result<()> {
        let name = noted(&[("k3s", "k3s"), ("install.sh", MARKER)])?;
        assert_eq!(name.as_deref(), Some("install.sh of refk3s"));
        Ok(())
    }

    #[test]
    fn a_name_that_is_not_one_short_line_is_refused() -> Result<()> {
        let long = "x".repeat(LONGEST + 1);
        for wrong in ["", "\n", "a\nb", "\u{1b}[2Jrefk3s", &long] {
            let dir = k3s(&[(FILE, wrong)])?;
            assert!(of(dir.path()).is_err(), "accepted {wrong:?}");
        }
        Ok(())
    }
}
