//! The folder of one run, and the files that every run has.

use std::fs::DirBuilder;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use thiserror::Error;

use super::{ConsoleLine, Report, to_html, to_junit};
use crate::ssh::Secrets;

/// Why evidence could not be kept.
#[derive(Debug, Error)]
pub enum EvidenceError {
    /// The report is no XML.
    #[error("the report cannot be written as JUnit XML: {0}")]
    JUnit(#[from] quick_junit::SerializeError),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// The page could not be made.
    #[error("the report cannot be written as a page: {0}")]
    Page(#[from] minijinja::Error),
    /// The report could not be encoded.
    #[error("the report cannot be encoded")]
    Encode(#[from] serde_json::Error),
}

/// Makes `<parent>/<time>-<scenario>` for a new run and lets `<parent>/latest`
/// point to it. The time is UTC, as in `20260131T235959Z`; a second run in the
/// same second gets a number.
///
/// # Errors
/// The folder or the link cannot be made.
pub fn new_run_folder(parent: &Path, scenario: &str) -> std::io::Result<PathBuf> {
    fs_err::create_dir_all(parent)?;
    let time = humantime::format_rfc3339_seconds(SystemTime::now())
        .to_string()
        .replace(['-', ':'], "");
    let mut name = format!("{time}-{scenario}");
    let mut number = 1;
    // Disks, the stick and the logs have what is secret on the node.
    let create = |name: &str| DirBuilder::new().mode(0o700).create(parent.join(name));
    while let Err(error) = create(&name) {
        if error.kind() != std::io::ErrorKind::AlreadyExists {
            return Err(error);
        }
        number += 1;
        name = format!("{time}-{scenario}-{number}");
    }
    // Made beside and renamed: who looks at `latest` always finds a run.
    let link = parent.join(format!(".latest-{name}"));
    std::os::unix::fs::symlink(&name, &link)?;
    fs_err::rename(&link, parent.join("latest"))?;
    Ok(parent.join(name))
}

/// The folder. What goes in as text loses its secrets first.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// The directory of the run.
    run: PathBuf,
    folder: PathBuf,
    secrets: Secrets,
}

impl Evidence {
    /// Makes the folder.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn create(folder: &Path, secrets: Secrets) -> Result<Self, EvidenceError> {
        fs_err::create_dir_all(folder)?;
        let folder = fs_err::canonicalize(folder)?;
        Ok(Self {
            run: folder.clone(),
            folder,
            secrets,
        })
    }

    /// Makes a folder in it, for one machine of several.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn part(&self, name: &str) -> Result<Self, EvidenceError> {
        let folder = self.folder.join(name);
        fs_err::create_dir_all(&folder)?;
        Ok(Self {
            folder,
            ..self.clone()
        })
    }

    /// A file's path relative to the directory of the run.
    #[must_use]
    pub fn name_in_run(&self, path: &Path) -> String {
        let name = path.strip_prefix(&self.run).unwrap_or(path);
        name.to_string_lossy().into_owned()
    }

