//! The logs of containers, and what is told of their ends.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::console::say;
use crate::ending::Ending;

/// How much of a failed container's log goes to the console, in bytes and lines.
const TAIL_BYTES: u64 = 4096;
const TAIL_LINES: usize = 20;

/// A container's log files.
#[derive(Debug, Clone)]
pub struct Logs {
    /// Standard error.
    pub err: PathBuf,
    /// Standard output.
    pub out: PathBuf,
}

impl Logs {
    /// Logs of a container that runs to its end; `word` is `onboot` or `shutdown`.
    pub fn of_step(word: &str, name: &str) -> anyhow::Result<Self> {
        let dir = PathBuf::from(format!("/run/log/{word}"));
        fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
        let link = format!("/var/log/{word}");
        if !Path::new(&link).exists() {
            symlink(&dir, &link).with_context(|| format!("making the link {link}"))?;
        }
        Ok(Self {
            err: dir.join(format!("{word}.{name}.log")),
            out: dir.join(format!("{word}.{name}.out.log")),
        })
    }

    /// Logs of a service.
    #[must_use]
    pub fn of_service(name: &str) -> Self {
        Self {
            err: PathBuf::from(format!("/var/log/{name}.log")),
            out: PathBuf::from(format!("/var/log/{name}.out.log")),
        }
    }

    /// Makes both, empty: standard error, then standard output.
    pub fn create(&self) -> anyhow::Result<(File, File)> {
        let create =
            |path: &Path| File::create(path).with_context(|| format!("making {}", path.display()));
        Ok((create(&self.err)?, create(&self.out)?))
    }
}

/// One line for an orderly end, the end of the log for any other.
pub fn tell_end(name: &str, ending: Ending, logs: &Logs) {
    say!("{name} {ending}");
    if !ending.is_success() {
        tell_tail(logs);
    }
}

/// A container that could not be started: why, and what runc said of it.
pub fn tell_failure(name: &str, error: &anyhow::Error, logs: &Logs) {
    say!("{name} failed: {error:#}");
    tell_tail(logs);
}

fn tell_tail(logs: &Logs) {
    for path in [&logs.out, &logs.err] {
        let lines = tail(path).unwrap_or_default();
        if !lines.is_empty() {
            say!("the end of {}:", path.display());
        }
        for line in lines {
            say!("| {line}");
        }
    }
}

/// The last lines of a file, without control characters that would upset a console.
fn tail(path: &Path) -> std::io::Result<Vec<String>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    // Whoever writes to it may go on.
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<String> = text
        .lines()
        .map(|line| line.replace(char::is_control, ""))
        .collect();
    Ok(lines[lines.len().saturating_sub(TAIL_LINES)..].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_has_the_last_lines_without_control_characters() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("x.log");
        let text: String = (0..100).map(|n| format!("line {n}\x1b[0m\n")).collect();
        fs::write(&path, text).unwrap();
        let lines = tail(&path).unwrap();
        assert_eq!(lines.len(), TAIL_LINES);
        assert_eq!(lines[TAIL_LINES - 1], "line 99[0m");
    }

    #[test]
    fn a_service_logs_where_linuxkit_logs() {
        let logs = Logs::of_service("os-installer");
        assert_eq!(logs.err, Path::new("/var/log/os-installer.log"));
        assert_eq!(logs.out, Path::new("/var/log/os-installer.out.log"));
    }
}
