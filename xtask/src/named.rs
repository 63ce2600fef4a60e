//! Files and directories that the user names by options, looked at before anything takes time.

use std::path::Path;

use anyhow::{Result, bail, ensure};
use diagnostics::text::closest;

/// What an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// Either.
    Any,
}

impl Takes {
    fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Any => "file or directory",
        }
    }
}

/// That there is what `option` names at `path`.
///
/// # Errors
/// There is nothing, with the name that was meant where one is near, or something else.
pub fn check(option: &str, takes: Takes, path: &Path) -> Result<()> {
    let shown = path.display();
    let wanted = takes.name();
    if !path.exists() {
        let meant =
            meant(path).map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
        bail!("{option} {shown}: there is no such {wanted}{meant}");
    }
    let right = match takes {
        Takes::File => !path.is_dir(),
        Takes::Directory => path.is_dir(),
        Takes::Any => true,
    };
    let other = match takes {
        Takes::Directory => "file",
        _ => "directory",
    };
    ensure!(
        right,
        "{option} {shown}: this is a {other}; the option takes a {wanted}"
    );
    Ok(())
}

/// The path in the same directory whose name is nearest.
fn meant(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let directory = path.parent()?;
    let read = match directory.as_os_str().is_empty() {
        true => Path::new("."),
        false => directory,
    };
    let all = std::fs::read_dir(read).ok()?.flatten();
    let all: Vec<String> = all
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    let near = closest(name, all.iter().map(String::as_str))?;
    Some(directory.join(near).display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(takes: Takes, path: &Path) -> String {
        check("--it", takes, path)
            .expect_err("it is wrong")
            .to_string()
    }

    #[test]
    fn what_is_not_there_is_named_with_its_option_and_what_was_meant() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let at = |name: &str| directory.path().join(name);
        fs_err::write(at("config-file"), "")?;
        let missing = error(Takes::File, &at("confg-file"));
        assert!(missing.starts_with("--it /"), "{missing}");
        assert!(
            missing.contains(": there is no such file; did you mean `"),
            "{missing}"
        );
        assert!(missing.ends_with("/config-file`?"), "{missing}");
        let far = error(Takes::Directory, &at("other"));
        assert!(far.ends_with(": there is no such directory"), "{far}");
        Ok(())
    }

    #[test]
    fn a_file_in_place_of_a_directory_is_said_to_be_one() -> Result<()> {
        let file = tempfile::NamedTempFile::new()?;
        let directory = tempfile::tempdir()?;
        let (file, directory) = (file.path(), directory.path());
        assert!(
            error(Takes::Directory, file).ends_with("this is a file; the option takes a directory")
        );
        assert!(
            error(Takes::File, directory).ends_with("this is a directory; the option takes a file")
        );
        check("--it", Takes::File, file)?;
        check("--it", Takes::Directory, directory)?;
        check("--it", Takes::Any, file)?;
        check("--it", Takes::Any, directory)
    }
}