    /// The folder's path.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The path of a file in it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// What no text in it may show.
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Text without its secrets.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        self.secrets.mask(text)
    }

    /// Writes a text file, its secrets masked. `name` may have folders.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, name: &str, text: &str) -> Result<(), EvidenceError> {
        let path = self.path(name);
        if let Some(parent) = path.parent() {
            fs_err::create_dir_all(parent)?;
        }
        Ok(fs_err::write(path, self.mask(text))?)
    }

    /// Writes a file that holds secrets as they are, readable by its owner only.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_private(&self, name: &str, bytes: &[u8]) -> Result<(), EvidenceError> {
        let path = self.path(name);
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        Ok(file.write_all(bytes)?)
    }

    /// Writes a script that can be run.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_script(&self, path: &Path, text: &str) -> Result<(), EvidenceError> {
        fs_err::write(path, text)?;
        Ok(fs_err::set_permissions(
            path,
            std::fs::Permissions::from_mode(0o755),
        )?)
    }

    /// Writes the report in its three forms. Secrets are masked in what was seen and
    /// expected, not in names: a password may be a word that the report needs.
    ///
    /// # Errors
    /// One of them cannot be written.
    pub fn write_report(&self, report: &Report) -> Result<(), EvidenceError> {
        let report = self.without_secrets(report);
        let mut text = serde_json::to_string_pretty(&report)?;
        text.push('\n');
        fs_err::write(self.path("report.json"), text)?;
        fs_err::write(self.path("junit.xml"), to_junit(&report)?)?;
        let page = to_html(&report, &self.console_lines(&report), &self.files()?)?;
        Ok(fs_err::write(self.path("report.html"), page)?)
    }

    /// The lines of all consoles in the order of their times. A log that is not there has none.
    fn console_lines(&self, report: &Report) -> Vec<ConsoleLine> {
        let mut lines = Vec::new();
        for log in &report.consoles {
            let bytes = fs_err::read(self.path(&log.file)).unwrap_or_default();
            let text = self.mask(&String::from_utf8_lossy(&bytes));
            lines.extend(text.lines().filter_map(|line| {
                let (seconds, line) = line.trim_start().split_once(' ')?;
                let seconds: f64 = seconds.parse().ok()?;
                let line = format!("{}{line}", log.label);
                Some(ConsoleLine(log.started + seconds, line))
            }));
        }
        lines.sort_by(|a, b| a.0.total_cmp(&b.0));
        lines
    }

    fn without_secrets(&self, report: &Report) -> Report {
        let mut report = report.clone();
        for check in &mut report.checks {
            check.expected = self.mask(&check.expected);
            check.actual = self.mask(&check.actual);
        }
        report.failure = report.failure.map(|text| self.mask(&text));
        for warning in &mut report.warnings {
            *warning = self.mask(warning);
        }
        report
    }

    /// All files in the folder by their names relative to it, sorted.
    fn files(&self) -> std::io::Result<Vec<String>> {
        let mut files = Vec::new();
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs_err::read_dir(&folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if let Ok(name) = path.strip_prefix(&self.folder) {
                    files.push(name.to_string_lossy().into_owned());
                }
            }
        }
        files.retain(|file| file != "report.html");
        files.sort();
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_loses_its_secrets_on_the_way_in() {
        let folder = tempfile::tempdir().unwrap();
        let mut secrets = Secrets::default();
        secrets.add("hunter42");
        let evidence = Evidence::create(&folder.path().join("run"), secrets).unwrap();
        evidence
            .write("guest/log.txt", "password hunter42")
            .unwrap();
        assert_eq!(
            fs_err::read_to_string(evidence.path("guest/log.txt")).unwrap(),
            "password ********"
        );
    }

    #[test]
    fn a_report_keeps_its_names_when_a_password_is_one_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let mut secrets = Secrets::default();
        secrets.add("expected");
        let evidence = Evidence::create(&folder.path().join("run"), secrets).unwrap();
        let mut report = crate::evidence::report::tests::sample();
        report.checks[0].actual = "is expected".into();
        evidence.write_report(&report).unwrap();
        let text = fs_err::read_to_string(evidence.path("report.json")).unwrap();
        let read: Report = serde_json::from_str(&text).unwrap();
        assert_eq!(read.checks[0].actual, "is ********");
    }

    #[test]
    fn runs_of_the_same_second_have_folders_of_their_own_and_latest_is_the_last() {
        let parent = tempfile::tempdir().unwrap();
        let first = new_run_folder(parent.path(), "sample").unwrap();
        let second = new_run_folder(parent.path(), "sample").unwrap();
        assert_ne!(first, second);
        let latest = fs_err::canonicalize(parent.path().join("latest")).unwrap();
        assert_eq!(latest, fs_err::canonicalize(second).unwrap());
    }

    #[test]
    fn private_files_are_for_their_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let evidence = Evidence::create(folder.path(), Secrets::default()).unwrap();
        evidence.write_private("config-file", b"x").unwrap();
        assert_eq!(
            fs_err::metadata(evidence.path("config-file"))
                .unwrap()
                .permissions()
                .mode()
                & 0o777,
            0o600
        );
    }
}
