//! SHA-256 of files, directories and lists of inputs: what names an entry of the stage store.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use walkdir::WalkDir;

/// Lower-case hexadecimal text of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 of a text, in hexadecimal.
pub fn of_text(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

/// Bytes of a file that are read at once, at most.
const BLOCK: u64 = 1 << 20;

/// SHA-256 of a file's content, in hexadecimal.
pub fn of_file(path: &Path) -> Result<String> {
    let mut file = fs_err::File::open(path)?;
    let mut hasher = Sha256::new();
    // Most files are sources: for them a whole block would be cleared for nothing.
    let size = file.metadata()?.len().clamp(1, BLOCK);
    let mut block = vec![0; usize::try_from(size)?];
    loop {
        let read = file.read(&mut block)?;
        if read == 0 {
            return Ok(hex(&hasher.finalize()));
        }
        hasher.update(&block[..read]);
    }
}

/// SHA-256 of a file, or of a directory's names, executable bits, link targets and contents.
///
/// A directory `target` that cargo has made (it has a `CACHEDIR.TAG`) is left out.
pub fn of_path(path: &Path) -> Result<String> {
    let meta = fs_err::metadata(path)?;
    if meta.is_file() {
        return of_file(path);
    }
    let mut hasher = Sha256::new();
    let entries = WalkDir::new(path)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| entry.depth() == 0 || !is_tool_output(entry));
    for entry in entries {
        let entry = entry.with_context(|| format!("reading the directory {}", path.display()))?;
        let name = entry.path().strip_prefix(path)?.display().to_string();
        let line = if entry.file_type().is_dir() {
            format!("dir {name}\n")
        } else if entry.file_type().is_symlink() {
            format!(
                "link {name} {}\n",
                fs_err::read_link(entry.path())?.display()
            )
        } else if entry.file_type().is_file() {
            let executable = entry.metadata()?.permissions().mode() & 0o111 != 0;
            format!("file {name} {executable} {}\n", of_file(entry.path())?)
        } else {
            bail!(
                "{} is neither file, directory nor link",
                entry.path().display()
            );
        };
        hasher.update(line.as_bytes());
    }
    Ok(hex(&hasher.finalize()))
}

fn is_tool_output(entry: &walkdir::DirEntry) -> bool {
    entry.file_name() == "target" && entry.path().join("CACHEDIR.TAG").is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_changes_with_content_name_and_executable_bit() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let file = dir.path().join("a");
        fs_err::write(&file, "1")?;
        let first = of_path(dir.path())?;
        fs_err::write(&file, "2")?;
        let second = of_path(dir.path())?;
        fs_err::set_permissions(&file, PermissionsExt::from_mode(0o755))?;
        let third = of_path(dir.path())?;
        fs_err::rename(&file, dir.path().join("b"))?;
        let fourth = of_path(dir.path())?;
        let all = [&first, &second, &third, &fourth];
        for (index, digest) in all.iter().enumerate() {
            assert!(
                !all[..index].contains(digest),
                "state {index} repeats an earlier digest"
            );
        }
        Ok(())
    }

    #[test]
    fn a_folder_does_not_change_with_what_tools_make_in_it() -> Result<()> {
        let dir = tempfile::tempdir()?;
        fs_err::write(dir.path().join("a"), "1")?;
        let before = of_path(dir.path())?;
        fs_err::create_dir(dir.path().join("target"))?;
        fs_err::write(dir.path().join("target/CACHEDIR.TAG"), "")?;
        fs_err::write(dir.path().join("target/b"), "2")?;
        assert_eq!(before, of_path(dir.path())?);
        Ok(())
    }
}
